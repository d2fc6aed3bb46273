/**
 * The format's files: where they are and how they are reached. Files never change once written, so caches of them
 * never go stale.
 *
 * A location is an absolute URI as it stands in metadata (`file:///w/db/t/data/x.parquet`; Java also writes
 * `file:/w/…`: the same file, but delete files must repeat the text of the data file's path letter by letter).
 *
 * Beside this door, other rooms use `data-writer.ts` and `delete-writer.ts` (rows to Parquet files), `snapshot-files.ts`
 * (the manifests of a new snapshot), `manifest-list.ts`, `manifest-file.ts` and `position-deletes.ts` (reading them),
 * `parquet-types.ts` (names and types of columns in DuckDB) and `partition-id.ts`. `store-io.ts` is the adapter.
 */

export interface FileIO {
  /** @throws Fault `not-found`, `invalid` (a location that no configured store serves) */
  read(location: string): Promise<Uint8Array>
  /** Writes a new file. @throws Fault `conflict` when one is there */
  write(location: string, bytes: Uint8Array): Promise<void>
  exists(location: string): Promise<boolean>
  /** Null when there is no such file. */
  sizeOf(location: string): Promise<number | null>
  /** Bytes of all local copies together; null where files are local themselves. */
  readonly localBytesMax: number | null
  /** A local path with the file's content, for DuckDB: it stays long enough to be opened and read. @throws Fault `not-found` */
  localFile(location: string): Promise<string>
  /** A fresh local path on the same file system, for DuckDB to write to before `putFile`. */
  scratch(suffix: string): Promise<string>
  /** Moves a finished local file to `location`, durably (fsync of file and folder). Returns its size. */
  putFile(location: string, localPath: string): Promise<number>
  /** Files that are not there are no error. */
  delete(locations: readonly string[]): Promise<void>
  /** All files under a location, with last modification. */
  list(location: string): AsyncIterable<{ location: string; sizeBytes: number; lastModifiedMs: number }>
}

/** One spelling to compare by: `file:///x`, `file:/x` and `/x` → `/x`; `s3a://` and `s3n://` → `s3://`; other schemes stay. No trailing slash. The text is taken as it is, not decoded. */
export function plainLocation(location: string): string {
  const path = location.replace(/^file:\/*(?=\/)/, '').replace(/^s3[an]:\/\//, 's3://')
  return path.length > 1 ? path.replace(/\/+$/, '') : path
}
