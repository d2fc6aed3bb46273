import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { blockOf, decodeComment, type Facts, readExif } from './exif.ts'
import { TAG_NAMES } from './exif-tags.ts'
import { type TestEntry, type TestIfd, tiffBlock } from './testing/tiff-block.ts'

function read(root: TestIfd, little = true): Facts {
  return readExif(blockOf(tiffBlock(root, little)))?.exif ?? {}
}

function ascii(tag: number, text: string, type = 2): TestEntry {
  return { tag, type, value: Buffer.from(text) }
}

const rational = (numerator: number, denominator: number) => ({ type: 'IFDRational', numerator, denominator, imag: 0 })

test('every type is read in both byte orders', () => {
  for (const little of [true, false]) {
    const exif = read(
      {
        entries: [
          ascii(0x010f, 'Tidewater\0'),
          { tag: 0x0112, type: 3, value: [6] },
          { tag: 0x0100, type: 4, value: [4_000_000_000] },
          { tag: 0x011a, type: 5, value: [[72, 1]] },
          { tag: 0x9204, type: 10, value: [[-2, 3]] },
          { tag: 0x829a, type: 5, value: [[1, 0]] },
          { tag: 0x9201, type: 9, value: [-7] },
          { tag: 0x9400, type: 8, value: [-300, 5] },
          { tag: 0xc62a, type: 11, value: [1.5] },
          { tag: 0xc62b, type: 12, value: [Number.NaN] },
          { tag: 0x9286, type: 7, value: Buffer.from('ASCII\0\0\0x') },
          { tag: 0xa301, type: 7, value: [1] },
          { tag: 0x9000, type: 7, value: Buffer.from('0232') },
          ascii(0x010e, '潮', 129),
        ],
      },
      little,
    )
    assert.deepEqual(exif, {
      Make: 'Tidewater',
      Orientation: 6,
      ImageWidth: 4_000_000_000,
      XResolution: rational(72, 1),
      ExposureBiasValue: rational(-2, 3),
      ExposureTime: rational(1, 0),
      ShutterSpeedValue: -7,
      AmbientTemperature: [-300, 5],
      [String(0xc62a)]: 1.5,
      [String(0xc62b)]: null,
      SceneType: 'AQ==',
      ExifVersion: '0232',
      ImageDescription: '潮',
    })
  }
})

test('the first value of a name wins, IFD0 before Exif', () => {
  const twice = {
    entries: [ascii(0x010f, 'one\0'), ascii(0x010f, 'two\0')],
    children: [[0x8769, { entries: [ascii(0x010f, 'three\0'), ascii(0x0110, 'four\0')] }]],
  }
  assert.deepEqual(read(twice as TestIfd), { Make: 'one', Model: 'four' })
})

test('a bad entry is dropped alone', () => {
  for (const bad of [
    { tag: 0x010e, type: 2, value: [1], count: 0xffff_ffff },
    { tag: 0x010e, type: 2, value: [0xff, 0xff, 0xff, 0xff], count: 100 },
    { tag: 0x010e, type: 99, value: [1] },
    { tag: 0x010e, type: 0, value: [1] },
    { tag: 0x829a, type: 5, value: [1], count: 0x2000_0001 },
  ]) {
    assert.deepEqual(read({ entries: [ascii(0x010f, 'Tidewater\0'), bad] }), { Make: 'Tidewater' }, JSON.stringify(bad))
  }
})

test('values, unknown tags and the whole have bounds, and what they cut off is named', () => {
  const long = readExif(blockOf(tiffBlock({ entries: [ascii(0x010e, 'é'.repeat(30_000))] })))
  const text = long?.exif['ImageDescription'] as string
  assert.ok(text.length > 0 && /^é+$/.test(text) && Buffer.byteLength(text) <= limits.exifValueBytesMax)
  assert.deepEqual(long?.truncated, ['exif.ImageDescription'])

  const binary = readExif(blockOf(tiffBlock({ entries: [{ tag: 0x828e, type: 7, value: new Uint8Array(50_000) }] })))
  assert.deepEqual([binary?.exif, binary?.truncated], [{}, ['exif.CFAPattern']])

  const many = Array.from({ length: 1_000 }, (_, i): TestEntry => ({ tag: 0xd000 + i, type: 3, value: [i] }))
  const unknown = readExif(blockOf(tiffBlock({ entries: [...many, ascii(0x010f, 'Tidewater\0')] })))
  assert.equal(Object.keys(unknown?.exif ?? {}).length, limits.exifUnknownTagsMax + 1)
  assert.deepEqual(unknown?.truncated, ['exif'])
})

test('a long text in every tag there is stays within the output bound', () => {
  const named = [...TAG_NAMES.keys()].filter((tag) => tag > 0x0200 && tag !== 0x8298)
  const shared = Buffer.alloc(8_000, 'a')
  const exif = read({ entries: named.map((tag) => ({ tag, type: 2, value: shared })) })
  assert.ok(JSON.stringify(exif).length <= limits.exifOutputBytesMax)
})

test('a user comment is read in the code that it names', () => {
  const cases: [string, Buffer, boolean, string | null][] = [
    ['ASCII\0\0\0', Buffer.from('low tide  '), true, 'low tide'],
    ['UNICODE\0', Buffer.from('潮', 'utf16le'), true, '潮'],
    ['UNICODE\0', Buffer.from('潮', 'utf16le').swap16(), false, '潮'],
    ['UNICODE\0', Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('潮', 'utf16le')]), false, '潮'],
    ['JIS\0\0\0\0\0', Buffer.from('\x1b$B4k\x1b(B', 'latin1'), true, '企'],
    ['\0\0\0\0\0\0\0\0', Buffer.from('Zoë'), true, 'Zoë'],
    ['ASCII\0\0\0', Buffer.from('    \0'), true, null],
  ]
  for (const [code, body, little, want] of cases) {
    assert.equal(decodeComment(Buffer.concat([Buffer.from(code, 'latin1'), body]), little), want, code)
  }
})

test('any bytes at all are read without throwing, and within the output bound', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), fc.nat(64), (noise, little, ifd) => {
      const head = Buffer.from(little ? 'II*\0' : 'MM\0*', 'latin1')
      const offset = Buffer.alloc(4)
      if (little) offset.writeUInt32LE(8 + ifd)
      else offset.writeUInt32BE(8 + ifd)
      const block = readExif(blockOf(Buffer.concat([head, offset, noise])))
      assert.ok(
        block !== null &&
          JSON.stringify(block.exif, (_k, v: unknown) => (typeof v === 'bigint' ? 0 : v)).length <=
            limits.exifOutputBytesMax,
      )
    }),
    { numRuns: 2_000 },
  )
})
