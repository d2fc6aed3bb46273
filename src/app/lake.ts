/**
 * `tidewater/iceberg`: Iceberg tables from Node, on their own. Catalog, tables, appends, upserts, deletes, SQL and history,
 * without the rest of Tidewater.
 *
 * ```ts
 * const lake = await openLake({ catalog: './lake/catalog.db', warehouse: './lake/warehouse' })
 * const orders = await lake.createTable('shop.orders', { columns: { id: 'LONG NOT NULL', total: 'DECIMAL(9, 2)' }, key: ['id'] })
 * await orders.upsert([{ id: 1, total: '12.50' }])
 * for await (const row of orders.rows()) console.log(row)
 * await lake.close()
 * ```
 *
 * Rows are objects by column name. Longs may be bigint; decimals, dates and timestamps are text (`2024-05-01 10:00:00.123`), binary is
 * hex text; lists are arrays, maps and structs are objects. One process writes to a table at a time through one lake; other
 * engines may commit in between, and any number may read.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { assert } from '../base/assert.ts'
import { systemClock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { Duck, ident } from '../duck/duck.ts'
import { evolveSchema } from '../iceberg/action/evolve-schema.ts'
import { rollbackToSnapshot } from '../iceberg/action/set-ref.ts'
import { type Catalog, formatIdent, type LoadedTable, parseIdent, type TableIdent } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import { openSqliteCatalog } from '../iceberg/catalog/sqlite.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { storeIo } from '../iceberg/file/store-io.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import type { Schema, TableChange } from '../iceberg/spec/table-metadata.ts'
import { parseOrderText, parseSpecText } from '../iceberg/spec/term-text.ts'
import { formatTypeText, parseTypeText } from '../iceberg/spec/type-text.ts'
import { type Cell, openQuerySession, type QuerySession, type ResultStream } from '../query/query.ts'
import { openFileStore } from '../store/file.ts'
import { parseS3Properties } from '../store/s3-connection.ts'
import { expire } from '../table/expiry.ts'
import { type KeptTable, unwrittenTable } from '../table/kept-table.ts'
import type { CommitReport, TableDefinition, WriteMode } from '../table/table.ts'
import { type OptimizeReport, TableUpkeep } from '../table/upkeep.ts'
import { TableWriter } from '../table/writer.ts'
import { type ExpireOptions, type ExpireReport, expireRequest, type OrphanOptions, orphansOf } from './maintenance.ts'
import { SegmentBuffer } from './segment-buffer.ts'
import { s3Place, s3Warehouse } from './warehouse.ts'

export { Fault, type FaultKind } from '../base/fault.ts'
export type { Cell } from '../query/query.ts'
export type { CommitReport } from '../table/table.ts'
export type { OptimizeReport } from '../table/upkeep.ts'
export type { ExpireOptions, ExpireReport, OrphanOptions } from './maintenance.ts'

export interface LakeOptions {
  /** SQLite catalog file, in the layout of PyIceberg and Java. Made if it is not there. */
  catalog: string
  /** Folder of the tables' files, made if it is not there; or `s3://bucket/prefix`. */
  warehouse: string
  /** How to reach S3, for a warehouse there: properties as PyIceberg has them, e.g. `s3.endpoint`; `env:NAME` names a variable. */
  s3?: Record<string, string | boolean>
  /** Catalog name. Default `tidewater`; another name sees other tables. */
  name?: string
  /** Folder for row indexes, which speed up the next upserts, and for local copies of files on S3. Default: a temporary one, gone at `close`. */
  cache?: string
  /** Bound of the local copies of files on S3, MiB. Default 8192. */
  cacheMiB?: number
  /** DuckDB's buffers, MiB. Default 512. */
  memoryMiB?: number
  threads?: number
}

export type Row = { [column: string]: Json | undefined }
export type Rows = Iterable<Row> | AsyncIterable<Row>

export interface NewTableOptions {
  /** Column name → type, e.g. `LONG NOT NULL`, `ARRAY<STRING>`, `STRUCT<a: INTEGER>`. */
  columns: Record<string, string>
  /** Columns that identify a row; `upsert` and `delete` need them. They must be NOT NULL. */
  key?: readonly string[]
  /** e.g. `day(at), bucket(16, id)`. */
  partitioning?: string
  /** e.g. `id desc nulls last`. */
  sortOrder?: string
  properties?: Record<string, string>
}

export interface SnapshotFacts {
  snapshotId: bigint
  parentId: bigint | null
  committedAt: Date
  operation: string
  summary: Readonly<Record<string, string>>
}

export interface ReadOptions {
  /** Default: all. */
  columns?: readonly string[]
  /** SQL condition, e.g. `total > 10 AND region = 'eu'`. Files that cannot match are not read. */
  where?: string
  /** Read as of this snapshot. */
  snapshotId?: bigint
  /** Read as of this moment. */
  asOf?: Date
}

/** Opens a lake. @throws Fault `unavailable`, `invalid` */
export async function openLake(options: LakeOptions): Promise<Lake> {
  await mkdir(path.dirname(path.resolve(options.catalog)), { recursive: true })
  const scratch = await mkdtemp(path.join(tmpdir(), 'tidewater-'))
  const { warehouse, staging, io } = await openFiles(options, options.cache ?? scratch)
  const catalog = await openSqliteCatalog({
    path: path.resolve(options.catalog),
    name: options.name ?? 'tidewater',
    warehouse,
    io,
    clock: systemClock,
  })
  const duck = await Duck.open({
    memoryMiB: options.memoryMiB ?? 512,
    threads: options.threads ?? availableParallelism(),
    spillDir: path.join(scratch, 'spill'),
  })
  if (options.cache !== undefined) await mkdir(options.cache, { recursive: true })
  return new Lake({ catalog, io, duck, scratch, staging, cache: options.cache ?? scratch })
}

interface LakeFiles {
  /** URI without a slash at its end. */
  warehouse: string
  /** Folder for files not yet in the warehouse. */
  staging: string
  io: FileIO
}

async function openFiles(options: LakeOptions, cache: string): Promise<LakeFiles> {
  const place = s3Place(options.warehouse)
  if (place === null) {
    const root = path.resolve(options.warehouse)
    const store = await openFileStore({ root, create: true })
    // On the warehouse's own file system, so that finished files move instead of being copied.
    const staging = await mkdtemp(path.join(root, '.tidewater-tmp-'))
    const warehouse = `file://${root}`
    return { warehouse, staging, io: storeIo(store, { root: warehouse, scratchDir: staging }) }
  }
  const parsed = parseS3Properties(options.s3 ?? {}, 's3', process.env)
  if ('problems' in parsed) {
    throw new Fault('invalid', parsed.problems.map((problem) => `${problem.path}: ${problem.message}`).join('\n'))
  }
  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(path.join(cache, '.tidewater-tmp-'))
  const io = s3Warehouse({
    place,
    connection: parsed.connection,
    cacheDir: path.join(cache, 'files'),
    scratchDir: staging,
    ...(options.cacheMiB !== undefined && { cacheBytes: options.cacheMiB * 1024 * 1024 }),
  })
  return { warehouse: place.uri, staging, io }
}

interface LakeParts {
  catalog: Catalog
  io: FileIO
  duck: Duck
  scratch: string
  staging: string
  cache: string
}

export class Lake {
  readonly #parts: LakeParts
  readonly #tables = new Set<Table>()
  #query: Promise<QuerySession> | null = null

  constructor(parts: LakeParts) {
    this.#parts = parts
  }

  /** Creates a table; its namespace too. @throws Fault `conflict` when it exists, `invalid` for what is wrong with it */
  async createTable(name: string, options: NewTableOptions): Promise<Table> {
    const ident = parseIdent(name)
    const schema = schemaOf(options.columns, options.key ?? [])
    await this.#parts.catalog.createNamespace(ident.namespace)
    await this.#parts.catalog.create(ident, {
      schema,
      formatVersion: 2,
      ...(options.partitioning === undefined ? {} : { spec: parseSpecText(options.partitioning, schema) }),
      ...(options.sortOrder === undefined ? {} : { sortOrder: parseOrderText(options.sortOrder, schema) }),
      ...(options.properties === undefined ? {} : { properties: options.properties }),
    })
    return this.table(name)
  }

  /** A table that is there. @throws Fault `not-found` */
  async table(name: string): Promise<Table> {
    const ident = parseIdent(name)
    const known = [...this.#tables].find((table) => table.name === name)
    if (known !== undefined) return known
    await this.#parts.catalog.load(ident)
    const table = new Table(this.#parts, ident, () => this.#session())
    this.#tables.add(table)
    return table
  }

  async listTables(): Promise<string[]> {
    const { catalog } = this.#parts
    const namespaces = await catalog.listNamespaces()
    return (await Promise.all(namespaces.map((namespace) => catalog.listTables(namespace)))).flat().map(formatIdent)
  }

  /** Forgets a table; its files stay. */
  async dropTable(name: string): Promise<void> {
    await this.#parts.catalog.drop(parseIdent(name))
  }

  /** Read-only SQL over all tables, as in docs/sql.md; rows as they are made. */
  async *sql(statements: string): AsyncGenerator<{ [column: string]: Cell }> {
    yield* rowsOf(await (await this.#session()).stream(statements))
  }

  async close(): Promise<void> {
    for (const table of this.#tables) await table.close()
    if (this.#query !== null) await (await this.#query).close()
    await this.#parts.catalog.close()
    this.#parts.duck.close()
    for (const dir of [this.#parts.scratch, this.#parts.staging]) await rm(dir, { recursive: true, force: true })
  }

  #session(): Promise<QuerySession> {
    const { catalog, io } = this.#parts
    this.#query ??= openQuerySession({ catalog, io, clock: systemClock })
    return this.#query
  }
}

export class Table {
  readonly name: string
  readonly #parts: LakeParts
  readonly #ident: TableIdent
  readonly #session: () => Promise<QuerySession>
  #writer: { mode: WriteMode; writer: TableWriter } | null = null
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: LakeParts, ident: TableIdent, session: () => Promise<QuerySession>) {
    this.#parts = parts
    this.#ident = ident
    this.#session = session
    this.name = formatIdent(ident)
  }

  /** Column name → type, as of now. */
  async columns(): Promise<Record<string, string>> {
    const { metadata } = await this.#load()
    return Object.fromEntries(
      currentSchema(metadata).fields.map((field) => [
        field.name,
        `${formatTypeText(field.type)}${field.required ? ' NOT NULL' : ''}`,
      ]),
    )
  }

  /** Adds rows in one commit. Null when there are none. @throws Fault `invalid` when a row does not fit */
  append(rows: Rows): Promise<CommitReport | null> {
    return this.#commit('append', rows, 'upsert')
  }

  /** Writes rows in one commit, each replacing the row of its key; of two rows with one key the later counts. */
  upsert(rows: Rows): Promise<CommitReport | null> {
    return this.#commit('upsert', rows, 'upsert')
  }

  /** Deletes by key in one commit; keys that are not there are no error. */
  delete(keys: Rows): Promise<CommitReport | null> {
    return this.#commit('upsert', keys, 'delete')
  }

  /** Rows, as they are read. */
  async *rows(options: ReadOptions = {}): AsyncGenerator<{ [column: string]: Cell }> {
    const table = [...this.#ident.namespace, this.#ident.name].map(ident).join('.')
    const at =
      options.snapshotId !== undefined
        ? ` AT (VERSION => ${options.snapshotId})`
        : options.asOf !== undefined
          ? ` AT (TIMESTAMP => TIMESTAMP '${options.asOf.toISOString().replace('T', ' ').replace('Z', '')}')`
          : ''
    const where = options.where === undefined ? '' : ` WHERE ${options.where}`
    const columns = options.columns?.map(ident).join(', ') ?? '*'
    yield* rowsOf(await (await this.#session()).stream(`SELECT ${columns} FROM ${table}${at}${where}`))
  }

  /** Snapshots, oldest first. */
  async snapshots(): Promise<SnapshotFacts[]> {
    const { metadata } = await this.#load()
    return metadata.snapshots.map((snapshot) => ({
      snapshotId: snapshot['snapshot-id'],
      parentId: snapshot['parent-snapshot-id'] ?? null,
      committedAt: new Date(snapshot['timestamp-ms']),
      operation: snapshot.summary.operation,
      summary: snapshot.summary,
    }))
  }

  /** Makes an earlier snapshot of this table's history the current one. @throws Fault `not-found`, `invalid` */
  async rollback(snapshotId: bigint): Promise<void> {
    await this.#change((table) => rollbackToSnapshot(table.metadata, snapshotId))
  }

  /**
   * Merges small files and takes deleted rows out, in as many commits as it takes; the rows stay. Others may commit meanwhile: rows
   * that they add, replace or delete are as they left them. Writes through this lake wait for it.
   */
  optimize(): Promise<OptimizeReport> {
    return this.#inTurn(async () => {
      const session = await this.#parts.duck.connect()
      try {
        return await new TableUpkeep(this.#kept(), session).optimize()
      } finally {
        session.close()
      }
    })
  }

  /**
   * Forgets old snapshots, but for the current one and what branches and tags need, and removes the files that only they could reach:
   * those made before `olderThan` (default: the table's `history.expire.max-snapshot-age-ms`, or 5 days ago) that are not among the
   * newest `keep` (default: `history.expire.min-snapshots-to-keep`, or 20).
   * @throws Fault `unsupported` when the table forbids it (`gc.enabled`), `invalid` when `keep` is no whole number from 1
   */
  expireSnapshots(options: ExpireOptions = {}): Promise<ExpireReport> {
    return this.#inTurn(async () => expire(this.#kept(), await this.#load(), expireRequest(options)))
  }

  /**
   * Removes files in the table's folder that no snapshot reaches and that were made before `olderThan` (default: 3 days ago): what
   * crashes and lost races have left. Gives their locations; with `dryRun` nothing is removed.
   * @throws Fault `invalid` when `olderThan` is less than a day ago: another engine's commit may be under way
   */
  removeOrphans(options: OrphanOptions = {}): Promise<string[]> {
    const { io } = this.#parts
    return this.#inTurn(() => orphansOf({ io, load: () => this.#load(), ...options }))
  }

  /** Adds an optional column, null in the rows that are there. @throws Fault `conflict` when the name is taken */
  async addColumn(name: string, type: string): Promise<void> {
    await this.#change((table) =>
      evolveSchema(table.metadata, [{ edit: 'add', name, type: parseTypeText(type, () => 0) }]),
    )
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#writer?.writer.close()
    this.#writer = null
  }

  #load(): Promise<LoadedTable> {
    return this.#parts.catalog.load(this.#ident)
  }

  async #change(plan: (table: LoadedTable) => TableChange): Promise<void> {
    await commitChange(this.#parts.catalog, this.#ident, {
      commitId: uuidv7(systemClock.nowMs()),
      clock: systemClock,
      plan: async (table) => plan(table),
    })
  }

  #commit(mode: WriteMode, rows: Rows, op: 'upsert' | 'delete'): Promise<CommitReport | null> {
    return this.#inTurn(() => this.#write(mode, rows, op))
  }

  /** One commit at a time per table, in the order of the calls. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** With the index, if one is open. */
  #kept(): KeptTable {
    const { catalog, io } = this.#parts
    return this.#writer?.writer ?? unwrittenTable({ catalog, io, clock: systemClock }, this.#ident)
  }

  async #write(mode: WriteMode, rows: Rows, op: 'upsert' | 'delete'): Promise<CommitReport | null> {
    const writer = await this.#writerFor(mode)
    const from = await writer.committedOffset()
    const buffer = await SegmentBuffer.open(this.#parts.scratch, from)
    try {
      for await (const row of rows) await buffer.add(row, op)
      const segment = await buffer.finish()
      return segment === null ? null : await writer.commit([segment], from, segment.end)
    } finally {
      await buffer.discard()
    }
  }

  async #writerFor(mode: WriteMode): Promise<TableWriter> {
    if (this.#writer?.mode === mode) return this.#writer.writer
    await this.#writer?.writer.close()
    this.#writer = null
    const { metadata } = await this.#load()
    const definition = definitionOf(this.#ident, currentSchema(metadata), mode)
    const { catalog, io, duck, cache } = this.#parts
    const writer = await TableWriter.open(
      { catalog, io, clock: systemClock, session: await duck.connect() },
      { definition, indexPath: path.join(cache, `${this.name}.duckdb`), logName: 'library' },
    )
    this.#writer = { mode, writer }
    return writer
  }
}

async function* rowsOf({ columns, pages }: ResultStream): AsyncGenerator<{ [column: string]: Cell }> {
  for await (const page of pages) {
    for (const cells of page) yield Object.fromEntries(columns.map((column, at) => [column.name, cells[at] ?? null]))
  }
}

function definitionOf(ident: TableIdent, schema: Schema, mode: WriteMode): TableDefinition {
  const key = (schema['identifier-field-ids'] ?? []).map((id) => schema.fields.find((field) => field.id === id)?.name)
  if (mode === 'append') return { ident, schema, mode, key: [] }
  if (key.length === 0 || key.includes(undefined)) {
    throw new Fault(
      'invalid',
      `${formatIdent(ident)} has no key (identifier fields), so rows cannot be replaced or deleted; create it with key: […]`,
    )
  }
  return { ident, schema, mode, key: key.filter((name) => name !== undefined) }
}

function schemaOf(columns: Record<string, string>, key: readonly string[]): Schema {
  let nextId = 1
  const fields = Object.entries(columns).map(([name, text]) => {
    const [, type, required] = /^(.*?)(\s+not\s+null)?$/is.exec(text.trim()) ?? []
    assert(type !== undefined, 'the pattern matches any text')
    return { id: nextId++, name, required: required !== undefined, type: parseTypeText(type, () => nextId++) }
  })
  const identifier = key.map((name) => {
    const field = fields.find((candidate) => candidate.name === name)
    if (field === undefined)
      throw new Fault(
        'invalid',
        `key: expected columns of the table (${Object.keys(columns).join(', ')}), got "${name}"`,
      )
    return field.id
  })
  return {
    type: 'struct',
    'schema-id': 0,
    fields,
    ...(identifier.length > 0 ? { 'identifier-field-ids': identifier } : {}),
  }
}
