import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type Fill, LocalCache } from './local-cache.ts'

async function withFolder(work: (folder: string, clock: Clock & { at: number }) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-local-cache-'))
  const clock = {
    at: 1_700_000_000_000,
    nowMs: () => clock.at,
    sleep: async (ms: number) => {
      clock.at += ms
    },
  }
  try {
    await work(folder, clock)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function filled(text: string, counted?: { fills: number }): Fill {
  return async (file) => {
    if (counted) counted.fills++
    await file.reserve(text.length)
    await file.write(Buffer.from(text), 0)
  }
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size
  }
  return bytes
}

test('an object is fetched once, by many who ask at once and by those who come later, in another process too', async () => {
  await withFolder(async (folder, clock) => {
    const counted = { fills: 0 }
    const cache = new LocalCache({ folder, clock })
    const fill = filled('bytes', counted)
    const paths = await Promise.all(Array.from({ length: 10 }, () => cache.get('id', 'a/b.parquet', fill)))
    paths.push(await new LocalCache({ folder, clock }).get('id', 'a/b.parquet', fill))
    assert.equal(new Set(paths).size, 1)
    assert.ok(paths[0]!.endsWith('.parquet'))
    assert.equal(await readFile(paths[0]!, 'utf8'), 'bytes')
    assert.equal(counted.fills, 1)
  })
})

test('the copies used longest ago make room, those used lately stay', async () => {
  await withFolder(async (folder, clock) => {
    const cache = new LocalCache({ folder, clock, bytesMax: 100, keepMs: 1_000 })
    const paths: string[] = []
    for (let i = 0; i < 10; i++) {
      paths.push(await cache.get(`id${i}`, 'x', filled('0123456789')))
      clock.at += 10_000
    }
    await cache.get('id0', 'x', filled('unused'))
    for (let i = 10; i < 60; i++) {
      await cache.get(`id${i}`, 'x', filled('0123456789'))
      assert.ok((await bytesIn(folder)) <= 100)
      clock.at += 10_000
      await cache.get('id0', 'x', filled('unused'))
    }
    assert.equal(await readFile(paths[0]!, 'utf8'), '0123456789')
    await assert.rejects(stat(paths[1]!), { code: 'ENOENT' })
  })
})

test('a copy for which there is no room waits until the oldest of those in use may go', async () => {
  await withFolder(async (folder, clock) => {
    const cache = new LocalCache({ folder, clock, bytesMax: 25, keepMs: 1_000 })
    const begunMs = clock.at
    const first = await cache.get('a', 'x', filled('0123456789'))
    clock.at += 600
    const second = await cache.get('b', 'x', filled('0123456789'))
    await cache.get('c', 'x', filled('0123456789'))
    assert.ok(clock.at > begunMs + 1_000 && clock.at < begunMs + 1_600, `waited ${clock.at - begunMs} ms`)
    await assert.rejects(stat(first), { code: 'ENOENT' })
    assert.equal((await readFile(second)).length, 10)
  })
})

test('a copy that can never fit is a fault, and nothing is taken away for it', async () => {
  await withFolder(async (folder, clock) => {
    const cache = new LocalCache({ folder, clock, bytesMax: 25, keepMs: 1_000_000 })
    const path = await cache.get('a', 'x', filled('0123456789'))
    const huge = cache.get('huge', 'x', filled('x'.repeat(26)))
    await assert.rejects(huge, (error) => isFault(error, 'limit') && /raise the bound/.test(error.message))
    assert.equal((await readFile(path)).length, 10)
  })
})

test('two processes that fetch at once both have the whole file, and the bound holds for both together', async () => {
  await withFolder(async (folder, clock) => {
    const open = () => new LocalCache({ folder, clock, bytesMax: 1_000, keepMs: 0 })
    const [one, two] = [open(), open()]
    for (let i = 0; i < 60; i++) {
      const text = String(i).padStart(50, '.')
      const paths = await Promise.all([one.get(`id${i}`, 'x', filled(text)), two.get(`id${i}`, 'x', filled(text))])
      for (const path of paths) assert.equal(await readFile(path, 'utf8'), text)
      clock.at += 1_000
      assert.ok((await bytesIn(folder)) <= 1_000 * (1 + 1 / 4), 'each may add an eighth before it looks again')
    }
  })
})

test('an unfinished file is never given, counts while it grows, and goes when it is old', async () => {
  await withFolder(async (folder, clock) => {
    const cache = new LocalCache({ folder, clock, bytesMax: 100, keepMs: 0 })
    const path = await cache.get('first', 'x', filled('0'.repeat(60)))
    await assert.rejects(
      cache.get('broken', 'x', async (file) => {
        await file.reserve(10)
        await file.write(Buffer.from('half'), 0)
        throw new Error('the process was killed here')
      }),
      /killed/,
    )
    const left = join(dirname(path), 'left.part')
    await writeFile(left, '0'.repeat(30))
    await utimes(left, clock.at / 1000, clock.at / 1000)
    clock.at += 1_000
    await cache.get('second', 'x', filled('0'.repeat(50)))
    assert.equal((await stat(left)).size, 30, 'somebody may be writing it')
    await assert.rejects(stat(path), { code: 'ENOENT' }, 'a whole copy made room for the unfinished one')
    clock.at += limits.localCachePartMs + 1
    await cache.get('third', 'x', filled('0'.repeat(60)))
    await assert.rejects(stat(left), { code: 'ENOENT' })
  })
})

test('a finished local file is taken in without a fetch, or goes when there is no room', async () => {
  await withFolder(async (folder, clock) => {
    const cache = new LocalCache({ folder: join(folder, 'cache'), clock, bytesMax: 10, keepMs: 1_000 })
    for (const [name, text] of [
      ['small', '12345'],
      ['large', '1'.repeat(11)],
    ] as const) {
      await writeFile(join(folder, name), text)
      await cache.take(name, name, join(folder, name))
      await assert.rejects(stat(join(folder, name)), { code: 'ENOENT' })
    }
    const counted = { fills: 0 }
    assert.equal(await readFile(await cache.get('small', 'small', filled('other', counted)), 'utf8'), '12345')
    assert.equal(counted.fills, 0)
  })
})
