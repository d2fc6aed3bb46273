/**
 * A writer at full speed, upkeep, and another engine, all at once on real parts (files, SQLite, DuckDB): every snapshot that becomes
 * visible is compared with a plain model, by whomever it was made.
 *
 * `TIDEWATER_ROUNDS=n` runs so many times as long. What happens when is up to the machine: a failure names the snapshot, not a seed.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import { expireSnapshots } from '../../src/iceberg/action/expire.ts'
import type { Catalog, LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import type { Snapshot } from '../../src/iceberg/spec/table-metadata.ts'
import { TABLE_BOUNDS } from '../../src/table/bounds.ts'
import { TableFeed } from '../../src/table/feed.ts'
import { catchUp, compareIndex } from '../../src/table/index-upkeep.ts'
import { reachableFiles } from '../../src/table/reachable.ts'
import { type FeedEvent, SUMMARY, type WriteMode } from '../../src/table/table.ts'
import { UpkeepLoop } from '../../src/table/upkeep-loop.ts'
import { TableWriter } from '../../src/table/writer.ts'
import { OtherEngine } from '../support/other-engine.ts'
import { schemaOf } from '../support/table.ts'
import { type Change, openTableBench, type TableBench } from '../support/table-bench.ts'
import { Random } from './random.ts'

const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 1)
const BATCHES = 20 * rounds
/** What the other engine has done before all end, of each kind; the writer goes on until then. */
const OTHERS = 3 * rounds
const BATCHES_MAX = 20 * BATCHES
const PAUSE_MAX_MS = 1_000
const KEYS = 400

const schema = schemaOf([
  ['k', 'string', true],
  ['n', 'long'],
])
const ident = { namespace: ['default'], name: 'busy' }
/** The summary property that names what the other engine did. */
const EFFECT = 'test.effect'

type Effect = (rows: readonly string[]) => string[]

/** Rows as `k=n`, of every snapshot ever seen. */
class Referee {
  readonly effects = new Map<string, Effect>()
  readonly entries: Change[] = []
  /** Replacing snapshots that were planned before their parent was there. */
  rebased = 0
  readonly #bench: TableBench
  readonly #mode: WriteMode
  readonly #states = new Map<bigint, string[]>()
  #consumed = 0

  constructor(bench: TableBench, mode: WriteMode) {
    this.#bench = bench
    this.#mode = mode
  }

  get snapshots(): number {
    return this.#states.size
  }

  async see(table: LoadedTable): Promise<void> {
    const id = table.metadata['current-snapshot-id']
    const snapshot = table.metadata.snapshots.find((known) => known['snapshot-id'] === id)
    if (snapshot === undefined || this.#states.has(snapshot['snapshot-id'])) return
    const expected = this.#after(snapshot).toSorted()
    this.#states.set(snapshot['snapshot-id'], expected)
    const rows = await this.#bench.rows(table, "k || '=' || n AS v")
    const what = `snapshot ${id}, ${snapshot.summary.operation} by ${snapshot.summary[EFFECT] ?? 'ourselves'}`
    assert.deepEqual(rows.map((row) => String(row['v'])).toSorted(), expected, what)
    if (snapshot.summary.operation === 'replace' && snapshot.summary[EFFECT] === undefined)
      await this.#countRebased(table, snapshot)
  }

  #after(snapshot: Snapshot): string[] {
    const parent = snapshot['parent-snapshot-id']
    const before = parent === undefined ? [] : this.#states.get(parent)
    assert.ok(before, `the parent of snapshot ${snapshot['snapshot-id']} was never seen`)
    const effect = snapshot.summary[EFFECT]
    if (effect !== undefined) return this.effects.get(effect)!(before)
    if (snapshot.summary.operation === 'replace') return before
    const end = Number(snapshot.summary[SUMMARY.offset])
    assert.ok(end > this.#consumed, 'entries are applied twice')
    const taken = this.entries.slice(this.#consumed, end)
    this.#consumed = end
    return this.#applied(before, taken)
  }

  #applied(before: readonly string[], changes: readonly Change[]): string[] {
    const text = ({ row }: Change) => `${row['k']}=${row['n']}`
    if (this.#mode === 'append') return [...before, ...changes.filter(({ op }) => op === 'upsert').map(text)]
    const last = new Map(changes.map((change) => [String(change.row['k']), change]))
    const rows = before.filter((row) => !last.has(row.slice(0, row.indexOf('='))))
    return [...rows, ...[...last.values()].filter(({ op }) => op === 'upsert').map(text)]
  }

  /** The names of new data files tell when the rewrite was planned. */
  async #countRebased({ metadata }: LoadedTable, snapshot: Snapshot): Promise<void> {
    const { tasks } = await planScan(this.#bench.io, metadata)
    const newest = Math.max(...tasks.map((task) => task.sequenceNumber))
    const parent = metadata.snapshots.find((known) => known['snapshot-id'] === snapshot['parent-snapshot-id'])
    const late = tasks.some(({ file, sequenceNumber }) => {
      const name = file.filePath.slice(file.filePath.lastIndexOf('/') + 1).replaceAll('-', '')
      return sequenceNumber === newest && Number.parseInt(name.slice(0, 12), 16) < (parent?.['timestamp-ms'] ?? 0)
    })
    if (late) this.rebased++
  }
}

const KINDS = ['append', 'delete', 'rewrite', 'expire'] as const

/** Does something to the table until told to end; it is too late now and then, and tries something else. */
async function workAsOther(
  bench: TableBench,
  { referee, random, done }: { referee: Referee; random: Random; done: Map<string, number> },
  ended: () => boolean,
): Promise<void> {
  const other = new OtherEngine(bench, ident)
  for (let at = 0; !ended(); at++) {
    const effect = `the other engine's ${at}`
    other.note = { [EFFECT]: effect }
    const least = Math.min(...done.values())
    // What it got through least often comes first half of the time.
    const what = random.pick(random.chance(0.5) ? KINDS : KINDS.filter((kind) => done.get(kind) === least))
    try {
      switch (what) {
        case 'append': {
          const rows = Array.from({ length: 1 + random.below(4) }, (_, nth) => ({ k: `k${random.below(KEYS)}`, nth }))
          referee.effects.set(effect, (before) => [...before, ...rows.map(({ k, nth }) => `${k}=${-at * 10 - nth}`)])
          await other.append(
            rows.map(({ k, nth }) => `SELECT '${k}' AS k, ${-at * 10 - nth}::BIGINT AS n`).join(' UNION ALL '),
          )
          break
        }
        case 'delete':
          await other.delete(`hash(_pos, _file, ${at}) % 9 = 0`, "k || '=' || n", (gone) =>
            referee.effects.set(effect, (before) => without(before, gone)),
          )
          break
        case 'rewrite':
          referee.effects.set(effect, (before) => [...before])
          await other.rewrite()
          break
        case 'expire':
          await expireAsOther(bench)
      }
      done.set(what, done.get(what)! + 1)
    } catch (error) {
      // Somebody else was faster, or removed what an expired snapshot had.
      if (!isFault(error, 'conflict') && !isFault(error, 'not-found')) throw error
    }
    await bench.clock.sleep(random.below(60))
  }
}

function without(rows: readonly string[], gone: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const row of gone) left.set(row, (left.get(row) ?? 0) + 1)
  return rows.filter((row) => {
    const count = left.get(row) ?? 0
    if (count > 0) left.set(row, count - 1)
    return count === 0
  })
}

async function expireAsOther({ catalog, io, clock }: TableBench): Promise<void> {
  const before = await catalog.load(ident)
  const nowMs = clock.nowMs()
  const { change, snapshotIds } = expireSnapshots(before.metadata, { nowMs, keepMin: 12, keepMax: 12 })
  if (snapshotIds.length === 0) return
  const after = await catalog.commit(before, change)
  const kept = await reachableFiles(io, after.metadata, after.metadata.snapshots)
  const expired = before.metadata.snapshots.filter((snapshot) => snapshotIds.includes(snapshot['snapshot-id']))
  const gone = await reachableFiles(io, before.metadata, expired)
  await io.delete([...gone].filter((file) => !kept.has(file)))
}

/** Every commit, by whomever, is looked at before its maker hears of it. */
function watched(real: Catalog, see: (table: LoadedTable) => Promise<void>): Catalog {
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'commit')
        return async (...args: Parameters<Catalog['commit']>) => {
          const table = await target.commit(...args)
          await see(table)
          return table
        }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('a writer, upkeep and another engine at the same time', () => {
  for (const mode of ['upsert', 'append'] as const) {
    test(`every snapshot of a table by ${mode} is what a plain model says`, async () => {
      const bench = await openTableBench()
      const referee = new Referee(bench, mode)
      const failed: unknown[] = []
      let turn: Promise<unknown> = Promise.resolve()
      // In the order of the commits: the parent is seen before its children.
      const see = (table: LoadedTable) => {
        turn = turn.then(() => referee.see(table)).catch((error: unknown) => failed.push(error))
        return turn as Promise<void>
      }
      bench.catalog = watched(bench.catalog, see)
      const random = new Random(Math.floor(Math.random() * 2 ** 30))
      const { io, clock, catalog, log } = bench
      const writer = await TableWriter.open(
        { catalog, io, clock, session: await bench.duck.connect() },
        {
          definition: { ident, schema, key: mode === 'append' ? [] : ['k'], mode },
          indexPath: bench.indexPath,
          logName: 'changes',
          bounds: { ...TABLE_BOUNDS, filesPerStep: 3, manifestsMergeCount: 4, snapshotsKeptMax: 40 },
        },
      )
      const events: FeedEvent[] = []
      const onEvent = (event: FeedEvent) => {
        events.push(event)
      }
      const loop = await UpkeepLoop.open({ duck: bench.duck, clock, onEvent })
      const kept = loop.add(writer)
      const feed = await TableFeed.open({
        writer,
        log,
        clock,
        lingerMs: 0,
        onEvent,
        onPoison: async (text, reason) => void failed.push(new Error(`refused ${text}: ${reason.message}`)),
        upkeep: () => kept.due(),
      })
      let ended = false
      const done = new Map<string, number>(KINDS.map((kind) => [kind, 0]))
      const others = workAsOther(bench, { referee, random, done }, () => ended || failed.length > 0)
      const compacted = () =>
        events.filter((event) => event.kind === 'upkeep' && event.what.startsWith('compacted')).length
      const more = (batch: number) =>
        batch < BATCHES ||
        (batch < BATCHES_MAX &&
          (compacted() < OTHERS || referee.rebased < 1 || [...done.values()].some((times) => times < OTHERS)))
      for (let batch = 0; more(batch) && failed.length === 0; batch++) {
        const changes = Array.from({ length: 1 + random.below(120) }, (_, nth): Change => {
          const row = { k: `k${random.below(KEYS)}`, n: batch * 1000 + nth }
          return { op: random.chance(0.2) ? 'delete' : 'upsert', row }
        })
        referee.entries.push(...changes)
        // On a slow machine a writer without a pause leaves a rewrite no moment to commit: past its own share it leaves longer ones.
        if (batch >= BATCHES) await clock.sleep(random.below(Math.min(PAUSE_MAX_MS, 10 * (batch - BATCHES))))
        await bench.append(changes)
        await feed.drain().catch((error: unknown) => {
          if (!isFault(error, 'conflict') && !isFault(error, 'not-found')) throw error
        })
      }
      ended = true
      await others
      await feed.drain()
      await loop.rest()
      await turn
      if (failed.length > 0) throw failed[0]

      const table = await writer.load()
      assert.ok(referee.snapshots > BATCHES)
      for (const [what, times] of done) assert.ok(times >= OTHERS, `${what}: ${times} times`)
      assert.ok(compacted() >= OTHERS, `compacted ${compacted()} times`)
      assert.ok(referee.rebased >= 1, 'no compaction was rebased')
      const broken = events.filter((event) => event.kind === 'upkeep-failed')
      assert.deepEqual(broken, [])
      const { tasks } = await planScan(io, table.metadata)
      assert.ok(tasks.length <= 12, `${tasks.length} data files are left`)
      for (const file of await reachableFiles(io, table.metadata, table.metadata.snapshots))
        assert.ok(await io.exists(file), `${file} is gone, and a live snapshot needs it`)
      if (writer.indexContext !== null) {
        await catchUp(writer.indexContext, table)
        assert.deepEqual(await compareIndex(writer.indexContext, table), { missing: 0, extra: 0 })
      }
      await loop.close()
      await writer.close()
      await bench.close()
    })
  }
})
