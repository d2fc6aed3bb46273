/**
 * What the store of an object says of it when it is asked, beyond what its event told: user metadata, tags, encryption and the
 * like. Pure; `ask.ts` asks.
 *
 * An answer is an observation, not an event: it tells of the object as it was when it was asked. So that it can never be taken
 * for one about another object, three things hold:
 * - It is asked by version id. Of the null version, which can be overwritten, it counts only while the etag is the event's; the
 *   event of what took its place asks anew.
 * - It says which update was the newest that was known when it was asked. What comes later counts before it, or is asked anew.
 *   No clock of ours is compared with one of the store.
 * - It is kept with the state of the version before any row is made of it. What is done again after a crash finds it there and
 *   makes the same rows.
 *
 * An answer that could not be had in time is asked for again (`asking-again.ts`) and comes as an event of its own
 * (`descriptionEvent`): its row in the journal is an UPDATE_METADATA by `tidewater`.
 */
import { OBJECT_EVENT_VERSION, type ObjectEvent } from '../../change/object-event.ts'
import { instantOf, instantOfSequence, sequenceNumber } from '../../change/sequence.ts'
import { formatTimestamp } from '../../iceberg/spec/time-text.ts'

/** Facts of an object that its store tells. Absent: not known, or it has none. */
export type ObjectFacts = Pick<
  ObjectEvent,
  | 'etag'
  | 'sizeBytes'
  | 'contentType'
  | 'storageClass'
  | 'tags'
  | 'userMetadata'
  | 'isMultipart'
  | 'encryptionStatus'
  | 'isBucketKeyEnabled'
  | 'kmsKeyArn'
  | 'checksumAlgorithm'
>

export interface Description {
  /** Sequence number of the creation that was asked about; absent: it came as an event. */
  of?: string
  /** Time of the newest event that was known of the version, or just after it; ISO 8601 UTC. */
  at: string
  /** Sequence number of the newest update that was known. */
  covers?: string
  /** Sequence number of the newest change of tags that was known. */
  tagsChanged?: string
  /** The store has not answered all: what is not there is not known. */
  isPart?: boolean
  facts: ObjectFacts
}

/** The `requester` and `source` of descriptions that come as events. */
export const DESCRIBER = 'tidewater'

const WHOLE = 'Described'
const PART = 'DescribedInPart'

const FACT_NAMES = [
  'etag',
  'sizeBytes',
  'contentType',
  'storageClass',
  'tags',
  'userMetadata',
  'isMultipart',
  'encryptionStatus',
  'isBucketKeyEnabled',
  'kmsKeyArn',
  'checksumAlgorithm',
] as const satisfies readonly (keyof ObjectFacts)[]

export function isDescription({ kind, requester }: ObjectEvent): boolean {
  return kind === 'update' && requester === DESCRIBER
}

/** A description as an event of its own: for one that comes later than the rows that it is for. */
export function descriptionEvent(
  of: ObjectEvent,
  { at, isPart = false, facts }: Pick<Description, 'at' | 'isPart' | 'facts'>,
): ObjectEvent {
  return {
    v: OBJECT_EVENT_VERSION,
    kind: 'update',
    source: DESCRIBER,
    name: isPart ? PART : WHOLE,
    bucket: of.bucket,
    key: of.key,
    versionId: of.versionId,
    time: at,
    requester: DESCRIBER,
    ...facts,
  }
}

/** Just after everything that is known of a version. @param update sequence number of its newest update */
export function justAfter(creation: ObjectEvent, update: string | undefined): string {
  const instants = [instantOf(creation.time), ...(update === undefined ? [] : [instantOfSequence(update)])].sort()
  const microseconds = BigInt(`0x${instants.at(-1)}`) + 1n
  return `${formatTimestamp(microseconds).replace(' ', 'T')}Z`
}

/** What a description that came as an event says. */
export function descriptionIn(event: ObjectEvent): Description {
  const isPart = event.name === PART
  return { at: event.time, covers: sequenceNumber(event), ...(isPart && { isPart }), facts: factsIn(event) }
}

/** What an event says of its object itself. */
export function factsIn(event: ObjectEvent): ObjectFacts {
  return Object.fromEntries(
    FACT_NAMES.filter((name) => event[name] !== undefined).map((name) => [name, event[name]]),
  ) as ObjectFacts
}

/** The newer of two; at the same instant the one that covers more. */
export function newerDescription(known: Description | undefined, other: Description): Description {
  if (known === undefined) return other
  const order = (one: Description) => `${instantOf(one.at)}${one.covers ?? ''}`
  return order(other) >= order(known) ? other : known
}

/** Does a description tell of what this creation made? */
export function describes({ at, facts }: Description, creation: ObjectEvent): boolean {
  const isSameObject = facts.etag === undefined || creation.etag === undefined || facts.etag === creation.etag
  return isSameObject && instantOf(at) >= instantOf(creation.time)
}
