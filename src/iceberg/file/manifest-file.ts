/**
 * Reads and writes manifests (Iceberg spec, "Manifests"): format version 2 is written, 1 to 3 are read.
 *
 * What is read is complete: inherited snapshot ids and sequence numbers are filled in from the manifest list. Length and
 * counts are compared with the manifest list, since a cut Avro file may read without an error.
 */
import { Fault } from '../../base/fault.ts'
import { stringifyJson } from '../../base/json.ts'
import type { DataFile, EntryStatus, FileContent, ManifestEntry, ManifestFile } from '../spec/manifest.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import { AvroFile, type AvroRecord, type AvroView, writeAvro } from './avro.ts'
import type { FileIO } from './file.ts'
import { MANIFEST_NAMES, manifestSchema, partitionKey } from './manifest-schema.ts'
import { partitionLayout, type TableShape } from './partition-layout.ts'
import { PartitionSummary } from './partition-summary.ts'
import { partitionFromAvro, partitionToAvro, promotedPartition } from './partition-value.ts'

/** How much of the column statistics is read: `bounds` are counts and bounds (for pruning), `all` also column sizes. */
export type StatsRead = 'all' | 'bounds' | 'none'

export interface ManifestReadOptions {
  /** Default `all`. What is left out is as if the manifest did not have it. */
  stats?: StatsRead
  /** Leave out entries of status `deleted`. Default false. */
  liveOnly?: boolean
}

const STATUS: readonly EntryStatus[] = ['existing', 'added', 'deleted']
const CONTENT: readonly FileContent[] = ['data', 'position-deletes', 'equality-deletes']
const FORMATS = ['parquet', 'avro', 'orc', 'puffin']

const BOUNDS = ['value_counts', 'null_value_counts', 'nan_value_counts', 'lower_bounds', 'upper_bounds']
const SKIPPED: Record<StatsRead, ReadonlySet<string>> = {
  all: new Set(),
  bounds: new Set(['column_sizes']),
  none: new Set(['column_sizes', ...BOUNDS]),
}
const READ = new Set(MANIFEST_NAMES.values())

const isBigint = (path: readonly string[]): boolean =>
  path.at(-1) === 'snapshot_id' || (path[0] === 'data_file' && path[1] === 'partition')

function view(stats: StatsRead): AvroView {
  const skipped = SKIPPED[stats]
  return {
    name: (id, own) =>
      id === undefined ? own : (MANIFEST_NAMES.get(id) ?? (id >= 1000 ? partitionKey({ fieldId: id }) : undefined)),
    bigint: isBigint,
    keep: ([first, second, third]) =>
      second === undefined ? READ.has(first!) : third !== undefined || (READ.has(second) && !skipped.has(second)),
  }
}

/**
 * The entries of a manifest, a block at a time, in the file's order.
 * @throws Fault `corrupt` when the file is not what the manifest list says, `not-found`, `unsupported`
 */
export async function* readManifest(
  io: FileIO,
  manifest: ManifestFile,
  table: TableShape,
  options: ManifestReadOptions = {},
): AsyncGenerator<ManifestEntry[]> {
  const path = manifest.manifestPath
  const bytes = await io.read(path)
  const damaged = (what: string): Fault =>
    new Fault(
      'corrupt',
      `manifest ${path} is not the one that its manifest list describes: ${what}. Restore it from a copy, or roll the table back to a snapshot that does not use it.`,
      { location: path },
    )
  if (bytes.length !== manifest.manifestLength) {
    throw damaged(`expected ${manifest.manifestLength} bytes, got ${bytes.length}`)
  }
  const file = new AvroFile(bytes, path)
  const { columns } = partitionLayout(table, manifest.partitionSpecId)
  const read = new EntryReader(manifest, columns, damaged)
  const counts = { existing: 0, added: 0, deleted: 0 }
  for await (const rows of file.blocks(view(options.stats ?? 'all'))) {
    const entries: ManifestEntry[] = []
    for (const row of rows) {
      const status = STATUS[row['status'] as number]
      if (status === undefined) throw damaged(`an entry has the status ${String(row['status'])}`)
      counts[status] += 1
      if (status !== 'deleted' || options.liveOnly !== true) entries.push(read.entry(row, status))
    }
    yield entries
  }
  const expected = {
    existing: manifest.existingFilesCount,
    added: manifest.addedFilesCount,
    deleted: manifest.deletedFilesCount,
  }
  for (const status of STATUS) {
    if (expected[status] >= 0 && counts[status] !== expected[status]) {
      throw damaged(`expected ${expected[status]} ${status} entries, got ${counts[status]}`)
    }
  }
}

class EntryReader {
  readonly #manifest: ManifestFile
  readonly #columns: readonly PartitionColumn[]
  readonly #damaged: (what: string) => Fault

  constructor(manifest: ManifestFile, columns: readonly PartitionColumn[], damaged: (what: string) => Fault) {
    this.#manifest = manifest
    this.#columns = columns
    this.#damaged = damaged
  }

  entry(row: AvroRecord, status: EntryStatus): ManifestEntry {
    const sequence = (stored: unknown): number => {
      if (typeof stored === 'number') return stored
      if (status === 'added' || this.#manifest.sequenceNumber === 0) return this.#manifest.sequenceNumber
      throw this.#damaged(`an entry of status ${status} has no sequence number`)
    }
    return {
      status,
      snapshotId: (row['snapshot_id'] as bigint | null) ?? this.#manifest.addedSnapshotId,
      sequenceNumber: sequence(row['sequence_number']),
      fileSequenceNumber: sequence(row['file_sequence_number']),
      file: this.#file(row['data_file'] as AvroRecord),
    }
  }

  #file(row: AvroRecord): DataFile {
    const content = CONTENT[(row['content'] as number | undefined) ?? 0]
    const fileFormat = String(row['file_format']).toLowerCase()
    if (content === undefined) throw this.#damaged(`a file has the content ${String(row['content'])}`)
    if (!FORMATS.includes(fileFormat)) throw this.#damaged(`a file has the format "${fileFormat}"`)
    const file: DataFile = {
      content,
      filePath: row['file_path'] as string,
      fileFormat: fileFormat as DataFile['fileFormat'],
      specId: this.#manifest.partitionSpecId,
      partition: partitionFromAvro(row['partition'] as AvroRecord, this.#columns),
      recordCount: row['record_count'] as number,
      fileSizeBytes: row['file_size_in_bytes'] as number,
    }
    const counts = (name: string): Map<number, number> | undefined => mapOf<number>(row[name])
    const bounds = (name: string): Map<number, Uint8Array> | undefined => mapOf<Uint8Array>(row[name])
    setIf(file, 'columnSizes', counts('column_sizes'))
    setIf(file, 'valueCounts', counts('value_counts'))
    setIf(file, 'nullValueCounts', counts('null_value_counts'))
    setIf(file, 'nanValueCounts', counts('nan_value_counts'))
    setIf(file, 'lowerBounds', bounds('lower_bounds'))
    setIf(file, 'upperBounds', bounds('upper_bounds'))
    setIf(file, 'splitOffsets', row['split_offsets'])
    setIf(file, 'equalityIds', row['equality_ids'])
    setIf(file, 'sortOrderId', row['sort_order_id'])
    setIf(file, 'referencedDataFile', row['referenced_data_file'])
    setIf(file, 'contentOffset', row['content_offset'])
    setIf(file, 'contentSizeBytes', row['content_size_in_bytes'])
    return file
  }
}

function setIf<K extends keyof DataFile>(file: DataFile, key: K, value: unknown): void {
  if (value !== null && value !== undefined) file[key] = value as DataFile[K]
}

/** Both encodings of a map: an array of key and value records, and (string keys only, but tolerated) an Avro map. */
function mapOf<T>(value: unknown): Map<number, T> | undefined {
  if (value === null || value === undefined) return undefined
  const map = new Map<number, T>()
  if (Array.isArray(value))
    for (const { key, value: member } of value as { key: number; value: T }[]) map.set(key, member)
  else for (const [key, member] of Object.entries(value)) map.set(Number(key), member as T)
  return map
}

export interface ManifestWrite {
  location: string
  table: TableShape
  specId: number
  content: 'data' | 'deletes'
  /** The snapshot that adds the manifest, and its sequence number: null fields of entries inherit them. */
  snapshotId: bigint
  sequenceNumber: number
  /** At least one. Entries that are not `added` carry their own snapshot id and sequence numbers. */
  entries: Iterable<ManifestEntry>
}

/** Writes a manifest and describes it as its manifest list will. @throws Fault `unsupported`, `conflict` */
export async function writeManifest(io: FileIO, write: ManifestWrite): Promise<ManifestFile> {
  const { schema, spec, columns } = partitionLayout(write.table, write.specId)
  const manifest: ManifestFile = {
    manifestPath: write.location,
    manifestLength: 0,
    partitionSpecId: write.specId,
    content: write.content,
    sequenceNumber: write.sequenceNumber,
    minSequenceNumber: Number.MAX_SAFE_INTEGER,
    addedSnapshotId: write.snapshotId,
    addedFilesCount: 0,
    existingFilesCount: 0,
    deletedFilesCount: 0,
    addedRowsCount: 0,
    existingRowsCount: 0,
    deletedRowsCount: 0,
  }
  const summary = new PartitionSummary(columns)
  const metadata = {
    schema: stringifyJson(schema),
    'schema-id': String(schema['schema-id']),
    'partition-spec': stringifyJson(spec.fields),
    'partition-spec-id': String(spec['spec-id']),
    'format-version': '2',
    content: write.content,
  }
  function* rows(): Generator<AvroRecord> {
    for (const entry of write.entries) {
      count(manifest, entry)
      const partition = promotedPartition(entry.file.partition, columns)
      summary.add(partition)
      yield entryRow(entry, partitionToAvro(partition, columns), write.snapshotId)
    }
  }
  const bytes = await writeAvro(manifestSchema(columns), metadata, rows(), isBigint)
  await io.write(write.location, bytes)
  manifest.manifestLength = bytes.length
  manifest.partitions = summary.fields()
  manifest.minSequenceNumber = Math.min(manifest.minSequenceNumber, write.sequenceNumber)
  return manifest
}

function count(manifest: ManifestFile, entry: ManifestEntry): void {
  const rows = entry.file.recordCount
  if (entry.status === 'added') {
    manifest.addedFilesCount += 1
    manifest.addedRowsCount += rows
  } else if (entry.status === 'existing') {
    manifest.existingFilesCount += 1
    manifest.existingRowsCount += rows
  } else {
    manifest.deletedFilesCount += 1
    manifest.deletedRowsCount += rows
    return
  }
  const sequence = entry.sequenceNumber ?? manifest.sequenceNumber
  manifest.minSequenceNumber = Math.min(manifest.minSequenceNumber, sequence)
}

function entryRow(entry: ManifestEntry, partition: AvroRecord, snapshotId: bigint): AvroRecord {
  const file = entry.file
  return {
    status: STATUS.indexOf(entry.status),
    snapshot_id: entry.snapshotId ?? snapshotId,
    sequence_number: entry.sequenceNumber,
    file_sequence_number: entry.fileSequenceNumber,
    data_file: {
      content: CONTENT.indexOf(file.content),
      file_path: file.filePath,
      file_format: file.fileFormat.toUpperCase(),
      partition,
      record_count: file.recordCount,
      file_size_in_bytes: file.fileSizeBytes,
      column_sizes: pairs(file.columnSizes),
      value_counts: pairs(file.valueCounts),
      null_value_counts: pairs(file.nullValueCounts),
      nan_value_counts: pairs(file.nanValueCounts),
      lower_bounds: boundPairs(file.lowerBounds),
      upper_bounds: boundPairs(file.upperBounds),
      key_metadata: null,
      split_offsets: file.splitOffsets ?? null,
      equality_ids: file.equalityIds ?? null,
      sort_order_id: file.sortOrderId ?? null,
      referenced_data_file: file.referencedDataFile ?? null,
    },
  }
}

function pairs(map: Map<number, number> | undefined): unknown {
  return map === undefined ? null : Array.from(map, ([key, value]) => ({ key, value }))
}

function boundPairs(map: Map<number, Uint8Array> | undefined): unknown {
  return map === undefined ? null : Array.from(map, ([key, value]) => ({ key, value: asBuffer(value) }))
}

/** avsc takes Buffers only. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
