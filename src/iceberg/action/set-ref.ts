/** Branches and tags: making, moving and removing them, and rolling the table back. */
import { Fault } from '../../base/fault.ts'
import { ancestors, findRef, findSnapshot, isAncestorOfCurrent, MAIN } from '../spec/history.ts'
import type { SnapshotRef, TableChange, TableMetadata } from '../spec/table-metadata.ts'

/** How long a branch or tag, and the snapshots of a branch, are kept by expiry. */
export interface RefRetention {
  /** Branches only. */
  minSnapshotsToKeep?: number
  /** Branches only. */
  maxSnapshotAgeMs?: number
  maxRefAgeMs?: number
}

export interface NewRef extends RefRetention {
  name: string
  type: 'branch' | 'tag'
  /** Default: the current snapshot. */
  snapshotId?: bigint
  /** Default false: a name in use is refused. */
  replace?: boolean
}

/**
 * A new branch or tag.
 * @throws Fault `conflict` when the name is in use, `not-found` for an unknown snapshot or a table without one
 */
export function createRef(metadata: TableMetadata, ref: NewRef): TableChange {
  const old = findRef(metadata, ref.name)
  if (old !== undefined && ref.replace !== true) {
    throw new Fault(
      'conflict',
      `expected a new name for the ${ref.type}, got "${ref.name}", which is a ${old.type} already`,
    )
  }
  const snapshotId = ref.snapshotId ?? metadata['current-snapshot-id']
  if (snapshotId === undefined)
    throw new Fault('not-found', `expected a snapshot for "${ref.name}", but the table has none yet`)
  mustHave(metadata, snapshotId)
  return setTo(metadata, ref.name, { ...retention(ref), type: ref.type, 'snapshot-id': snapshotId })
}

/** @throws Fault `not-found` for an unknown name, `invalid` for `main` */
export function dropRef(metadata: TableMetadata, name: string): TableChange {
  const ref = findRef(metadata, name)
  if (ref === undefined) throw unknownRef(metadata, name)
  if (name === MAIN)
    throw new Fault('invalid', 'expected a branch or tag that may be removed, got main, which the table needs')
  return {
    requirements: [
      ...sameTable(metadata),
      { type: 'assert-ref-snapshot-id', ref: name, 'snapshot-id': ref['snapshot-id'] },
    ],
    updates: [{ action: 'remove-snapshot-ref', 'ref-name': name }],
  }
}

/** Another retention for a branch or tag; what is left out is taken away. @throws Fault `not-found` */
export function setRetention(metadata: TableMetadata, name: string, rules: RefRetention): TableChange {
  const ref = findRef(metadata, name)
  if (ref === undefined) throw unknownRef(metadata, name)
  return setTo(metadata, name, { ...retention(rules), type: ref.type, 'snapshot-id': ref['snapshot-id'] })
}

/**
 * Makes an older snapshot of this history the current one; the newer ones stay until they expire.
 * @throws Fault `not-found` for an unknown snapshot, `invalid` for one outside the current one's ancestry
 */
export function rollbackToSnapshot(metadata: TableMetadata, snapshotId: bigint): TableChange {
  mustHave(metadata, snapshotId)
  if (!isAncestorOfCurrent(metadata, snapshotId)) {
    throw new Fault(
      'invalid',
      `expected an ancestor of the current snapshot ${metadata['current-snapshot-id']}, got ${snapshotId}; use setCurrentSnapshot to leave this history`,
    )
  }
  return setCurrentSnapshot(metadata, snapshotId)
}

/**
 * Rolls back to the newest ancestor made at or before a time.
 * @throws Fault `not-found` when none is that old, naming the oldest
 */
export function rollbackToTime(metadata: TableMetadata, timestampMs: number): TableChange {
  const line = ancestors(metadata, metadata['current-snapshot-id'])
  const target = line.find((snapshot) => snapshot['timestamp-ms'] <= timestampMs)
  if (target === undefined) {
    const oldest = line.at(-1)?.['timestamp-ms']
    const known =
      oldest === undefined ? 'there are no snapshots' : `the oldest kept is from ${new Date(oldest).toISOString()}`
    throw new Fault(
      'not-found',
      `expected a snapshot from ${new Date(timestampMs).toISOString()} or before, but ${known}`,
    )
  }
  return setCurrentSnapshot(metadata, target['snapshot-id'])
}

/** Makes any snapshot of the table the current one, whatever its history. @throws Fault `not-found` */
export function setCurrentSnapshot(metadata: TableMetadata, snapshotId: bigint): TableChange {
  mustHave(metadata, snapshotId)
  return setTo(metadata, MAIN, { ...findRef(metadata, MAIN), type: 'branch', 'snapshot-id': snapshotId })
}

/**
 * Moves a branch forward to where another branch or tag is: publishing what was staged there.
 * @throws Fault `invalid` when that would leave snapshots of the branch behind
 */
export function fastForward(metadata: TableMetadata, branch: string, to: string): TableChange {
  const from = findRef(metadata, branch)
  const target = findRef(metadata, to)
  if (target === undefined) throw unknownRef(metadata, to)
  if (from !== undefined && from.type !== 'branch')
    throw new Fault('invalid', `expected a branch to move, got the tag "${branch}"`)
  const line = ancestors(metadata, target['snapshot-id'])
  if (from !== undefined && !line.some((snapshot) => snapshot['snapshot-id'] === from['snapshot-id'])) {
    throw new Fault(
      'invalid',
      `expected "${to}" to be ahead of "${branch}", but snapshot ${from['snapshot-id']} is not in its history`,
    )
  }
  return setTo(metadata, branch, { ...from, type: 'branch', 'snapshot-id': target['snapshot-id'] })
}

function setTo(metadata: TableMetadata, name: string, ref: SnapshotRef): TableChange {
  const base = findRef(metadata, name)?.['snapshot-id'] ?? null
  return {
    requirements: [...sameTable(metadata), { type: 'assert-ref-snapshot-id', ref: name, 'snapshot-id': base }],
    updates: [{ action: 'set-snapshot-ref', 'ref-name': name, ...ref }],
  }
}

function retention(rules: RefRetention): Omit<SnapshotRef, 'type' | 'snapshot-id'> {
  return {
    ...(rules.minSnapshotsToKeep === undefined ? {} : { 'min-snapshots-to-keep': rules.minSnapshotsToKeep }),
    ...(rules.maxSnapshotAgeMs === undefined ? {} : { 'max-snapshot-age-ms': rules.maxSnapshotAgeMs }),
    ...(rules.maxRefAgeMs === undefined ? {} : { 'max-ref-age-ms': rules.maxRefAgeMs }),
  }
}

function sameTable(metadata: TableMetadata): TableChange['requirements'] {
  return [{ type: 'assert-table-uuid', uuid: metadata['table-uuid'] }]
}

function mustHave(metadata: TableMetadata, snapshotId: bigint): void {
  if (findSnapshot(metadata, snapshotId) === undefined) {
    const newest = metadata.snapshots.slice(-5).map((snapshot) => snapshot['snapshot-id'])
    throw new Fault(
      'not-found',
      `expected a snapshot of the table, got ${snapshotId}; the newest are ${newest.join(', ') || 'none'}`,
    )
  }
}

function unknownRef(metadata: TableMetadata, name: string): Fault {
  return new Fault(
    'not-found',
    `expected a branch or tag of the table, got "${name}"; there are ${Object.keys(metadata.refs).join(', ') || 'none'}`,
  )
}
