/**
 * Which snapshot a reader means: by id, by branch or tag, by time (Iceberg spec, "Point in Time Reads").
 */
import { Fault } from '../../base/fault.ts'
import { ancestors, findRef, findSnapshot, MAIN } from '../spec/history.ts'
import type { Snapshot, TableMetadata } from '../spec/table-metadata.ts'

/** How many of what there is a message names. */
const NAMED_MAX = 10

/** @throws Fault `not-found`, naming the newest that exist */
export function snapshotById(metadata: TableMetadata, snapshotId: bigint): Snapshot {
  const snapshot = findSnapshot(metadata, snapshotId)
  if (snapshot !== undefined) return snapshot
  const newest = metadata.snapshots.slice(-NAMED_MAX).map((known) => String(known['snapshot-id']))
  throw new Fault(
    'not-found',
    `the table has no snapshot ${snapshotId}: it never had it, or it has expired; ${newest.length === 0 ? 'it has none at all' : `the newest are ${newest.join(', ')}`}`,
    { snapshotId },
  )
}

/** @throws Fault `not-found` for an unknown branch or tag */
export function snapshotByRef(metadata: TableMetadata, ref: string): Snapshot {
  const known = findRef(metadata, ref)
  if (known !== undefined) return snapshotById(metadata, known['snapshot-id'])
  const current = metadata['current-snapshot-id']
  if (ref === MAIN && current !== undefined) return snapshotById(metadata, current)
  const names = Object.keys(metadata.refs).slice(0, NAMED_MAX)
  throw new Fault(
    'not-found',
    `the table has no branch or tag "${ref}"; ${names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`}`,
    { ref },
  )
}

/**
 * The snapshot that was current at `timestampMs`: the last of the snapshot log at or before it.
 * @throws Fault `not-found` before the first, naming the earliest time there is, or when that snapshot has expired
 */
export function snapshotAsOf(metadata: TableMetadata, timestampMs: number): Snapshot {
  const log = historyOf(metadata)
  const entry = log.findLast((made) => made['timestamp-ms'] <= timestampMs)
  if (entry !== undefined) return snapshotById(metadata, entry['snapshot-id'])
  const first = log[0]
  throw new Fault(
    'not-found',
    first === undefined
      ? 'the table has no snapshot yet, so it has none as of any time'
      : `the table's history begins at ${iso(first['timestamp-ms'])}, after ${iso(timestampMs)}; ask for that time or a later one`,
    { timestampMs, ...(first === undefined ? {} : { earliestMs: first['timestamp-ms'] }) },
  )
}

/** The snapshot log, in time order; without one, the current snapshot and its ancestors. */
function historyOf(metadata: TableMetadata): { 'snapshot-id': bigint; 'timestamp-ms': number }[] {
  if (metadata['snapshot-log'].length > 0) return metadata['snapshot-log']
  return ancestors(metadata, metadata['current-snapshot-id']).reverse()
}

/** Time as ISO text; the number itself beyond what dates reach. */
function iso(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}
