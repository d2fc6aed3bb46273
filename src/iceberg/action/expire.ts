/**
 * Expiring snapshots: they leave the metadata. Files are deleted by others, once the change is committed.
 *
 * What is kept, as in Java's `expireSnapshots`: of every branch the newest snapshots by count and by age, what any branch
 * or tag points to, and young snapshots that nothing points to. The retention of a branch or tag comes first, then what the
 * caller asks for, then the table's `history.expire.*` properties, then `limits`.
 */
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { ancestors, MAIN } from '../spec/history.ts'
import type { Snapshot, SnapshotRef, TableChange, TableMetadata, TableUpdate } from '../spec/table-metadata.ts'

export interface ExpireRequest {
  /** Now, milliseconds since 1970. */
  nowMs: number
  /** Snapshots made before this time may go (those younger are kept, but for `keepMax`). */
  olderThanMs?: number
  /** The age from which snapshots may go, in ms, and the number that is kept at least, where nobody says. Default: of `limits`. */
  defaults?: { ageMaxMs: number; keepMin: number }
  /** So many of each branch are kept at least, whatever their age. */
  keepMin?: number
  /** More than so many of each branch are not kept, whatever their age. Default: no such bound. */
  keepMax?: number
  /** These go in any case. */
  snapshotIds?: readonly bigint[]
}

export interface ExpirePlan {
  change: TableChange
  /** What the change removes; empty: nothing to do. */
  snapshotIds: bigint[]
  /** Branches and tags that have passed their own age, removed too. */
  refs: string[]
}

/**
 * @throws Fault `unsupported` when the table forbids it (`gc.enabled`), `invalid` for a snapshot asked for that a branch or
 * tag still points to
 */
export function expireSnapshots(metadata: TableMetadata, request: ExpireRequest): ExpirePlan {
  if (metadata.properties['gc.enabled']?.toLowerCase() === 'false') {
    throw new Fault(
      'unsupported',
      'the table property gc.enabled is false: other tables may need its files, so nothing is expired',
    )
  }
  const rules = rulesOf(metadata, request)
  const refs = Object.entries(metadata.refs)
  const expiredRefs = refs
    .filter(([name, ref]) => name !== MAIN && isRefExpired(metadata, ref, rules))
    .map(([name]) => name)
  const keptRefs = refs.filter(([name]) => !expiredRefs.includes(name))
  const forced = new Set(request.snapshotIds ?? [])
  refuseReferenced(forced, keptRefs)
  const kept = new Set(keptRefs.map(([, ref]) => ref['snapshot-id']))
  for (const snapshot of keptByBranches(metadata, keptRefs, rules)) kept.add(snapshot['snapshot-id'])
  for (const snapshot of keptWithoutRef(metadata, keptRefs, rules)) kept.add(snapshot['snapshot-id'])
  const snapshotIds = metadata.snapshots
    .map((snapshot) => snapshot['snapshot-id'])
    .filter((id) => forced.has(id) || !kept.has(id))
  return { snapshotIds, refs: expiredRefs, change: changeOf(metadata, snapshotIds, expiredRefs) }
}

interface Rules {
  nowMs: number
  olderThanMs: number
  keepMin: number
  keepMax: number
  maxRefAgeMs: number
}

function rulesOf(metadata: TableMetadata, request: ExpireRequest): Rules {
  const property = (name: string): number | undefined => {
    const value = Number(metadata.properties[name] ?? Number.NaN)
    return Number.isFinite(value) && value > 0 ? value : undefined
  }
  const maxAgeMs =
    property('history.expire.max-snapshot-age-ms') ?? request.defaults?.ageMaxMs ?? limits.snapshotAgeMaxMs
  const keepMin =
    request.keepMin ??
    property('history.expire.min-snapshots-to-keep') ??
    request.defaults?.keepMin ??
    limits.snapshotsKeptMin
  if (keepMin < 1) throw new Fault('invalid', `expected to keep at least 1 snapshot, got ${keepMin}`)
  const keepMax = request.keepMax ?? Number.POSITIVE_INFINITY
  if (keepMax < keepMin) throw new Fault('invalid', `expected keepMax from keepMin (${keepMin}) on, got ${keepMax}`)
  return {
    nowMs: request.nowMs,
    olderThanMs: request.olderThanMs ?? request.nowMs - maxAgeMs,
    keepMin,
    keepMax,
    maxRefAgeMs: property('history.expire.max-ref-age-ms') ?? Number.POSITIVE_INFINITY,
  }
}

function isRefExpired(metadata: TableMetadata, ref: SnapshotRef, rules: Rules): boolean {
  const snapshot = metadata.snapshots.find((known) => known['snapshot-id'] === ref['snapshot-id'])
  if (snapshot === undefined) return true
  return rules.nowMs - snapshot['timestamp-ms'] > (ref['max-ref-age-ms'] ?? rules.maxRefAgeMs)
}

function refuseReferenced(forced: ReadonlySet<bigint>, refs: readonly [string, SnapshotRef][]): void {
  const held = refs.find(([, ref]) => forced.has(ref['snapshot-id']))
  if (held !== undefined) {
    throw new Fault(
      'invalid',
      `expected snapshots that nothing points to, got ${held[1]['snapshot-id']}, which "${held[0]}" points to`,
    )
  }
}

/** The newest of each branch, without a gap: the first that is old and beyond the count ends it. */
function keptByBranches(metadata: TableMetadata, refs: readonly [string, SnapshotRef][], rules: Rules): Snapshot[] {
  return refs.flatMap(([, ref]) => {
    if (ref.type !== 'branch') return []
    const ownAgeMs = ref['max-snapshot-age-ms']
    const olderThanMs = ownAgeMs === undefined ? rules.olderThanMs : rules.nowMs - ownAgeMs
    const keepMin = ref['min-snapshots-to-keep'] ?? rules.keepMin
    const keepMax = Math.max(rules.keepMax, keepMin)
    const line = ancestors(metadata, ref['snapshot-id'])
    const end = line.findIndex(
      (snapshot, at) => at >= keepMax || (at >= keepMin && snapshot['timestamp-ms'] < olderThanMs),
    )
    return end === -1 ? line : line.slice(0, end)
  })
}

/** Snapshots on no branch and under no tag (rolled back, staged) are kept while they are young. */
function keptWithoutRef(metadata: TableMetadata, refs: readonly [string, SnapshotRef][], rules: Rules): Snapshot[] {
  const referenced = new Set<bigint>()
  for (const [, ref] of refs) {
    const line =
      ref.type === 'branch' ? ancestors(metadata, ref['snapshot-id']).map((known) => known['snapshot-id']) : []
    for (const id of [ref['snapshot-id'], ...line]) referenced.add(id)
  }
  return metadata.snapshots.filter(
    (snapshot) => !referenced.has(snapshot['snapshot-id']) && snapshot['timestamp-ms'] >= rules.olderThanMs,
  )
}

/** Holds only while every branch and tag is where it was: none may have moved to a snapshot that goes. */
function changeOf(metadata: TableMetadata, snapshotIds: bigint[], refs: string[]): TableChange {
  const updates: TableUpdate[] = refs.map((name) => ({ action: 'remove-snapshot-ref', 'ref-name': name }))
  if (snapshotIds.length > 0) updates.push({ action: 'remove-snapshots', 'snapshot-ids': snapshotIds })
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      ...Object.entries(metadata.refs).map(([name, ref]) => ({
        type: 'assert-ref-snapshot-id' as const,
        ref: name,
        'snapshot-id': ref['snapshot-id'],
      })),
    ],
    updates,
  }
}
