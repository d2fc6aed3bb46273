/**
 * What a row index learns from a commit of its own writer: counted when the rows are in one file in the order of the batch, else
 * read from the files just written.
 *
 * Crash story: one transaction of the index. If it never happens, the stamp is behind and `catchUp` reads the files.
 */
import { assert } from '../base/assert.ts'
import { ident, literal } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { learnTombstones, type Ordered, WON } from './fold.ts'
import { type IndexContext, positions } from './index-upkeep.ts'
import { keyHash } from './transport.ts'
import { sortTerms } from './write-settings.ts'

/** Counted positions are compared with the file at so many places, when it has more rows than one thread takes at a time. */
const POSITIONS_CHECKED = 16
const ONE_VECTOR_ROWS = 2048

export interface Learnt {
  /** The table as the files were planned and written for. */
  table: LoadedTable
  /** The snapshot that has them. */
  snapshotId: bigint
  dataFiles: readonly DataFile[]
  deleteFiles: readonly DataFile[]
  /** What folding found, in a table with an ordering column. */
  ordered: Ordered | null
}

export async function learn(context: IndexContext, learnt: Learnt): Promise<void> {
  const { index, session } = context
  const { table, snapshotId, dataFiles, deleteFiles, ordered } = learnt
  await index.change(snapshotId, async () => {
    if (deleteFiles.length > 0) await index.countOff('SELECT file FROM old')
    const firstId = await index.addFiles(dataFiles)
    await index.addDeleteFiles(deleteFiles.map((file) => file.filePath))
    const counted = dataFiles.length === 1 && inBatchOrder(table.metadata)
    const gone = `SELECT h, NULL::INTEGER AS file, NULL::BIGINT AS pos, NULL::BIGINT AS ord FROM batch WHERE op = 'delete' AND ${WON}`
    const words = [gone]
    if (counted) words.unshift(countedRows(firstId, ordered))
    else if (dataFiles.length > 0) words.unshift(await writtenRows(context, table, dataFiles))
    const deletes = Number(await session.value(`SELECT count(*) FROM (${gone})`))
    const rows = dataFiles.reduce((total, file) => total + file.recordCount, 0)
    await index.put(words.join(' UNION ALL '), rows + deletes, 'old')
    if (counted) await checkPositions(context, firstId, dataFiles[0]!)
    if (ordered !== null) await learnTombstones(context, ordered)
  })
  await index.merge()
}

function countedRows(file: number, ordered: Ordered | null): string {
  const ord = ordered === null ? 'NULL::BIGINT' : 'o'
  return `SELECT h, ${file}::INTEGER AS file, row_number() OVER () - 1 AS pos, ${ord} AS ord FROM batch WHERE op = 'upsert' AND ${WON}`
}

/** The relation (h, file, pos, ord) of files just written, as they are. */
function writtenRows(context: IndexContext, table: LoadedTable, dataFiles: readonly DataFile[]): Promise<string> {
  const sequenceNumber = table.metadata['last-sequence-number']
  return positions(context, {
    table: table.metadata.location,
    snapshot: null,
    schema: currentSchema(table.metadata),
    tasks: dataFiles.map((file) => ({ file, sequenceNumber, deletes: [] })),
    manifestsRead: 0,
    manifestsSkipped: 0,
    filesSkipped: 0,
  })
}

/** DuckDB keeps the order of rows through a scan, a filter and a COPY; a wrong position would delete a wrong row. */
async function checkPositions({ io, session, key, index }: IndexContext, id: number, file: DataFile): Promise<void> {
  if (file.recordCount <= ONE_VECTOR_ROWS) return
  const last = file.recordCount - 1
  const places = new Set(
    Array.from({ length: POSITIONS_CHECKED }, (_, at) => Math.round((last * at) / (POSITIONS_CHECKED - 1))),
  )
  const local = await io.localFile(file.filePath)
  const right = await session.value(
    `SELECT count(*) FROM (SELECT ${keyHash(key, ident)} AS h, file_row_number AS pos FROM read_parquet(${literal(local)}) WHERE file_row_number IN (${[...places].join(', ')})) f
    JOIN (${index.at(id, [...places])}) l ON l.pos = f.pos AND l.h = f.h`,
  )
  assert(Number(right) === places.size, 'rows are in the file in the order of the batch')
}

/** Whether rows of one file stand in the order in which they were given. */
function inBatchOrder(metadata: TableMetadata): boolean {
  return currentSpec(metadata).fields.length === 0 && sortTerms(metadata).orderBySql === undefined
}
