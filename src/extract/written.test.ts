/** Files that programs of others wrote, against what those programs say of them: see test/golden/written. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { extractFacts } from './registry.ts'
import { memorySource } from './source.ts'
import { subjectOf } from './testing/samples.ts'

type Values = Record<string, unknown>

const folder = new URL('../../test/golden/written/', import.meta.url)
const said = JSON.parse(readFileSync(new URL('said.json', folder), 'utf8')) as Record<
  string,
  { office?: Values; media?: Values & { duration_s: number } }
>

/** What ffmpeg calls a codec, and what it is called here, where that differs. */
const CODECS: Readonly<Record<string, string>> = {
  h264: 'avc',
  mpeg4: 'V_MPEG4/ISO/ASP',
  pcm_s16le: 'PCM',
  flac: 'FLAC',
}
/** Codecs of files of sound alone are called by their long names. */
const SOUND: Readonly<Record<string, string>> = { aac: 'MPEG-4/AAC', mp3: 'MPEG 2 Layer 3', opus: 'Opus' }
/** Of sound, encoders put up to two blocks more than there were: some containers tell of them and some do not. */
const BLOCKS_S = 0.1

function ours(values: Values): Values {
  const isSound = values['video_codec'] === undefined
  const named = (codec: unknown) => (isSound ? SOUND[String(codec)] : undefined) ?? CODECS[String(codec)] ?? codec
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, name.endsWith('_codec') ? named(value) : value]),
  )
}

for (const [name, { office, media }] of Object.entries(said)) {
  test(`${name}: the facts are what its writer says`, async () => {
    const bytes = readFileSync(new URL(`files/${name}`, folder))
    const { metadata, faults } = await extractFacts(subjectOf(bytes), memorySource(bytes))
    assert.deepEqual(faults, [])
    const facts = (metadata['office'] ?? metadata['media']) as Values
    if (office !== undefined) {
      for (const [fact, value] of Object.entries(office)) assert.deepEqual(facts[fact], value, fact)
    }
    if (media === undefined) return
    const { duration_s: seconds, ...rest } = ours(media)
    assert.ok(Math.abs(Number(facts['duration_s']) - Number(seconds)) <= BLOCKS_S, `${facts['duration_s']} s`)
    for (const [fact, value] of Object.entries(rest)) {
      // Opus is always played at 48,000; what the file says is how it was recorded.
      if (name === 'tone.opus' && fact === 'sample_rate') assert.equal(facts[fact], 24_000)
      else assert.equal(facts[fact], value, fact)
    }
    assert.equal(facts['kind'], media['video_codec'] === undefined ? 'audio' : 'video')
  })
}
