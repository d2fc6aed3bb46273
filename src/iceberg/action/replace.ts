/** Rewriting without changing a row: compaction, delete files applied, manifests merged. */
import { Fault } from '../../base/fault.ts'
import type { TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { type SnapshotInput, snapshotChange } from './snapshot.ts'

/**
 * A snapshot of operation `replace`: files out, files in, the same rows. Rows that deletes had taken away may be missing
 * from the new files, so they hold at most as many as the old ones.
 * @throws Fault `invalid` when the new data files hold more rows than the old
 */
export function replace(metadata: TableMetadata, input: SnapshotInput): TableChange {
  const { addedRecords = 0, deletedRecords = 0 } = input.counts
  if (addedRecords > deletedRecords) {
    throw new Fault(
      'invalid',
      `expected a rewrite to hold at most the ${deletedRecords} rows of the files it replaces, got ${addedRecords}`,
      { addedRecords, deletedRecords },
    )
  }
  return snapshotChange(metadata, 'replace', input)
}
