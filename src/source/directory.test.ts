import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Clock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { openFileStore } from '../store/file.ts'
import type { ObjectInfo, Store } from '../store/store.ts'
import { compareKeys, HybridClock, type InventoryEntry, type ScanOptions, scanDirectory } from './source.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidewater-directory-'))
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
})

/** A file last written a minute ago, so that it counts as settled. */
function write(key: string, text: string, ageMs = 60_000): void {
  const path = join(root, key)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  const at = (Date.now() - ageMs) / 1000
  utimesSync(path, at, at)
}

/** The time is real, sleeping takes none of it. */
const clock: Clock & { sleeps: number } = { nowMs: () => Date.now(), sleep: async () => void clock.sleeps++, sleeps: 0 }

/** What a table would hold after these events, applied by sequencer. */
class Table {
  readonly rows = new Map<string, InventoryEntry & { sequencer: string; gone: boolean }>()
  sequencers = new HybridClock(clock)

  apply(events: readonly ObjectEvent[]): void {
    for (const { kind, key, etag, sizeBytes, sequencer } of events) {
      const row = this.rows.get(key)
      if (row !== undefined && sequencer! <= row.sequencer) continue
      this.rows.set(key, {
        key,
        etag: etag ?? '',
        sizeBytes: sizeBytes ?? 0,
        sequencer: sequencer!,
        gone: kind === 'delete',
      })
    }
  }

  async *inventory(): AsyncGenerator<InventoryEntry> {
    const keys = [...this.rows.keys()].sort()
    for (const key of keys) if (!this.rows.get(key)!.gone) yield this.rows.get(key)!
  }

  keys(): string[] {
    return [...this.rows.values()]
      .filter((row) => !row.gone)
      .map((row) => row.key)
      .sort()
  }

  options(more: Partial<ScanOptions> = {}): ScanOptions {
    return { bucket: 'photos', clock, sequencers: this.sequencers, inventory: this.inventory(), ...more }
  }

  /** Scans, applies, and tells what was found: `+key` and `-key`. */
  async scan(store?: Store, more: Partial<ScanOptions> = {}): Promise<string[]> {
    const found: string[] = []
    const from = store ?? (await openFileStore({ root }))
    for await (const page of scanDirectory(from, this.options(more))) {
      this.apply(page)
      found.push(...page.map((event) => `${event.kind === 'create' ? '+' : '-'}${event.key}`))
    }
    return found
  }
}

describe('a scan', () => {
  test('tells each file once, with all that is known of it', async () => {
    write('2024/iceland/fjord.jpg', 'cold')
    const table = new Table()
    const pages: ObjectEvent[][] = []
    for await (const page of scanDirectory(await openFileStore({ root }), table.options())) pages.push(page)
    table.apply(pages.flat())
    const { time, sequencer, etag, ...event } = pages[0]![0]!
    assert.deepEqual(event, {
      v: 1,
      kind: 'create',
      source: 'directory',
      name: 'ObjectCreated:Put',
      bucket: 'photos',
      key: '2024/iceland/fjord.jpg',
      versionId: 'null',
      sizeBytes: 4,
      storageClass: 'STANDARD',
      isMultipart: false,
    })
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.match(sequencer!, /^[0-9A-F]{16}$/)
    assert.ok(etag)
    assert.deepEqual(await table.scan(), [])
  })

  test('tells what came, changed and went', async () => {
    for (const key of ['a.txt', 'b.txt', 'c.txt', 'd/e.txt']) write(key, key)
    const table = new Table()
    assert.deepEqual(await table.scan(), ['+a.txt', '+b.txt', '+c.txt', '+d/e.txt'])
    write('b.txt', 'other')
    rmSync(join(root, 'c.txt'))
    renameSync(join(root, 'd/e.txt'), join(root, 'd/f.txt'))
    write('z.txt', 'new')
    assert.deepEqual(await table.scan(), ['+b.txt', '-c.txt', '-d/e.txt', '+d/f.txt', '+z.txt'])
    assert.deepEqual(table.keys(), ['a.txt', 'b.txt', 'd/f.txt', 'z.txt'])
    assert.deepEqual(await table.scan(), [])
  })

  test('a deleted file is told as a removal of its null version', async () => {
    write('a.txt', 'a')
    const table = new Table()
    await table.scan()
    rmSync(join(root, 'a.txt'))
    const pages: ObjectEvent[][] = []
    for await (const page of scanDirectory(await openFileStore({ root }), table.options())) pages.push(page)
    const { kind, name, versionId, etag, sizeBytes } = pages[0]![0]!
    assert.deepEqual(
      [kind, name, versionId, etag, sizeBytes],
      ['delete', 'ObjectRemoved:Delete', 'null', undefined, undefined],
    )
  })

  test('sees an overwrite of the same size, and one by an older file', async () => {
    write('a.txt', 'one')
    const table = new Table()
    await table.scan()
    write('a.txt', 'two', 59_000)
    assert.deepEqual(await table.scan(), ['+a.txt'])
    write('old.txt', 'old', 10 * 365 * 24 * 3600 * 1000)
    renameSync(join(root, 'old.txt'), join(root, 'a.txt'))
    const before = table.rows.get('a.txt')!.sequencer
    assert.deepEqual(await table.scan(), ['+a.txt'])
    assert.ok(table.rows.get('a.txt')!.sequencer > before, 'an older file is a newer event')
  })

  test('takes any name that a file can have, letter by letter', async () => {
    const keys = [
      'with space.txt',
      'plus+sign.txt',
      '100% a%2Fb.txt',
      'caf\u00e9.txt',
      'cafe\u0301.txt',
      'line\nfeed.txt',
      'tab\there.txt',
      'quote\'".txt',
      'ünïcode/日本語 📷.jpg',
      '\uffee.txt',
      'back\\slash.txt',
      'A.txt',
      'a-b/c',
      'a.b/c',
      'a/c',
    ]
    for (const key of keys) write(key, key)
    const table = new Table()
    assert.deepEqual(await table.scan(), keys.map((key) => `+${key}`).sort())
    assert.deepEqual(await table.scan(), [])
    for (const key of keys) rmSync(join(root, key))
    assert.deepEqual(await table.scan(), keys.map((key) => `-${key}`).sort())
  })

  test('leaves out excluded folders, and nothing that only begins like them', async () => {
    for (const key of ['state/x.parquet', 'state/log/1', 'state.txt', 'stately/x', 'a/state/x', '.tw/x'])
      write(key, 'x')
    const table = new Table()
    const excluded = ['state/', '.tw']
    assert.deepEqual(await table.scan(undefined, { excluded }), ['+a/state/x', '+state.txt', '+stately/x'])
  })

  test('tells what lies in a folder that was excluded later as gone', async () => {
    for (const key of ['state/x', 'a']) write(key, 'x')
    const table = new Table()
    await table.scan()
    assert.deepEqual(await table.scan(undefined, { excluded: ['state'] }), ['-state/x'])
  })

  test('leaves out links that lead out of the directory, and broken ones', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'tidewater-outside-'))
    try {
      writeFileSync(join(outside, 'secret'), 'x')
      symlinkSync(join(outside, 'secret'), join(root, 'out'))
      symlinkSync(join(root, 'nowhere'), join(root, 'broken'))
      write('a', 'x')
      assert.deepEqual(await new Table().scan(), ['+a'])
    } finally {
      rmSync(outside, { recursive: true })
    }
  })

  test('gives events in pages of a bounded length, thousands of files in all', async () => {
    for (let i = 0; i < 3_000; i++) write(`f${i % 7}/${i}`, 'x')
    const table = new Table()
    const pages: number[] = []
    for await (const page of scanDirectory(await openFileStore({ root }), table.options({ pageFiles: 250 }))) {
      pages.push(page.length)
      table.apply(page)
    }
    assert.deepEqual(pages, Array(12).fill(250))
    assert.equal(table.keys().length, 3_000)
    rmSync(join(root, 'f3'), { recursive: true })
    assert.equal((await table.scan()).length, Math.ceil((3_000 - 3) / 7))
  })

  test('orders right though the clock steps back between scans', async () => {
    const table = new Table()
    const now = Date.now()
    const at = (nowMs: number): Clock => ({ nowMs: () => nowMs, sleep: async () => undefined })
    table.sequencers = new HybridClock(at(now + 3_600_000))
    write('a.txt', 'one')
    await table.scan()
    // Another process, an hour behind, that knows only what the table holds.
    table.sequencers = new HybridClock(at(now))
    write('a.txt', 'two', 30_000)
    assert.deepEqual(await table.scan(), ['+a.txt'])
    assert.deepEqual(await table.scan(), [], 'the newer state is the one that the table kept')
    rmSync(join(root, 'a.txt'))
    table.sequencers = new HybridClock(at(now))
    await table.scan()
    assert.deepEqual(table.keys(), [])
  })

  test('a root that is gone stops it, and nothing is told as deleted', async () => {
    write('a.txt', 'a')
    const store = await openFileStore({ root })
    const table = new Table()
    await table.scan(store)
    renameSync(root, `${root}-away`)
    try {
      await assert.rejects(table.scan(store), (error) => isFault(error))
      assert.deepEqual(table.keys(), ['a.txt'])
    } finally {
      renameSync(`${root}-away`, root)
    }
    assert.deepEqual(await table.scan(store), [])
  })

  test('an inventory out of order is refused before it does harm', async () => {
    for (const key of ['a', 'b', 'c']) write(key, key)
    const table = new Table()
    await table.scan()
    async function* wrong() {
      for (const key of ['b', 'a', 'c']) yield table.rows.get(key)!
    }
    const refused = (error: unknown) => isFault(error, 'invalid')
    await assert.rejects(table.scan(undefined, { inventory: wrong() }), refused)
    assert.deepEqual(table.keys(), ['a', 'b', 'c'])
  })

  test('an abort ends it between files', async () => {
    for (const key of ['a', 'b']) write(key, key)
    const aborted = AbortSignal.abort(new Error('enough'))
    await assert.rejects(new Table().scan(undefined, { signal: aborted }), /enough/)
  })

  test('any two states of a directory: one scan finds the way from one to the other', async () => {
    const key = fc.constantFrom('a', 'a/b', 'a-b', 'a.b', 'b/c/d', 'b/c/e', 'é', 'e\u0301', '\ud83d\ude00', '\uffee')
    const state = fc.dictionary(key, fc.constantFrom('1', '22', '33'), { noNullPrototype: true })
    await fc.assert(
      fc.asyncProperty(state, state, async (before, after) => {
        const table = new Table()
        await table.scan(storeOf(before))
        await table.scan(storeOf(after))
        assert.deepEqual(table.keys(), Object.keys(after).sort())
        for (const [name, etag] of Object.entries(after)) assert.equal(table.rows.get(name)!.etag, etag)
        assert.deepEqual(await table.scan(storeOf(after)), [])
      }),
    )
  })
})

/** A store that only lists and heads: keys and etags as given, all written long ago. */
function storeOf(objects: Record<string, string>, lastModifiedMs = 0): Store {
  const info = (key: string): ObjectInfo => ({
    key,
    etag: objects[key]!,
    sizeBytes: objects[key]!.length,
    lastModifiedMs,
  })
  async function* list() {
    for (const key of Object.keys(objects).sort()) yield info(key)
  }
  const head = async (key: string) => (Object.hasOwn(objects, key) ? info(key) : null)
  return { name: 'made up', list, head } as unknown as Store
}

describe('a file that is being written', () => {
  test('is taken when it looked the same twice', async () => {
    write('old.txt', 'x')
    write('new.txt', 'x', 0)
    clock.sleeps = 0
    assert.deepEqual(await new Table().scan(), ['+old.txt', '+new.txt'])
    assert.equal(clock.sleeps, 1)
  })

  test('waits while it changes, and is taken as it then is', async () => {
    const objects: Record<string, string> = { growing: '1', steady: '1' }
    const store = storeOf(objects, Date.now())
    const table = new Table()
    let writes = 0
    const busy: Clock = {
      nowMs: () => Date.now(),
      sleep: async () => {
        if (writes < 5) objects['growing'] += String(++writes)
      },
    }
    assert.deepEqual(await table.scan(store, { clock: busy }), ['+steady', '+growing'])
    assert.equal(table.rows.get('growing')!.etag, '112345')
  })

  test('is taken after a bounded time though it never holds still', async () => {
    const objects: Record<string, string> = { log: '1' }
    let sleeps = 0
    const busy: Clock = {
      nowMs: () => Date.now(),
      sleep: async () => {
        objects['log'] = `x${++sleeps}`
      },
    }
    assert.deepEqual(await new Table().scan(storeOf(objects, Date.now()), { clock: busy }), ['+log'])
    assert.equal(sleeps, Math.ceil(limits.settleMaxMs / limits.watchQuietMs))
  })

  test('is not told at all when it goes away meanwhile', async () => {
    const objects: Record<string, string> = { temporary: '1' }
    const busy: Clock = {
      nowMs: () => Date.now(),
      sleep: async () => {
        delete objects['temporary']
      },
    }
    assert.deepEqual(await new Table().scan(storeOf(objects, Date.now()), { clock: busy }), [])
  })
})

describe('comparing single keys', () => {
  async function compare(table: Table, keys: string[], more: Partial<ScanOptions> = {}): Promise<string[]> {
    const known = new Map([...table.rows].filter(([, row]) => !row.gone))
    const events = await compareKeys(await openFileStore({ root }), keys, known, table.options(more))
    table.apply(events)
    return events.map((event) => `${event.kind === 'create' ? '+' : '-'}${event.key}`)
  }

  test('tells of those keys what a scan would tell', async () => {
    for (const key of ['a', 'b', 'c']) write(key, key)
    const table = new Table()
    await table.scan()
    write('a', 'other')
    rmSync(join(root, 'b'))
    write('d', 'new')
    assert.deepEqual(await compare(table, ['a', 'b', 'c', 'd', 'never']), ['+a', '-b', '+d'])
    assert.deepEqual(await table.scan(), [])
  })

  test('a key that cannot be a file, or is excluded, has none', async () => {
    write('state/x', 'x')
    const table = new Table()
    assert.deepEqual(await compare(table, ['state/x', '../x', 'a//b', 'x/'], { excluded: ['state'] }), [])
  })

  test('takes more keys than are asked for at once', async () => {
    const keys = Array.from({ length: limits.storeStatsAtOnce * 2 + 1 }, (_, i) => `k${String(i).padStart(4, '0')}`)
    for (const key of keys) write(key, 'x')
    assert.deepEqual(
      await compare(new Table(), keys),
      keys.map((key) => `+${key}`),
    )
  })
})
