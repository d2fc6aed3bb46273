/**
 * The path from log to committed, readable snapshot, with everything around it failing: see `commit-run.ts`.
 *
 * What it has found stands beside the code as tests of their own:
 * - one entry that cannot be read as a row took its whole segment to the dead letters (`feed.test.ts`)
 * - after a rollback and a restart, entries still in the log were committed again (`writer.test.ts`)
 * - a delete before the first row of a key kept that row out of an insert-once table, by how entries were batched; a commit
 *   found late was indexed as somebody else's snapshot, whose deletes the index then never saw; files that others expired
 *   between two looks failed a commit or upkeep for good; deletes by others in a table of appends were a bug to upkeep; an
 *   index left by a kill, which DuckDB could not replay, made DuckDB refuse everything (`writer.others.test.ts`)
 *
 * `TIDEWATER_SEED=n` runs that one, with `TIDEWATER_TRACE=1` telling its last steps; `TIDEWATER_ROUNDS=n` runs so many, from a
 * random seed on. `node test/simulate/seeds.ts 1 5000` runs thousands.
 */
import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { describe, test } from 'node:test'
import { Fault } from '../../src/base/fault.ts'
import type { Catalog, LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { SUMMARY } from '../../src/table/table.ts'
import { runSimulation, type Sabotage } from './commit-run.ts'
import { forgettingLog } from './forgetting-log.ts'
import { replayCommand, runSeeds, total } from './seeds.ts'

const one = process.env['TIDEWATER_SEED']
const rounds = process.env['TIDEWATER_ROUNDS']
const SEEDS = 100
const count = one === undefined ? Number(rounds ?? SEEDS) : 1
const first = one === undefined ? (rounds === undefined ? 1 : Math.floor(Math.random() * 2 ** 30)) : Number(one)
/** No seed is begun after so long: then they were too few, which is told before the time of the test is up. */
const TIME_MS = 450_000

/** How often each kind of thing happens at least in `LEAST_OF` seeds: a run in which nothing happens proves nothing. */
const LEAST_OF = 200
const LEAST: Record<string, number> = {
  'swap: reply lost': 50,
  'swap: lost on its way': 60,
  'commit-unknown to the end': 30,
  'kill: start': 12,
  'kill: append': 20,
  'kill: commit, before its swap': 70,
  'kill: commit, after its swap': 10,
  'kill: upkeep, before its swap': 40,
  'kill: upkeep, after its swap': 6,
  'late request: took effect': 2,
  'disk full for a while': 8,
  'second process: refused': 40,
  'second process: took over': 40,
  'zombie: woke': 50,
  'zombie: has committed': 10,
  'upkeep: stopped while commits go on': 90,
  'upkeep: compacted N small files': 12,
  'upkeep: compacted N files with many dead rows': 10,
  'upkeep: compacted N files without a live row': 40,
  'upkeep: merged N delete files': 2,
  'upkeep: expired N snapshots, removed N files': 35,
  'upkeep: expired by age': 15,
  'upkeep: removed N files that nothing reaches': 50,
  'outside: finish at the last moment': 15,
  'outside: failed': 200,
  'outside: expire': 50,
  'outside: rewrite': 60,
}

test('every snapshot ever visible is the log applied up to its offset, whatever fails, dies or interferes', async (t) => {
  if (one !== undefined) {
    await runSimulation({ seed: first })
    return
  }
  const results = await runSeeds({ first, count, processes: Math.min(2, availableParallelism()), timeMs: TIME_MS })
  const wrong = results.find(({ found }) => found !== null)
  if (wrong) assert.fail(`seed ${wrong.seed}, replay with ${replayCommand(wrong.seed)}\n${wrong.found}`)
  t.diagnostic(`${results.length} seeds`)
  assert.equal(results.length, count, `seeds that were run in ${TIME_MS / 1000} s`)
  const seen = total(results)
  for (const [what, times] of Object.entries(LEAST)) {
    const least = Math.floor((times * count) / LEAST_OF)
    assert.ok((seen.get(what) ?? 0) >= least, `${what}: only ${seen.get(what) ?? 0} times in ${results.length} seeds`)
  }
})

test('the same seed gives the same run, step by step', {
  skip: one !== undefined && 'only one seed was asked for',
}, async () => {
  for (const seed of [first + 6, first + 10]) {
    const [once, again] = [await runSimulation({ seed }), await runSimulation({ seed })]
    assert.deepEqual(again.trace, once.trace, `seed ${seed}`)
    assert.ok(once.trace.length > 100)
  }
})

/** Runs until one finds something: the message of what it found. */
async function found(sabotage: Sabotage): Promise<string> {
  for (let seed = 1; seed <= 8; seed++) {
    try {
      await runSimulation({ seed, sabotage })
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return 'nothing'
}

describe('it can fail', { skip: one !== undefined && 'only one seed was asked for' }, () => {
  test('a catalog that forgets a commit it made is found out, by the writer that looks for it or by entries applied twice', async () => {
    const catalog = (real: Catalog): Catalog => forgetful(real)
    assert.match(await found({ catalog }), /applied twice|taken again|the snapshot just committed is missing/)
  })

  test('a live file that is deleted is missed', async () => {
    let deleted = false
    const message = await found({
      between: async ({ io, catalog, ident }) => {
        if (deleted) return
        const { tasks } = await planScan(io, (await catalog.load(ident)).metadata)
        const [victim] = tasks
        if (victim === undefined) return
        await io.delete([victim.file.filePath])
        deleted = true
      },
    })
    assert.match(message, /there is no object|is gone/)
  })

  test('a row index that forgets a row differs from the table', async () => {
    const message = await found({
      between: async ({ writer, session }) => {
        const index = writer.indexContext?.index
        if (index === undefined) return
        for (const table of ['base', 'delta'] as const) await session.run(`DELETE FROM ${index.name(table)}`)
      },
    })
    assert.match(message, /row index differs/)
  })

  test('a log that acknowledges and forgets is found out', async () => {
    const message = await found({ log: (log) => forgettingLog(log, 3) })
    assert.match(message, /continues the log|acknowledged/)
  })
})

/** Loses the reply of a commit, and shows the table without a trace of who committed. */
function forgetful(real: Catalog): Catalog {
  let commits = 0
  const bare = (table: LoadedTable): LoadedTable => {
    const own = Object.values(SUMMARY) as string[]
    const without = (all: Record<string, string>) =>
      Object.fromEntries(Object.entries(all).filter(([name]) => !own.includes(name)))
    const { metadata } = table
    const snapshots = metadata.snapshots.map((snapshot) => ({
      ...snapshot,
      summary: { ...without(snapshot.summary), operation: snapshot.summary.operation },
    }))
    return { ...table, metadata: { ...metadata, snapshots, properties: without(metadata.properties) } }
  }
  return {
    name: real.name,
    listNamespaces: () => real.listNamespaces(),
    createNamespace: (namespace, properties) => real.createNamespace(namespace, properties),
    dropNamespace: (namespace) => real.dropNamespace(namespace),
    listTables: (namespace) => real.listTables(namespace),
    create: (ident, table) => real.create(ident, table),
    drop: (ident) => real.drop(ident),
    rename: (from, to) => real.rename(from, to),
    close: () => real.close(),
    load: async (ident) => bare(await real.load(ident)),
    commit: async (base, change) => {
      const table = await real.commit(base, change)
      if (++commits % 2 === 0) throw new Fault('commit-unknown', 'sabotage: the reply was lost')
      return bare(table)
    },
  }
}
