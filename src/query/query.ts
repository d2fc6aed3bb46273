/**
 * SQL over the tables of a catalog: bounded, in a locked DuckDB, read-only unless the session is opened to change tables.
 *
 * A statement goes through five steps, each in a file of its own: it is split off and named (`statements.ts`), time travel
 * and long names are taken out (`references.ts`), DuckDB's parser gives its tree, which is checked (`ast.ts`, `check.ts`),
 * names are resolved and replaced by views (`names.ts`, `compile.ts`), and it runs in an instance that can open the
 * planned files and nothing else (`locked.ts`). All mentions of a table in a statement are of one snapshot.
 * CREATE, ALTER and DROP take another way and never reach DuckDB: they are read by a parser of their own (`ddl.ts`) and
 * done on the catalog (`ddl-run.ts`), each by one compare-and-swap, so that whoever else holds the tables is not disturbed.
 *
 * A session holds views made by CREATE VIEW and a parser; nothing of it is on disk, a crash loses only the views.
 */
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Catalog, LoadedTable, TableIdent } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import type { Type } from '../iceberg/spec/table-metadata.ts'
import { SqlParser } from './parser.ts'
import { scanOf, type TableReader } from './relations.ts'
import { Session } from './session.ts'
import type { Cell } from './values.ts'

export type { Cell } from './values.ts'

/** What one statement may use. Defaults: `limits.query…`. */
export interface QueryBounds {
  /** DuckDB's buffers; the process needs about 300 MiB more. */
  memoryMiB: number
  /** From the call to the last row, waiting for tables and for the reader of a stream included. */
  timeMs: number
  /** Rows of a result. */
  rowsMax: number
  threads: number
}

export interface QuerySessionOptions {
  catalog: Catalog
  io: FileIO
  /** Ready-made views: name → SELECT text. Views of the session of the same name hide them. */
  views?: Record<string, string>
  bounds?: Partial<QueryBounds>
  clock: Clock
  /**
   * Called once per statement and table name before the table is loaded, also for names that turn out not to exist:
   * resolves when the table holds what the caller must see (read your own writes). Bounded by the statement's time.
   */
  waitFor?: (table: TableIdent, signal: AbortSignal) => Promise<void>
  /** Folder for spilled data. Absent: a statement that needs more memory than its bound fails. */
  spillDir?: string
  /** Given: statements that make and change tables are run too. */
  writes?: SqlWrites
  /** How planned tables are read; for tests. */
  reader?: TableReader
}

/** What changing tables by SQL needs to know. */
export interface SqlWrites {
  /** URI of the folder under which files of tables are, without a slash at the end. */
  warehouse: string
  /** Can a table of these columns be written? @throws Fault `unsupported` */
  checkType(type: Type): void
  /** Can a table with these properties be written? @throws Fault `invalid` */
  checkProperties(properties: Readonly<Record<string, string>>): void
  /** Who writes rows into the table; null: nobody. Asked before it is changed. */
  writerOf(table: LoadedTable): Promise<TableOwner | null>
}

export interface TableOwner {
  /** For messages, e.g. `stream web`. */
  name: string
  /** What to do about it, e.g. `delete the stream first`. */
  remedy: string
  /** Columns that it counts on: they may not be dropped or get another type. None may be renamed. */
  columns: 'all' | readonly string[]
}

export interface Column {
  name: string
  /** DuckDB's name of the type, e.g. `BIGINT`, `VARCHAR[]`, `STRUCT("a" INTEGER)`. */
  type: string
}

/** What reading one table took. */
export interface ScanFacts {
  /** As in the catalog, e.g. `default.orders` or `default.orders.snapshots`. */
  table: string
  /** Null: the table has no snapshot yet. */
  snapshotId: bigint | null
  filesRead: number
  filesSkipped: number
  manifestsRead: number
  manifestsSkipped: number
}

export interface RunOptions {
  /** Fewer rows than the session's bound. */
  rowsMax?: number
  /** When there are more rows than `rowsMax`: `fault` (default) gives none, `cut` gives the first and says so. */
  overflow?: 'fault' | 'cut'
  /** Stops the statement; it fails with fault `cancelled`. */
  signal?: AbortSignal
}

export interface ResultStream {
  columns: Column[]
  /** Pages of rows, each row with one cell per column. Leaving the loop ends the statement. To be read to its end or left. */
  pages: AsyncIterable<Cell[][]>
  scans: ScanFacts[]
  /** After the last page: were rows left out (`overflow: 'cut'`)? */
  truncated(): boolean
}

export interface StatementResult {
  columns: Column[]
  rows: Cell[][]
  truncated: boolean
  scans: ScanFacts[]
  elapsedMs: number
}

export interface QuerySession {
  /**
   * Runs `;`-separated statements in order and gives the last one's result. Views made stay for later calls. Calls run
   * one after another.
   * @throws Fault `invalid` (SQL that is wrong; the message has DuckDB's words), `not-found` (no such table; near names are
   * given), `unsupported` (a statement or function that is not run), `limit`, `cancelled`, `unavailable`, `corrupt`
   */
  run(statements: string, options?: RunOptions): Promise<StatementResult>
  /** As `run`, but the last statement's rows come in pages as they are made. The next call waits for its end. */
  stream(statements: string, options?: RunOptions): Promise<ResultStream>
  close(): Promise<void>
}

export async function openQuerySession(options: QuerySessionOptions): Promise<QuerySession> {
  const bounds: QueryBounds = {
    memoryMiB: limits.queryMemoryMiB,
    timeMs: limits.queryTimeMs,
    rowsMax: limits.queryRowsMax,
    threads: limits.queryThreads,
    ...options.bounds,
  }
  return new Session(
    { ...options, bounds, views: options.views ?? {}, reader: options.reader ?? scanOf },
    await SqlParser.open(),
  )
}
