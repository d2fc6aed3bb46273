/**
 * A table's snapshots as a history: by id, by ancestry, by time.
 */
import type { Snapshot, SnapshotRef, TableMetadata } from './table-metadata.ts'

/** The branch of the table itself. */
export const MAIN = 'main'

/** A branch or tag by name; undefined for names that are none (also `constructor` and the like). */
export function findRef(metadata: TableMetadata, name: string): SnapshotRef | undefined {
  return Object.hasOwn(metadata.refs, name) ? metadata.refs[name] : undefined
}

export function findSnapshot(metadata: TableMetadata, snapshotId: bigint): Snapshot | undefined {
  return metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === snapshotId)
}

/** The snapshot that readers see; undefined in a table without one. */
export function currentSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const id = metadata['current-snapshot-id']
  return id === undefined ? undefined : findSnapshot(metadata, id)
}

/** The snapshot and its ancestors, newest first, as far as they are still there. */
export function ancestors(metadata: TableMetadata, snapshotId: bigint | undefined): Snapshot[] {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot['snapshot-id'], snapshot]))
  const line: Snapshot[] = []
  let next = snapshotId
  // Each step takes its snapshot out of the map, so that a cycle in damaged metadata ends too.
  while (next !== undefined) {
    const snapshot = byId.get(next)
    if (snapshot === undefined) break
    byId.delete(next)
    line.push(snapshot)
    next = snapshot['parent-snapshot-id']
  }
  return line
}

/** Is the snapshot the current one or one of its ancestors? */
export function isAncestorOfCurrent(metadata: TableMetadata, snapshotId: bigint): boolean {
  return ancestors(metadata, metadata['current-snapshot-id']).some((snapshot) => snapshot['snapshot-id'] === snapshotId)
}
