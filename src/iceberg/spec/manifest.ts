/**
 * Manifests and manifest lists as types (Iceberg spec, "Manifests" and "Manifest Lists"). Names are camel case here
 * because the files are Avro, not JSON; `iceberg/file/manifest-file.ts` holds the Avro names and field ids.
 */

/** A partition or bound value in memory: by type boolean, number (int, float, double, date in days), bigint (long, time,
 * timestamps in µs, decimals unscaled), string (string, uuid) or bytes (binary, fixed); null for null. */
export type Value = boolean | number | bigint | string | Uint8Array | null

export type FileContent = 'data' | 'position-deletes' | 'equality-deletes'

export interface DataFile {
  content: FileContent
  /** Absolute URI, letter by letter as in the manifest: delete files refer to it as text. */
  filePath: string
  fileFormat: 'parquet' | 'avro' | 'orc' | 'puffin'
  /** The partition spec under which `partition` is to be read. */
  specId: number
  /** One value per field of the spec, in its order. */
  partition: Value[]
  recordCount: number
  fileSizeBytes: number
  columnSizes?: Map<number, number>
  valueCounts?: Map<number, number>
  nullValueCounts?: Map<number, number>
  nanValueCounts?: Map<number, number>
  /** Field id → single-value serialization (spec, Appendix D). */
  lowerBounds?: Map<number, Uint8Array>
  upperBounds?: Map<number, Uint8Array>
  splitOffsets?: number[]
  equalityIds?: number[]
  sortOrderId?: number
  /** Field 143: the one data file that this delete file is about. */
  referencedDataFile?: string
  /** v3: offset and length of a deletion vector's blob in its Puffin file. */
  contentOffset?: number
  contentSizeBytes?: number
}

export type EntryStatus = 'existing' | 'added' | 'deleted'

export interface ManifestEntry {
  status: EntryStatus
  /** Null: inherited from the manifest list (spec, "Sequence Number Inheritance"). Never null after reading. */
  snapshotId: bigint | null
  sequenceNumber: number | null
  fileSequenceNumber: number | null
  file: DataFile
}

export interface FieldSummary {
  containsNull: boolean
  containsNan?: boolean
  lowerBound?: Uint8Array
  upperBound?: Uint8Array
}

/** One manifest as its manifest list describes it. */
export interface ManifestFile {
  manifestPath: string
  manifestLength: number
  partitionSpecId: number
  content: 'data' | 'deletes'
  sequenceNumber: number
  minSequenceNumber: number
  addedSnapshotId: bigint
  addedFilesCount: number
  existingFilesCount: number
  deletedFilesCount: number
  addedRowsCount: number
  existingRowsCount: number
  deletedRowsCount: number
  partitions?: FieldSummary[]
}
