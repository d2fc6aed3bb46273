/** Changing rows: data files and delete files are added, and files that hold no live row any more may be removed. */
import type { Operation, TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { type SnapshotCounts, type SnapshotInput, snapshotChange } from './snapshot.ts'

/** A snapshot whose operation follows from what happened: `append`, `delete` or `overwrite`. */
export function rowDelta(metadata: TableMetadata, input: SnapshotInput): TableChange {
  return snapshotChange(metadata, operationOf(input.counts), input)
}

/** Only data added: `append`; only rows taken away: `delete`; both: `overwrite` (spec, "Snapshots"). */
export function operationOf(counts: SnapshotCounts): Operation {
  const adds = (counts.addedDataFiles ?? 0) > 0
  const takes = (counts.deletedDataFiles ?? 0) + (counts.addedDeleteFiles ?? 0) > 0
  const rewrites = (counts.removedDeleteFiles ?? 0) > 0
  if (!takes && !rewrites) return 'append'
  return adds || !takes ? 'overwrite' : 'delete'
}
