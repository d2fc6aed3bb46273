/** Perceptual hash and BlurHash: alike for pictures that look alike, bounded, and with a fault for what cannot be decoded. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import sharp from 'sharp'
import type { Facts } from './canonical.ts'
import { chosenExtractors, extractFacts } from './registry.ts'
import { memorySource } from './source.ts'
import { subjectOf } from './testing/samples.ts'

const golden = (name: string) => readFileSync(new URL(`../../test/golden/images/files/${name}`, import.meta.url))
const hashes = chosenExtractors(['phash', 'blurhash'])

async function hashOf(bytes: Uint8Array): Promise<{ phash: string; blurhash: string }> {
  const { metadata, faults } = await extractFacts(subjectOf(bytes), memorySource(bytes), hashes)
  assert.deepEqual(faults, [])
  return metadata['image'] as unknown as { phash: string; blurhash: string }
}

function bitsBetween(a: string, b: string): number {
  return (BigInt(`0x${a}`) ^ BigInt(`0x${b}`)).toString(2).replaceAll('0', '').length
}

/** A picture with form: soft blobs at places that `seed` chooses. */
async function picture(seed: number): Promise<Buffer> {
  const width = 240
  const height = 160
  const data = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++) {
        const wave =
          Math.sin((x * ((seed % 5) + 1)) / 40 + seed) +
          Math.cos((y * ((seed % 3) + 2)) / 30 - seed * c) +
          Math.sin((x + y) / (20 + seed))
        data[(y * width + x) * 3 + c] = 128 + Math.round(40 * wave)
      }
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer()
}

test('a picture in another size, format and quality has nearly the same hash, another picture another', async () => {
  const original = await picture(1)
  const { phash } = await hashOf(original)
  const variants = [
    sharp(original).jpeg({ quality: 40 }),
    sharp(original).resize(120, 80).webp(),
    sharp(original).modulate({ brightness: 1.1 }).png(),
  ]
  for (const variant of variants) assert.ok(bitsBetween(phash, (await hashOf(await variant.toBuffer())).phash) <= 8)
  for (const seed of [2, 3, 4]) assert.ok(bitsBetween(phash, (await hashOf(await picture(seed))).phash) > 12)
})

test('a picture that is stored turned has the hashes of the upright one', async () => {
  const upright = await hashOf(golden('orientation-1.jpg'))
  for (let orientation = 2; orientation <= 8; orientation++) {
    const turned = await hashOf(golden(`orientation-${orientation}.jpg`))
    assert.ok(bitsBetween(upright.phash, turned.phash) <= 8, `orientation ${orientation}`)
  }
})

test('one colour, one pixel and transparency have hashes too', async () => {
  for (const [width, height, alpha] of [
    [1, 1, 1],
    [300, 1, 1],
    [50, 50, 0],
  ] as const) {
    const background = { r: 10, g: 200, b: 30, alpha }
    await hashOf(
      await sharp({ create: { width, height, channels: 4, background } })
        .png()
        .toBuffer(),
    )
  }
})

test('cut pictures and bombs are faults with their reason; the others of the object keep their facts', async () => {
  const photo = golden('gps-ne.jpg')
  const cases: [Uint8Array, RegExp][] = [
    [photo.subarray(0, photo.length - 400), /cannot be read|breaks off/],
    [golden('bomb-huge.png'), /pixel limit/i],
  ]
  for (const [bytes, message] of cases) {
    const { metadata, faults } = await extractFacts(
      subjectOf(bytes),
      memorySource(bytes),
      chosenExtractors({ phash: true }),
    )
    assert.deepEqual(
      faults.map(({ extractor }) => extractor),
      ['phash'],
    )
    assert.match(faults[0]!.message, message)
    assert.ok((metadata['image'] as Facts)['image_width'] !== undefined)
  }
})
