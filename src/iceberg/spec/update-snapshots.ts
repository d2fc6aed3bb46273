/**
 * Updates of a table's snapshots, references and statistics, and the snapshot log that follows from them.
 */
import { Fault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { findRef, MAIN } from './history.ts'
import { asId, asObject, type Place, required } from './json-reader.ts'
import type { Snapshot, SnapshotRef, TableMetadata } from './table-metadata.ts'
import type { Draft } from './update.ts'

/** Engines accept logs that step back by less than this (clocks of several writers). */
const CLOCK_SKEW_MS = 60_000

/** @throws Fault `conflict` when the snapshot was planned on an older state of the table */
export function addSnapshot(draft: Draft, snapshot: Snapshot): void {
  const { metadata } = draft
  const id = snapshot['snapshot-id']
  if (metadata.schemas.length === 0) throw new Fault('invalid', 'expected a schema before the first snapshot, got none')
  if (metadata.snapshots.some((known) => known['snapshot-id'] === id)) {
    throw new Fault('invalid', `expected a new snapshot id, got ${id}, which the table has`, { snapshotId: id })
  }
  const sequenceNumber = snapshot['sequence-number']
  const last = metadata['last-sequence-number']
  if (metadata['format-version'] > 1 && sequenceNumber <= last && snapshot['parent-snapshot-id'] !== undefined) {
    throw new Fault(
      'conflict',
      `expected a snapshot with a sequence number above ${last}, got ${sequenceNumber}; somebody else committed, load the table and plan again`,
      { sequenceNumber, last },
    )
  }
  if (metadata['format-version'] >= 3) takeRowIds(metadata, snapshot)
  if (metadata['format-version'] > 1) metadata['last-sequence-number'] = Math.max(last, sequenceNumber)
  metadata.snapshots.push(snapshot)
  draft.addedSnapshots.add(id)
  draft.changed = true
}

/** Row lineage (spec, "Row Lineage"): each snapshot takes the next row ids, in its turn. */
function takeRowIds(metadata: TableMetadata, snapshot: Snapshot): void {
  const next = metadata['next-row-id'] ?? 0
  const first = snapshot['first-row-id']
  const added = snapshot['added-rows']
  if (first === undefined || added === undefined) {
    throw new Fault('invalid', 'expected first-row-id and added-rows in a snapshot of a v3 table, got none')
  }
  if (first < next) {
    throw new Fault(
      'conflict',
      `expected a first-row-id from ${next}, got ${first}; somebody else committed, load the table and plan again`,
    )
  }
  metadata['next-row-id'] = Math.max(next + added, first + added)
}

export function setRef(draft: Draft, name: string, ref: SnapshotRef): void {
  const { metadata } = draft
  const id = ref['snapshot-id']
  const snapshot = metadata.snapshots.find((known) => known['snapshot-id'] === id)
  if (snapshot === undefined) {
    throw new Fault('invalid', `expected "${name}" to refer to a snapshot of the table, got ${id}`, { snapshotId: id })
  }
  checkRef(name, ref)
  const old = findRef(metadata, name)
  if (old !== undefined && sameRef(old, ref)) return
  metadata.refs = { ...metadata.refs, [name]: { ...ref } }
  draft.changed = true
  if (name !== MAIN || metadata['current-snapshot-id'] === id) return
  metadata['current-snapshot-id'] = id
  const isNew = draft.addedSnapshots.has(id)
  if (isNew) draft.madeCurrent.push(id)
  // A rollback happens now; a new snapshot became current when it was made.
  const timestampMs = isNew ? snapshot['timestamp-ms'] : metadata['last-updated-ms']
  metadata['snapshot-log'].push({ 'snapshot-id': id, 'timestamp-ms': timestampMs })
}

function checkRef(name: string, ref: SnapshotRef): void {
  if (name === '') throw new Fault('invalid', 'expected a name for the reference, got none')
  if (name === MAIN && ref.type !== 'branch') throw new Fault('invalid', 'expected main to be a branch, got a tag')
  if (ref.type === 'tag' && (ref['min-snapshots-to-keep'] !== undefined || ref['max-snapshot-age-ms'] !== undefined)) {
    throw new Fault(
      'invalid',
      `expected tag "${name}" without the retention of a branch, got min-snapshots-to-keep or max-snapshot-age-ms`,
    )
  }
  for (const key of ['min-snapshots-to-keep', 'max-snapshot-age-ms', 'max-ref-age-ms'] as const) {
    const value = ref[key]
    if (value !== undefined && value <= 0)
      throw new Fault('invalid', `expected ${key} of "${name}" above 0, got ${value}`)
  }
}

function sameRef(a: SnapshotRef, b: SnapshotRef): boolean {
  return (
    a['snapshot-id'] === b['snapshot-id'] &&
    a.type === b.type &&
    a['min-snapshots-to-keep'] === b['min-snapshots-to-keep'] &&
    a['max-snapshot-age-ms'] === b['max-snapshot-age-ms'] &&
    a['max-ref-age-ms'] === b['max-ref-age-ms']
  )
}

/** A reference that is not there is no error. Without `main` the table has no current snapshot. */
export function removeRef(draft: Draft, name: string): void {
  const { metadata } = draft
  if (findRef(metadata, name) === undefined) return
  metadata.refs = Object.fromEntries(Object.entries(metadata.refs).filter(([other]) => other !== name))
  if (name === MAIN) delete metadata['current-snapshot-id']
  draft.changed = true
}

/**
 * Ids that are not there are no error. Tags and branches that lose their snapshot go with it, as in Java's library; the
 * current snapshot is never removed under `main`, since that would empty the table in passing.
 */
export function removeSnapshots(draft: Draft, ids: readonly bigint[]): void {
  const { metadata } = draft
  const removed = new Set(
    metadata.snapshots.map((snapshot) => snapshot['snapshot-id']).filter((id) => ids.includes(id)),
  )
  if (removed.size === 0) return
  const current = metadata['current-snapshot-id']
  if (current !== undefined && removed.has(current)) {
    throw new Fault(
      'invalid',
      `expected snapshots other than the current one to remove, got ${current}; roll back first`,
      {
        snapshotId: current,
      },
    )
  }
  metadata.snapshots = metadata.snapshots.filter((snapshot) => !removed.has(snapshot['snapshot-id']))
  for (const id of removed) {
    removeStatistics(draft, 'statistics', id)
    removeStatistics(draft, 'partition-statistics', id)
  }
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (removed.has(ref['snapshot-id'])) removeRef(draft, name)
  }
  draft.removedSnapshots = true
  draft.changed = true
}

type StatisticsKey = 'statistics' | 'partition-statistics'

/** One statistics file per snapshot: a new one takes the old one's place. */
export function setStatistics(draft: Draft, key: StatisticsKey, statistics: Json): void {
  const others = (draft.metadata[key] ?? []).filter((known) => snapshotOf(known) !== snapshotOf(statistics))
  draft.metadata[key] = [...others, statistics]
  draft.changed = true
}

export function removeStatistics(draft: Draft, key: StatisticsKey, snapshotId: bigint): void {
  const known = draft.metadata[key] ?? []
  const kept = known.filter((statistics) => snapshotOf(statistics) !== snapshotId)
  if (kept.length === known.length) return
  draft.metadata[key] = kept
  draft.changed = true
}

function snapshotOf(statistics: Json): bigint {
  const place: Place = { path: 'statistics', kind: 'invalid' }
  return required(asObject(statistics, place), 'snapshot-id', place, asId)
}

/**
 * Makes the log true again: drops snapshots that were current only within this change, and all entries up to one whose
 * snapshot is gone. (From [(t1, s1), (t2, s2), (t3, s3)] without s2, leaving (t1, s1) would say that s1 was current until t3.)
 */
export function settleSnapshotLog(draft: Draft): void {
  const { metadata } = draft
  const current = metadata['current-snapshot-id']
  const passing = new Set(draft.madeCurrent.filter((id) => id !== current))
  if (passing.size > 0 || draft.removedSnapshots) {
    const known = new Set(metadata.snapshots.map((snapshot) => snapshot['snapshot-id']))
    const log: TableMetadata['snapshot-log'] = []
    for (const entry of metadata['snapshot-log']) {
      const id = entry['snapshot-id']
      if (!known.has(id)) {
        if (draft.removedSnapshots) log.length = 0
      } else if (!passing.has(id)) {
        log.push(entry)
      }
    }
    metadata['snapshot-log'] = log
  }
  checkLogOrder(metadata)
}

function checkLogOrder(metadata: TableMetadata): void {
  let before = Number.NEGATIVE_INFINITY
  for (const { 'timestamp-ms': timestampMs } of metadata['snapshot-log'].slice(-2)) {
    if (timestampMs < before - CLOCK_SKEW_MS) {
      throw new Fault(
        'invalid',
        `expected a snapshot from ${before} ms on, the time of the one before it, got ${timestampMs} ms; check the clock of the writer`,
      )
    }
    before = timestampMs
  }
}
