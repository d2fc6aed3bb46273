/**
 * Reads and writes manifest lists (Iceberg spec, "Manifest Lists"): format version 2 is written, 1 to 3 are read.
 */
import { Fault } from '../../base/fault.ts'
import type { FieldSummary, ManifestFile } from '../spec/manifest.ts'
import { AvroFile, type AvroRecord, type AvroView, writeAvro } from './avro.ts'
import type { FileIO } from './file.ts'
import { asBuffer } from './manifest-file.ts'
import { MANIFEST_LIST_NAMES, MANIFEST_LIST_SCHEMA } from './manifest-schema.ts'

/** A count that a v1 list does not give: neither zero nor not zero. */
export const COUNT_UNKNOWN = -1

const READ = new Set(MANIFEST_LIST_NAMES.values())
const isBigint = (path: readonly string[]): boolean => path.at(-1) === 'added_snapshot_id'
const VIEW: AvroView = {
  name: (id) => (id === undefined ? undefined : MANIFEST_LIST_NAMES.get(id)),
  bigint: isBigint,
  keep: (path) => READ.has(path.at(-1)!),
}

/** @throws Fault `corrupt`, `not-found` */
export async function readManifestList(io: FileIO, location: string): Promise<ManifestFile[]> {
  const file = new AvroFile(await io.read(location), location)
  const manifests: ManifestFile[] = []
  for await (const rows of file.blocks(VIEW)) for (const row of rows) manifests.push(manifestOf(row, location))
  return manifests
}

function manifestOf(row: AvroRecord, location: string): ManifestFile {
  const content = (row['content'] as number | undefined) ?? 0
  if (content !== 0 && content !== 1) {
    throw new Fault('corrupt', `manifest list ${location} has a manifest of content ${content}; expected 0 or 1`)
  }
  const count = (name: string): number => (row[name] as number | null | undefined) ?? COUNT_UNKNOWN
  const manifest: ManifestFile = {
    manifestPath: row['manifest_path'] as string,
    manifestLength: row['manifest_length'] as number,
    partitionSpecId: row['partition_spec_id'] as number,
    content: content === 0 ? 'data' : 'deletes',
    sequenceNumber: (row['sequence_number'] as number | undefined) ?? 0,
    minSequenceNumber: (row['min_sequence_number'] as number | undefined) ?? 0,
    addedSnapshotId: row['added_snapshot_id'] as bigint,
    addedFilesCount: count('added_files_count'),
    existingFilesCount: count('existing_files_count'),
    deletedFilesCount: count('deleted_files_count'),
    addedRowsCount: count('added_rows_count'),
    existingRowsCount: count('existing_rows_count'),
    deletedRowsCount: count('deleted_rows_count'),
  }
  const partitions = row['partitions'] as AvroRecord[] | null | undefined
  if (partitions) manifest.partitions = partitions.map(summaryOf)
  return manifest
}

function summaryOf(row: AvroRecord): FieldSummary {
  const summary: FieldSummary = { containsNull: row['contains_null'] as boolean }
  if (typeof row['contains_nan'] === 'boolean') summary.containsNan = row['contains_nan']
  if (row['lower_bound']) summary.lowerBound = row['lower_bound'] as Uint8Array
  if (row['upper_bound']) summary.upperBound = row['upper_bound'] as Uint8Array
  return summary
}

export interface ManifestListWrite {
  location: string
  snapshotId: bigint
  parentSnapshotId: bigint | null
  sequenceNumber: number
  /** Counts known (see `COUNT_UNKNOWN`). */
  manifests: readonly ManifestFile[]
}

/** @throws Fault `conflict` when the file is there */
export async function writeManifestList(io: FileIO, write: ManifestListWrite): Promise<void> {
  const metadata = {
    'snapshot-id': String(write.snapshotId),
    'parent-snapshot-id': String(write.parentSnapshotId),
    'sequence-number': String(write.sequenceNumber),
    'format-version': '2',
  }
  await io.write(write.location, await writeAvro(MANIFEST_LIST_SCHEMA, metadata, write.manifests.map(rowOf), isBigint))
}

function rowOf(manifest: ManifestFile): AvroRecord {
  return {
    manifest_path: manifest.manifestPath,
    manifest_length: manifest.manifestLength,
    partition_spec_id: manifest.partitionSpecId,
    content: manifest.content === 'data' ? 0 : 1,
    sequence_number: manifest.sequenceNumber,
    min_sequence_number: manifest.minSequenceNumber,
    added_snapshot_id: manifest.addedSnapshotId,
    added_files_count: manifest.addedFilesCount,
    existing_files_count: manifest.existingFilesCount,
    deleted_files_count: manifest.deletedFilesCount,
    added_rows_count: manifest.addedRowsCount,
    existing_rows_count: manifest.existingRowsCount,
    deleted_rows_count: manifest.deletedRowsCount,
    partitions:
      manifest.partitions?.map((summary) => ({
        contains_null: summary.containsNull,
        contains_nan: summary.containsNan ?? null,
        lower_bound: summary.lowerBound === undefined ? null : asBuffer(summary.lowerBound),
        upper_bound: summary.upperBound === undefined ? null : asBuffer(summary.upperBound),
      })) ?? null,
    key_metadata: null,
  }
}
