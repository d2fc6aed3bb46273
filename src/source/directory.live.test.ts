import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { systemClock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { type FileStore, openFileStore } from '../store/file.ts'
import { compareKeys, HybridClock, type InventoryEntry, scanDirectory, watchDirectory } from './source.ts'

let root: string
let follower: Follower | null = null
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidewater-live-'))
})
afterEach(async () => {
  await follower?.stop()
  follower = null
  rmSync(root, { recursive: true, force: true })
})

/** Follows a directory as a service would: hints in, events out, each event applied to a table by its sequencer. */
class Follower {
  readonly rows = new Map<string, { key: string; etag: string; sizeBytes: number; sequencer: string }>()
  readonly events: { event: ObjectEvent; atMs: number }[] = []
  readonly #store: FileStore
  readonly #abort = new AbortController()
  readonly #options = { bucket: 'b', clock: systemClock, sequencers: new HybridClock(systemClock), excluded: ['state'] }
  readonly #done: Promise<void>

  constructor(store: FileStore, rescanIntervalMs: number) {
    this.#store = store
    this.#done = this.#run(rescanIntervalMs)
  }

  async #run(rescanIntervalMs: number): Promise<void> {
    const { signal } = this.#abort
    const { excluded } = this.#options
    for await (const hint of watchDirectory(root, { signal, rescanIntervalMs, excluded })) {
      try {
        if (hint.kind === 'keys') this.#apply(await compareKeys(this.#store, hint.keys, this.rows, this.#options))
        else {
          const options = { ...this.#options, inventory: this.#inventory(), signal }
          for await (const page of scanDirectory(this.#store, options)) this.#apply(page)
        }
      } catch (error) {
        // A folder went away while it was listed: the next rescan finds out.
        if (!signal.aborted && !isFault(error, 'unavailable') && !isFault(error, 'not-found')) throw error
      }
    }
  }

  async *#inventory(): AsyncGenerator<InventoryEntry> {
    const rows = [...this.rows.values()]
    yield* rows.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  #apply(events: readonly ObjectEvent[]): void {
    for (const event of events) {
      this.events.push({ event, atMs: performance.now() })
      const { key, etag, sizeBytes, sequencer } = event
      if (event.kind === 'delete') this.rows.delete(key)
      else this.rows.set(key, { key, etag: etag!, sizeBytes: sizeBytes!, sequencer: sequencer! })
    }
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    await this.#done
  }

  /** `key size` of each row. */
  held(): string[] {
    return [...this.rows.values()].map(({ key, sizeBytes }) => `${key} ${sizeBytes}`).sort()
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    for (const endMs = performance.now() + 20_000; performance.now() < endMs; await delay(5)) if (condition()) return
    assert.fail(`${what}; the table holds ${this.held()}`)
  }
}

/** `key size` of each file that counts. */
function onDisk(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((key) => !key.startsWith('state'))
    .map((key) => ({ key, stats: statSync(join(root, key)) }))
    .filter(({ stats }) => stats.isFile())
    .map(({ key, stats }) => `${key} ${stats.size}`)
    .sort()
}

test('a file that is dropped, overwritten, renamed or deleted becomes events within about 300 ms', async () => {
  mkdirSync(join(root, 'in'))
  const followed = new Follower(await openFileStore({ root }), 3_600_000)
  follower = followed
  await delay(100)
  const changes: [string, () => void][] = [
    ['+in/a.jpg', () => writeFileSync(join(root, 'in/a.jpg'), 'one')],
    ['+in/a.jpg', () => writeFileSync(join(root, 'in/a.jpg'), 'two')],
    ['+in/b.jpg', () => renameSync(join(root, 'in/a.jpg'), join(root, 'in/b.jpg'))],
    ['-in/b.jpg', () => rmSync(join(root, 'in/b.jpg'))],
  ]
  const tookMs: number[] = []
  for (const [told, change] of changes) {
    const before = followed.events.length
    const startMs = performance.now()
    change()
    const isTold = ({ event }: { event: ObjectEvent }) => `${event.kind === 'create' ? '+' : '-'}${event.key}` === told
    await followed.until(`expected ${told}`, () => followed.events.slice(before).some(isTold))
    tookMs.push(followed.events.slice(before).find(isTold)!.atMs - startMs)
  }
  assert.deepEqual(followed.held(), [])
  const median = tookMs.sort((a, b) => a - b)[1]!
  assert.ok(median < 600, `took ${tookMs.map(Math.round)} ms`)
})

test('what a service writes into an excluded folder never comes back to it', async () => {
  const followed = new Follower(await openFileStore({ root }), 50)
  follower = followed
  mkdirSync(join(root, 'state/log'), { recursive: true })
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(root, `state/log/${i}`), 'x')
    await delay(10)
  }
  writeFileSync(join(root, 'photo.jpg'), 'x')
  await followed.until('expected the photo', () => followed.held().length === 1)
  assert.deepEqual(
    followed.events.map(({ event }) => event.key),
    ['photo.jpg'],
  )
})

test('whatever happens in a directory, its table comes to hold what is there', async () => {
  const name = fc.constantFrom('a', 'b', 'a b', 'é', '100%')
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), path, size: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), path }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('rename' as const), path, to: path }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.nat(40) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      for (const entry of readdirSync(root)) rmSync(join(root, entry), { recursive: true })
      const followed = new Follower(await openFileStore({ root }), 1_000)
      try {
        for (const one of steps) {
          if (one.do === 'pause') await delay(one.ms)
          else attempt(one)
        }
        const expected = onDisk().join()
        await followed.until(`expected ${expected}`, () => followed.held().join() === expected)
      } finally {
        await followed.stop()
      }
    }),
    { numRuns: 15 },
  )
})

/** Does what can be done: a file may stand where a folder is wanted, and the other way round. */
function attempt(
  step:
    | { do: 'write'; path: string; size: number }
    | { do: 'remove'; path: string }
    | { do: 'rename'; path: string; to: string },
) {
  const target = join(root, step.path)
  try {
    if (step.do === 'write') {
      mkdirSync(join(target, '..'), { recursive: true })
      writeFileSync(target, 'x'.repeat(step.size))
    } else if (step.do === 'remove') rmSync(target, { recursive: true, force: true })
    else if (existsSync(target)) renameSync(target, join(root, step.to))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (!['ENOENT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'EINVAL'].includes(code)) throw error
  }
}
