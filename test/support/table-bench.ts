/** A table with everything around it, in a temporary folder, for tests: real files, real DuckDB, real SQLite catalog. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import type { Json } from '../../src/base/json.ts'
import { tableChangeText } from '../../src/change/table-change.ts'
import { Duck, type DuckRow, type DuckSession } from '../../src/duck/duck.ts'
import type { Catalog, LoadedTable } from '../../src/iceberg/catalog/catalog.ts'
import { openSqliteCatalog } from '../../src/iceberg/catalog/sqlite.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import type { Log } from '../../src/log/log.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { openFileStore } from '../../src/store/file.ts'
import { TABLE_BOUNDS, type TableBounds } from '../../src/table/bounds.ts'
import type { TableDefinition } from '../../src/table/table.ts'
import { TableUpkeep } from '../../src/table/upkeep.ts'
import { TableWriter } from '../../src/table/writer.ts'

export interface TableBench {
  dir: string
  duck: Duck
  catalog: Catalog
  io: FileIO
  clock: Clock
  log: Log
  /** A writer of the table; the one before it must be closed. */
  openWriter(definition: TableDefinition, bounds?: Partial<TableBounds>, clock?: Clock): Promise<TableWriter>
  append(changes: readonly Change[]): Promise<void>
  /** Commits everything in the log that the table does not hold yet. */
  commitAll(writer: TableWriter): Promise<void>
  /** Rows of the current snapshot (or the one given), read through planning and deletes. */
  rows(table: LoadedTable, select?: string, snapshotId?: bigint): Promise<DuckRow[]>
  indexPath: string
  close(): Promise<void>
}

export interface Change {
  op: 'upsert' | 'delete'
  row: { [column: string]: Json }
}

export async function openTableBench(): Promise<TableBench> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-table-'))
  const warehouse = path.join(dir, 'warehouse')
  const store = await openFileStore({ root: warehouse, create: true })
  const io = storeIo(store, { root: `file://${warehouse}`, scratchDir: path.join(dir, 'scratch') })
  const clock = systemClock
  const catalog = await openSqliteCatalog({
    path: path.join(dir, 'catalog.db'),
    name: 'tidewater',
    warehouse: `file://${warehouse}`,
    io,
    clock,
  })
  const duck = await Duck.open({ memoryMiB: 512, threads: 2 })
  const log = await openSegmentLog({ dir: path.join(dir, 'logs'), name: 'changes' })
  const reader = await duck.connect()
  const indexPath = path.join(dir, 'index.duckdb')
  return {
    dir,
    duck,
    catalog,
    io,
    clock,
    log,
    indexPath,
    openWriter: async (definition, bounds, writerClock = clock) =>
      TableWriter.open(
        { catalog, io, clock: writerClock, session: await duck.connect() },
        { definition, indexPath, logName: 'changes', bounds: { ...TABLE_BOUNDS, ...bounds } },
      ),
    append: async (changes) => {
      if (changes.length > 0) await log.append(changes.map((change) => tableChangeText({ input: 0, ...change })))
    },
    commitAll: async (writer) => {
      const from = await writer.committedOffset()
      if (from >= log.end) return
      await writer.commit(await log.seal(from, Number.MAX_SAFE_INTEGER), from, log.end)
    },
    rows: (table, select = '*', snapshotId) => readRows(reader, io, table, select, snapshotId),
    close: async () => {
      await log.close()
      await catalog.close()
      duck.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function readRows(
  session: DuckSession,
  io: FileIO,
  table: LoadedTable,
  select: string,
  snapshotId?: bigint,
): Promise<DuckRow[]> {
  const plan = await planScan(io, table.metadata, snapshotId === undefined ? {} : { snapshotId })
  const { sql } = await scanRelation(session, io, plan)
  return session.rows(`SELECT ${select} FROM (${sql})`)
}

const upkeeps = new WeakMap<TableWriter, TableUpkeep>()

/** One turn of the upkeep of a writer's table, while nothing else is done with it. */
export function upkeep(writer: TableWriter): Promise<string[]> {
  const known = upkeeps.get(writer) ?? new TableUpkeep(writer, writer.parts.session)
  upkeeps.set(writer, known)
  return known.turn()
}
