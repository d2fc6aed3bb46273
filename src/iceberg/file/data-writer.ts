/**
 * Writes rows as Parquet data files of a table, by one DuckDB COPY per run.
 */
import type { DuckSession } from '../../duck/duck.ts'
import type { DataFile } from '../spec/manifest.ts'
import type { PartitionSpec, Schema } from '../spec/table-metadata.ts'
import type { FileIO } from './file.ts'

export type ParquetCodec = 'zstd' | 'snappy' | 'gzip' | 'uncompressed'

export interface DataFileWrite {
  /** A SELECT statement, or anything else that may stand in `FROM (…)`; its columns have the schema's top-level names. */
  relationSql: string
  schema: Schema
  spec: PartitionSpec
  /** The table's location: files go to `<location>/data/<partition path>/<uuidv7>.parquet`. */
  location: string
  /** Terms of ORDER BY over the schema's columns; absent: rows stay in the relation's order. */
  orderBySql?: string
  /** The sort order that `orderBySql` fulfils, for the files' entries. */
  sortOrderId?: number
  /** Default zstd. */
  codec?: ParquetCodec
  /** Default `limits.rowGroupRows`. */
  rowGroupRows?: number
  /** Default `limits.dataFileRowsMax`. A file may end up to one row group later. */
  rowsPerFileMax?: number
  /** Time for the files' names, milliseconds since 1970. */
  nowMs: number
}

/**
 * Writes the relation's rows; one `DataFile` per file, none when there are no rows. The files are in place and durable
 * when this resolves, but in no snapshot yet. Rows of one file are in the relation's order (or in `orderBySql`'s).
 * @throws Fault `invalid` (null in a required column, a value that does not fit its column), `unsupported` (a type that
 * Parquet files of DuckDB cannot hold), `limit`, `unavailable`
 */
export async function writeDataFiles(_session: DuckSession, _io: FileIO, _write: DataFileWrite): Promise<DataFile[]> {
  throw new Error('not built yet')
}
