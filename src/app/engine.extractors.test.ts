/** Extractors of the user's own, named in the configuration: useful, hostile, and not there. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EngineBench, eventOf, withEngine } from '../../test/support/engine-bench.ts'
import { isFault } from '../base/fault.ts'
import type { Cell } from '../query/query.ts'

const TEXT_LINES = fileURLToPath(new URL('../../examples/extractors/text-lines.ts', import.meta.url))
const picture = () => readFile(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))

let happened = 0
async function put(bench: EngineBench, key: string, bytes: Uint8Array | string) {
  const time = new Date(Date.UTC(2024, 4, 1) + 1000 * ++happened).toISOString()
  return eventOf({ kind: 'create', key, time, ...(await bench.putObject('photos', key, bytes)) })
}

describe('the example that counts lines and words', () => {
  const columns = {
    lines: { type: 'INTEGER', jpath: '$.text_lines.lines' },
    words: { type: 'INTEGER', jpath: '$.text_lines.words' },
    longest: { type: 'LONG', jpath: '$.text_lines.longest_line' },
    width: { type: 'INTEGER', jpath: '$.image.image_width' },
  }

  it('fills columns for text files and takes nothing from pictures', async () => {
    await withEngine({ objects: { extractors: [{ module: TEXT_LINES }], content: { columns } } }, async (bench) => {
      await bench.tell(
        await put(bench, 'notes.txt', 'one two\r\nthree\n\nfour five six\n'),
        await put(bench, 'open end.md', '# Title'),
        await put(bench, 'empty.csv', ''),
        await put(bench, 'picture.jpg', await picture()),
        await put(bench, 'picture.txt', await picture()),
      )
      assert.deepEqual(
        await bench.sql('SELECT key, lines, words, longest, width FROM default.s3_content_metadata ORDER BY key'),
        [
          { key: 'empty.csv', lines: 0, words: 0, longest: 0n, width: null },
          { key: 'notes.txt', lines: 4, words: 6, longest: 13n, width: null },
          { key: 'open end.md', lines: 1, words: 2, longest: 7n, width: null },
          { key: 'picture.jpg', lines: null, words: null, longest: null, width: 96 },
          { key: 'picture.txt', lines: null, words: null, longest: null, width: 96 },
        ],
      )
      assert.deepEqual(await bench.sql('SELECT * FROM tidewater.dead_letters'), [])
    })
  })
})

const sampleOf = (name: string) => readFile(new URL(`../../test/golden/samples/files/${name}`, import.meta.url))

describe('the built-in extractors', () => {
  const columns = {
    pages: { type: 'INTEGER', jpath: '$.pdf.pages' },
    seconds: { type: 'DOUBLE', jpath: '$.media.duration_s' },
    entries: { type: 'INTEGER', jpath: '$.archive.entries' },
    names: { type: 'ARRAY<STRING>', jpath: '$.table.columns[*].name' },
    phash: { type: 'STRING', jpath: '$.image.phash' },
  }
  const files = { report: 'plain.pdf', clip: 'turned.mp4', backup: 'plain.zip', tides: 'tides.tsv' }

  it('fill columns by what the bytes are, and those that are turned off do not', async () => {
    const objects = { extract: { archive: false, phash: true }, content: { columns } }
    await withEngine({ objects }, async (bench) => {
      for (const [key, name] of Object.entries(files)) await bench.tell(await put(bench, key, await sampleOf(name)))
      await bench.tell(await put(bench, 'photo', await picture()))
      const rows = await bench.sql(
        'SELECT key, pages, seconds, entries, names, phash IS NOT NULL AS hashed FROM default.s3_content_metadata ORDER BY key',
      )
      const none = { pages: null, seconds: null, entries: null, names: [], hashed: false }
      assert.deepEqual(rows, [
        { ...none, key: 'backup' },
        { ...none, key: 'clip', seconds: 2 },
        { ...none, key: 'photo', hashed: true },
        { ...none, key: 'report', pages: 2 },
        { ...none, key: 'tides', names: ['place', 'at', 'height'] },
      ])
      assert.deepEqual(await bench.sql('SELECT * FROM tidewater.dead_letters'), [])
    })
  })
})

const HOSTILE = `
export const name = 'hostile'
export const appliesTo = ({ key }) => key.includes('hostile')
export async function extract({ key }) {
  if (key.includes('throws')) throw new Error('no such luck')
  if (key.includes('loops')) for (;;) {}
  if (key.includes('exits')) process.exit(1)
  if (key.includes('hoards')) { const all = []; for (;;) all.push(new Array(1e6).fill(all.length)) }
  if (key.includes('odd')) return { odd: { nan: NaN, big: 12345678901234567890n, bytes: new Uint8Array([1, 2]), lone: '\\ud800' } }
  return { image: 'mine' }
}
`

/** On a busy machine the time may run out before the memory does. */
function kindOf(subject: string, kind: Cell | undefined): Cell | undefined {
  return subject.includes('hoards') && kind === 'timeout' ? 'crash' : kind
}

describe('an extractor that misbehaves', () => {
  it('costs its own facts and no others: each row has the fault, each fault a dead letter, the next object comes', async () => {
    const bench = await EngineBench.prepare()
    try {
      const module = join(bench.dir, 'hostile.mjs')
      await writeFile(module, HOSTILE)
      await bench.restart({ objects: { extractors: [{ module: 'hostile.mjs' }] } })
      const ways = ['throws', 'loops', 'exits', 'hoards']
      const events = await Promise.all(
        [...ways.map((way) => `hostile-${way}.jpg`), 'hostile-odd.jpg', 'tame.jpg'].map(async (key) =>
          put(bench, key, await picture()),
        ),
      )
      await bench.tell(...events)

      const rows = await bench.sql(`SELECT key, image_width, get_json_object(metadata, '$.faults[*].extractor') AS at,
        get_json_object(metadata, '$.faults[0].kind') AS fault, get_json_object(metadata, '$.gps.latitude') IS NOT NULL AS has_place,
        get_json_object(metadata, '$.odd') AS odd FROM default.s3_content_metadata ORDER BY key`)
      const rest = { image_width: 96, has_place: true }
      assert.deepEqual(
        rows.map(({ at: _at, ...row }) => ({ ...row, fault: kindOf(String(row['key']), row['fault']) })),
        [
          { key: 'hostile-exits.jpg', ...rest, fault: 'crash', odd: null },
          { key: 'hostile-hoards.jpg', ...rest, fault: 'crash', odd: null },
          { key: 'hostile-loops.jpg', ...rest, fault: 'timeout', odd: null },
          {
            key: 'hostile-odd.jpg',
            ...rest,
            fault: null,
            odd: '{"nan":null,"big":12345678901234567890,"bytes":"AQI=","lone":"�"}',
          },
          { key: 'hostile-throws.jpg', ...rest, fault: 'crash', odd: null },
          { key: 'tame.jpg', ...rest, fault: null, odd: null },
        ],
      )
      const letters = await bench.sql('SELECT subject, code, reason FROM tidewater.dead_letters ORDER BY subject')
      assert.deepEqual(
        letters.map((letter) => `${letter['subject']} ${kindOf(String(letter['subject']), letter['code'])}`),
        [
          'photos/hostile-exits.jpg@null crash',
          'photos/hostile-hoards.jpg@null crash',
          'photos/hostile-loops.jpg@null timeout',
          'photos/hostile-throws.jpg@null crash',
        ],
      )
      assert.match(String(letters.at(-1)?.['reason']), /^hostile: .*no such luck/)
    } finally {
      await bench.close()
    }
  })
})

describe('an extractor that cannot be used', () => {
  for (const [what, text, told] of [
    ['is not there', null, /missing\.mjs could not be loaded/],
    ['does not parse', 'export const (', /broken\.mjs could not be loaded/],
    [
      'lacks a function',
      'export const appliesTo = () => true',
      /must export the functions appliesTo\(subject\) and extract\(subject, bytes\)/,
    ],
  ] as const) {
    it(`that ${what} is told by name when the engine starts`, async () => {
      const bench = await EngineBench.prepare()
      try {
        const module = text === null ? 'missing.mjs' : 'broken.mjs'
        if (text !== null) await writeFile(join(bench.dir, module), text)
        await assert.rejects(
          bench.restart({ objects: { extractors: [{ module }] } }),
          (error) => isFault(error, 'invalid') && told.test(error.message),
        )
        // Nothing was made yet, and the home can be used.
        assert.deepEqual((await readdir(bench.dir)).includes('home'), false)
        await bench.restart({})
      } finally {
        await bench.close()
      }
    })
  }
})
