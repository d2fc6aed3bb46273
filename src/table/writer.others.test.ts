/** What others do to the table while the writer is at work: between its looks, and between its commit and the news of it. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { schemaOf } from '../../test/support/table.ts'
import { type Change, openTableBench, type TableBench, upkeep } from '../../test/support/table-bench.ts'
import { must } from '../base/assert.ts'
import { Fault } from '../base/fault.ts'
import { expireSnapshots } from '../iceberg/action/expire.ts'
import type { Catalog, LoadedTable } from '../iceberg/catalog/catalog.ts'
import { writePositionDeletes } from '../iceberg/file/delete-writer.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import { TABLE_BOUNDS } from './bounds.ts'
import { catchUp, compareIndex } from './index-upkeep.ts'
import { reachableFiles } from './reachable.ts'
import { planSnapshot } from './snapshot-plan.ts'
import type { WriteMode } from './table.ts'
import { TableWriter } from './writer.ts'

const schema = schemaOf([
  ['k', 'string', true],
  ['n', 'long'],
])
const ident = { namespace: ['default'], name: 't' }
const upsert = (k: string, n: number): Change => ({ op: 'upsert', row: { k, n } })

/** A writer on `bench`, its catalog changed by `changes`. */
async function openWriter(bench: TableBench, mode: WriteMode, changes: Partial<Catalog> = {}): Promise<TableWriter> {
  const { catalog: real, io, clock } = bench
  const catalog: Catalog = {
    name: real.name,
    listNamespaces: () => real.listNamespaces(),
    createNamespace: (namespace, properties) => real.createNamespace(namespace, properties),
    dropNamespace: (namespace) => real.dropNamespace(namespace),
    listTables: (namespace) => real.listTables(namespace),
    create: (...args) => real.create(...args),
    load: (...args) => real.load(...args),
    commit: (...args) => real.commit(...args),
    drop: (...args) => real.drop(...args),
    rename: (...args) => real.rename(...args),
    close: () => real.close(),
    ...changes,
  }
  return TableWriter.open(
    { catalog, io, clock, session: await bench.duck.connect() },
    {
      definition: { ident, schema, key: mode === 'append' ? [] : ['k'], mode },
      indexPath: bench.indexPath,
      logName: 'changes',
      bounds: { ...TABLE_BOUNDS, filesPerStep: 3 },
    },
  )
}

async function numbers(bench: TableBench): Promise<string[]> {
  const rows = await bench.rows(await bench.catalog.load(ident), 'k || n AS v')
  return rows.map((row) => String(row['v'])).toSorted()
}

/** Somebody else marks row `pos` of every file as deleted. */
async function deleteRow(bench: TableBench, pos: number): Promise<void> {
  const { io, clock, catalog } = bench
  const table = await catalog.load(ident)
  const { tasks } = await planScan(io, table.metadata)
  const deleteFiles = await writePositionDeletes(await bench.duck.connect(), io, {
    relationSql: tasks.map((task) => `SELECT '${task.file.filePath}' AS file_path, ${pos} AS pos`).join(' UNION ALL '),
    dataFiles: new Map(tasks.map((task) => [task.file.filePath, task.file])),
    schema: currentSchema(table.metadata),
    specs: table.metadata['partition-specs'],
    location: table.metadata.location,
    nowMs: clock.nowMs(),
  })
  await replaceFiles(bench, table, deleteFiles, new Set())
}

async function replaceFiles(
  bench: TableBench,
  table: LoadedTable,
  deleteFiles: Awaited<ReturnType<typeof writePositionDeletes>>,
  removedPaths: Set<string>,
): Promise<LoadedTable> {
  const change = await planSnapshot(bench.io, table.metadata, {
    dataFiles: [],
    deleteFiles,
    removedPaths,
    sameRows: false,
    nowMs: bench.clock.nowMs(),
    summary: {},
  })
  return bench.catalog.commit(table, change)
}

test('a delete of a key that is not there leaves an insert-once table as it is, however entries are batched', async () => {
  const bench = await openTableBench()
  const writer = await openWriter(bench, 'insert-once')
  await bench.append([{ op: 'delete', row: { k: 'a' } }, upsert('a', 1), upsert('a', 2)])
  await bench.commitAll(writer)
  assert.deepEqual(await numbers(bench), ['a1'])
  await bench.close()
})

test('a commit found only after others went on is indexed as the snapshot that it made, and theirs is caught up with', async () => {
  const bench = await openTableBench()
  let lose = false
  const writer = await openWriter(bench, 'upsert', {
    commit: async (base, change) => {
      const table = await bench.catalog.commit(base, change)
      if (!lose) return table
      lose = false
      await deleteRow(bench, 0)
      throw new Fault('commit-unknown', 'the reply was lost')
    },
  })
  lose = true
  await bench.append([upsert('a', 1), upsert('b', 1)])
  await bench.commitAll(writer)
  assert.deepEqual(await numbers(bench), ['b1'])
  const index = must(writer.indexContext, 'index')
  assert.equal(await catchUp(index, await writer.load()), 'caught-up')
  assert.deepEqual(await compareIndex(index, await writer.load()), { missing: 0, extra: 0 })
  await bench.close()
})

test('a table whose snapshot was replaced and expired since it was loaded is looked at again', async () => {
  const bench = await openTableBench()
  let stale: LoadedTable | null = null
  const writer = await openWriter(bench, 'upsert', {
    load: async (of) => {
      const given = stale ?? (await bench.catalog.load(of))
      stale = null
      return given
    },
  })
  for (const n of [1, 2, 3, 4]) {
    await bench.append([upsert(`k${n}`, n)])
    await bench.commitAll(writer)
  }
  const old = await bench.catalog.load(ident)
  const { tasks } = await planScan(bench.io, old.metadata)
  const first = must(tasks[0], 'a file').file.filePath
  const now = await replaceFiles(bench, old, [], new Set([first]))
  const { change } = expireSnapshots(now.metadata, {
    nowMs: Date.now() + 1e9,
    olderThanMs: Date.now() + 1e9,
    keepMin: 1,
  })
  const left = await bench.catalog.commit(now, change)
  const kept = await reachableFiles(bench.io, left.metadata, left.metadata.snapshots)
  await bench.io.delete(
    [...(await reachableFiles(bench.io, old.metadata, old.metadata.snapshots))].filter((file) => !kept.has(file)),
  )

  stale = old
  assert.deepEqual(await upkeep(writer), ['compacted 3 small files'])
  await bench.append([upsert('k9', 9)])
  await bench.commitAll(writer)
  assert.equal((await numbers(bench)).length, 4)
  await bench.close()
})

test('deletes that others wrote into a table of appends are merged like any', async () => {
  const bench = await openTableBench()
  const writer = await openWriter(bench, 'append')
  await bench.append(Array.from({ length: 19 }, (_, n) => upsert('a', n)))
  await bench.commitAll(writer)
  for (const pos of [0, 1, 2]) await deleteRow(bench, pos)
  assert.deepEqual(await upkeep(writer), ['merged 3 delete files'])
  assert.equal((await numbers(bench)).length, 16)
  // There is no index to count the dead rows: the delete files tell.
  for (const pos of [3, 4, 5]) await deleteRow(bench, pos)
  assert.deepEqual(await upkeep(writer), ['compacted 1 files with many dead rows'])
  assert.equal((await numbers(bench)).length, 13)
  await bench.close()
})

test('a table that names a number of delete files has a data file rewritten when so many apply to it', async () => {
  for (const mode of ['append', 'upsert'] as const) {
    const bench = await openTableBench()
    const writer = await openWriter(bench, mode)
    const loaded = await writer.load()
    const properties = { optimize_rewrite_delete_file_threshold: '2' }
    await bench.catalog.commit(loaded, {
      requirements: [],
      updates: [{ action: 'set-properties', updates: properties }],
    })
    await bench.append(Array.from({ length: 9 }, (_, n) => upsert(`k${n}`, n)))
    await bench.commitAll(writer)
    await deleteRow(bench, 0)
    assert.deepEqual(await upkeep(writer), [], mode)
    await deleteRow(bench, 1)
    assert.deepEqual(await upkeep(writer), ['compacted 1 files with many delete files'], mode)
    const { tasks } = await planScan(bench.io, (await writer.load()).metadata)
    assert.deepEqual(
      tasks.map((task) => [task.file.recordCount, task.deletes.length]),
      [[7, 0]],
    )
    await bench.append([upsert('k8', 80)])
    await bench.commitAll(writer)
    assert.equal((await numbers(bench)).length, mode === 'append' ? 8 : 7)
    await bench.close()
  }
})

test('an index whose log cannot be read after a kill is built anew', async () => {
  const bench = await openTableBench()
  const writer = await openWriter(bench, 'upsert')
  await bench.append([upsert('a', 1)])
  await bench.commitAll(writer)
  await writer.close()
  await writeFile(`${bench.indexPath}.wal`, Buffer.from('no log of DuckDB'))
  const again = await openWriter(bench, 'upsert')
  await bench.append([upsert('a', 2)])
  await bench.commitAll(again)
  assert.deepEqual(await numbers(bench), ['a2'])
  await bench.close()
})

test('an index whose look at its own delta fails after a commit still finds what the commit has put there', async () => {
  const bench = await openTableBench()
  const session = await bench.duck.connect()
  const look = session.rows.bind(session)
  let fails = false
  session.rows = async (sql, params) => {
    if (!fails || !sql.includes('AS held')) return look(sql, params)
    fails = false
    throw new Fault('unavailable', 'a disk that answers again in a moment')
  }
  const { catalog, io, clock } = bench
  const definition = { ident, schema, key: ['k'], mode: 'insert-once' as const }
  const writer = await TableWriter.open(
    { catalog, io, clock, session },
    { definition, indexPath: bench.indexPath, logName: 'changes' },
  )
  await bench.append([upsert('a', 1)])
  fails = true
  await assert.rejects(bench.commitAll(writer), /answers again/)
  await bench.append([upsert('a', 2), upsert('b', 1)])
  await bench.commitAll(writer)
  assert.deepEqual(await numbers(bench), ['a1', 'b1'])
  await writer.close()
  await bench.close()
})
