/** The extractors that stand on foreign libraries, in the pool: hostile files cost their own facts, and nothing else. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { deflateSync } from 'node:zlib'
import { pdf } from '../../test/support/samples/write-pdf.ts'
import { isFault } from '../base/fault.ts'
import type { Facts } from './canonical.ts'
import type { ExtractPool, ExtractTask } from './extract.ts'
import { type ExtractPoolOptions, openExtractPool } from './pool.ts'
import { sample, subjectOf } from './testing/samples.ts'

const photo = readFileSync(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))
let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-foreign-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

function task(bytes: Uint8Array): ExtractTask {
  return { ...subjectOf(bytes), read: (start, end) => Promise.resolve(bytes.subarray(start, end)) }
}

async function withPool(options: ExtractPoolOptions, work: (pool: ExtractPool) => Promise<void>): Promise<void> {
  const pool = await openExtractPool({ workers: 1, ...options })
  try {
    await work(pool)
  } finally {
    await pool.close()
  }
}

/** An operator's extractor; `body` is the rest of a module. */
function moduleOf(name: string, body: string): { module: string } {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(path, `export const name = '${name}'\nexport const appliesTo = () => true\n${body}\n`)
  return { module: path }
}

test('a page that inflates without end costs the text, not the facts, and not the objects behind it', async () => {
  const bomb = pdf({
    pages: ['', ''],
    info: { Title: 'Bomb' },
    content: deflateSync(Buffer.alloc(240_000_000, '0 0 m\n'), { level: 1 }),
    filter: 'FlateDecode',
  })
  const last = moduleOf('last', 'export const extract = () => ({ last: true })')
  await withPool({ extractors: [last], limits: { timeMs: 3_000 } }, async (pool) => {
    const [hostile, behind] = await Promise.all([pool.extract(task(bomb)), pool.extract(task(sample('plain.pdf')))])
    const { title, pages, text } = hostile.metadata['pdf'] as Facts
    assert.deepEqual([title, pages, text], ['Bomb', 2, undefined])
    assert.equal(hostile.metadata['last'], true)
    assert.deepEqual(
      hostile.faults.map(({ extractor, kind }) => [extractor, kind === 'timeout' || kind === 'crash']),
      [['pdf-text', true]],
    )
    assert.deepEqual([behind.faults, (behind.metadata['pdf'] as Facts)['text_pages']], [[], 2])
  })
})

test('a failing read is told as such, whichever library was reading', async () => {
  await withPool({}, async (pool) => {
    for (const name of [
      'plain.pdf',
      'plain.zip',
      'letter.docx',
      'turned.mp4',
      'tagged.mp3',
      'plain.tar',
      'orders.parquet',
    ]) {
      const bytes = sample(name)
      const long = Buffer.concat([bytes.subarray(0, bytes.length - 100), Buffer.alloc(100_000), bytes.subarray(-100)])
      const { faults } = await pool.extract({
        ...subjectOf(long),
        read: (start, end) =>
          start === 0 ? Promise.resolve(long.subarray(0, end)) : Promise.reject(new Error('the network is down')),
      })
      const told = faults.filter(({ kind }) => kind === 'unavailable')
      // A tag at the beginning of a file or a header may be all that is needed.
      if (!['tagged.mp3', 'plain.tar', 'turned.mp4'].includes(name))
        assert.equal(told.length, 1, `${name}: ${JSON.stringify(faults)}`)
      for (const { extractor } of told) assert.equal(extractor, 'read', name)
    }
  })
})

test('which built-in extractors run is chosen by a list, or one by one', async () => {
  const names = async (builtin: ExtractPoolOptions['builtin']) => {
    let found: string[] = []
    await withPool({ ...(builtin === undefined ? {} : { builtin }) }, async (pool) => {
      found = pool.extractors.map(({ name }) => name)
    })
    return found.join(' ')
  }
  assert.equal(await names(undefined), 'image exif pdf pdf-text office media archive table')
  assert.equal(
    await names({ pdf: false, 'pdf-text': false, phash: true }),
    'image exif office media archive table phash',
  )
  assert.equal(await names(['blurhash', 'image']), 'image blurhash')
  assert.equal(await names([]), '')
  await assert.rejects(
    openExtractPool({ builtin: ['pfd'] }),
    (error) => isFault(error, 'invalid') && /"pfd"/.test(error.message),
  )
})

test('with no built-in extractor those of the operator run all the same', async () => {
  const only = moduleOf('only', 'export const extract = ({ sniffed }) => ({ only: sniffed })')
  await withPool({ builtin: [], extractors: [only] }, async (pool) => {
    assert.deepEqual(await pool.extract(task(photo)), {
      metadata: { only: 'image/jpeg' },
      faults: [],
      bytesRead: photo.length,
      extractors: { only: 1 },
    })
  })
})

test('the hashes of a picture stand among the facts of `image`, whatever runs beside them', async () => {
  await withPool({ builtin: { phash: true, blurhash: true } }, async (pool) => {
    const { metadata, faults } = await pool.extract(task(photo))
    const image = metadata['image'] as Facts
    assert.deepEqual(faults, [])
    assert.equal(image['image_width'], 96)
    assert.match(String(image['phash']), /^[0-9a-f]{16}$/)
    assert.equal(String(image['blurhash']).length, 28)
  })
})

const SCHEMA = `export const schema = {
  type: 'object',
  properties: { reef: { type: 'object', required: ['depth'], properties: {
    depth: { type: 'number' }, fish: { type: 'array', items: { type: 'string' } } } } },
  additionalProperties: false,
}`

test('facts that do not fit the schema of their extractor are left out and named; the others stay', async () => {
  const cases: [string, object, RegExp | null][] = [
    ["{ reef: { depth: 3, fish: ['cod'] } }", { reef: { depth: 3, fish: ['cod'] } }, null],
    ['{}', {}, null],
    [
      "{ reef: { depth: 3, fish: ['cod', 7] } }",
      { reef: { depth: 3 } },
      /reef\.fish\[1\] must be string; these facts are left out/,
    ],
    ['{ reef: { depth: 3 }, wreck: 1 }', { reef: { depth: 3 } }, /wreck is not in the schema/],
    [
      "{ reef: { depth: 'deep', fish: [] } }",
      {},
      /reef\.depth must be number; the facts of this extractor are left out/,
    ],
    ['{ reef: {} }', {}, /reef must have required property 'depth'; these facts are left out/],
  ]
  for (const [at, [facts, want, message]] of cases.entries()) {
    const name = `reef-${at}`
    const one = moduleOf(name, `${SCHEMA}\nexport const extract = () => (${facts})`)
    await withPool({ builtin: [], extractors: [one] }, async (pool) => {
      const { metadata, faults } = await pool.extract(task(photo))
      assert.deepEqual(metadata, want)
      assert.deepEqual(
        faults.map(({ extractor, kind }) => [extractor, kind]),
        message === null ? [] : [[name, 'invalid']],
      )
      if (message !== null) assert.match(faults[0]!.message, message)
    })
  }
})

test('an extractor whose schema is none is refused when the pool opens', async () => {
  for (const schema of ["{ type: 'objekt' }", "'object'", '{ $ref: "#/nowhere" }']) {
    const one = moduleOf('unfit', `export const schema = ${schema}\nexport const extract = () => ({})`)
    await assert.rejects(
      openExtractPool({ workers: 1, extractors: [one] }),
      (error) => isFault(error, 'invalid') && /schema/.test(error.message),
    )
  }
})
