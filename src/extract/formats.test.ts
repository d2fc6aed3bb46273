/** Corners of the formats that the golden images do not hold: made here, byte by byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { crc32 } from '../base/hash.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { profileDescription } from './icc.ts'
import { iptcInPhotoshop, readIptc } from './iptc.ts'
import { extractFacts } from './registry.ts'
import { sniff } from './sniff.ts'
import { memorySource } from './source.ts'
import { jpegOf, jpegWithExif, type TestEntry, tiffBlock } from './testing/tiff-block.ts'

type Facts = { [key: string]: Json }

async function extract(bytes: Uint8Array, key = 'a.bin') {
  const source = memorySource(bytes)
  const extraction = await extractFacts({ bucket: 'b', key, versionId: 'null', sizeBytes: bytes.length }, source)
  return {
    ...extraction,
    image: extraction.metadata['image'] as Facts | undefined,
    exif: extraction.metadata['exif'] as Facts,
    source,
  }
}

const make: TestEntry = { tag: 0x010f, type: 2, value: Buffer.from('Tidewater\0') }

function chunk(type: string, body: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type), body])
  const out = Buffer.alloc(named.length + 8)
  out.writeUInt32BE(body.length, 0)
  named.copy(out, 4)
  out.writeUInt32BE(crc32(named), named.length + 4)
  return out
}

function png(...chunks: Buffer[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(8, 0)
  header.writeUInt32BE(8, 4)
  header.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...chunks,
    chunk('IEND', new Uint8Array(0)),
  ])
}

function iptc(...sets: [number, number, string | Uint8Array][]): Buffer {
  return Buffer.concat(
    sets.map(([record, dataSet, value]) => {
      const body = Buffer.from(value)
      return Buffer.concat([Buffer.from([0x1c, record, dataSet, body.length >> 8, body.length & 0xff]), body])
    }),
  )
}

function photoshop(resources: [number, Uint8Array][]): Buffer {
  const parts = resources.map(([id, body]) => {
    const head = Buffer.from([
      0x38,
      0x42,
      0x49,
      0x4d,
      id >> 8,
      id & 0xff,
      0,
      0,
      0,
      0,
      body.length >> 8,
      body.length & 0xff,
    ])
    return Buffer.concat([head, body, Buffer.alloc(body.length & 1)])
  })
  return Buffer.concat([Buffer.from('Photoshop 3.0\0'), ...parts])
}

test('types are told from bytes alone', async () => {
  const cases: [string | Buffer, string | null][] = [
    ['%PDF-1.7\n%', 'application/pdf'],
    ['', null],
    ['GI', null],
    ['plain text, and no more than that', null],
    ['<!DOCTYPE html><html><body>', null],
    ['<!-- a --><svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml'],
    ['\ufeff  <?xml version="1.0"?><svg:svg/>', 'image/svg+xml'],
    [Buffer.concat([Buffer.from('MM\0*\x7f\xff\xff\xff', 'latin1'), Buffer.alloc(100)]), 'image/tiff'],
    [Buffer.from('PK\x03\x04', 'latin1'), 'application/zip'],
  ]
  for (const [bytes, want] of cases)
    assert.equal(await sniff(Buffer.from(bytes as string)), want, String(bytes).slice(0, 20))
})

test('an object of no kind that is read here has neither facts nor faults', async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('text'), Buffer.from('\x7fELF\x02\x01\x01', 'latin1')]) {
    const { metadata, faults } = await extract(bytes, 'notes/readme')
    assert.deepEqual([metadata, faults], [{}, []])
  }
})

test('SVG lengths are pixels at 96 to the inch', async () => {
  const cases: [string, [number, number] | [null, null] | 'zero'][] = [
    ['width="1in" height="2.54cm"', [96, 96]],
    ['width="72pt" height="6pc"', [96, 96]],
    ['width="1e2" height=".5in"', [100, 48]],
    ['width="50" viewBox="0 0 100 200"', [50, 100]],
    ['height="50" viewBox="0,0,100,200"', [25, 50]],
    ['width="100%" height="100%" viewBox="0 0 30 20"', [30, 20]],
    ['width="100%"', [null, null]],
    ['viewBox="0 0 0 0"', [null, null]],
    ['width="0.2" height="0.2"', [1, 1]],
    ['width="0" height="10"', 'zero'],
    ['width="99e99" height="1e30"', [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]],
    ['width="&w;" height="2" viewBox="0 0 3 2"', [3, 2]],
  ]
  for (const [attributes, want] of cases) {
    const { image, faults } = await extract(Buffer.from(`<svg ${attributes}></svg>`))
    if (want === 'zero') assert.match(faults[0]?.message ?? '', /zero dimension/)
    else assert.deepEqual([image?.['image_width'], image?.['image_height']], want, attributes)
  }
})

test('a PNG of many pixel chunks is not followed through; its tail is read, checksums and all', async () => {
  const pixels = Array.from({ length: 3_000 }, () => chunk('IDAT', Buffer.alloc(4_000, 7)))
  const block = tiffBlock({ entries: [make] })
  const damaged = chunk('tEXt', Buffer.from('Title\0wrong'))
  damaged.writeUInt8(0, damaged.length - 1)
  const { exif, metadata, bytesRead } = await extract(
    png(...pixels, damaged, chunk('tEXt', Buffer.from('Author\0Zo\xeb', 'latin1')), chunk('eXIf', block)),
  )
  assert.deepEqual(exif, { Make: 'Tidewater' })
  assert.deepEqual(metadata['text'], { Author: 'Zoë' })
  assert.ok(bytesRead < 400_000, String(bytesRead))
})

test('profiles in text chunks, as ImageMagick wrote them, are read', async () => {
  const block = Buffer.concat([Buffer.from('Exif\0\0'), tiffBlock({ entries: [make] })])
  const raw = `\nexif\n${String(block.length).padStart(8)}\n${block.toString('hex').replace(/(.{72})/g, '$1\n')}\n`
  const body = Buffer.concat([Buffer.from('Raw profile type exif\0\0'), deflateSync(Buffer.from(raw))])
  assert.deepEqual((await extract(png(chunk('zTXt', body)))).exif, { Make: 'Tidewater' })
})

test('what inflates too far is left out and named, whatever it claims to be', async () => {
  const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024))
  const { metadata, image } = await extract(
    png(
      chunk('iTXt', Buffer.concat([Buffer.from('XML:com.adobe.xmp\0\x01\0\0\0'), bomb])),
      chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), bomb])),
      chunk('iCCP', Buffer.concat([Buffer.from('profile\0\0'), bomb])),
    ),
  )
  assert.deepEqual(metadata['_truncated'], ['xmp', 'text.Comment'])
  assert.deepEqual([image?.['image_width'], image?.['icc']], [8, null])
})

test('a hundred thousand entries in eXIf are looked at in reasonable time', async () => {
  const entries = Array.from(
    { length: 65_000 },
    (_, i): TestEntry => ({ tag: 0xd000 + (i % 0x2fff), type: 3, value: [i] }),
  )
  const block = tiffBlock({ entries: [make, ...entries], children: [[0x8769, { entries }]] })
  const started = performance.now()
  const { exif, metadata } = await extract(png(chunk('eXIf', block)))
  assert.ok(performance.now() - started < 2_000)
  assert.equal(exif['Make'], 'Tidewater')
  assert.deepEqual(metadata['_truncated'], ['exif'])
})

test('sixteen megabytes of segments before EXIF are jumped over in small reads', async () => {
  const filler = Array.from({ length: 250 }, (): [number, Uint8Array] => [0xe5, new Uint8Array(65_000)])
  const exif: [number, Uint8Array] = [0xe1, Buffer.concat([Buffer.from('Exif\0\0'), tiffBlock({ entries: [make] })])]
  const result = await extract(jpegOf([...filler, exif]))
  assert.equal(result.exif['Make'], 'Tidewater')
  assert.equal(result.image?.['image_width'], 8)
  assert.ok(result.bytesRead < 6_000_000, String(result.bytesRead))
})

test('a TIFF whose directory stands at the end is read by its end', async () => {
  const far: TestEntry[] = [
    { tag: 0x0100, type: 3, value: [300] },
    { tag: 0x0101, type: 3, value: [200] },
    { tag: 0x0102, type: 3, value: [8, 8, 8, 8] },
    { tag: 0x0106, type: 3, value: [2] },
    { tag: 0x0115, type: 3, value: [4] },
    { tag: 0x0152, type: 3, value: [2] },
    make,
  ]
  const block = tiffBlock({ entries: far })
  const gap = 9_000_000
  const moved = Buffer.concat([block.subarray(0, 8), Buffer.alloc(gap), block.subarray(8)])
  // Offsets in the block move with it.
  const shift = (at: number) => moved.writeUInt32LE(moved.readUInt32LE(at) + gap, at)
  shift(4)
  const directory = moved.readUInt32LE(4)
  for (let i = 0; i < moved.readUInt16LE(directory); i++) {
    const at = directory + 2 + i * 12
    const bytes = moved.readUInt32LE(at + 4) * (moved.readUInt16LE(at + 2) === 3 ? 2 : 1)
    if (bytes > 4) shift(at + 8)
  }
  const { image, exif, source } = await extract(moved)
  assert.deepEqual(
    [image?.['image_width'], image?.['image_height'], image?.['mode'], image?.['has_alpha']],
    [300, 200, 'RGBA', true],
  )
  assert.equal(exif['Make'], 'Tidewater')
  assert.ok(
    source.bytesRead <= limits.extractHeadBytes * 2 && source.reads <= 4,
    `${source.bytesRead} in ${source.reads}`,
  )
})

test('IPTC is found among Photoshop’s resources and named', async () => {
  const block = iptc(
    [1, 90, '\x1b%G'],
    [2, 0, '\0\x04'],
    [2, 105, 'Low tide'],
    [2, 25, 'sea'],
    [2, 25, 'Ebbe'],
    [2, 80, 'Zoë'],
    [2, 90, Buffer.from('Z\xfcrich', 'latin1')],
    [2, 55, '20240506'],
  )
  const resources = photoshop([
    [0x03ed, new Uint8Array(3)],
    [0x0404, block],
  ])
  const { metadata } = await extract(jpegOf([[0xed, resources]]))
  assert.deepEqual(metadata['iptc'], {
    headline: 'Low tide',
    keywords: ['sea', 'Ebbe'],
    byline: ['Zoë'],
    city: 'Zürich',
    date_created: '20240506',
  })
  assert.equal(iptcInPhotoshop(resources.subarray(0, 40)), null)
  assert.equal(readIptc(Buffer.from([0x1c, 2, 105, 0x80, 4, 0xff, 0xff, 0xff, 0xff])), null)
  const extended = Buffer.from([0x1c, 2, 105, 0x80, 2, 0, 2, 0x68, 0x69])
  assert.deepEqual(readIptc(extended), { headline: 'hi' })
})

test('stray and fill bytes before markers, and endless ones', async () => {
  const plain = jpegWithExif(tiffBlock({ entries: [make] }))
  const afterExif = 4 + plain.readUInt16BE(4)
  const fill = Buffer.concat([
    plain.subarray(0, 2),
    Buffer.alloc(3, 0xff),
    plain.subarray(2, afterExif),
    Buffer.from([0x55, 0x66, 0xff, 0x00]),
    plain.subarray(afterExif),
  ])
  const { image, exif } = await extract(fill)
  assert.deepEqual([image?.['image_width'], exif['Make']], [8, 'Tidewater'])
  for (const value of [0xff, 0x00, 0x55]) {
    const endless = Buffer.concat([plain.subarray(0, 3), Buffer.alloc(2_000_000, value)])
    const { faults, bytesRead } = await extract(endless)
    assert.equal(faults[0]?.kind, 'truncated')
    assert.ok(bytesRead < 200_000, String(bytesRead))
  }
})

test('a GIF of many megabytes is not read through to count its frames', async () => {
  const head = Buffer.from('GIF89a\x10\0\x10\0\0\0\0', 'latin1')
  const frame = Buffer.concat([
    Buffer.from([0x2c, 0, 0, 0, 0, 16, 0, 16, 0, 0, 8]),
    ...Array.from({ length: 40 }, () => Buffer.concat([Buffer.from([255]), Buffer.alloc(255)])),
    Buffer.from([0]),
  ])
  const big = Buffer.concat([head, ...Array.from({ length: 1_000 }, () => frame), Buffer.from([0x3b])])
  const { image, bytesRead } = await extract(big)
  assert.deepEqual([image?.['image_width'], image?.['frames']], [16, null])
  assert.ok(bytesRead < 5_000_000, String(bytesRead))
  const few = Buffer.concat([head, frame, frame, Buffer.from([0x3b])])
  assert.equal((await extract(few)).image?.['frames'], 2)
})

test('a profile gives its name in both forms, and none when it is no profile', () => {
  const profile = (body: Buffer) => {
    const out = Buffer.alloc(144 + body.length)
    out.write('acsp', 36, 'latin1')
    out.writeUInt32BE(1, 128)
    out.write('desc', 132, 'latin1')
    out.writeUInt32BE(144, 136)
    out.writeUInt32BE(body.length, 140)
    body.copy(out, 144)
    return out
  }
  const old = Buffer.concat([Buffer.from('desc\0\0\0\0\0\0\0\x0a', 'latin1'), Buffer.from('Adobe RGB\0')])
  assert.equal(profileDescription(profile(old)), 'Adobe RGB')
  assert.equal(profileDescription(profile(Buffer.from('text\0\0\0\0'))), null)
  assert.equal(profileDescription(Buffer.alloc(200)), null)
  assert.equal(profileDescription(null), null)
})
