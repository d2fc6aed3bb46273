/** What extractors cost in bytes: of large objects only the parts that tell, and of objects of other kinds nothing beyond the head. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { tar, zip } from '../../test/support/samples/write-archives.ts'
import { limits } from '../base/limits.ts'
import type { Facts } from './canonical.ts'
import { builtinExtractors, chosenExtractors, extractFacts } from './registry.ts'
import { BoundedSource } from './source.ts'
import { sample, subjectOf } from './testing/samples.ts'

const MiB = 1024 * 1024

/** Extraction from a reader that counts, as from a store. */
async function costOf(bytes: Uint8Array, extractors = chosenExtractors(), key = 'object') {
  const source = new BoundedSource(bytes.length, (start, end) => Promise.resolve(bytes.subarray(start, end)))
  const extraction = await extractFacts(subjectOf(bytes, key), source, extractors)
  return { ...extraction, reads: source.reads }
}

/** So many bytes that compress to nothing useful and look like no format. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0, state = 1; i < length; i += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes.writeUInt32LE(state, i)
  }
  bytes.set([0x7f, 0x13, 0x00])
  return bytes
}

test('objects of other kinds cost their head and no byte more, whatever their name promises', async () => {
  const prose = Buffer.from(
    'Once upon a time, there was a tide; it rose.\nAnd then it fell, and all was still.\n'.repeat(50_000),
  )
  for (const bytes of [noise(3 * MiB), prose]) {
    for (const key of ['object', 'a.pdf', 'b.docx', 'c.mp4', 'd.zip', 'e.parquet', 'f.csv', 'g.tar.gz']) {
      const { metadata, faults, bytesRead, reads } = await costOf(bytes, builtinExtractors, key)
      assert.deepEqual([metadata, faults, bytesRead, reads], [{}, [], limits.extractHeadBytes, 1], key)
    }
  }
})

test('a photo costs the same with all that runs by default as with the readers of pictures alone', async () => {
  const photo = readFileSync(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))
  const large = Buffer.concat([photo, noise(MiB)])
  const alone = await costOf(large, chosenExtractors(['image', 'exif']))
  const all = await costOf(large)
  assert.deepEqual(all, alone)
  assert.equal(all.bytesRead, limits.extractHeadBytes)
})

/** The sample with `length` bytes of nothing in front of its last `end` bytes, offsets put right by `mend`. */
function swollen(bytes: Uint8Array, at: number, length: number): Buffer {
  return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(length), bytes.subarray(at)])
}

const cases: {
  what: string
  bytes: () => Buffer
  fact: (metadata: Facts) => unknown
  want: unknown
  kibMax: number
}[] = [
  {
    what: 'a zip of 20 MiB',
    bytes: () => zip([1, 2, 3, 4].map((at) => ({ name: `${at}.bin`, text: noise(5 * MiB), stored: true }))),
    fact: (metadata) => (metadata['archive'] as Facts)['unpacked_bytes'],
    want: 20 * MiB,
    kibMax: 160,
  },
  {
    what: 'a tar of 20 MiB',
    bytes: () => tar([1, 2, 3, 4].map((at) => ({ name: `${at}.bin`, text: noise(5 * MiB) }))),
    fact: (metadata) => (metadata['archive'] as Facts)['entries'],
    want: 4,
    kibMax: 64 + 4 * 64,
  },
  {
    what: 'a document of 8 MiB, most of it a picture',
    bytes: () => {
      const parts = [
        {
          name: '[Content_Types].xml',
          text: '<Types><Override ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        },
        { name: 'word/document.xml', text: '<document/>' },
        { name: 'word/media/picture.png', text: noise(8 * MiB), stored: true },
        { name: 'docProps/app.xml', text: '<Properties><Pages>12</Pages></Properties>' },
      ]
      return zip(parts)
    },
    fact: (metadata) => (metadata['office'] as Facts)['pages'],
    want: 12,
    kibMax: 160,
  },
  {
    what: 'a video of 10 MiB whose index stands at the end',
    bytes: () => {
      const bytes = Buffer.from(sample('turned.mp4'))
      const media = bytes.indexOf('mdat') - 4
      const size = bytes.readUInt32BE(media)
      const isLong = size === 1
      const end = media + (isLong ? Number(bytes.readBigUInt64BE(media + 8)) : size)
      if (isLong) bytes.writeBigUInt64BE(BigInt(end - media + 10 * MiB), media + 8)
      else bytes.writeUInt32BE(size + 10 * MiB, media)
      return swollen(bytes, end, 10 * MiB)
    },
    fact: (metadata) => (metadata['media'] as Facts)['rotation'],
    want: 90,
    kibMax: 192,
  },
  {
    what: 'a Parquet file of 10 MiB',
    bytes: () => swollen(sample('orders.parquet'), 4, 10 * MiB),
    fact: (metadata) => (metadata['table'] as Facts)['rows'],
    want: 3_000,
    kibMax: 160,
  },
  {
    what: 'lines of JSON of 5 MiB',
    bytes: () => Buffer.from(`${JSON.stringify({ place: 'Husum', height: 3.4 })}\n`.repeat(150_000)),
    fact: (metadata) => (metadata['table'] as Facts)['column_count'],
    want: 2,
    kibMax: 64,
  },
]

for (const { what, bytes, fact, want, kibMax } of cases) {
  test(`${what} costs no more than ${kibMax} KiB`, async () => {
    const { metadata, faults, bytesRead } = await costOf(bytes())
    assert.deepEqual([faults, fact(metadata)], [[], want])
    assert.ok(bytesRead <= kibMax * 1024, `${bytesRead} bytes read`)
  })
}
