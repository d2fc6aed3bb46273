/**
 * The manifests and the manifest list of a new snapshot.
 */
import type { DataFile } from '../spec/manifest.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import type { FileIO } from './file.ts'

export interface SnapshotFilesRequest {
  metadata: TableMetadata
  /** The snapshot that the new one follows; default the table's current one, null: none. */
  parentSnapshotId?: bigint | null
  snapshotId: bigint
  /** The new snapshot's sequence number (0 in a v1 table). */
  sequenceNumber: number
  addedDataFiles: readonly DataFile[]
  addedDeleteFiles: readonly DataFile[]
  /** Paths of live data and delete files that the new snapshot no longer has, letter by letter. */
  removedPaths: ReadonlySet<string>
  /** Data sequence number of `addedDataFiles` when it is not the snapshot's: compaction keeps the oldest input's. */
  addedDataSequenceNumber?: number
  /** Manifests of one content and spec before small ones are merged, and the size that counts as full. */
  mergeCount: number
  manifestBytesTarget: number
  /** Also remove delete files all of whose data files (field 143, or equal path bounds) are removed. Default false. */
  dropOrphanedDeletes?: boolean
  /** Time for file names, milliseconds since 1970. */
  nowMs: number
}

/** What the snapshot changes, for its summary. Sizes in bytes. */
export interface SnapshotCounts {
  addedDataFiles: number
  deletedDataFiles: number
  addedDeleteFiles: number
  removedDeleteFiles: number
  addedRecords: number
  deletedRecords: number
  addedPositionDeletes: number
  removedPositionDeletes: number
  addedFilesSizeBytes: number
  removedFilesSizeBytes: number
  changedPartitionCount: number
}

export interface SnapshotFiles {
  /** Location of the manifest list. */
  manifestList: string
  counts: SnapshotCounts
  /** Every file that this call wrote, for deletion when the commit is known to have failed. */
  written: string[]
}

/**
 * Writes what the snapshot needs beside its data files. Existing manifests are carried over; those holding removed files
 * are rewritten; small ones are merged, so the work per commit does not grow with the number of commits.
 * @throws Fault `conflict` when a removed path is not live in the parent snapshot
 */
export async function writeSnapshotFiles(_io: FileIO, _request: SnapshotFilesRequest): Promise<SnapshotFiles> {
  throw new Error('not built yet')
}
