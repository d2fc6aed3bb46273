/**
 * What every change that makes a snapshot has in common: its place in the history, its summary, and the requirements that
 * keep two writers from building on the same parent.
 */
import { Fault } from '../../base/fault.ts'
import { findRef, MAIN } from '../spec/history.ts'
import type { Operation, Snapshot, TableChange, TableMetadata } from '../spec/table-metadata.ts'

/** What a snapshot adds and takes away. What is left out is 0. Sizes in bytes, of data and delete files together. */
export interface SnapshotCounts {
  addedDataFiles?: number
  deletedDataFiles?: number
  addedRecords?: number
  deletedRecords?: number
  addedFilesSizeBytes?: number
  removedFilesSizeBytes?: number
  /** Delete files of every kind, deletion vectors included. */
  addedDeleteFiles?: number
  removedDeleteFiles?: number
  /** Position-delete files; default: all delete files that are neither equality deletes nor vectors. */
  addedPositionDeleteFiles?: number
  removedPositionDeleteFiles?: number
  addedEqualityDeleteFiles?: number
  removedEqualityDeleteFiles?: number
  addedDvs?: number
  removedDvs?: number
  /** Rows of delete files. */
  addedPositionDeletes?: number
  removedPositionDeletes?: number
  addedEqualityDeletes?: number
  removedEqualityDeletes?: number
  changedPartitionCount?: number
}

export interface SnapshotInput {
  snapshotId: bigint
  /** Location of the manifest list. */
  manifestList: string
  /** When the snapshot was made, milliseconds since 1970. */
  timestampMs: number
  /** Schema that its new files were written with; default the table's current one. */
  schemaId?: number
  counts: SnapshotCounts
  /** More summary entries: commit id, log offset, … They never replace the format's own. */
  summary?: Record<string, string>
  /** Default `main`. */
  branch?: string
  /** v3: row ids that the snapshot takes, from the table's next-row-id on. */
  addedRows?: number
}

/** The sequence number that the table's next snapshot gets: 0 in v1, which has none. */
export function nextSequenceNumber(metadata: TableMetadata): number {
  return metadata['format-version'] === 1 ? 0 : metadata['last-sequence-number'] + 1
}

/**
 * The change that adds one snapshot to a branch: it holds only while the branch is where `metadata` has it.
 * @throws Fault `invalid` when a count is not a whole number from 0, or the branch is a tag
 */
export function snapshotChange(metadata: TableMetadata, operation: Operation, input: SnapshotInput): TableChange {
  const branch = input.branch ?? MAIN
  const ref = findRef(metadata, branch)
  if (ref?.type === 'tag') throw new Fault('invalid', `expected a branch to commit to, got the tag "${branch}"`)
  const parentId = ref?.['snapshot-id']
  const parent = metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === parentId)
  const snapshot: Snapshot = {
    'sequence-number': nextSequenceNumber(metadata),
    'snapshot-id': input.snapshotId,
    ...(parentId === undefined ? {} : { 'parent-snapshot-id': parentId }),
    // A clock that stepped back must not put a snapshot before its parent.
    'timestamp-ms': Math.max(input.timestampMs, metadata['last-updated-ms']),
    summary: { ...input.summary, ...summaryOf(input.counts, parent), operation },
    'manifest-list': input.manifestList,
    'schema-id': input.schemaId ?? metadata['current-schema-id'],
    ...rowIds(metadata, input),
  }
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      { type: 'assert-ref-snapshot-id', ref: branch, 'snapshot-id': parentId ?? null },
    ],
    updates: [
      { action: 'add-snapshot', snapshot },
      {
        ...ref,
        action: 'set-snapshot-ref',
        'ref-name': branch,
        type: 'branch',
        'snapshot-id': input.snapshotId,
      },
    ],
  }
}

function rowIds(metadata: TableMetadata, input: SnapshotInput): Pick<Snapshot, 'first-row-id' | 'added-rows'> {
  if (metadata['format-version'] < 3) return {}
  return {
    'first-row-id': metadata['next-row-id'] ?? 0,
    'added-rows': input.addedRows ?? input.counts.addedRecords ?? 0,
  }
}

/** Summary names (spec, Appendix F), what they count, and the total they belong to. */
const SUMMARY: readonly { name: string; count: keyof SnapshotCounts }[] = [
  { name: 'added-data-files', count: 'addedDataFiles' },
  { name: 'deleted-data-files', count: 'deletedDataFiles' },
  { name: 'added-equality-delete-files', count: 'addedEqualityDeleteFiles' },
  { name: 'removed-equality-delete-files', count: 'removedEqualityDeleteFiles' },
  { name: 'added-position-delete-files', count: 'addedPositionDeleteFiles' },
  { name: 'removed-position-delete-files', count: 'removedPositionDeleteFiles' },
  { name: 'added-delete-files', count: 'addedDeleteFiles' },
  { name: 'removed-delete-files', count: 'removedDeleteFiles' },
  { name: 'added-dvs', count: 'addedDvs' },
  { name: 'removed-dvs', count: 'removedDvs' },
  { name: 'added-records', count: 'addedRecords' },
  { name: 'deleted-records', count: 'deletedRecords' },
  { name: 'added-files-size', count: 'addedFilesSizeBytes' },
  { name: 'removed-files-size', count: 'removedFilesSizeBytes' },
  { name: 'added-position-deletes', count: 'addedPositionDeletes' },
  { name: 'removed-position-deletes', count: 'removedPositionDeletes' },
  { name: 'added-equality-deletes', count: 'addedEqualityDeletes' },
  { name: 'removed-equality-deletes', count: 'removedEqualityDeletes' },
]

const TOTALS: readonly { name: string; added: keyof SnapshotCounts; removed: keyof SnapshotCounts }[] = [
  { name: 'total-records', added: 'addedRecords', removed: 'deletedRecords' },
  { name: 'total-files-size', added: 'addedFilesSizeBytes', removed: 'removedFilesSizeBytes' },
  { name: 'total-data-files', added: 'addedDataFiles', removed: 'deletedDataFiles' },
  { name: 'total-delete-files', added: 'addedDeleteFiles', removed: 'removedDeleteFiles' },
  { name: 'total-position-deletes', added: 'addedPositionDeletes', removed: 'removedPositionDeletes' },
  { name: 'total-equality-deletes', added: 'addedEqualityDeletes', removed: 'removedEqualityDeletes' },
]

/**
 * The summary but for its operation: counts that are not 0, and totals carried on from the parent, as Java's
 * `SnapshotSummary` has them. A total that the parent lacks, or that would fall below 0, is left out: unknown.
 */
export function summaryOf(given: SnapshotCounts, parent: Snapshot | undefined): Record<string, string> {
  const counts = withPositionDeleteFiles(given)
  const summary: Record<string, string> = {}
  for (const { name, count } of SUMMARY) {
    const value = checked(counts, count)
    if (value > 0) summary[name] = String(value)
  }
  summary['changed-partition-count'] = String(checked(counts, 'changedPartitionCount'))
  for (const { name, added, removed } of TOTALS) {
    const before = parent === undefined ? '0' : parent.summary[name]
    if (before === undefined || !/^\d+$/.test(before)) continue
    const total = BigInt(before) + BigInt(checked(counts, added)) - BigInt(checked(counts, removed))
    if (total >= 0n) summary[name] = String(total)
  }
  return summary
}

function withPositionDeleteFiles(counts: SnapshotCounts): SnapshotCounts {
  const { addedDeleteFiles = 0, addedEqualityDeleteFiles = 0, addedDvs = 0 } = counts
  const { removedDeleteFiles = 0, removedEqualityDeleteFiles = 0, removedDvs = 0 } = counts
  return {
    addedPositionDeleteFiles: Math.max(0, addedDeleteFiles - addedEqualityDeleteFiles - addedDvs),
    removedPositionDeleteFiles: Math.max(0, removedDeleteFiles - removedEqualityDeleteFiles - removedDvs),
    ...counts,
  }
}

function checked(counts: SnapshotCounts, count: keyof SnapshotCounts): number {
  const value = counts[count] ?? 0
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Fault('invalid', `expected ${count} to be a whole number from 0, got ${value}`)
  }
  return value
}
