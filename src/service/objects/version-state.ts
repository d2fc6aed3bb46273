/**
 * What is known of one version of one object: a state into which its events are merged. Pure.
 *
 * Invariant: the state depends on the set of events merged and on nothing else, neither their order nor how often each came.
 * Every member is a maximum, a minimum or a conjunction over that set. (What the store answered about the object lies beside
 * them: `description.ts`.)
 *
 * Creations, removals and markers ("tips") compete for what the version is:
 * - by sequencer, as long as every tip so far came from one source and has a sequencer that orders;
 * - by time, for good, as soon as one has not. So the newest by either order is kept until then.
 * Updates (tags, storage class) lie over a creation that is not newer than they are. One that comes before its creation
 * is kept until that comes. Removals stay as tombstones: a late creation finds them.
 *
 * MinIO tells the removal of a delete marker as one more creation of the same marker, with a newer sequencer. A marker's
 * version id is given once, so of two marker events with different sequencers the newer one is the removal. (Not of the null
 * version, whose marker may come and go, and whose removal is told as one.)
 *
 * What was seen in a listing or a report (`ObjectEvent.observed`) competes apart, so that it takes nothing from the order among
 * what was told: the newest of what was seen stands against whichever told tip decides, by time alone, and gives way to one
 * that is newer than it was seen. One that tells the same content shows itself instead, because it says more.
 */
import { must } from '../../base/assert.ts'
import { NULL_VERSION, type ObjectEvent } from '../../change/object-event.ts'
import {
  type Instant,
  instantOf,
  instantOfSequence,
  RECORDED_SOURCE,
  type Sequencer,
  sequenceNumber,
  sequencerOfEvent,
} from '../../change/sequence.ts'
import {
  type Description,
  describes,
  descriptionIn,
  isDescription,
  newerDescription,
  type ObjectFacts,
} from './description.ts'
import { compareByObservation, compareBySequencer, compareByTime, isSameEvent } from './version-order.ts'

/** Plain JSON. Members that do not apply are absent. */
export interface VersionState {
  /** The newest tip by sequencer, as long as sequencers decide. */
  bySequencer?: ObjectEvent
  /** The newest tip by time, where it is another one or where time decides. */
  byTime?: ObjectEvent
  /** The newest of what was seen. */
  seen?: ObjectEvent
  /** The least sequencer of MinIO's events about this marker. */
  firstMarker?: Sequencer
  /** Sequence number of the newest update, whatever it updates. */
  update?: string
  tags?: Overlay<Record<string, string>>
  storageClass?: Overlay<string>
  /** The newest update, as long as there is no tip. */
  pending?: ObjectEvent
  /** Sequence number of the newest update that says that tags or class changed, but not to what. */
  untold?: string
  /** The newest answer of the store. */
  described?: Description
}

/** What an update set, and the sequence number of that update. */
interface Overlay<T> {
  at: string
  value: T
}

/**
 * What an event did:
 * - `newest`: it decides now what the version is
 * - `duplicate`: it was known already and is the newest of its family
 * - `late`: a newer event decides
 * - `update`: it changed tags, storage class or the last update of a version that is there
 * - `ignored`: an update that shows nowhere (now): older than the version or than another update, or before its creation
 */
export type Effect = 'newest' | 'duplicate' | 'late' | 'update' | 'ignored'

export interface Merged {
  state: VersionState
  effect: Effect
  /** What `visible` gives is another thing than before. (An update that repeats what shows already may say so too.) */
  changed: boolean
  /** What the version is was decided anew: another tip, or a marker found to be removed. */
  decided: boolean
}

/** A version as it is now. */
export interface VisibleVersion {
  /** It exists, as an object or as a delete marker. False for tombstones and for what only updates have told of. */
  present: boolean
  isDeleteMarker: boolean
  /** The tip that decides; the newest update if no tip is known. */
  event: ObjectEvent
  tags: Record<string, string> | undefined
  storageClass: string | undefined
  /** What the store said of the object; undefined when it was not asked or did not answer. */
  facts: ObjectFacts | undefined
  /** Of the newest event that shows: the deciding tip, or an update that lies over it. */
  sequenceNumber: string
}

/** Merges an event of this version into what is known (null: nothing). @throws Fault `invalid` for a time that is none */
export function merge(state: VersionState | null, event: ObjectEvent): Merged {
  const before = state ?? {}
  return event.kind === 'update' ? mergeUpdate(before, event) : mergeTip(before, event)
}

/** What a state shows. At least one event must have been merged. */
export function visible(state: VersionState): VisibleVersion {
  const tip = tipOf(state)
  if (tip === undefined) {
    const event = must(state.pending, 'an event of the version')
    const sequenceNumber = must(state.update, 'the sequence number of an update')
    const nothing = { tags: undefined, storageClass: undefined, facts: undefined }
    return { present: false, isDeleteMarker: false, event, ...nothing, sequenceNumber }
  }
  const presence = presenceOf(state)
  const over = presence === 'object' ? state : {}
  const description = shownDescription(state)
  return {
    present: presence !== 'absent',
    isDeleteMarker: presence === 'marker',
    event: tip,
    tags: newest(shown(over.tags, tip), description, 'tags') ?? tip.tags,
    storageClass: newest(shown(over.storageClass, tip), description, 'storageClass') ?? tip.storageClass,
    facts: description?.facts,
    sequenceNumber: liesOver(over.update, tip) ? over.update : sequenceNumber(tip),
  }
}

/** Whether a state shows an object, a delete marker or nothing. */
export function presenceOf(state: VersionState): 'object' | 'marker' | 'absent' {
  const tip = tipOf(state)
  if (tip === undefined || tip.kind === 'delete' || isRemoval(state, tip)) return 'absent'
  return tip.kind === 'marker' ? 'marker' : 'object'
}

/** The newest creation or removal: what decides what the version is. */
export function tipOf(state: VersionState): ObjectEvent | undefined {
  const told = toldTipOf(state)
  const { seen } = state
  if (seen === undefined || told === undefined) return told ?? seen
  return instantOf(told.time) > seenAt(seen) || tellsTheSame(told, seen) ? told : seen
}

/** The newest of what was told. */
export function toldTipOf(state: VersionState): ObjectEvent | undefined {
  return state.bySequencer ?? state.byTime
}

/** The answer about what the version is now. */
export function shownDescription(state: VersionState): Description | undefined {
  const tip = tipOf(state)
  const { described } = state
  if (described === undefined || tip === undefined || presenceOf(state) !== 'object') return undefined
  return describes(described, tip) ? described : undefined
}

/**
 * The store is to be asked: nothing was answered about the creation yet, or its tags or class have changed since, or may have.
 * An update at the very instant of the creation may be of what was there before; so may any of MinIO's, whose times are when it
 * told, where an object can be overwritten.
 */
export function isUntold(state: VersionState): boolean {
  const tip = tipOf(state)
  if (tip === undefined || presenceOf(state) !== 'object') return false
  const { described, untold } = state
  if (described === undefined || !describes(described, tip)) return true
  if (described.of !== undefined && described.of !== sequenceNumber(tip)) return true
  const isNews = (at: string | undefined): at is string => liesOver(at, tip) && isNewer(at, described.covers)
  if (isNews(untold)) return true
  const isUnsure = tip.source === 'minio:s3' && tip.versionId === NULL_VERSION
  return isNews(state.update) && (isUnsure || instantOfSequence(state.update) === instantOf(tip.time))
}

/** Nothing is to be learned of its store any more: all was told, or answered. */
export function isAnswered(state: VersionState): boolean {
  if (isUntold(state)) return false
  return shownDescription(state)?.isPart !== true || visible(state).tags !== undefined
}

/** The state with what the store answered. */
export function withDescription(state: VersionState, description: Description): VersionState {
  return { ...state, described: newerDescription(state.described, description) }
}

function seenAt(event: ObjectEvent): Instant {
  return instantOf(must(event.observed, 'the time until which something seen is the last word'))
}

/** What was told made the content that was seen, or the same again. At the same instant what was seen has its place in the order of versions. */
function tellsTheSame(told: ObjectEvent, seen: ObjectEvent): boolean {
  return (
    told.kind === 'create' &&
    seen.kind === 'create' &&
    told.etag !== undefined &&
    told.etag === seen.etag &&
    (told.sizeBytes === undefined || told.sizeBytes === seen.sizeBytes) &&
    instantOf(told.time) > instantOf(seen.time)
  )
}

function mergeTip(known: VersionState, event: ObjectEvent): Merged {
  // A time that is none is refused before it is kept.
  instantOf(event.time)
  const before = withSender(known, event)
  if (event.observed !== undefined) return mergeSeen(before, event)
  const toldBefore = toldTipOf(before)
  if (toldBefore !== undefined && isSameEvent(toldBefore, event)) {
    return { state: before, effect: 'duplicate', changed: false, decided: false }
  }
  const { pending: _, ...state } = before
  const ordered =
    sequencerOfEvent(event) !== undefined &&
    (toldBefore === undefined || (before.bySequencer !== undefined && before.bySequencer.source === event.source))
  const byTime = newer(before.byTime ?? before.bySequencer, event, compareByTime)
  delete state.bySequencer
  delete state.byTime
  if (ordered) state.bySequencer = newer(before.bySequencer, event, compareBySequencer)
  if (state.bySequencer !== byTime) state.byTime = byTime
  noteMarker(state, event)
  return merged(before, state, event)
}

function mergeSeen(before: VersionState, event: ObjectEvent): Merged {
  if (before.seen !== undefined && isSameEvent(before.seen, event)) {
    return { state: before, effect: 'duplicate', changed: false, decided: false }
  }
  const { pending: _, ...state } = before
  state.seen = newer(before.seen, event, compareByObservation)
  return merged(before, state, event)
}

/** What merging a creation or removal did. */
function merged(before: VersionState, state: VersionState, event: ObjectEvent): Merged {
  const tip = must(tipOf(state), 'a tip just merged')
  const decided = tip !== tipOf(before) || isRemoval(state, tip) !== isRemoval(before, tip)
  if (tip === event) return { state, effect: 'newest', changed: true, decided }
  return { state, effect: 'late', changed: decided, decided }
}

function mergeUpdate(before: VersionState, event: ObjectEvent): Merged {
  const at = sequenceNumber(event)
  const state = { ...before }
  const tip = tipOf(before)
  if (isNewer(at, before.update)) {
    state.update = at
    if (tip === undefined) state.pending = event
  }
  const tags = tagsSetBy(event)
  if (tags !== undefined && isNewer(at, before.tags?.at)) state.tags = { at, value: tags }
  if (event.storageClass !== undefined && isNewer(at, before.storageClass?.at)) {
    state.storageClass = { at, value: event.storageClass }
  }
  if (changesUntold(event) && isNewer(at, before.untold)) state.untold = at
  if (isDescription(event)) state.described = newerDescription(before.described, descriptionIn(event))
  const news = (['update', 'tags', 'storageClass', 'described'] as const).some((name) => state[name] !== before[name])
  const changed = news && tip !== undefined && presenceOf(before) === 'object' && liesOver(at, tip)
  if (changed) return { state, effect: 'update', changed, decided: false }
  return { state, effect: at === before.update ? 'duplicate' : 'ignored', changed, decided: false }
}

/**
 * Events made anew from a journal (a state that was lost) have no sender: they take that of the first event that has one, so
 * that sequencers go on deciding.
 */
function withSender(state: VersionState, event: ObjectEvent): VersionState {
  if (event.source === RECORDED_SOURCE || event.observed !== undefined || toldTipOf(state)?.source !== RECORDED_SOURCE)
    return state
  const { source } = event
  const sent = { ...state }
  if (state.bySequencer !== undefined) sent.bySequencer = { ...state.bySequencer, source }
  if (state.byTime !== undefined) sent.byTime = { ...state.byTime, source }
  const tip = toldTipOf(sent)
  if (tip !== undefined) noteMarker(sent, tip)
  return sent
}

/** The greater of two; the known one when they are the same event. */
function newer(known: ObjectEvent | undefined, event: ObjectEvent, compare: typeof compareByTime): ObjectEvent {
  return known === undefined || compare(event, known) > 0 ? event : known
}

function noteMarker(state: VersionState, event: ObjectEvent): void {
  if (event.kind !== 'marker' || event.source !== 'minio:s3' || event.versionId === NULL_VERSION) return
  const sequencer = sequencerOfEvent(event)
  if (sequencer === undefined) return
  if (state.firstMarker === undefined || sequencer < state.firstMarker) state.firstMarker = sequencer
}

/** A marker event that tells of the marker's removal. */
function isRemoval(state: VersionState, tip: ObjectEvent): boolean {
  if (tip.kind !== 'marker' || tip.source !== 'minio:s3' || state.firstMarker === undefined) return false
  const sequencer = sequencerOfEvent(tip)
  return sequencer !== undefined && sequencer > state.firstMarker
}

/** The tags after an update, where it tells them. */
export function tagsSetBy(event: ObjectEvent): Record<string, string> | undefined {
  if (event.tags !== undefined) return event.tags
  return /^(?:ObjectTagging:Delete|ObjectCreated:DeleteTagging|Object Tags Deleted)/.test(event.name) ? {} : undefined
}

/** An update that says that tags or the class changed and not to what: the store has to be asked. */
function changesUntold(event: ObjectEvent): boolean {
  if (isDescription(event)) return false
  if (/^(?:ObjectTagging:Put|ObjectCreated:PutTagging|Object Tags Added)/.test(event.name))
    return tagsSetBy(event) === undefined
  return (
    /^(?:ObjectTransition:|LifecycleTransition|Object Storage Class)/.test(event.name) &&
    event.storageClass === undefined
  )
}

function isNewer(at: string, known: string | undefined): boolean {
  return known === undefined || at > known
}

/** An update shows over a tip that is not newer. */
function liesOver(at: string | undefined, tip: ObjectEvent): at is string {
  return at !== undefined && instantOfSequence(at) >= instantOf(tip.time)
}

function shown<T>(overlay: Overlay<T> | undefined, tip: ObjectEvent): Overlay<T> | undefined {
  return overlay !== undefined && liesOver(overlay.at, tip) ? overlay : undefined
}

/** What an update told or the store answered: the answer, unless the update was not known when it was asked. */
function newest<N extends 'tags' | 'storageClass'>(
  overlay: Overlay<NonNullable<ObjectFacts[N]>> | undefined,
  description: Description | undefined,
  name: N,
): ObjectFacts[N] | undefined {
  const answer = description?.facts[name]
  if (overlay === undefined || answer === undefined) return overlay?.value ?? answer
  return isNewer(overlay.at, description?.covers) ? overlay.value : answer
}
