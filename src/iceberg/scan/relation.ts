/**
 * A plan as SQL: the relation that reads the planned files by field id, deletes applied.
 *
 * Files with equal Parquet schemas are read together. Deletes are bitmaps, one for every 65,536 rows of a data file that have
 * some, made of the rows of its delete files whose path is the data file's letter by letter, and asked by the row's position:
 * nearly as fast as no deletes at all, where an anti-join would take three times as long.
 */

import { must } from '../../base/assert.ts'
import { eachAtOnce } from '../../base/each-at-once.ts'
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { type DuckSession, ident, listLiteral, literal } from '../../duck/duck.ts'
import type { FileIO } from '../file/file.ts'
import { duckNames } from '../file/parquet-types.ts'
import { DELETE_FILE_PATH, DELETE_POS } from '../file/position-deletes.ts'
import type { NestedField, Schema } from '../spec/table-metadata.ts'
import { columnRead, relationType } from './column-sql.ts'
import { missingFile } from './missing-file.ts'
import { hasNoIds, NAME_MAPPING_PROPERTY, withMappedIds } from './name-mapping.ts'
import { type ParquetGroup, parquetGroups } from './parquet-group.ts'
import type { ScanPlan, ScanTask } from './scan.ts'

export interface ScanRelationOptions {
  /** Top-level columns wanted, in this order, named as in the relation; default all of the plan's schema. */
  columns?: readonly string[]
  /** Adds `_file` (VARCHAR, the location as in the manifest) and `_pos` (BIGINT, from 0 in the file). */
  withPosition?: boolean
  /**
   * Number of each planned file, by its location: then `_file` (INTEGER) is that. To be joined with, a number costs a small part of
   * what a location does, in time and in memory.
   */
  fileIds?: ReadonlyMap<string, number>
}

/** What the two columns of positions are made of. */
type Position = Pick<ScanRelationOptions, 'withPosition' | 'fileIds'>

export interface ScanRelation {
  /** A SELECT; use as `FROM (${sql})`. Reads nothing but `localPaths`. */
  sql: string
  localPaths: string[]
}

/** Positions are 32-bit in bitmaps. */
const ROWS_MAX = 2 ** 31 - 1
/** One bitmap is of so many rows (as a power of two): DuckDB is slow with long ones, and takes memory beyond its bound for them. */
const BITMAP_SHIFT = 16

interface Column {
  field: NestedField
  name: string
}

/**
 * Columns have their own names, except those that DuckDB cannot tell apart (`duckNames`). Without rows, the relation is
 * empty and has its types.
 * @throws Fault `invalid` (no such column), `corrupt` (a file is gone), `unsupported` (a type, a file without field ids)
 */
export async function scanRelation(
  session: DuckSession,
  io: FileIO,
  plan: ScanPlan,
  options: ScanRelationOptions = {},
): Promise<ScanRelation> {
  const columns = columnsOf(plan.schema, options.columns)
  if (plan.tasks.length === 0) return { sql: emptySql(columns, options), localPaths: [] }
  requireRoom(io, plan.tasks)
  const local = await localPaths(io, plan.tasks).catch((error: unknown) => {
    throw missingFile(error, plan.table, plan.snapshot)
  })
  const groups = await parquetGroups(session, plan.tasks, (path) => local.get(path)!)
  const parts = groups.flatMap((group) => {
    const byName = hasNoIds(group.nodes)
    const nodes = byName ? mappedNodes(group, plan) : group.nodes
    const read = (tasks: ScanTask[]): string[] =>
      tasks.length === 0 ? [] : [readSql({ nodes, byName, tasks }, columns, options, local)]
    const [clean, marked] = split(group.tasks, (task) => task.deletes.length === 0)
    return [...read(clean), ...read(marked)]
  })
  return { sql: parts.join('\nUNION ALL\n'), localPaths: [...local.values()] }
}

/** All files of a scan are opened by one statement, so their local copies must fit at once. @throws Fault `limit` */
function requireRoom(io: FileIO, tasks: readonly ScanTask[]): void {
  if (io.localBytesMax === null) return
  const files = new Map(tasks.flatMap(({ file, deletes }) => [file, ...deletes]).map((file) => [file.filePath, file]))
  const bytes = [...files.values()].reduce((sum, { fileSizeBytes }) => sum + fileSizeBytes, 0)
  if (bytes <= io.localBytesMax) return
  throw new Fault(
    'limit',
    `expected the files to be read to fit the local copies of ${io.localBytesMax} bytes, got ${files.size} files of ${bytes} bytes; narrow the filter, or raise warehouse.cacheMiB`,
    { bytes, bytesMax: io.localBytesMax, files: files.size },
  )
}

/** Location → local path of every data and delete file. */
async function localPaths(io: FileIO, tasks: readonly ScanTask[]): Promise<Map<string, string>> {
  const locations = new Set(
    tasks.flatMap(({ file, deletes }) => [file.filePath, ...deletes.map((each) => each.filePath)]),
  )
  // Set first: the order is that of the plan, however soon each file is there.
  const local = new Map<string, string>([...locations].map((location) => [location, '']))
  await eachAtOnce(limits.filesAtOnce, [...locations], async (location) => {
    local.set(location, await io.localFile(location))
  })
  return local
}

function columnsOf(schema: Schema, wanted: readonly string[] | undefined): Column[] {
  const names = duckNames(schema)
  const all = schema.fields.map((field, at): Column => ({ field, name: names[at]! }))
  if (wanted === undefined) return all
  return wanted.map((name) => {
    const column = all.find((known) => known.name.toLowerCase() === name.toLowerCase())
    if (column !== undefined) return column
    throw new Fault(
      'invalid',
      `expected columns of the table, got "${name}"; it has ${names.slice(0, 20).join(', ')}`,
      {
        column: name,
      },
    )
  })
}

function emptySql(columns: readonly Column[], { withPosition, fileIds }: Position): string {
  const typed = columns.map(({ field, name }) => `NULL::${relationType(field.type, field.name)} AS ${ident(name)}`)
  if (withPosition)
    typed.push(`NULL::${fileIds === undefined ? 'VARCHAR' : 'INTEGER'} AS _file`, 'NULL::BIGINT AS _pos')
  return `SELECT ${typed.length === 0 ? 'NULL' : typed.join(', ')} WHERE false`
}

function split<T>(all: readonly T[], test: (each: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter((each) => !test(each))]
}

/** The columns of files without field ids, with ids by the table's name mapping. */
function mappedNodes(group: ParquetGroup, plan: ScanPlan): ParquetGroup['nodes'] {
  if (plan.nameMapping !== undefined) return withMappedIds(group.nodes, plan.nameMapping)
  throw new Fault(
    'unsupported',
    `the data file ${group.tasks[0]?.file.filePath} has no field ids and the table has no name mapping: set the table property ${NAME_MAPPING_PROPERTY}`,
  )
}

/** The SELECT over files of one Parquet schema. */
function readSql(
  { nodes, tasks, byName }: ParquetGroup & { byName: boolean },
  columns: readonly Column[],
  { withPosition, fileIds }: Position,
  local: ReadonlyMap<string, string>,
): string {
  const reads = columns.map(({ field }) => {
    const node = nodes.find((known) => known.id === field.id)
    return { field, node, read: columnRead(field, node) }
  })
  const files = listLiteral(tasks.map((task) => local.get(task.file.filePath)!))
  const entries = reads.map(({ field, node, read }) => {
    // A key that no file has gives the default.
    const key = byName ? literal(node?.name ?? `no column ${field.id}`) : String(field.id)
    return `${key}: {name: ${literal(`c${field.id}`)}, type: ${literal(read.type)}, default_value: ${read.defaultText === null ? 'NULL::VARCHAR' : literal(read.defaultText)}}`
  })
  const schema = entries.length === 0 ? '' : `, schema = MAP {${entries.join(', ')}}`
  const selected = reads.map(({ field, read }, at) => `${read.sql(`r.c${field.id}`)} AS ${ident(columns[at]!.name)}`)
  if (withPosition) {
    const paths = tasks.map((task) => task.file.filePath)
    const names =
      fileIds === undefined
        ? listLiteral(paths)
        : `([${paths.map((path) => must(fileIds.get(path), `the number of ${path}`)).join(', ')}]::INTEGER[])`
    selected.push(`${names}[r.file_index::BIGINT + 1] AS _file`, 'r.file_row_number AS _pos')
  }
  // With a schema given, DuckDB looks into no file before it plans, and would take all of them to have no row: then it would hold the rows
  // in memory and let what they are joined with stream by.
  const rows = `, explicit_cardinality = ${tasks.reduce((sum, task) => sum + task.file.recordCount, 0)}`
  const from = `SELECT ${selected.length === 0 ? 'NULL' : selected.join(', ')} FROM read_parquet(${files}${schema}${rows}) AS r`
  return tasks[0]!.deletes.length === 0 ? from : from + deletesSql(tasks, local)
}

/** The join that leaves deleted rows out. */
function deletesSql(tasks: readonly ScanTask[], local: ReadonlyMap<string, string>): string {
  const deletes = [...new Set(tasks.flatMap((task) => task.deletes.map((file) => file.filePath)))]
  const indexOf = new Map(deletes.map((path, at) => [path, at]))
  const rows = Math.max(...tasks.map((task) => task.file.recordCount))
  if (rows > ROWS_MAX) {
    throw new Fault(
      'limit',
      `a data file of ${rows} rows has deleted rows; at most ${ROWS_MAX} can be marked: compact the table`,
    )
  }
  // Types are those of `file_index` and `file_row_number`: a comparison of others would go by way of HUGEINT.
  const files = tasks.map((task, at) => `(${at}::UBIGINT, ${literal(task.file.filePath)})`)
  const pairs = tasks.flatMap((task, at) =>
    task.deletes.map((file) => `(${at}::UBIGINT, ${indexOf.get(file.filePath)}::UBIGINT)`),
  )
  const schema = `MAP {${DELETE_FILE_PATH}: {name: 'path', type: 'VARCHAR', default_value: NULL::VARCHAR}, ${DELETE_POS}: {name: 'pos', type: 'BIGINT', default_value: NULL::VARCHAR}}`
  const bits = 2 ** BITMAP_SHIFT
  // There are no more of them: as many as DuckDB would expect of their positions may be more than there are rows.
  const bitmaps = tasks.reduce((sum, task) => sum + Math.ceil(task.file.recordCount / bits), 0)
  // Positions are gathered by path first: joining every row by its text would take most of the time.
  return ` LEFT JOIN (
  SELECT file, (pos >> ${BITMAP_SHIFT})::INTEGER AS part, bitstring_agg(pos & ${bits - 1}, 0, ${bits - 1}) AS deleted FROM (
    SELECT f.file AS file, unnest(d.positions) AS pos
    FROM (
      SELECT file_index AS deletes, path, list(pos::INTEGER) AS positions
      FROM read_parquet(${listLiteral(deletes.map((path) => local.get(path)!))}, schema = ${schema})
      WHERE pos BETWEEN 0 AND ${Math.max(rows - 1, 0)} GROUP BY ALL
    ) AS d
    JOIN (VALUES ${pairs.join(', ')}) AS p(file, deletes) ON p.deletes = d.deletes
    JOIN (VALUES ${files.join(', ')}) AS f(file, path) ON f.file = p.file AND f.path = d.path
  ) GROUP BY ALL LIMIT ${bitmaps}
) AS b ON b.file = r.file_index AND b.part = (r.file_row_number >> ${BITMAP_SHIFT})::INTEGER
WHERE b.deleted IS NULL OR get_bit(b.deleted, (r.file_row_number & ${bits - 1})::INTEGER) = 0`
}
