/**
 * Writes position-delete files (Iceberg spec, "Position Delete Files").
 *
 * A delete file matches a data file by the text of its path, and no engine reports a delete that matches nothing: so every
 * path must be one that the caller knows from a manifest. Files are sorted by path and position; Trino leaves rows of an
 * unsorted one undeleted.
 */
import { mkdir, rm } from 'node:fs/promises'
import { must } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type DuckSession, ident, listLiteral, literal } from '../../duck/duck.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import { partitionColumns } from '../spec/partition.ts'
import type { PartitionSpec, Schema } from '../spec/table-metadata.ts'
import { type CopiedFile, copiedFile, dataFileOf, SPLIT_OFFSETS_SQL, splitOffsets } from './data-file.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { FileIO } from './file.ts'
import type { ParquetLeaf } from './parquet-types.ts'
import { partitionFolder } from './partition-folder.ts'
import { partitionId } from './partition-id.ts'
import { DELETE_FILE_PATH, DELETE_POS } from './position-deletes.ts'

/** Where a data file stands: a `DataFile` is one. */
export interface FilePartition {
  specId: number
  partition: Value[]
}

export interface PositionDeleteWrite {
  /** Something that may stand in `FROM (…)`, with columns `file_path` (text, as in the manifest) and `pos` (from 0). */
  relationSql: string
  /** Partition of each data file that the relation names, by its path letter by letter. */
  dataFiles: ReadonlyMap<string, FilePartition>
  schema: Schema
  /** The specs that `dataFiles` refer to. */
  specs: readonly PartitionSpec[]
  /** The table's location: files go to `<location>/data/<partition path>/<uuidv7>-deletes.parquet`. */
  location: string
  /** Time for the files' names, milliseconds since 1970. */
  nowMs: number
}

const LEAVES: readonly ParquetLeaf[] = [
  { id: DELETE_FILE_PATH, path: ['file_path'], type: 'string', repeated: false, alwaysThere: true, required: true },
  { id: DELETE_POS, path: ['pos'], type: 'long', repeated: false, alwaysThere: true, required: true },
]

/** Delete files of one partition: the data files they are about, in the order of their paths. */
interface Group extends FilePartition {
  paths: string[]
}

/**
 * One delete file per partition (spec id and tuple), sorted by path and position, repeated positions once.
 * No file when the relation is empty. The relation is evaluated once.
 * @throws Fault `invalid` when the relation names a file that `dataFiles` does not, or has a null or negative position
 */
export async function writePositionDeletes(
  session: DuckSession,
  io: FileIO,
  write: PositionDeleteWrite,
): Promise<DataFile[]> {
  const folder = await io.scratch('-deletes')
  const table = ident(`tidewater_deletes_${uuidv7(write.nowMs)}`)
  await mkdir(folder, { recursive: true })
  try {
    await session.run(
      `CREATE TEMP TABLE ${table} AS SELECT DISTINCT file_path::VARCHAR AS file_path, pos::BIGINT AS pos FROM (${write.relationSql})`,
    )
    await checkRows(session, table)
    const paths = await session.rows(`SELECT DISTINCT file_path FROM ${table} ORDER BY file_path`)
    const groups = groupsOf(
      paths.map((row) => String(row['file_path'])),
      write.dataFiles,
    )
    return await new Deletes(session, io, write, folder).write(table, groups)
  } finally {
    await dropTables(session, table)
    await rm(folder, { recursive: true, force: true })
  }
}

async function dropTables(session: DuckSession, ...tables: string[]): Promise<void> {
  // Where this fails (a closed session, an aborted transaction) the tables are gone already.
  for (const table of tables) await session.run(`DROP TABLE IF EXISTS ${table}`).catch(() => undefined)
}

async function checkRows(session: DuckSession, table: string): Promise<void> {
  const bad = await session.value(
    `SELECT count(*) FROM ${table} WHERE file_path IS NULL OR pos IS NULL OR pos < 0 OR pos > ${Number.MAX_SAFE_INTEGER}`,
  )
  if (Number(bad) > 0) {
    throw new Fault(
      'invalid',
      `${bad} row(s) to be deleted have no file path, or no position from 0; nothing was written`,
    )
  }
}

function groupsOf(paths: readonly string[], dataFiles: ReadonlyMap<string, FilePartition>): Group[] {
  const groups = new Map<string, Group>()
  for (const path of paths) {
    const at = dataFiles.get(path)
    if (at === undefined) {
      throw new Fault(
        'invalid',
        `rows of ${path} are to be deleted, but the table's manifests name no such file; a path must be given letter by letter`,
        { path },
      )
    }
    const id = partitionId(at)
    const group = groups.get(id)
    if (group === undefined) groups.set(id, { specId: at.specId, partition: at.partition, paths: [path] })
    else group.paths.push(path)
  }
  return [...groups.values()]
}

class Deletes {
  readonly #session: DuckSession
  readonly #io: FileIO
  readonly #write: PositionDeleteWrite
  readonly #folder: string

  constructor(session: DuckSession, io: FileIO, write: PositionDeleteWrite, folder: string) {
    this.#session = session
    this.#io = io
    this.#write = write
    this.#folder = folder
  }

  async write(table: string, groups: readonly Group[]): Promise<DataFile[]> {
    const copied: { file: CopiedFile; group: Group }[] = []
    if (groups.length === 1) copied.push({ file: await this.#copy(table), group: groups[0]! })
    else for (const part of await this.#parted(table, groups)) copied.push(part)
    if (copied.length === 0) return []
    const local = listLiteral(copied.map(({ file }) => file.localPath))
    const offsets = splitOffsets(await this.#session.rows(SPLIT_OFFSETS_SQL.replace('$files', () => local)))
    const files = copied.map(({ file, group }) => this.#describe(file, group, offsets.get(file.localPath) ?? []))
    await eachAtOnce(limits.filesAtOnce, files, (file, at) =>
      this.#io.putFile(file.filePath, copied[at]!.file.localPath),
    )
    return files
  }

  /** A COPY per partition out of one table sorted by partition: a COPY with PARTITION_BY does not keep the order. */
  async #parted(table: string, groups: readonly Group[]): Promise<{ file: CopiedFile; group: Group }[]> {
    const sorted = ident(`tidewater_deletes_${uuidv7(this.#write.nowMs)}`)
    const places = ident(`tidewater_places_${uuidv7(this.#write.nowMs)}`)
    const session = this.#session
    try {
      await session.run(`CREATE TEMP TABLE ${places} (path VARCHAR, part INTEGER)`)
      const rows = groups.flatMap((group, at) => group.paths.map((path) => `(${literal(path)}, ${at})`))
      for (let at = 0; at < rows.length; at += limits.partitionValuesPage) {
        await session.run(`INSERT INTO ${places} VALUES ${rows.slice(at, at + limits.partitionValuesPage).join(', ')}`)
      }
      await session.run(
        `CREATE TEMP TABLE ${sorted} AS SELECT part, file_path, pos FROM ${table} JOIN ${places} ON path = file_path ORDER BY ALL`,
      )
      const ranges = await session.rows(
        `SELECT part, min(rowid) AS first, max(rowid) AS last FROM ${sorted} GROUP BY part ORDER BY part`,
      )
      const copied: { file: CopiedFile; group: Group }[] = []
      for (const { part, first, last } of ranges) {
        const file = await this.#copy(`${sorted} WHERE rowid BETWEEN ${first} AND ${last}`)
        copied.push({ file, group: must(groups[Number(part)], 'a group of deletes') })
      }
      return copied
    } finally {
      await dropTables(session, sorted, places)
    }
  }

  async #copy(from: string): Promise<CopiedFile> {
    const target = `${this.#folder}/${uuidv7(this.#write.nowMs)}.parquet`
    const rows = await this.#session.rows(
      `COPY (SELECT file_path, pos FROM ${from} ORDER BY file_path, pos) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd,
      ROW_GROUP_SIZE ${limits.rowGroupRows}, FIELD_IDS {file_path: ${DELETE_FILE_PATH}, pos: ${DELETE_POS}}, RETURN_STATS)`,
    )
    return copiedFile(must(rows[0], 'statistics of a delete file'))
  }

  #describe(copied: CopiedFile, group: Group, offsets: number[]): DataFile {
    const { specs, schema, location, nowMs } = this.#write
    const spec = specs.find((known) => known['spec-id'] === group.specId)
    if (spec === undefined)
      throw new Fault('invalid', `no partition spec ${group.specId} was given for the files of deletes`)
    const folder = partitionFolder(partitionColumns(spec, schema), group.partition)
    const file = dataFileOf(copied, LEAVES, {
      content: 'position-deletes',
      filePath: `${location.replace(/\/+$/, '')}/data/${folder}${uuidv7(nowMs)}-deletes.parquet`,
      specId: group.specId,
      partition: group.partition,
      splitOffsets: offsets,
      nanCounts: new Map(),
    })
    // Full paths: by a cut bound a reader could not tell that the file is about one data file.
    file.lowerBounds?.set(DELETE_FILE_PATH, Buffer.from(must(group.paths[0], 'a path of a group')))
    file.upperBounds?.set(DELETE_FILE_PATH, Buffer.from(must(group.paths.at(-1), 'a path of a group')))
    if (group.paths.length === 1) file.referencedDataFile = group.paths[0]!
    return file
  }
}
