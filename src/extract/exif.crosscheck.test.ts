/** The same blocks through another reader, exifreader: names, numbers and texts must agree wherever both have the tag. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import ExifReader from 'exifreader'
import fc from 'fast-check'
import type { Json } from '../base/json.ts'
import { blockOf, type Facts, readExif } from './exif.ts'
import { TAG_NAMES } from './exif-tags.ts'
import { extractFacts } from './registry.ts'
import { memorySource } from './source.ts'
import { jpegWithExif, type TestEntry, tiffBlock } from './testing/tiff-block.ts'

/** exifreader's spelling → ours. */
const SPELLING: Record<string, string> = {
  SubSecTime: 'SubsecTime',
  SubSecTimeOriginal: 'SubsecTimeOriginal',
  SubSecTimeDigitized: 'SubsecTimeDigitized',
  FlashpixVersion: 'FlashPixVersion',
  PixelXDimension: 'ExifImageWidth',
  PixelYDimension: 'ExifImageHeight',
}

/** exifreader's `value` in our shapes: pairs for rationals, text out of lists of strings. */
function plain(value: unknown): unknown {
  if (Array.isArray(value) && value.length === 1 && !Array.isArray(value[0])) return plain(value[0])
  return value
}

function ours(value: Json | undefined): unknown {
  if (Array.isArray(value)) return value.map(ours)
  if (typeof value === 'object' && value !== null && value['type'] === 'IFDRational')
    return [value['numerator'], value['denominator']]
  return value
}

function theirs(bytes: Uint8Array): Record<string, unknown> {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  const groups = ExifReader.load(buffer, {
    expanded: true,
    excludeTags: { makerNotes: true, thumbnail: true, mpf: true },
  })
  const tags: Record<string, unknown> = {}
  for (const [name, tag] of Object.entries(groups.exif ?? {}))
    tags[SPELLING[name] ?? name] = plain((tag as { value: unknown }).value)
  return tags
}

/** Tags that either reader gives a meaning of its own, or whose bytes the two show in different shapes. */
const NUMBERS = [...TAG_NAMES].filter(
  ([tag]) => (tag >= 0x8822 && tag <= 0x8835) || (tag >= 0x9201 && tag <= 0x920a) || (tag >= 0xa20e && tag <= 0xa40c),
)
const SHORTS = NUMBERS.filter(([, name]) =>
  [
    'ISOSpeedRatings',
    'MeteringMode',
    'LightSource',
    'Flash',
    'ExposureMode',
    'WhiteBalance',
    'SceneCaptureType',
    'FocalLengthIn35mmFilm',
    'Contrast',
    'Saturation',
    'Sharpness',
  ].includes(name),
)
const RATIONALS = NUMBERS.filter(([, name]) =>
  [
    'ApertureValue',
    'MaxApertureValue',
    'SubjectDistance',
    'FocalLength',
    'DigitalZoomRatio',
    'ExposureIndex',
    'FocalPlaneXResolution',
  ].includes(name),
)
const TEXTS = [0x010e, 0x010f, 0x0110, 0x0131, 0x013b].map((tag) => [tag, TAG_NAMES.get(tag)!] as const)

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const ascii = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' })
  .filter((text) => text.trim() === text && text.length > 0)

const block = fc
  .record({
    shorts: fc.uniqueArray(fc.record({ of: fc.constantFrom(...SHORTS), value: fc.nat(0xffff) }), {
      selector: (one) => one.of[0],
    }),
    rationals: fc.uniqueArray(fc.record({ of: fc.constantFrom(...RATIONALS), value: fc.tuple(u32, u32) }), {
      selector: (one) => one.of[0],
    }),
    texts: fc.uniqueArray(fc.record({ of: fc.constantFrom(...TEXTS), value: ascii }), { selector: (one) => one.of[0] }),
    little: fc.boolean(),
  })
  .map(({ shorts, rationals, texts, little }) => {
    const main: TestEntry[] = texts.map(({ of: [tag], value }) => ({ tag, type: 2, value: Buffer.from(`${value}\0`) }))
    const sub: TestEntry[] = [
      ...shorts.map(({ of: [tag], value }): TestEntry => ({ tag, type: 3, value: [value] })),
      ...rationals.map(({ of: [tag], value }): TestEntry => ({ tag, type: 5, value: [value] })),
    ]
    const names = [...texts, ...shorts, ...rationals].map(({ of: [, name] }) => name)
    return { bytes: tiffBlock({ entries: main, children: [[0x8769, { entries: sub }]] }, little), names }
  })

test('generated blocks read the same in exifreader', () => {
  fc.assert(
    fc.property(block, ({ bytes, names }) => {
      const exif: Facts = readExif(blockOf(bytes))?.exif ?? {}
      assert.deepEqual(Object.keys(exif).toSorted(), names.toSorted())
      const other = theirs(jpegWithExif(bytes))
      for (const name of names) assert.deepEqual(ours(exif[name]), other[name], name)
    }),
    { numRuns: 500 },
  )
})

test('the numbers of the golden photographs read the same in exifreader', async () => {
  const folder = new URL('../../test/golden/images/files/', import.meta.url)
  let compared = 0
  for (const name of readdirSync(folder).filter((file) =>
    /^(?:gps|date|orientation|rationals|thumbnail|undefined|makernote).*\.(?:jpg|png|tif|webp)$/.test(file),
  )) {
    const bytes = readFileSync(new URL(name, folder))
    const { metadata } = await extractFacts(
      { bucket: 'b', key: name, versionId: 'null', sizeBytes: bytes.length },
      memorySource(bytes),
    )
    const other = theirs(bytes)
    for (const [tag, value] of Object.entries(metadata['exif'] as Facts)) {
      const mine = ours(value)
      if (!Object.hasOwn(other, tag) || (typeof mine !== 'number' && !Array.isArray(mine))) continue
      assert.deepEqual(mine, other[tag], `${name}: ${tag}`)
      compared++
    }
  }
  assert.ok(compared >= 20, `only ${compared} numbers were in both`)
})
