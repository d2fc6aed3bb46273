/** Appending: data files are added, nothing else changes. */
import { Fault } from '../../base/fault.ts'
import type { TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { type SnapshotInput, snapshotChange } from './snapshot.ts'

/**
 * A snapshot of operation `append`. It may add no file at all, to record summary entries (an offset that moved on).
 * @throws Fault `invalid` when the counts tell of removed files or deletes
 */
export function append(metadata: TableMetadata, input: SnapshotInput): TableChange {
  const { deletedDataFiles = 0, addedDeleteFiles = 0, removedDeleteFiles = 0 } = input.counts
  if (deletedDataFiles + addedDeleteFiles + removedDeleteFiles > 0) {
    throw new Fault('invalid', 'expected only added data files in an append, got others in the counts; use rowDelta')
  }
  return snapshotChange(metadata, 'append', input)
}
