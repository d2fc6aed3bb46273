/** Extractors of the operator's own in workers of their own: bounds of each, and nothing of one in another. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fault, isFault } from '../base/fault.ts'
import { canonicalBounds, jsonBytes } from './canonical.ts'
import type { ExtractPool, ExtractTask } from './extract.ts'
import { joined, type OwnExtractor, openExtractPools } from './pools.ts'

const photo = readFileSync(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))
let folder: string

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-pools-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

function own(name: string, body: string, settings: Partial<OwnExtractor> = {}): OwnExtractor {
  const module = join(folder, `${name}.mjs`)
  writeFileSync(
    module,
    `export const version = 2\nexport const appliesTo = ({ key }) => key.endsWith('.jpg')\n${body}\n`,
  )
  return { module, ...settings }
}

async function withPools(
  extractors: readonly OwnExtractor[],
  work: (pools: ExtractPool) => Promise<void>,
): Promise<void> {
  const pools = await openExtractPools({ own: extractors, workers: 1 })
  try {
    await work(pools)
  } finally {
    await pools.close()
  }
}

function task(reads: [number, number][] = [], key = 'a.jpg'): ExtractTask {
  const read = async (start: number, end: number) => {
    reads.push([start, end])
    return photo.subarray(start, end)
  }
  return { bucket: 'b', key, versionId: 'null', sizeBytes: photo.length, read }
}

test('each has bounds of its own on time, memory and bytes; what one takes costs no other its facts or its worker', async () => {
  const slow = own(
    'slow',
    'export const extract = () => new Promise((done) => setTimeout(() => done({ slow: 1 }), 1200))',
  )
  const loops = own('loops', 'export async function extract() { for (;;); }', { limits: { timeMs: 700 } })
  const hoards = own(
    'hoards',
    'export async function extract() { const all = []; for (;;) all.push(new Array(1e6).fill(1)) }',
    {
      limits: { heapMiB: 48, timeMs: 60_000 },
    },
  )
  const greedy = own(
    'greedy',
    'export async function extract(s, bytes) { await bytes.read(0, s.sizeBytes); return { greedy: 1 } }',
    {
      limits: { bytesMax: 10, headBytes: 10 },
    },
  )
  const tame = own(
    'tame',
    'globalThis.seen = (globalThis.seen ?? 0)\nexport async function extract(s, bytes) { globalThis.seen++; return { tame: globalThis.seen, all: (await bytes.read(0, s.sizeBytes)).length } }',
  )
  await withPools([slow, loops, hoards, greedy, tame], async (pools) => {
    assert.deepEqual(pools.extractors.map(({ name }) => name).slice(-5), ['slow', 'loops', 'hoards', 'greedy', 'tame'])
    for (const time of [1, 2]) {
      const { metadata, faults, extractors } = await pools.extract(task())
      assert.deepEqual(
        faults.map(({ extractor, kind }) => `${extractor} ${kind}`),
        ['loops timeout', 'hoards crash', 'greedy limit'],
      )
      assert.equal(metadata['slow'], 1)
      // Its worker lives on, whatever happens beside it.
      assert.equal(metadata['tame'], time)
      assert.equal(metadata['all'], photo.length)
      assert.ok('image' in metadata && 'exif' in metadata)
      assert.deepEqual(extractors, { image: 1, exif: 1, slow: 2, loops: 2, hoards: 2, greedy: 2, tame: 2 })
    }
    assert.deepEqual((await pools.extract(task([], 'a.gif'))).extractors, { image: 1, exif: 1 })
  })
})

test('the head of an object is fetched once for all of them', async () => {
  const reads: [number, number][] = []
  await withPools(
    [
      own('one', 'export const extract = async () => ({ one: 1 })'),
      own('two', 'export const extract = async () => ({ two: 1 })'),
    ],
    async (pools) => {
      const { metadata } = await pools.extract(task(reads))
      assert.deepEqual([metadata['one'], metadata['two']], [1, 1])
      assert.deepEqual(reads, [[0, photo.length]])
    },
  )
})

test('an object that one of them finds replaced has no facts at all', async () => {
  const reader = own(
    'reader',
    'export async function extract(s, bytes) { await bytes.read(1, s.sizeBytes); return { reader: 1 } }',
    {
      limits: { headBytes: 4 },
    },
  )
  await withPools([reader], async (pools) => {
    const read = async (start: number, end: number) => {
      if (start > 0) throw new Fault('superseded', 'another one')
      return photo.subarray(start, end)
    }
    const extraction = await pools.extract({ ...task(), read } as ExtractTask)
    assert.deepEqual(extraction.metadata, {})
    assert.deepEqual(
      extraction.faults.map(({ extractor, kind }) => `${extractor} ${kind}`),
      ['read superseded'],
    )
    assert.equal(extraction.extractors, undefined)
  })
})

test('a module is made with its options; one that takes none, or gives nothing usable, is refused by name', async () => {
  const made = `export const create = ({ factor }) => ({ name: 'made', version: 7, appliesTo: () => true, extract: async (s) => ({ made: factor * s.sizeBytes }) })`
  await withPools([own('made', made, { options: { factor: 2 } })], async (pools) => {
    assert.equal((await pools.extract(task())).metadata['made'], 2 * photo.length)
    assert.deepEqual(pools.extractors.at(-1), { name: 'made', version: 7 })
  })
  const plain = 'export const extract = async () => ({})'
  for (const [extractors, told] of [
    [[own('plain', plain, { options: {} })], /plain\.mjs takes no options/],
    [
      [own('bad', 'export const create = () => { throw new Error("no model") }')],
      /bad\.mjs could not be made: no model/,
    ],
    [[own('odd', 'export const create = () => 7')], /odd\.mjs must give an object/],
    [[own('twin', plain), own('other', plain, { name: 'twin' })], /Two extractors are named "twin"/],
    [[own('exif', plain)], /Two extractors are named "exif"/],
  ] as const)
    await assert.rejects(
      openExtractPools({ own: extractors, workers: 1 }),
      (error) => isFault(error, 'invalid') && told.test(error.message),
    )
})

test('facts that are each within the bound are fitted to it together', () => {
  const part = (name: string) => ({
    metadata: { [name]: { text: 'x'.repeat(canonicalBounds.bytesMax * 0.7) }, [`${name}_small`]: 1 },
    faults: [],
    bytesRead: 1,
    extractors: { [name]: 1 },
  })
  const { metadata, bytesRead, extractors } = joined([part('a'), part('b')])
  assert.ok(jsonBytes(metadata) <= canonicalBounds.bytesMax)
  assert.deepEqual([metadata['a_small'], metadata['b_small'], bytesRead], [1, 1, 2])
  assert.equal((metadata['_truncated'] as string[]).length, 1)
  assert.deepEqual(extractors, { a: 1, b: 1 })
})
