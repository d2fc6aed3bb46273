/**
 * Files that a snapshot names and that are not there. Nothing but their loss explains it, or that the snapshot was expired
 * after it was chosen: whoever holds newer metadata can tell (`isMissingFile`).
 */
import { Fault, isFault } from '../../base/fault.ts'
import type { Snapshot } from '../spec/table-metadata.ts'

/** A `not-found` of reading a file of the snapshot as `corrupt`, with table and snapshot; any other error as it is. */
export function missingFile(error: unknown, table: string, snapshot: Snapshot | null): unknown {
  if (!isFault(error, 'not-found')) return error
  const id = String(snapshot?.['snapshot-id'] ?? null)
  return new Fault(
    'corrupt',
    `a file of snapshot ${id} of the table at ${table} is missing: ${error.message}; restore it from a copy, or read a snapshot without it`,
    { ...error.facts, table, snapshot: id, isMissing: true },
    error,
  )
}

export function isMissingFile(error: unknown): boolean {
  return isFault(error, 'not-found') || (isFault(error, 'corrupt') && error.facts['isMissing'] === true)
}
