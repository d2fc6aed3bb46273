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
 * `TIDEWATER_SEED=n` runs that one, with `TIDEWATER_TRACE=1` telling its last steps; `TIDEWATER_ROUNDS=n` runs so many,
 * from a random seed on.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '../../src/base/fault.ts'
import type { Catalog, LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { SUMMARY } from '../../src/table/table.ts'
import { type RunReport, runSimulation, type Sabotage } from './commit-run.ts'

const one = process.env['TIDEWATER_SEED']
const rounds = process.env['TIDEWATER_ROUNDS']
const count = Number(rounds ?? 24)
const first = one === undefined ? (rounds === undefined ? 1 : Math.floor(Math.random() * 2 ** 30)) : Number(one)

async function runSeed(seed: number): Promise<RunReport> {
  try {
    return await runSimulation({ seed })
  } catch (error) {
    const replay = `TIDEWATER_SEED=${seed} npm test -- test/simulate/commit-crash`
    throw new Error(`seed ${seed}, replay with ${replay}`, { cause: error })
  }
}

test('every snapshot ever visible is the log applied up to its offset, whatever fails, dies or interferes', async () => {
  if (one !== undefined) {
    await runSeed(first)
    return
  }
  const seen = { snapshots: 0, kills: 0, lost: 0, failed: 0, upkeep: 0, outside: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const report = await runSeed(seed)
    seen.snapshots += report.snapshots
    seen.kills += report.steps.killed
    seen.lost += report.steps.lost
    seen.failed += report.steps.failed
    seen.upkeep += sum(report.upkeep)
    seen.outside += sum(report.outside)
  }
  // A run in which nothing happens proves nothing.
  for (const [what, times] of Object.entries(seen))
    assert.ok(times >= Math.min(10, count / 4), `${what}: only ${times}`)
})

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, times) => total + times, 0)
}

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
    let appends = 0
    const message = await found({
      log: (log) => ({
        name: log.name,
        get start() {
          return log.start
        },
        get end() {
          return log.end
        },
        append: async (entries) => (++appends % 3 === 0 ? log.end : log.append(entries)),
        read: (from, limit) => log.read(from, limit),
        seal: (from, bytesMax) => log.seal(from, bytesMax),
        waitFor: (offset, signal) => log.waitFor(offset, signal),
        trim: (offset) => log.trim(offset),
        close: () => log.close(),
      }),
    })
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
