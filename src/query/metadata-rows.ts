/**
 * The rows of metadata tables, as JSON.
 */

import { unreachable } from '../base/assert.ts'
import { Fault } from '../base/fault.ts'
import { type Json, stringifyJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { readManifest } from '../iceberg/file/manifest-file.ts'
import { COUNT_UNKNOWN, readManifestList } from '../iceberg/file/manifest-list.ts'
import { ancestors, findSnapshot } from '../iceberg/spec/history.ts'
import type { DataFile, FileContent, ManifestEntry, ManifestFile } from '../iceberg/spec/manifest.ts'
import { type PartitionColumn, partitionColumnsOf } from '../iceberg/spec/partition.ts'
import { flattenFields, specById } from '../iceberg/spec/schema.ts'
import { valueFromBytes } from '../iceberg/spec/single-value.ts'
import type { PrimitiveType, Schema, Snapshot, TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { isPrimitive } from '../iceberg/spec/type.ts'
import { humanValue } from '../iceberg/spec/value-json.ts'
import type { MetadataTable } from './metadata-tables.ts'
import { boundJson, partitionFields, valueJson } from './metadata-values.ts'

export type MetadataRow = { [name: string]: Json }

const CONTENT: Readonly<Record<FileContent, number>> = { data: 0, 'position-deletes': 1, 'equality-deletes': 2 }
const STATUS: Readonly<Record<ManifestEntry['status'], number>> = { existing: 0, added: 1, deleted: 2 }

/** What is read: the table, the snapshot (null: none yet), and the schema whose columns the metrics are named by. */
export interface MetadataSource {
  io: FileIO
  table: LoadedTable
  snapshot: Snapshot | null
  schema: Schema
}

/** Rows in the order of the metadata, a page at a time. @throws Fault `limit` for more rows than a result may have */
export async function* metadataRows(source: MetadataSource, name: MetadataTable): AsyncGenerator<MetadataRow[]> {
  const { metadata } = source.table
  switch (name) {
    case 'snapshots':
      yield metadata.snapshots.map(snapshotRow)
      return
    case 'history':
      yield historyRows(metadata)
      return
    case 'refs':
      yield refRows(metadata)
      return
    case 'properties':
      yield Object.entries(metadata.properties).map(([key, value]) => ({ key, value }))
      return
    case 'metadata_log_entries':
      yield metadataLogRows(source.table)
      return
    case 'manifests':
      yield (await manifestsOf(source)).map((manifest) => manifestRow(metadata, manifest))
      return
    case 'partitions':
      yield await partitionRows(source)
      return
    case 'files':
    case 'data_files':
    case 'delete_files': {
      const row = fileRow(source)
      for await (const entries of entriesOf(source, true)) {
        yield entries
          .filter(({ file }) => name === 'files' || (file.content === 'data') === (name === 'data_files'))
          .map(({ file }) => row(file))
      }
      return
    }
    case 'entries': {
      const row = fileRow(source)
      for await (const entries of entriesOf(source, false)) {
        yield entries.map((entry) => ({
          status: STATUS[entry.status],
          snapshot_id: entry.snapshotId,
          sequence_number: entry.sequenceNumber,
          file_sequence_number: entry.fileSequenceNumber,
          ...row(entry.file),
        }))
      }
      return
    }
    default:
      unreachable(name)
  }
}

function snapshotRow(snapshot: Snapshot): MetadataRow {
  const { operation, ...summary } = snapshot.summary
  return {
    committed_at: snapshot['timestamp-ms'],
    snapshot_id: snapshot['snapshot-id'],
    parent_id: snapshot['parent-snapshot-id'] ?? null,
    operation,
    manifest_list: snapshot['manifest-list'],
    summary,
  }
}

function historyRows(metadata: TableMetadata): MetadataRow[] {
  const current = new Set(
    ancestors(metadata, metadata['current-snapshot-id']).map((snapshot) => snapshot['snapshot-id']),
  )
  return metadata['snapshot-log'].map((entry) => ({
    made_current_at: entry['timestamp-ms'],
    snapshot_id: entry['snapshot-id'],
    parent_id: findSnapshot(metadata, entry['snapshot-id'])?.['parent-snapshot-id'] ?? null,
    is_current_ancestor: current.has(entry['snapshot-id']),
  }))
}

function refRows(metadata: TableMetadata): MetadataRow[] {
  return Object.entries(metadata.refs).map(([name, ref]) => ({
    name,
    type: ref.type.toUpperCase(),
    snapshot_id: ref['snapshot-id'],
    max_reference_age_in_ms: ref['max-ref-age-ms'] ?? null,
    min_snapshots_to_keep: ref['min-snapshots-to-keep'] ?? null,
    max_snapshot_age_in_ms: ref['max-snapshot-age-ms'] ?? null,
  }))
}

function metadataLogRows(table: LoadedTable): MetadataRow[] {
  const { metadata } = table
  const files = [
    ...metadata['metadata-log'].map((entry) => ({ file: entry['metadata-file'], timestampMs: entry['timestamp-ms'] })),
    { file: table.metadataLocation, timestampMs: metadata['last-updated-ms'] },
  ]
  return files.map(({ file, timestampMs }) => {
    const entry = metadata['snapshot-log'].findLast((made) => made['timestamp-ms'] <= timestampMs)
    const latest = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === entry?.['snapshot-id'])
    return {
      timestamp: timestampMs,
      file,
      latest_snapshot_id: latest?.['snapshot-id'] ?? null,
      latest_schema_id: latest?.['schema-id'] ?? null,
      latest_sequence_number: latest?.['sequence-number'] ?? null,
    }
  })
}

async function manifestsOf(source: MetadataSource): Promise<ManifestFile[]> {
  return source.snapshot === null ? [] : readManifestList(source.io, source.snapshot['manifest-list'])
}

function manifestRow(metadata: TableMetadata, manifest: ManifestFile): MetadataRow {
  const known = (count: number): number | null => (count === COUNT_UNKNOWN ? null : count)
  const data = manifest.content === 'data'
  const columns = partitionColumnsOf(metadata, specById(metadata, manifest.partitionSpecId))
  return {
    content: data ? 0 : 1,
    path: manifest.manifestPath,
    length: manifest.manifestLength,
    partition_spec_id: manifest.partitionSpecId,
    added_snapshot_id: manifest.addedSnapshotId,
    added_data_files_count: data ? known(manifest.addedFilesCount) : 0,
    existing_data_files_count: data ? known(manifest.existingFilesCount) : 0,
    deleted_data_files_count: data ? known(manifest.deletedFilesCount) : 0,
    added_delete_files_count: data ? 0 : known(manifest.addedFilesCount),
    existing_delete_files_count: data ? 0 : known(manifest.existingFilesCount),
    deleted_delete_files_count: data ? 0 : known(manifest.deletedFilesCount),
    partition_summaries: (manifest.partitions ?? []).map((summary, index) => ({
      contains_null: summary.containsNull,
      contains_nan: summary.containsNan ?? null,
      lower_bound: humanBound(columns[index], summary.lowerBound),
      upper_bound: humanBound(columns[index], summary.upperBound),
    })),
  }
}

function humanBound(column: PartitionColumn | undefined, bytes: Uint8Array | undefined): string | null {
  if (column === undefined || bytes === undefined) return null
  return humanValue(column.transform, column.sourceType, valueFromBytes(column.type, bytes))
}

async function* entriesOf(source: MetadataSource, liveOnly: boolean): AsyncGenerator<ManifestEntry[]> {
  let count = 0
  for (const manifest of await manifestsOf(source)) {
    for await (const entries of readManifest(source.io, manifest, source.table.metadata, { liveOnly })) {
      count += entries.length
      if (count > limits.queryRowsMax) {
        throw new Fault(
          'limit',
          `a table of metadata may have ${limits.queryRowsMax} rows; expire snapshots or compact`,
        )
      }
      yield entries
    }
  }
}

/** Partition values of a file as one tuple over all specs; absent for a table without partitions. */
function partitionOf(source: MetadataSource): (file: DataFile) => Json | undefined {
  const all = partitionFields(source.table)
  const bySpec = new Map(
    source.table.metadata['partition-specs'].map((spec) => [
      spec['spec-id'],
      partitionColumnsOf(source.table.metadata, spec),
    ]),
  )
  return (file) => {
    if (all.length === 0) return undefined
    const own = bySpec.get(file.specId) ?? []
    return Object.fromEntries(
      all.map((field) => {
        const index = own.findIndex((each) => each.fieldId === field.fieldId)
        return [field.name, valueJson(field.type, file.partition[index] ?? null)]
      }),
    )
  }
}

function fileRow(source: MetadataSource): (file: DataFile) => MetadataRow {
  const partition = partitionOf(source)
  const leaves = flattenFields(source.schema).flatMap((field): { id: number; name: string; type: PrimitiveType }[] =>
    isPrimitive(field.type) ? [{ id: field.id, name: field.name, type: field.type }] : [],
  )
  return (file) => {
    const tuple = partition(file)
    return {
      content: CONTENT[file.content],
      file_path: file.filePath,
      file_format: file.fileFormat.toUpperCase(),
      spec_id: file.specId,
      ...(tuple === undefined ? {} : { partition: tuple }),
      record_count: file.recordCount,
      file_size_in_bytes: file.fileSizeBytes,
      column_sizes: idMap(file.columnSizes, (size) => size),
      value_counts: idMap(file.valueCounts, (count) => count),
      null_value_counts: idMap(file.nullValueCounts, (count) => count),
      nan_value_counts: idMap(file.nanValueCounts, (count) => count),
      lower_bounds: idMap(file.lowerBounds, hex),
      upper_bounds: idMap(file.upperBounds, hex),
      key_metadata: null,
      split_offsets: file.splitOffsets ?? null,
      equality_ids: file.equalityIds ?? null,
      sort_order_id: file.sortOrderId ?? null,
      referenced_data_file: file.referencedDataFile ?? null,
      content_offset: file.contentOffset ?? null,
      content_size_in_bytes: file.contentSizeBytes ?? null,
      readable_metrics: Object.fromEntries(
        leaves.map(({ id, name, type }) => [
          name,
          {
            column_size: file.columnSizes?.get(id) ?? null,
            value_count: file.valueCounts?.get(id) ?? null,
            null_value_count: file.nullValueCounts?.get(id) ?? null,
            nan_value_count: file.nanValueCounts?.get(id) ?? null,
            lower_bound: boundJson(type, file.lowerBounds?.get(id)),
            upper_bound: boundJson(type, file.upperBounds?.get(id)),
          },
        ]),
      ),
    }
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function idMap<T>(values: ReadonlyMap<number, T> | undefined, toJson: (value: T) => Json): Json {
  if (values === undefined) return null
  return Object.fromEntries([...values].map(([id, value]) => [String(id), toJson(value)]))
}

async function partitionRows(source: MetadataSource): Promise<MetadataRow[]> {
  const { metadata } = source.table
  const partition = partitionOf(source)
  const snapshots = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]))
  const groups = new Map<string, PartitionGroup>()
  for await (const entries of entriesOf(source, true)) {
    for (const { file, snapshotId } of entries) {
      const tuple = partition(file)
      const key = stringifyJson([file.specId, tuple ?? null])
      const group = groups.get(key) ?? new PartitionGroup(file.specId, tuple)
      groups.set(key, group)
      group.add(file, snapshotId === null ? undefined : snapshots.get(snapshotId))
    }
  }
  return [...groups.values()].map((group) => group.row())
}

class PartitionGroup {
  readonly #specId: number
  readonly #partition: Json | undefined
  readonly #counts = { data: [0, 0], 'position-deletes': [0, 0], 'equality-deletes': [0, 0] } satisfies Record<
    FileContent,
    [number, number]
  >
  #dataBytes = 0
  #last: Snapshot | undefined

  constructor(specId: number, partition: Json | undefined) {
    this.#specId = specId
    this.#partition = partition
  }

  add(file: DataFile, snapshot: Snapshot | undefined): void {
    const counts = this.#counts[file.content]
    counts[0]! += file.recordCount
    counts[1]! += 1
    if (file.content === 'data') this.#dataBytes += file.fileSizeBytes
    const later = snapshot !== undefined && snapshot['timestamp-ms'] >= (this.#last?.['timestamp-ms'] ?? 0)
    if (later) this.#last = snapshot
  }

  row(): MetadataRow {
    const { data, 'position-deletes': positions, 'equality-deletes': equalities } = this.#counts
    return {
      ...(this.#partition === undefined ? {} : { partition: this.#partition }),
      spec_id: this.#specId,
      record_count: data[0]!,
      file_count: data[1]!,
      total_data_file_size_in_bytes: this.#dataBytes,
      position_delete_record_count: positions[0]!,
      position_delete_file_count: positions[1]!,
      equality_delete_record_count: equalities[0]!,
      equality_delete_file_count: equalities[1]!,
      last_updated_at: this.#last?.['timestamp-ms'] ?? null,
      last_updated_snapshot_id: this.#last?.['snapshot-id'] ?? null,
    }
  }
}
