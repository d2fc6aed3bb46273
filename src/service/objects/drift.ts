/**
 * One key of a bucket as a listing shows it against what is known of it: what differs, and the events that mend it. Pure.
 *
 * Invariant: no event that is newer than the listing is undone. A listing that was begun at T shows everything that had
 * happened until T, and perhaps more. So, of each version:
 * - What is known by an event of the store after T (taken by our clock, with what clocks may differ subtracted) is not judged:
 *   the listing may be older. It is counted as unsettled, and judged by a later listing.
 * - What mends it says until when it is the last word (`ObjectEvent.observed`): T, or when what is listed came to be, if that is
 *   later. Whatever comes and is newer than that decides again, at whatever time it comes; what is older does not.
 * - What was seen before, in another listing, was seen by the same clock as this one: it is judged if it was seen before T.
 *
 * Versions of a key are brought in the order of the listing: one that would show as older than a version that it follows gets
 * a time just after that (listings and some notifications count whole seconds).
 */
import { limits } from '../../base/limits.ts'
import { NULL_VERSION, OBJECT_EVENT_VERSION, type ObjectEvent } from '../../change/object-event.ts'
import {
  instantOf,
  instantOfSequence,
  microsecondsOfInstant,
  sequenceNumber,
  timeOfMicroseconds,
} from '../../change/sequence.ts'
import type { ListedVersion } from '../../source/source.ts'
import { merge, shownDescription, type VersionState, type VisibleVersion, visible } from './version-state.ts'

/**
 * - `missing-object`, `missing-version`, `missing-marker`: listed and not known (a version: with an id of its own)
 * - `extra-object`, `extra-version`, `extra-marker`: known and not listed
 * - `other-content`: another etag or size
 * - `other-class`: another storage class
 * - `other-order`: a version shows as older than one that it follows, so that the wrong one is current, or would be
 */
export const DRIFT_KINDS = [
  'missing-object',
  'missing-version',
  'missing-marker',
  'extra-object',
  'extra-version',
  'extra-marker',
  'other-content',
  'other-class',
  'other-order',
] as const

export type DriftKind = (typeof DRIFT_KINDS)[number]

export interface Drift {
  kind: DriftKind
  /** What mends it. */
  event: ObjectEvent
  /** What is known and what is listed, in words. */
  detail: string
}

export interface KeyDrift {
  drifts: Drift[]
  /** Versions that are not judged: known by events that the listing may not have seen. */
  unsettled: number
}

/** What is known of a version by its id; undefined: nothing. */
export type KnownOf = (versionId: string) => VersionState | undefined

export interface ComparedKey {
  bucket: string
  key: string
  /** Newest first; empty: the listing does not show the key. */
  listed: readonly ListedVersion[]
  /** Of the versions that are known to be there. */
  shown: readonly { versionId: string; state: VersionState }[]
  /** Of any version, tombstones too. */
  known: KnownOf
  /** When the listing was begun, by our clock, in milliseconds. */
  begunMs: number
  /** The `source` of what mends: `listing` or `inventory`. */
  source: string
  /** It stands as it is found: nobody looks again. */
  isFinal: boolean
}

const OBJECT = { create: 'ObjectCreated:Put', delete: 'ObjectRemoved:Delete' } as const
const MARKER = 'ObjectRemoved:DeleteMarkerCreated'

/** What stands of a key and a listing, the two in step: the common case, without anything made for it. */
export function isInStep({ listed, shown }: Pick<ComparedKey, 'listed' | 'shown'>): boolean {
  if (listed.length !== 1 || shown.length !== 1) return false
  const [one, other] = [listed[0]!, shown[0]!]
  if (one.versionId !== other.versionId) return false
  const version = visible(other.state)
  return version.present && isSameContent(one, version) && isSameClass(one, version)
}

/** The same where only current objects are listed: nothing is said of other versions, and of a key under a marker nothing at all. */
export function isCurrentInStep({ listed, shown }: Pick<ComparedKey, 'listed' | 'shown'>): boolean {
  let latest: { place: Place; version: VisibleVersion } | null = null
  for (const { state } of shown) {
    const version = visible(state)
    const place = placeOf(version.event)
    if (version.present && (latest === null || isAfter(place, latest.place))) latest = { place, version }
  }
  const one = listed[0]
  if (latest === null || one === undefined) return one === undefined && latest?.version.isDeleteMarker !== false
  return isSameContent(one, latest.version) && isSameClass(one, latest.version)
}

/** What differs, in the order of the listing from the oldest on, then what is not listed. */
export function driftOf(compared: ComparedKey): KeyDrift {
  const found: KeyDrift = { drifts: [], unsettled: 0 }
  const horizonUs = (compared.begunMs - limits.reconcileClockSkewMs) * 1000
  let below: Place | null = null
  let previousMs = Number.NaN
  for (const listed of compared.listed.toReversed()) {
    const state = compared.known(listed.versionId)
    const version = state === undefined ? undefined : visible(state)
    const isThere = version?.present === true && version.isDeleteMarker === listed.isDeleteMarker
    const isSame = isThere && isSameContent(listed, version)
    const judged: Judged = { compared, listed, state, horizonUs, below, found }
    const isUnsaid = isOrderUnsaid(compared, listed, previousMs)
    below =
      isSame && state !== undefined
        ? judgeSame({ ...judged, state }, version, isUnsaid)
        : judgeOther(judged, version, isThere)
    previousMs = listed.lastModifiedMs
  }
  addExtra(compared, horizonUs, found)
  return found
}

/** A version that is listed, before it is judged. */
interface Judged {
  compared: ComparedKey
  listed: ListedVersion
  state: VersionState | undefined
  horizonUs: number
  /** Where the versions that it follows show; null: it is the first. */
  below: Place | null
  found: KeyDrift
}

/** A version that is not known to be there, or with other content. Gives where it shows, mended. */
function judgeOther(judged: Judged, version: VisibleVersion | undefined, isThere: boolean): Place | null {
  const { compared, listed, state, horizonUs, below, found } = judged
  // Just before: something else may have happened in the same second, which some notifications tell without its fraction.
  const untilUs = Math.max(horizonUs, listed.lastModifiedMs * 1000 - 1)
  if (version !== undefined && !isSettled(version, untilUs, compared.begunMs)) {
    found.unsettled++
    return below
  }
  const seen = seenAs(compared, listed, listed.lastModifiedMs * 1000, after(untilUs, state))
  const event = afterPlace(seen, below)
  found.drifts.push({
    kind: isThere ? 'other-content' : missingKind(listed),
    event,
    detail: `${version === undefined ? 'not known' : wordsOf(version)}, listed ${wordsOfListed(listed)}`,
  })
  const place = placeOf(event)
  // A class that what was there before was moved to may lie over what takes its place.
  const mended = visible(merge(state ?? null, event).state)
  if (!isSameClass(listed, mended)) mendClass(judged, merge(state ?? null, event).state, place.us)
  return place
}

/** A version that is known as it is listed: its place among the others and its class are left to judge. */
function judgeSame(judged: Judged & { state: VersionState }, version: VisibleVersion, isOrderUnsaid: boolean): Place {
  const { compared, listed, state, horizonUs, below, found } = judged
  let place = placeOf(version.event)
  if (below !== null && !isAfter(place, below)) {
    if (isOrderUnsaid) place = below
    else {
      const moved = movedTo(compared, version, after(Math.max(horizonUs, place.us), state))
      const event = afterPlace(moved, below)
      const what = listed.isLatest ? 'the latest version' : 'a version'
      found.drifts.push({ kind: 'other-order', event, detail: `${what} shows as older than one that it follows` })
      place = placeOf(event)
    }
  }
  if (!isSameClass(listed, version)) mendClass(judged, state, place.us)
  return place
}

function addExtra(compared: ComparedKey, horizonUs: number, found: KeyDrift): void {
  if (compared.shown.length === 0) return
  const listed = new Set(compared.listed.map(({ versionId }) => versionId))
  for (const { versionId, state } of compared.shown) {
    const version = visible(state)
    if (listed.has(versionId) || !version.present) continue
    if (!isSettled(version, horizonUs, compared.begunMs)) {
      found.unsettled++
      continue
    }
    const observed = timeOfMicroseconds(after(horizonUs, state))
    const { bucket, key, source } = compared
    const event: ObjectEvent = {
      v: OBJECT_EVENT_VERSION,
      kind: 'delete',
      source,
      name: OBJECT.delete,
      bucket,
      key,
      versionId,
      time: observed,
      observed,
    }
    found.drifts.push({ kind: extraKind(versionId, version), event, detail: `${wordsOf(version)}, not listed` })
  }
}

/** A class that was moved to has no time in a listing: the event says when the listing was begun. */
function mendClass(judged: Judged, state: VersionState, shownUs: number): void {
  const { compared, listed, horizonUs, found } = judged
  const version = visible(state)
  const boundUs = version.event.observed === undefined ? horizonUs : Math.max(horizonUs, shownUs)
  const described = shownDescription(state)
  const lastUs = Math.max(
    microsecondsOfInstant(instantOfSequence(version.sequenceNumber)),
    described === undefined ? 0 : microsecondsOfInstant(instantOf(described.at)),
  )
  if (lastUs > boundUs || !isSettled(version, horizonUs, compared.begunMs)) {
    found.unsettled++
    return
  }
  const { bucket, key, source } = compared
  const storageClass = listed.storageClass ?? STANDARD
  const event: ObjectEvent = {
    v: OBJECT_EVENT_VERSION,
    kind: 'update',
    source,
    name: 'LifecycleTransition',
    bucket,
    key,
    versionId: listed.versionId,
    time: timeOfMicroseconds(Math.max(horizonUs, shownUs) + 1),
    storageClass,
  }
  found.drifts.push({ kind: 'other-class', event, detail: `${classOf(version)}, listed ${storageClass}` })
}

/** May the listing judge what is known? Told: if it is not newer than the listing surely is; seen: if it was seen before. */
function isSettled({ event }: VisibleVersion, untilUs: number, begunMs: number): boolean {
  if (event.observed !== undefined) return microsecondsOfInstant(instantOf(event.observed)) <= begunMs * 1000
  return microsecondsOfInstant(instantOf(event.time)) <= untilUs
}

/** Until when what mends is the last word: longer than what was seen before it. */
function after(untilUs: number, state: VersionState | undefined): number {
  const observed = state?.seen?.observed
  return observed === undefined ? untilUs : Math.max(untilUs, microsecondsOfInstant(instantOf(observed)) + 1)
}

function seenAs(
  { bucket, key, source }: ComparedKey,
  listed: ListedVersion,
  timeUs: number,
  untilUs: number,
): ObjectEvent {
  const common = {
    v: OBJECT_EVENT_VERSION,
    source,
    bucket,
    key,
    versionId: listed.versionId,
    time: timeOfMicroseconds(timeUs),
    observed: timeOfMicroseconds(untilUs),
  } as const
  if (listed.isDeleteMarker) return { ...common, kind: 'marker', name: MARKER }
  const { etag, sizeBytes, storageClass, isMultipart, checksumAlgorithm, encryptionStatus, isBucketKeyEnabled } = listed
  return {
    ...common,
    kind: 'create',
    name: OBJECT.create,
    sizeBytes,
    ...(etag === undefined ? {} : { etag }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(isMultipart === undefined ? {} : { isMultipart }),
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
    ...(encryptionStatus === undefined ? {} : { encryptionStatus }),
    ...(isBucketKeyEnabled === undefined ? {} : { isBucketKeyEnabled }),
  }
}

/** What shows already, as seen: with the tags and class that lie over it, which would lie under what is newer. */
function movedTo({ source }: ComparedKey, version: VisibleVersion, untilUs: number): ObjectEvent {
  const { sequencer: _, ...event } = version.event
  const { tags, storageClass, isDeleteMarker } = version
  return {
    ...event,
    source,
    name: isDeleteMarker ? MARKER : OBJECT.create,
    observed: timeOfMicroseconds(untilUs),
    ...(tags === undefined ? {} : { tags }),
    ...(storageClass === undefined ? {} : { storageClass }),
  }
}

/** A report counts whole seconds and is in no order: of versions of one second it says only which is the latest. */
function isOrderUnsaid({ isFinal, source }: ComparedKey, listed: ListedVersion, previousMs: number): boolean {
  return source === 'inventory' && isFinal && !listed.isLatest && listed.lastModifiedMs === previousMs
}

/** Where a version shows among those of its key, as the ready view orders them: by time, then number, then against the id. */
interface Place {
  us: number
  number: string
  versionId: string
}

function placeOf(event: ObjectEvent): Place {
  return {
    us: microsecondsOfInstant(instantOf(event.time)),
    number: sequenceNumber(event),
    versionId: event.versionId,
  }
}

function isAfter(one: Place, other: Place): boolean {
  if (one.us !== other.us) return one.us > other.us
  return one.number !== other.number ? one.number > other.number : one.versionId < other.versionId
}

/** The event with a time at which it shows as newer than `below`. */
function afterPlace(event: ObjectEvent, below: Place | null): ObjectEvent {
  return below === null || isAfter(placeOf(event), below) ? event : { ...event, time: timeOfMicroseconds(below.us + 1) }
}

/** What neither says is no difference. */
function isSameContent(listed: ListedVersion, version: VisibleVersion): boolean {
  if (listed.isDeleteMarker || version.isDeleteMarker) return listed.isDeleteMarker === version.isDeleteMarker
  const etag = version.event.etag ?? version.facts?.etag
  const sizeBytes = version.event.sizeBytes ?? version.facts?.sizeBytes
  if (sizeBytes !== undefined && sizeBytes !== listed.sizeBytes) return false
  return etag === undefined || listed.etag === undefined || etag === listed.etag
}

const STANDARD = 'STANDARD'

function classOf(version: VisibleVersion): string {
  return version.storageClass ?? STANDARD
}

function isSameClass(listed: ListedVersion, version: VisibleVersion): boolean {
  return listed.isDeleteMarker || (listed.storageClass ?? STANDARD) === classOf(version)
}

function missingKind({ isDeleteMarker, versionId }: ListedVersion): DriftKind {
  if (isDeleteMarker) return 'missing-marker'
  return versionId === NULL_VERSION ? 'missing-object' : 'missing-version'
}

function extraKind(versionId: string, { isDeleteMarker }: VisibleVersion): DriftKind {
  if (isDeleteMarker) return 'extra-marker'
  return versionId === NULL_VERSION ? 'extra-object' : 'extra-version'
}

function wordsOf({ present, isDeleteMarker, event }: VisibleVersion): string {
  if (!present) return 'known as gone'
  return isDeleteMarker ? 'known as a marker' : `known with etag ${event.etag ?? '?'}, ${event.sizeBytes ?? '?'} bytes`
}

function wordsOfListed({ isDeleteMarker, etag, sizeBytes }: ListedVersion): string {
  return isDeleteMarker ? 'as a marker' : `with etag ${etag ?? '?'}, ${sizeBytes} bytes`
}
