/**
 * Every image of test/golden/images against the truth in its expected.json: facts, tags, what goes beyond them, faults, and
 * the bounds on bytes and output. Run under several time zones by golden.zones.test.ts.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { sha256Hex } from '../base/hash.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { jsonBytes } from './canonical.ts'
import type { Extraction } from './extract.ts'
import { extractFacts } from './registry.ts'
import { memorySource } from './source.ts'

type Facts = { [key: string]: Json }
interface Want {
  image: Facts | null
  exif: Facts
  beyond?: Facts
  fault: string | null
}

const folder = new URL('../../test/golden/images/', import.meta.url)
const { cases } = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as {
  cases: Record<string, { note: string; sha256: string; want: Want }>
}

/** Beyond-facts about the rendition's pixels, which no extractor sees. */
const ABOUT_RENDITIONS = new Set(['srgb_top_left', 'wrong_if_profile_dropped'])

async function extract(name: string): Promise<{ extraction: Extraction; bytes: Uint8Array }> {
  const bytes = readFileSync(new URL(`files/${name}`, folder))
  const subject = { bucket: 'photos', key: `album/${name}`, versionId: 'null', sizeBytes: bytes.length }
  return { extraction: await extractFacts(subject, memorySource(bytes)), bytes }
}

/** Every member of `want` is in `got` with that value; `got` may have more. */
function assertHas(got: Json | undefined, want: Facts, what: string): void {
  const members = (got ?? {}) as Facts
  for (const [key, value] of Object.entries(want)) {
    assert.ok(Object.hasOwn(members, key), `${what}.${key} is missing`)
    if (key === 'GPSInfo') assertHas(members[key], value as Facts, key)
    else assert.deepEqual(members[key], value, `${what}.${key}`)
  }
}

function assertBeyond(metadata: Facts, beyond: Facts, name: string): void {
  const text = JSON.stringify(metadata)
  for (const [key, want] of Object.entries(beyond)) {
    if (ABOUT_RENDITIONS.has(key)) continue
    if (key === 'absent')
      for (const tag of want as string[]) assert.ok(!Object.hasOwn(metadata['exif'] as Facts, tag), tag)
    else if (key === 'json') assert.deepEqual(JSON.parse(text), metadata)
    else if (key === 'no_code_points')
      assert.ok(text.isWellFormed() && !text.includes('\\u0000') && !/\\ud[89a-f]/i.test(text))
    else if (name === 'bomb-ztxt.png') assert.deepEqual(metadata['_truncated'], ['text.Comment'])
    else if (name === 'xmp-entity-bomb.jpg') assert.ok(!text.includes('title'), 'an entity was read')
    else if (want === null) assert.equal(metadata[key], null, key)
    else if (typeof want === 'object' && !Array.isArray(want)) assertHas(metadata[key], want as Facts, key)
    else assert.deepEqual(metadata[key], want, key)
  }
}

test('the collection is complete and as it was made', () => {
  assert.equal(Object.keys(cases).length, 130)
  for (const [name, { sha256 }] of Object.entries(cases)) {
    assert.equal(sha256Hex(readFileSync(new URL(`files/${name}`, folder))), sha256, name)
  }
})

for (const [name, { note, want }] of Object.entries(cases)) {
  test(`${name}: ${note}`, async () => {
    const { extraction, bytes } = await extract(name)
    const { metadata, faults } = extraction
    assert.deepEqual(
      faults
        .map((fault) => `${fault.kind}: ${fault.message}`)
        .map((text) => text.startsWith(expectedFault(want.fault))),
      want.fault === null ? [] : [true],
      JSON.stringify(faults),
    )
    if (want.image === null) assert.equal(metadata['image'], undefined)
    else assertHas(metadata['image'], want.image, 'image')
    assertHas(metadata['exif'], want.exif, 'exif')
    if (want.beyond !== undefined) assertBeyond(metadata, want.beyond, name)
    assert.ok(extraction.bytesRead <= bytes.length, `read ${extraction.bytesRead} of ${bytes.length} bytes`)
    assert.ok(jsonBytes(metadata) <= limits.extractOutputBytesMax)
  })
}

function expectedFault(fault: string | null): string {
  if (fault === 'not an image') return 'invalid: not an image'
  return fault === 'empty' || fault === 'truncated' ? `${fault}: ` : String(fault)
}

test('each of the eight orientations shows the same upright size', async () => {
  for (let orientation = 1; orientation <= 8; orientation++) {
    const { extraction } = await extract(`orientation-${orientation}.jpg`)
    assertHas(extraction.metadata['image'], { orientation, display_width: 96, display_height: 64 }, 'image')
  }
})

test('what the bounds cut off is named', async () => {
  const { extraction } = await extract('exif-amplify.jpg')
  const truncated = extraction.metadata['_truncated'] as string[]
  assert.ok(truncated.length >= 12 && truncated.every((path) => path.startsWith('exif.')), JSON.stringify(truncated))
  assert.ok(jsonBytes(extraction.metadata) < 128 * 1024)
})
