/** Walkers see an object through ranges; what they find must not depend on how the ranges fall. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Draft } from './image-head.ts'
import { imageHead, isReadImage, walkHead } from './image-walk.ts'
import { sniff } from './sniff.ts'
import { BoundedSource, defaultBounds, memorySource } from './source.ts'

const folder = new URL('../../test/golden/images/files/', import.meta.url)
const images = readdirSync(folder).map((name) => ({ name, bytes: readFileSync(new URL(name, folder)) }))

/** A draft whose byte blocks compare by content. */
function comparable(draft: Draft): unknown {
  const block = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
  const { exif, ...rest } = draft
  const plain =
    exif === null
      ? null
      : {
          ...exif,
          xmp: block(exif.xmp),
          iptc: block(exif.iptc),
          photoshop: block(exif.photoshop),
          icc: block(exif.icc),
        }
  return { ...rest, exif: plain, icc: block(draft.icc), xmp: block(draft.xmp), iptc: block(draft.iptc) }
}

/** A source that cannot serve from its own head, so that every fetch reaches the reader. */
function bareSource(bytes: Uint8Array): BoundedSource {
  const read = (start: number, end: number) => Promise.resolve(bytes.subarray(start, end))
  return new BoundedSource(bytes.length, read, { ...defaultBounds, readsMax: 100_000 })
}

for (const { name, bytes } of images) {
  const sniffed = await sniff(bytes)
  if (!isReadImage(sniffed)) continue
  test(`${name} gives the same facts however it is fetched`, async () => {
    const whole = await imageHead(sniffed, memorySource(bytes))
    for (const shape of [
      { headBytes: 32, nextBytes: 1 },
      { headBytes: 200, nextBytes: 64 },
    ]) {
      const pieces = await walkHead(sniffed, bareSource(bytes), shape)
      assert.equal(pieces.fault?.message, whole.fault?.message)
      assert.deepEqual(comparable(pieces.draft), comparable(whole.draft))
    }
  })
}

test('damage in small pieces is a fault of the image too', async () => {
  const small = images.filter(({ bytes }) => bytes.length > 40 && bytes.length < 5_000)
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...small),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), { minLength: 1, maxLength: 6 }),
      async ({ bytes }, changes) => {
        const damaged = Buffer.from(bytes)
        for (const [at, value] of changes) damaged[at % damaged.length] = value
        const sniffed = await sniff(damaged)
        if (!isReadImage(sniffed)) return
        const source = bareSource(damaged)
        const { draft, fault } = await walkHead(sniffed, source, { headBytes: 64, nextBytes: 16 })
        assert.ok(fault !== null || draft.width !== null || sniffed === 'image/svg+xml')
        assert.ok(source.reads < 20_000, `${source.reads} reads`)
      },
    ),
    { numRuns: 3_000 },
  )
})

test('a JPEG costs its head and, where needed, the range that its segments name', async () => {
  const padded = Buffer.concat([images.find(({ name }) => name === 'gps-ne.jpg')!.bytes, Buffer.alloc(3_000_000)])
  const near = memorySource(padded)
  await imageHead('image/jpeg', near)
  assert.deepEqual([near.reads, near.bytesRead], [1, 65_536])

  const far = Buffer.concat([images.find(({ name }) => name === 'exif-after-64k.jpg')!.bytes, Buffer.alloc(3_000_000)])
  const source = memorySource(far)
  const { draft } = await imageHead('image/jpeg', source)
  assert.equal(draft.width, 96)
  assert.equal(draft.exif?.exif['Make'], 'Tidewater')
  assert.ok(
    source.reads === 2 && source.bytesRead === 65_536 + 16_384,
    `${source.reads} reads, ${source.bytesRead} bytes`,
  )
})
