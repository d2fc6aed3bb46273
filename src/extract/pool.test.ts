/** The pool against hostile extractors and changing objects. Limits are small, so that no test waits long. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Fault, isFault } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import { statEtag } from '../store/etag.ts'
import { canonicalBounds, jsonBytes } from './canonical.ts'
import type { ExtractPool, ExtractTask } from './extract.ts'
import { type ExtractPoolOptions, openExtractPool } from './pool.ts'

const images = new URL('../../test/golden/images/files/', import.meta.url)
const photo = readFileSync(new URL('gps-ne.jpg', images))
let folder: string

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-pool-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** Writes an extractor module and returns its path. */
function extractor(name: string, body: string): { module: string } {
  const path = join(folder, `${name}.mjs`)
  writeFileSync(path, `export const name = '${name}'\nexport function appliesTo() { return true }\nexport ${body}\n`)
  return { module: path }
}

function task(key = 'a.jpg', bytes: Uint8Array = photo): ExtractTask {
  const read = (start: number, end: number) => Promise.resolve(bytes.subarray(start, end))
  return { bucket: 'photos', key, versionId: 'null', sizeBytes: bytes.length, read }
}

function fileTask(name: string, bytes: Uint8Array, stamp?: string): ExtractTask & { file: { path: string } } {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  const file = stamp === undefined ? { path } : { path, stamp }
  return { bucket: 'photos', key: name, versionId: 'null', sizeBytes: bytes.length, file }
}

async function withPool(options: ExtractPoolOptions, work: (pool: ExtractPool) => Promise<void>): Promise<void> {
  const pool = await openExtractPool({ workers: 1, ...options })
  try {
    await work(pool)
  } finally {
    await pool.close()
  }
}

const small = { timeMs: 300, heapMiB: 48 }

test('a file and a reader give the same facts', async () => {
  await withPool({}, async (pool) => {
    const [byFile, byReader] = await Promise.all([pool.extract(fileTask('same.jpg', photo)), pool.extract(task())])
    assert.deepEqual(byFile, byReader)
    assert.equal((byFile.metadata['image'] as { [key: string]: Json })['image_width'], 96)
    assert.deepEqual(byFile.faults, [])
    assert.equal(byFile.bytesRead, photo.length)
  })
})

test('an endless loop costs the object that extractor alone, and the pool lives on', async () => {
  const loop = extractor(
    'loop',
    `async function extract(s) { if (s.key === 'bad.jpg') for (;;); return { loop: s.key } }`,
  )
  const last = extractor('last', `async function extract(s) { return { last: s.key } }`)
  // Long enough for a worker that begins on a busy machine.
  await withPool({ extractors: [loop, last], limits: { ...small, timeMs: 1500 } }, async (pool) => {
    const keys = ['a.jpg', 'bad.jpg', 'b.jpg', 'c.jpg']
    const results = await Promise.all(keys.map((key) => pool.extract(task(key))))
    for (const [i, key] of keys.entries()) {
      const { metadata, faults } = results[i]!
      assert.ok('image' in metadata && 'exif' in metadata, key)
      assert.equal(metadata['last'], key)
      assert.equal(metadata['loop'], key === 'bad.jpg' ? undefined : key)
      assert.deepEqual(
        faults.map(({ extractor, kind }) => [extractor, kind]),
        key === 'bad.jpg' ? [['loop', 'timeout']] : [],
      )
    }
  })
})

for (const [what, body] of [
  ['heap', 'const all = []; for (;;) all.push(new Array(10000).fill(all.length))'],
  ['buffers', 'const all = []; for (;;) { all.push(new Uint8Array(4e6).fill(1)); await null }'],
  ['process.exit', 'process.exit(3)'],
  ['a late throw', 'setTimeout(() => { throw new Error("late") }); await new Promise((r) => setTimeout(r, 5000))'],
] as const) {
  test(`a worker that ends by ${what} costs the object that extractor alone`, async () => {
    const hog = extractor(
      'hog',
      `async function extract(s) { if (s.key === 'bad.jpg') { ${body} } return { ok: true } }`,
    )
    await withPool({ extractors: [hog], limits: { timeMs: 4000, heapMiB: 48 } }, async (pool) => {
      const [bad, good] = await Promise.all([pool.extract(task('bad.jpg')), pool.extract(task('good.jpg'))])
      assert.deepEqual(
        bad.faults.map(({ extractor, kind }) => [extractor, kind]),
        [['hog', 'crash']],
        JSON.stringify(bad.faults),
      )
      assert.ok('image' in bad.metadata)
      assert.equal(good.metadata['ok'], true)
    })
  })
}

test('an extractor that throws, returns nonsense or too much is told about and bounded', async () => {
  const throws = extractor('throws', `async function extract() { throw new Error('no \\u0000 luck') }`)
  const nothing = extractor('nothing', 'async function extract() { return undefined }')
  const huge = extractor(
    'huge',
    `async function extract() { return { labels: ['Beach'], text: 'x'.repeat(3e6), inner: { small: 1, big: 'y'.repeat(6e5) }, nan: NaN, f() {} } }`,
  )
  await withPool({ extractors: [throws, nothing, huge] }, async (pool) => {
    const { metadata, faults } = await pool.extract(task())
    assert.deepEqual(faults, [{ extractor: 'throws', kind: 'crash', message: 'no \ufffd luck' }])
    assert.deepEqual(metadata['labels'], ['Beach'])
    assert.equal(metadata['nan'], null)
    assert.deepEqual(metadata['inner'], { small: 1 })
    assert.deepEqual((metadata['_truncated'] as string[]).toSorted(), ['inner.big', 'text'])
    assert.ok(jsonBytes(metadata) <= canonicalBounds.bytesMax)
  })
})

test('an extractor that returns no object is told about', async () => {
  const odd = extractor(
    'odd',
    `async function extract(s) { return { text: 'facts', list: [1], number: 7, bytes: new Uint8Array(2), map: new Map([['odd', 1]]), nothing: null }[s.key] }`,
  )
  await withPool({ extractors: [odd] }, async (pool) => {
    for (const [key, got] of [
      ['text', 'string'],
      ['list', 'array'],
      ['number', 'number'],
      ['bytes', 'uint8array'],
      ['map', null],
      ['nothing', null],
    ] as const) {
      const { metadata, faults } = await pool.extract(task(key))
      const message = `extract() must return an object such as { mine: … }, got ${got}`
      assert.deepEqual(faults, got === null ? [] : [{ extractor: 'odd', kind: 'invalid', message }], key)
      assert.ok('image' in metadata)
      assert.equal(metadata['odd'], key === 'map' ? 1 : undefined)
    }
  })
})

test('reading past the bound is a fault of that extractor', async () => {
  const greedy = extractor(
    'greedy',
    'async function extract(s, b) { return { n: (await b.read(0, s.sizeBytes)).length } }',
  )
  await withPool({ extractors: [greedy], limits: { bytesMax: 100_000 } }, async (pool) => {
    const big = new Uint8Array(200_000)
    big.set(photo)
    const { metadata, faults } = await pool.extract(task('big.jpg', big))
    assert.deepEqual(
      faults.map(({ extractor, kind }) => [extractor, kind]),
      [['greedy', 'limit']],
    )
    assert.ok('image' in metadata)
    assert.equal((await pool.extract(task())).metadata['n'], photo.length)
  })
})

test('a reader that refuses is told under read, by what it refused with', async () => {
  await withPool({}, async (pool) => {
    for (const [error, kind] of [
      [new Fault('superseded', 'another etag'), 'superseded'],
      [new Fault('not-found', 'gone'), 'missing'],
      [new Fault('unavailable', 'busy'), 'unavailable'],
      [new Error('socket hang up'), 'unavailable'],
    ] as const) {
      const result = await pool.extract({ ...task(), read: () => Promise.reject(error) })
      assert.deepEqual(
        result.faults.map(({ extractor, kind }) => [extractor, kind]),
        [['read', kind]],
      )
      assert.deepEqual(result.metadata, {})
    }
  })
})

test('an object replaced between two reads leaves no facts behind', async () => {
  const tail = readFileSync(new URL('exif-after-64k.jpg', images))
  await withPool({}, async (pool) => {
    let reads = 0
    const read = (start: number, end: number) =>
      ++reads === 1
        ? Promise.resolve(tail.subarray(start, end))
        : Promise.reject(new Fault('superseded', 'another etag'))
    const result = await pool.extract({ ...task('a.jpg', tail), read })
    assert.equal(reads, 2)
    assert.deepEqual(result.metadata, {})
    assert.equal(result.faults[0]?.kind, 'superseded')
  })
})

test('a local file that is missing, of another size or another write is refused', async () => {
  await withPool({}, async (pool) => {
    const good = fileTask('stamp.jpg', photo)
    const stamp = statEtag(statSync(good.file.path, { bigint: true }))
    assert.deepEqual((await pool.extract({ ...good, file: { ...good.file, stamp } })).faults, [])
    utimesSync(good.file.path, 1, 1)
    assert.equal((await pool.extract({ ...good, file: { ...good.file, stamp } })).faults[0]?.kind, 'superseded')
    appendFileSync(good.file.path, 'x')
    assert.equal((await pool.extract(good)).faults[0]?.kind, 'superseded')
    rmSync(good.file.path)
    assert.deepEqual(
      (await pool.extract(good)).faults.map(({ extractor, kind }) => [extractor, kind]),
      [['read', 'missing']],
    )
  })
})

test('a file written while an extractor runs leaves no facts behind', async () => {
  const path = join(folder, 'moving.jpg')
  const writer = extractor(
    'writer',
    `async function extract() { (await import('node:fs')).appendFileSync(${JSON.stringify(path)}, 'x'); return { seen: 1 } }`,
  )
  await withPool({ extractors: [writer] }, async (pool) => {
    const result = await pool.extract(fileTask('moving.jpg', photo))
    assert.deepEqual(result.metadata, {})
    assert.equal(result.faults.at(-1)?.kind, 'superseded')
  })
})

test('waiting for a store is not counted as the extractor’s time', async () => {
  const tail = readFileSync(new URL('exif-after-64k.jpg', images))
  await withPool({ limits: { timeMs: 150 } }, async (pool) => {
    const read = async (start: number, end: number) => {
      if (start > 0) await new Promise((resolve) => setTimeout(resolve, 500))
      return tail.subarray(start, end)
    }
    const { metadata, faults } = await pool.extract({ ...task('slow.jpg', tail), read })
    assert.deepEqual(faults, [])
    assert.ok('image' in metadata)
  })
})

test('a store that never answers is given up', async () => {
  await withPool({ limits: { readMs: 100 } }, async (pool) => {
    const result = await pool.extract({ ...task(), read: () => new Promise<Uint8Array>(() => undefined) })
    assert.equal(result.faults[0]?.kind, 'unavailable')
  })
})

test('modules that cannot be used keep the pool from opening, and the message names them', async () => {
  for (const [text, message] of [
    ['export const appliesTo = () => true', /must export the functions/],
    ['this is no module', /could not be loaded/],
    [
      'export const name = "Bad Name"; export const appliesTo = () => true; export const extract = () => ({})',
      /has the name/,
    ],
    [
      'export const name = "exif"; export const appliesTo = () => true; export const extract = () => ({})',
      /Two extractors are named "exif"/,
    ],
  ] as const) {
    const path = join(folder, 'unfit.mjs')
    writeFileSync(path, text)
    await assert.rejects(openExtractPool({ workers: 1, extractors: [{ module: path }] }), (error) => {
      assert.ok(isFault(error, 'invalid') && message.test(error.message), String(error))
      return true
    })
  }
})

test('an extractor in TypeScript with a default object is loaded, and named after its file', async () => {
  const path = join(folder, 'Tide Table.ts')
  writeFileSync(
    path,
    `export default { version: 7, appliesTo: (s: { key: string }): boolean => s.key.endsWith('.jpg'), extract: () => ({ tide: 'low' }) }`,
  )
  await withPool({ extractors: [{ module: path }] }, async (pool) => {
    assert.deepEqual(pool.extractors.at(-1), { name: 'tide-table', version: 7 })
    assert.equal((await pool.extract(task('a.jpg'))).metadata['tide'], 'low')
    assert.equal((await pool.extract(task('a.txt'))).metadata['tide'], undefined)
  })
  await withPool(
    { builtin: ['exif', 'image'], extractors: [{ module: path, name: 'low' }, { module: path }] },
    async (pool) => {
      assert.deepEqual(
        pool.extractors.map(({ name }) => name),
        ['image', 'exif', 'low', 'tide-table'],
      )
    },
  )
})

test('the signal, the window and close end waiting with a fault', async () => {
  const slow = extractor(
    'slow',
    'async function extract() { await new Promise((r) => setTimeout(r, 2000)); return {} }',
  )
  const pool = await openExtractPool({ workers: 1, extractors: [slow], limits: { window: 2 } })
  const controller = new AbortController()
  const first = pool.extract(task(), controller.signal)
  const second = pool.extract(task())
  await assert.rejects(pool.extract(task()), (error) => isFault(error, 'limit'))
  controller.abort()
  await assert.rejects(first, (error) => isFault(error, 'cancelled'))
  const closing = pool.close()
  await assert.rejects(second, (error) => isFault(error, 'cancelled'))
  await closing
  await assert.rejects(pool.extract(task()), (error) => isFault(error, 'cancelled'))
})

test('a rejection that nobody handles is a fault of the object whose extractor left it, and of no other', async () => {
  const stray = extractor(
    'stray',
    `async function extract(s, b) {
      await b.read(0, 4)
      if (s.key.startsWith('bad')) Promise.reject(new Error('late'))
      return { stray: s.key }
    }`,
  )
  const keys = Array.from({ length: 6 }, (_, i) => [`ok${i}.jpg`, `bad${i}.jpg`]).flat()
  await withPool({ extractors: [stray], limits: small }, async (pool) => {
    const results = await Promise.all(keys.map((key) => pool.extract(task(key))))
    for (const [i, key] of keys.entries()) {
      const { metadata, faults } = results[i]!
      assert.ok('image' in metadata && 'exif' in metadata, key)
      assert.equal(metadata['stray'], key)
      const late = { extractor: 'stray', kind: 'crash', message: 'late' }
      assert.deepEqual(faults, key.startsWith('bad') ? [late] : [], key)
    }
  })
})

test('what fails after its object was answered costs no object anything, and is told once', async () => {
  const slow = extractor(
    'slow',
    `async function extract(s) {
      if (s.key.startsWith('bad')) setTimeout(() => { throw new Error('much later') }, 20)
      if (s.key.startsWith('ok')) await new Promise((r) => setTimeout(r, 60))
      return { slow: s.key }
    }`,
  )
  const warnings: string[] = []
  const onWarning = (message: string) => void warnings.push(message)
  await withPool({ extractors: [slow], onWarning, limits: { timeMs: 4000 } }, async (pool) => {
    const keys = ['bad1.jpg', 'bad2.jpg', 'ok1.jpg', 'ok2.jpg']
    for (const [i, { metadata, faults }] of (await Promise.all(keys.map((key) => pool.extract(task(key))))).entries()) {
      assert.deepEqual(faults, [], keys[i]!)
      assert.ok('exif' in metadata && metadata['slow'] === keys[i], keys[i])
    }
  })
  assert.deepEqual(warnings.length, 1)
  assert.match(warnings[0]!, /the extractor slow left something behind .*much later/)
})

test('a thread that an extractor ends later costs the next object nothing', async () => {
  const exits = extractor(
    'exits',
    `async function extract(s) { if (s.key === 'bad.jpg') setTimeout(() => process.exit(3), 30); return { exits: s.key } }`,
  )
  await withPool({ extractors: [exits], limits: { timeMs: 4000 } }, async (pool) => {
    assert.deepEqual((await pool.extract(task('bad.jpg'))).faults, [])
    // A block as long as blocks may be, so that a second read is needed: it comes when the thread has ended.
    const long = new Uint8Array(2 + 65_537 + photo.length)
    long.set([0xff, 0xd8, 0xff, 0xe2, 0xff, 0xff])
    long.set(photo.subarray(2), 2 + 65_537)
    let late = 0
    const read = async (start: number, end: number) => {
      if (start > 0 && late++ === 0) await new Promise((resolve) => setTimeout(resolve, 150))
      return long.subarray(start, end)
    }
    const { metadata, faults } = await pool.extract({ ...task('next.jpg', long), read } as ExtractTask)
    assert.ok(late > 1, 'it was tried again')
    assert.equal((metadata['image'] as { [key: string]: Json })['image_width'], 96)
    assert.deepEqual(faults, [])
    assert.equal(metadata['exits'], 'next.jpg')
  })
})
