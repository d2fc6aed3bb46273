/**
 * Writes position-delete files (Iceberg spec, "Position Delete Files").
 *
 * A delete file matches a data file by the text of its path, and no engine reports a delete that matches nothing: so every
 * path must be one that the caller knows from a manifest. Files are sorted by path and position; Trino leaves rows of an
 * unsorted one undeleted.
 */
import { mkdir, rm } from 'node:fs/promises'
import { must } from '../../base/assert.ts'
import { eachAtOnce } from '../../base/each-at-once.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type DuckSession, ident, listLiteral, literal } from '../../duck/duck.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import { withoutTrailingSlash } from '../spec/metadata-json.ts'
import { partitionColumns } from '../spec/partition.ts'
import type { PartitionSpec, Schema } from '../spec/table-metadata.ts'
import { type CopiedFile, copiedFile, dataFileOf, splitOffsetsOf } from './data-file.ts'
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
  /**
   * Something that may stand in `FROM (…)`, with columns `file_path` (text, as in the manifest) and `pos` (from 0); with
   * `fileIds`, a number `file` stands in place of the path.
   */
  relationSql: string
  /** The relation gives each position once: none is looked for twice. */
  distinct?: boolean
  /** Path of each `file` of the relation: numbers are sorted and compared several times as fast as paths. */
  fileIds?: ReadonlyMap<number, string>
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
    const file = write.fileIds === undefined ? 'file_path::VARCHAR' : 'file::INTEGER'
    await session.run(
      `CREATE TEMP TABLE ${table} AS SELECT ${write.distinct === true ? '' : 'DISTINCT '}${file} AS file, pos::BIGINT AS pos FROM (${write.relationSql})`,
    )
    const files = await filesOf(session, table, write.fileIds)
    if (files.length === 0) return []
    return await new Deletes(session, io, write, folder, files).write(table)
  } finally {
    await session.dropTables([table])
    await rm(folder, { recursive: true, force: true })
  }
}

/** A file with deletes: what stands for it in the table of deletes (as SQL), and its path. */
interface MarkedFile {
  key: string
  path: string
}

/** The files that a table of deletes names, in the order of their paths' bytes: the order of text in Parquet and in engines. */
async function filesOf(
  session: DuckSession,
  table: string,
  ids: ReadonlyMap<number, string> | undefined,
): Promise<MarkedFile[]> {
  const rows = await session.rows(
    `SELECT file, count(*) FILTER (file IS NULL OR pos IS NULL OR pos < 0 OR pos > ${Number.MAX_SAFE_INTEGER}) AS bad FROM ${table} GROUP BY file`,
  )
  const bad = rows.reduce((sum, row) => sum + Number(row['bad']), 0)
  if (bad > 0) {
    throw new Fault(
      'invalid',
      `${bad} row(s) to be deleted have no file path, or no position from 0; nothing was written`,
    )
  }
  const files = rows.map(({ file }): MarkedFile => {
    if (ids === undefined) return { key: literal(String(file)), path: String(file) }
    return { key: String(file), path: must(ids.get(Number(file)), 'the path of a file with deletes') }
  })
  return files.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
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
  readonly #files: readonly MarkedFile[]

  constructor(
    session: DuckSession,
    io: FileIO,
    write: PositionDeleteWrite,
    folder: string,
    files: readonly MarkedFile[],
  ) {
    this.#session = session
    this.#io = io
    this.#write = write
    this.#folder = folder
    this.#files = files
  }

  async write(table: string): Promise<DataFile[]> {
    const groups = groupsOf(
      this.#files.map((file) => file.path),
      this.#write.dataFiles,
    )
    const places = ident(`tidewater_places_${uuidv7(this.#write.nowMs)}`)
    try {
      await this.#makePlaces(places, groups)
      const copied = await (groups.length === 1
        ? [{ file: await this.#copy(`${table} d JOIN ${places} p ON p.file = d.file`), group: groups[0]! }]
        : this.#parted(table, places, groups))
      const offsets = await splitOffsetsOf(
        this.#session,
        copied.map(({ file }) => file),
      )
      const files = copied.map(({ file, group }) => this.#describe(file, group, offsets.get(file.localPath) ?? []))
      await eachAtOnce(limits.filesAtOnce, files, (file, at) =>
        this.#io.putFile(file.filePath, copied[at]!.file.localPath),
      )
      return files
    } finally {
      await this.#session.dropTables([places])
    }
  }

  /** Each file's partition, and its place (from 1) among all in the order of paths. */
  async #makePlaces(places: string, groups: readonly Group[]): Promise<void> {
    const parts = new Map(groups.flatMap((group, part) => group.paths.map((path) => [path, part])))
    const rows = this.#files.map(({ key, path }, at) => `(${key}, ${parts.get(path)}, ${at + 1})`)
    const page = limits.partitionValuesPage
    await this.#session.run(
      `CREATE TEMP TABLE ${places} AS SELECT * FROM (VALUES ${rows.slice(0, page).join(', ')}) v(file, part, place)`,
    )
    for (let at = page; at < rows.length; at += page) {
      await this.#session.run(`INSERT INTO ${places} VALUES ${rows.slice(at, at + page).join(', ')}`)
    }
  }

  /** A COPY per partition out of one table sorted by partition: a COPY with PARTITION_BY does not keep the order. */
  async #parted(
    table: string,
    places: string,
    groups: readonly Group[],
  ): Promise<{ file: CopiedFile; group: Group }[]> {
    const sorted = ident(`tidewater_deletes_${uuidv7(this.#write.nowMs)}`)
    const session = this.#session
    try {
      await session.run(
        `CREATE TEMP TABLE ${sorted} AS SELECT p.part, p.place, d.pos FROM ${table} d JOIN ${places} p ON p.file = d.file ORDER BY ALL`,
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
      await session.dropTables([sorted])
    }
  }

  /** Rows (place, pos), sorted as numbers; the paths are put in after that. */
  async #copy(from: string): Promise<CopiedFile> {
    const target = `${this.#folder}/${uuidv7(this.#write.nowMs)}.parquet`
    const paths = listLiteral(this.#files.map((file) => file.path))
    const rows = await this.#session.rows(
      `COPY (SELECT ${paths}[place] AS file_path, pos FROM (SELECT place, pos FROM ${from} ORDER BY place, pos))
      TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${limits.rowGroupRows},
      FIELD_IDS {file_path: ${DELETE_FILE_PATH}, pos: ${DELETE_POS}}, RETURN_STATS)`,
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
      filePath: `${withoutTrailingSlash(location)}/data/${folder}${uuidv7(nowMs)}-deletes.parquet`,
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
