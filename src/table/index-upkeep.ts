/**
 * Bringing a row index to the table's current snapshot, whoever made it.
 *
 * The index knows which data and delete files it describes. What the snapshot has and the index does not is read (key
 * columns and positions only), what the snapshot no longer has is forgotten. When delete files are gone but their data files
 * stay (a rollback), rows may have come back: then the index is built anew from the key columns.
 */
import { messageOf } from '../base/fault.ts'
import { type DuckSession, ident, listLiteral } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { ScanPlan, ScanTask } from '../iceberg/scan/scan.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { orderingValue } from './ordering.ts'
import { RowIndex } from './row-index.ts'
import { tombstonesSince, withTombstones } from './tombstones.ts'
import { keyHash } from './transport.ts'

export interface IndexContext {
  session: DuckSession
  io: FileIO
  index: RowIndex
  key: readonly string[]
  ordering?: string | undefined
}

/** The columns that an index is made from. */
export type IndexColumns = Pick<IndexContext, 'key' | 'ordering'>

/** What an index file says it belongs to. */
export function indexIdentity(table: LoadedTable, { key, ordering }: IndexColumns): string {
  const by = ordering === undefined ? '' : ` by ${JSON.stringify(ordering)}`
  return `${table.metadata['table-uuid']} ${JSON.stringify(key)}${by}`
}

/** What looking at an index found: it agrees, describes an older snapshot (it catches up at the next start), or must be built anew. */
export type IndexState = { kind: 'agrees' } | { kind: 'behind' } | { kind: 'unusable'; why: string }

/** Looks at the index of a table without changing it. */
export async function examineIndex(
  parts: { session: DuckSession; io: FileIO },
  table: LoadedTable,
  columns: IndexColumns,
  path: string,
): Promise<IndexState> {
  let index: RowIndex | null
  try {
    index = await RowIndex.peek(parts.session, 'examined', path, indexIdentity(table, columns))
  } catch (error) {
    return { kind: 'unusable', why: `cannot be opened: ${messageOf(error)}` }
  }
  if (index === null) return { kind: 'unusable', why: 'belongs to another table or layout' }
  try {
    if (index.snapshotId !== (table.metadata['current-snapshot-id'] ?? null)) return { kind: 'behind' }
    const { missing, extra } = await compareIndex(
      { ...parts, index, key: columns.key, ordering: columns.ordering },
      table,
    )
    if (missing + extra === 0) return { kind: 'agrees' }
    return { kind: 'unusable', why: `${missing} rows of the table are missing in it and ${extra} are too many` }
  } catch (error) {
    return { kind: 'unusable', why: `cannot be read: ${messageOf(error)}` }
  } finally {
    await index.close()
  }
}

export type CatchUp = 'current' | 'caught-up' | 'rebuilt'

/** Makes the index describe the table's current snapshot. */
export async function catchUp(context: IndexContext, table: LoadedTable): Promise<CatchUp> {
  const { index } = context
  const current = table.metadata['current-snapshot-id'] ?? null
  if (index.snapshotId === current) return 'current'
  const plan = await planScan(context.io, table.metadata)
  await index.merge(true)

  const known = new Map((await index.files()).map((file) => [file.path, file]))
  const knownDeletes = new Set(await index.deleteFiles())
  const live = new Set(plan.tasks.map((task) => task.file.filePath))
  const liveDeletes = new Map(plan.tasks.flatMap((task) => task.deletes).map((file) => [file.filePath, file]))
  const added = plan.tasks.filter((task) => !known.has(task.file.filePath))
  const removed = [...known.values()].filter((file) => !live.has(file.path))
  const addedDeletes = [...liveDeletes.keys()].filter((path) => !knownDeletes.has(path))
  const lostDeletes = [...knownDeletes].filter((path) => !liveDeletes.has(path))

  // A delete file may go with the data files it was about; if a data file that stays was among them, its rows are back.
  const stays = plan.tasks.length > added.length
  if (lostDeletes.length > 0 && stays) {
    await rebuild(context, table)
    return 'rebuilt'
  }
  await index.change(current, async () => {
    await index.removeFiles(removed.map((file) => file.id))
    if (addedDeletes.length > 0) await markDeleted(context, addedDeletes)
    await index.addDeleteFiles(addedDeletes)
    await context.session.run(
      `DELETE FROM ${index.name('delete_files')} WHERE list_contains(${listLiteral(lostDeletes)}, path)`,
    )
    await addRows(context, plan, added)
    await takeTombstones(context, table)
    await index.recount()
  })
  return 'caught-up'
}

/** Builds the index from the table's key columns. */
export async function rebuild(context: IndexContext, table: LoadedTable): Promise<void> {
  const { index } = context
  const plan = await planScan(context.io, table.metadata)
  await index.change(table.metadata['current-snapshot-id'] ?? null, async () => {
    await index.clear()
    await index.addDeleteFiles([...new Set(plan.tasks.flatMap((task) => task.deletes).map((file) => file.filePath))])
    await addRows(context, plan, plan.tasks)
    await takeTombstones(context, table)
    await index.recount()
  })
}

/** The tombstones of the current snapshot, inside the caller's transaction: those in the index may be of another one. */
async function takeTombstones({ session, io, index, ordering }: IndexContext, table: LoadedTable): Promise<void> {
  if (ordering === undefined) return
  const since = tombstonesSince(table.metadata, index.snapshotId)
  if (since === 'known') return
  await session.run(`DELETE FROM ${index.name('tombstones')}`)
  if (since === null) return
  await withTombstones(io, since, (rows) =>
    session.run(`INSERT INTO ${index.name('tombstones')} SELECT h, ord, at_ms FROM (${rows})`),
  )
}

async function addRows(context: IndexContext, plan: ScanPlan, tasks: readonly ScanTask[]): Promise<void> {
  if (tasks.length === 0) return
  await context.index.addFiles(tasks.map((task) => task.file))
  const rows = await positions(context, { ...plan, tasks: [...tasks] })
  await context.index.addRows(rows)
}

/** The relation (h, file, pos, ord) of the live rows of planned files, all of which the index has registered. */
export async function positions(context: IndexContext, plan: ScanPlan): Promise<string> {
  // Joining each row with its file by the file's path took 100 MiB of memory for every million rows.
  const fileIds = new Map((await context.index.files()).map((file) => [file.path, file.id]))
  const scan = await scanRelation(context.session, context.io, plan, {
    columns: columnsOf(context),
    withPosition: true,
    fileIds,
  })
  const ord = orderingOf(context, plan.schema, (name) => `s.${ident(name)}`)
  return `SELECT ${keyHash(context.key, (name) => `s.${ident(name)}`)} AS h, s._file AS file, s._pos AS pos, ${ord} AS ord FROM (${scan.sql}) s`
}

function columnsOf({ key, ordering }: IndexContext): string[] {
  return [...new Set(ordering === undefined ? key : [...key, ordering])]
}

function orderingOf({ ordering }: IndexContext, schema: Schema, column: (name: string) => string): string {
  return ordering === undefined ? 'NULL::BIGINT' : orderingValue(schema, ordering, column(ordering))
}

async function markDeleted(context: IndexContext, deletePaths: readonly string[]): Promise<void> {
  const local = await Promise.all(deletePaths.map((path) => context.io.localFile(path)))
  await context.session.run(`DELETE FROM ${context.index.name('base')} WHERE (file, pos) IN (
    SELECT f.id, d.pos FROM read_parquet(${listLiteral(local)}) d JOIN ${context.index.name('files')} f ON f.path = d.file_path)`)
}

/** For diagnosis: how the index and the table's own rows differ; both 0 when they agree. A file miscounted is one extra. */
export async function compareIndex(
  context: IndexContext,
  table: LoadedTable,
): Promise<{ missing: number; extra: number }> {
  const { session, io, index, key } = context
  const plan = await planScan(io, table.metadata)
  const known = new Map((await index.files()).map((file) => [file.path, file.id]))
  // A file that the index does not know has a number that none of its files has.
  const fileIds = new Map(plan.tasks.map(({ file }, at) => [file.filePath, known.get(file.filePath) ?? -1 - at]))
  const scan = await scanRelation(session, io, plan, { columns: columnsOf(context), withPosition: true, fileIds })
  const ord = orderingOf(context, plan.schema, ident)
  const [found] = await session.rows(`WITH
    truth AS MATERIALIZED (SELECT ${keyHash(key, ident)} AS h, _file AS file, _pos AS pos, ${ord} AS ord FROM (${scan.sql})),
    held AS MATERIALIZED (${index.live}),
    counted AS (SELECT file, count(*) AS n FROM held GROUP BY file)
    SELECT (SELECT count(*) FROM (FROM truth EXCEPT FROM held)) AS missing, (SELECT count(*) FROM (FROM held EXCEPT FROM truth)) AS extra,
      (SELECT count(*) FROM ${index.name('files')} f LEFT JOIN counted c ON c.file = f.id WHERE f.live <> coalesce(c.n, 0)) AS miscounted`)
  return { missing: Number(found?.['missing']), extra: Number(found?.['extra']) + Number(found?.['miscounted']) }
}
