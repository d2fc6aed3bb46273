/**
 * Writes rows as Parquet data files of a table, by DuckDB's COPY.
 *
 * Every column is cast outermost to its exact type and carries its field id; after COPY the file's own schema is compared
 * with the wanted one, since a forgotten id or a widened decimal would be written without an error. Files are made in a
 * scratch folder and moved into place when all of them are right: a crash leaves files that no snapshot names, never a
 * wrong one that a snapshot does.
 */
import { mkdir, rm } from 'node:fs/promises'
import { eachAtOnce } from '../../base/each-at-once.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type DuckSession, ident, literal } from '../../duck/duck.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import { withoutTrailingSlash } from '../spec/metadata-json.ts'
import { partitionColumns } from '../spec/partition.ts'
import type { PartitionSpec, Schema } from '../spec/table-metadata.ts'
import { type CopiedFile, copiedFile, dataFileOf, splitOffsetsOf } from './data-file.ts'
import type { FileIO } from './file.ts'
import { checkParquetSchema, checkRequired, countNans } from './parquet-check.ts'
import { castColumn, duckNames, fieldIds, parquetLeaves } from './parquet-types.ts'
import { partitionFolder } from './partition-folder.ts'
import { valueFromText } from './partition-sql.ts'
import { type PartitionTerm, partitionTerms } from './partition-terms.ts'

export type ParquetCodec = 'zstd' | 'snappy' | 'gzip' | 'uncompressed'

export interface DataFileWrite {
  /** A SELECT statement, or anything else that may stand in `FROM (…)`; its columns have the schema's top-level names. */
  relationSql: string
  schema: Schema
  spec: PartitionSpec
  /** The table's location: files go to `<location>/data/<partition path>/<uuidv7>.parquet`. */
  location: string
  /** Terms of ORDER BY over the schema's columns, for the order of rows within each file. */
  orderBySql?: string
  /** The relation has no more rows than this, if that is known: then one file is enough, and it keeps the relation's order. */
  rowsAtMost?: number
  /** The sort order that `orderBySql` fulfils, for the files' entries. */
  sortOrderId?: number
  /** Default zstd. */
  codec?: ParquetCodec
  /** Default `limits.rowGroupRows`. */
  rowGroupRows?: number
  /**
   * Default `limits.dataFileRowsMax`; files end with the row group that reaches it. A partitioned write without
   * `orderBySql` makes one file per partition, whatever its size.
   */
  rowsPerFileMax?: number
  /** Time for the files' names, milliseconds since 1970. */
  nowMs: number
}

/**
 * Writes the relation's rows; one `DataFile` per file, none when there are no rows. The files are in place and durable
 * when this resolves, but in no snapshot yet. The relation is evaluated once. Row order within a file: `orderBySql`'s; else
 * the relation's when the table is unpartitioned and `rowsAtMost` is no more than `rowsPerFileMax`; else none to rely on.
 * @throws Fault `invalid` (null in a required column, a value that does not fit its column), `unsupported` (a type that
 * Parquet files of DuckDB cannot hold), `limit`, `unavailable`
 */
export async function writeDataFiles(session: DuckSession, io: FileIO, write: DataFileWrite): Promise<DataFile[]> {
  const terms = partitionTerms(write.spec, write.schema)
  const folder = await io.scratch('-copy')
  await mkdir(folder, { recursive: true })
  const copy = new Copy(session, write, folder)
  try {
    const copied = terms.length === 0 ? await copy.whole() : await copy.partitioned(terms)
    if (copied.length === 0) return []
    return await place(session, io, write, terms, copied)
  } finally {
    await copy.dropTables()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Checks the files written, then moves them into the table. */
async function place(
  session: DuckSession,
  io: FileIO,
  write: DataFileWrite,
  terms: readonly PartitionTerm[],
  copied: readonly CopiedFile[],
): Promise<DataFile[]> {
  const leaves = parquetLeaves(write.schema)
  const columns = partitionColumns(write.spec, write.schema)
  await checkParquetSchema(session, copied[0]!.localPath, write.schema)
  await checkRequired(session, copied, write.schema, leaves)
  const offsets = await splitOffsetsOf(session, copied)
  const files: DataFile[] = []
  for (const file of copied) {
    const partition = terms.map((term): Value => valueFromText(term.type, file.partitionKeys.get(term.column) ?? null))
    const filePath = `${withoutTrailingSlash(write.location)}/data/${partitionFolder(columns, partition)}${uuidv7(write.nowMs)}.parquet`
    const dataFile = dataFileOf(file, leaves, {
      content: 'data',
      filePath,
      specId: write.spec['spec-id'],
      partition,
      splitOffsets: offsets.get(file.localPath) ?? [],
      nanCounts: await countNans(session, file, leaves),
    })
    if (write.sortOrderId !== undefined) dataFile.sortOrderId = write.sortOrderId
    files.push(dataFile)
  }
  await eachAtOnce(limits.filesAtOnce, files, (file, at) => io.putFile(file.filePath, copied[at]!.localPath))
  return files
}

const NAMES = "FILENAME_PATTERN '{uuidv7}'"

/** One write's statements. */
class Copy {
  readonly #session: DuckSession
  readonly #write: DataFileWrite
  readonly #folder: string
  readonly #tables: string[] = []

  constructor(session: DuckSession, write: DataFileWrite, folder: string) {
    this.#session = session
    this.#write = write
    this.#folder = folder
  }

  async whole(): Promise<CopiedFile[]> {
    const { relationSql, orderBySql, rowsAtMost } = this.#write
    const rows = `SELECT ${await this.#columns()} FROM (${relationSql})`
    const ordered = orderBySql === undefined ? rows : `${rows} ORDER BY ${orderBySql}`
    const rowsPerFile = this.#rowsPerFile()
    if (rowsAtMost !== undefined && rowsAtMost <= rowsPerFile) return this.#copyOne(ordered)
    if (orderBySql === undefined) return this.#copyMany(rows)
    const sorted = await this.#table(ordered)
    const count = Number(await this.#session.value(`SELECT count(*) FROM ${sorted}`))
    return this.#copySlices(sorted, 0, count)
  }

  async partitioned(terms: readonly PartitionTerm[]): Promise<CopiedFile[]> {
    const { relationSql, orderBySql } = this.#write
    const rows = `SELECT ${await this.#columns()} FROM (${relationSql})`
    const mapped = terms.filter((term) => term.sql === null)
    if (mapped.length === 0 && orderBySql === undefined)
      return this.#copyByKeys(this.#withKeys(rows, terms, new Map()), terms)
    const source = await this.#table(rows)
    const maps = new Map<PartitionTerm, string>()
    for (const term of mapped) maps.set(term, await this.#mapTable(source, term))
    const keyed = this.#withKeys(`SELECT * FROM ${source}`, terms, maps)
    if (orderBySql === undefined) return this.#copyByKeys(keyed, terms)
    return this.#copyEach(keyed, terms, orderBySql)
  }

  /** Rows with a text column per partition field. */
  #withKeys(rows: string, terms: readonly PartitionTerm[], maps: ReadonlyMap<PartitionTerm, string>): string {
    const keys = terms.map((term) => {
      const table = maps.get(term)
      return `${table === undefined ? term.sql : `${table}.key`} AS ${ident(term.column)}`
    })
    const joins = [...maps].map(([term, table]) => ` LEFT JOIN ${table} ON ${table}.source = ${term.sourceText}`)
    return `SELECT t.*, ${keys.join(', ')} FROM (${rows}) AS t${joins.join('')}`
  }

  /** For transforms without exact SQL: every distinct source value with its partition value, computed here page by page. */
  async #mapTable(source: string, term: PartitionTerm): Promise<string> {
    const distinct = await this.#table(`SELECT DISTINCT ${term.sourceText} AS source FROM ${source} AS t`)
    const table = this.#tableName()
    await this.#session.run(`CREATE TEMP TABLE ${table} (source VARCHAR, key VARCHAR)`)
    this.#tables.push(table)
    const page = limits.partitionValuesPage
    const count = Number(await this.#session.value(`SELECT count(*) FROM ${distinct}`))
    for (let at = 0; at < count; at += page) {
      const rows = await this.#session.rows(
        `SELECT source FROM ${distinct} WHERE rowid >= ${at} AND rowid < ${at + page}`,
      )
      const sources = rows.map((row) => row['source'] as string | null).filter((text) => text !== null)
      // As JSON, two parameters: a statement of ten thousand literals takes ten times as long to parse.
      await this.#session.run(
        `INSERT INTO ${table} SELECT unnest(from_json($1, '["VARCHAR"]')), unnest(from_json($2, '["VARCHAR"]'))`,
        [JSON.stringify(sources), JSON.stringify(sources.map((text) => term.keyOf(text)))],
      )
    }
    return table
  }

  /** One COPY that makes a file per partition; within a file the order of rows is not kept. */
  async #copyByKeys(keyed: string, terms: readonly PartitionTerm[]): Promise<CopiedFile[]> {
    const by = terms.map((term) => ident(term.column)).join(', ')
    return this.#copy(keyed, `PARTITION_BY (${by}), HIVE_FILE_PATTERN false, ${NAMES}`)
  }

  /** A COPY per partition, which keeps the order. */
  async #copyEach(keyed: string, terms: readonly PartitionTerm[], orderBySql: string): Promise<CopiedFile[]> {
    const by = terms.map((term) => ident(term.column)).join(', ')
    const sorted = await this.#table(`SELECT * FROM (${keyed}) ORDER BY ${by}, ${orderBySql}`)
    const groups = await this.#session.rows(
      `SELECT ${by}, min(rowid) AS first, max(rowid) AS last FROM ${sorted} GROUP BY ${by} ORDER BY first`,
    )
    const copied: CopiedFile[] = []
    for (const group of groups) {
      const keys = new Map(terms.map(({ column }) => [column, group[column] as string | null]))
      const files = await this.#copySlices(sorted, Number(group['first']), Number(group['last']) + 1)
      for (const file of files) copied.push({ ...file, partitionKeys: keys })
    }
    return copied
  }

  async #columns(): Promise<string> {
    const { schema, relationSql } = this.#write
    const described = await this.#session.rows(`DESCRIBE SELECT * FROM (${relationSql})`)
    const types = new Map(
      described.map((row) => [String(row['column_name']).toLowerCase(), String(row['column_type'])]),
    )
    const names = duckNames(schema)
    return schema.fields
      .map((field, at) => castColumn(field, names[at]!, types.get(names[at]!.toLowerCase())))
      .join(', ')
  }

  /** One file with the rows in their order. */
  async #copyOne(rows: string): Promise<CopiedFile[]> {
    return this.#copy(rows, 'WRITE_EMPTY_FILE false', '.parquet')
  }

  /**
   * Files that end with the row group that reaches the bound. Threads write row groups as they come: rows of a file are in
   * no order, whatever the relation's is.
   */
  async #copyMany(rows: string): Promise<CopiedFile[]> {
    const groups = Math.max(1, Math.ceil(this.#rowsPerFile() / this.#rowGroupRows()))
    return this.#copy(rows, `WRITE_EMPTY_FILE false, ROW_GROUPS_PER_FILE ${groups}, ${NAMES}`)
  }

  /** Rows [first, end) of a table of ours in files of the bound's size, in their order. */
  async #copySlices(table: string, first: number, end: number): Promise<CopiedFile[]> {
    const columns = duckNames(this.#write.schema).map(ident).join(', ')
    const copied: CopiedFile[] = []
    for (let at = first; at < end; at += this.#rowsPerFile()) {
      const last = Math.min(end, at + this.#rowsPerFile()) - 1
      copied.push(...(await this.#copyOne(`SELECT ${columns} FROM ${table} WHERE rowid BETWEEN ${at} AND ${last}`)))
    }
    return copied
  }

  #rowsPerFile(): number {
    return this.#write.rowsPerFileMax ?? limits.dataFileRowsMax
  }

  #rowGroupRows(): number {
    return this.#write.rowGroupRows ?? limits.rowGroupRows
  }

  async #copy(rows: string, layout: string, suffix = ''): Promise<CopiedFile[]> {
    const target = `${this.#folder}/${uuidv7(this.#write.nowMs)}${suffix}`
    const options = [
      'FORMAT parquet',
      `COMPRESSION ${this.#write.codec ?? 'zstd'}`,
      `ROW_GROUP_SIZE ${this.#rowGroupRows()}`,
      `FIELD_IDS ${fieldIds(this.#write.schema)}`,
      'RETURN_STATS',
      layout,
    ]
    return (await this.#session.rows(`COPY (${rows}) TO ${literal(target)} (${options.join(', ')})`)).map(copiedFile)
  }

  async #table(rows: string): Promise<string> {
    const table = this.#tableName()
    await this.#session.run(`CREATE TEMP TABLE ${table} AS ${rows}`)
    this.#tables.push(table)
    return table
  }

  #tableName(): string {
    return ident(`tidewater_write_${uuidv7(this.#write.nowMs)}`)
  }

  async dropTables(): Promise<void> {
    await this.#session.dropTables(this.#tables)
  }
}
