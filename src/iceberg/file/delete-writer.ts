/**
 * Writes position-delete files (spec, "Position Delete Files").
 */
import type { DuckSession } from '../../duck/duck.ts'
import type { DataFile, Value } from '../spec/manifest.ts'
import type { PartitionSpec, Schema } from '../spec/table-metadata.ts'
import type { FileIO } from './file.ts'

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

/**
 * One delete file per partition (spec id and tuple), sorted by path and position, repeated positions once.
 * No file when the relation is empty.
 * @throws Fault `invalid` when the relation names a file that `dataFiles` does not, or has a null or negative position
 */
export async function writePositionDeletes(
  _session: DuckSession,
  _io: FileIO,
  _write: PositionDeleteWrite,
): Promise<DataFile[]> {
  throw new Error('not built yet')
}
