/**
 * Which snapshot a reader means: by id, by ref, by time.
 */
import type { Snapshot, TableMetadata } from '../spec/table-metadata.ts'

/** @throws Fault `not-found`, naming some that exist */
export function snapshotById(_metadata: TableMetadata, _snapshotId: bigint): Snapshot {
  throw new Error('not built yet')
}

/** @throws Fault `not-found` for an unknown branch or tag */
export function snapshotByRef(_metadata: TableMetadata, _ref: string): Snapshot {
  throw new Error('not built yet')
}

/** The snapshot that was current at `timestampMs`. @throws Fault `not-found` before the first, naming the earliest */
export function snapshotAsOf(_metadata: TableMetadata, _timestampMs: number): Snapshot {
  throw new Error('not built yet')
}
