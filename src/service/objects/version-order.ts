/**
 * Which of two creations or removals ("tips") of one object version is the newer: two total orders, each a function of
 * the two events alone. Pure.
 */
import { NULL_VERSION, type ObjectEvent, type ObjectEventKind } from '../../change/object-event.ts'
import { eventHash, instantOf, isRecorded, sequenceNumber, sequencerOfEvent } from '../../change/sequence.ts'

/**
 * By sequencer, for events of one source that all have one. Equal sequencers mean one happening told twice, or a constant
 * that is not known as such: the later time wins, so that a constant does no harm.
 */
export function compareBySequencer(one: ObjectEvent, other: ObjectEvent): number {
  return compareTexts(sequencerOfEvent(one) ?? '', sequencerOfEvent(other) ?? '') || compareByTime(one, other)
}

/**
 * By time. At the same instant events of one source go by their sequencers (times of whole seconds are common), then
 * by what can follow what:
 * - a version with an id of its own is created once and removed once, so its removal is the later;
 * - the null version can be written again, so nothing tells. The creation wins: a row for an object that is gone is found out
 *   when its bytes are asked for, an object without a row by nobody.
 */
export function compareByTime(one: ObjectEvent, other: ObjectEvent): number {
  return (
    compareTexts(instantOf(one.time), instantOf(other.time)) ||
    compareTexts(sourceWithOrder(one), sourceWithOrder(other)) ||
    compareTexts(sequencerOfEvent(one) ?? '', sequencerOfEvent(other) ?? '') ||
    rankOf(one) - rankOf(other) ||
    compareTexts(eventHash(one), eventHash(other))
  )
}

/** By the time until which each is the last word, of what was seen; the later creation of two that were seen as one. */
export function compareByObservation(one: ObjectEvent, other: ObjectEvent): number {
  return (
    compareTexts(instantOf(one.observed ?? one.time), instantOf(other.observed ?? other.time)) ||
    compareByTime(one, other)
  )
}

/** Do two events say the same in everything? */
export function isSameEvent(one: ObjectEvent, other: ObjectEvent): boolean {
  if (isRecorded(one) || isRecorded(other)) return sequenceNumber(one) === sequenceNumber(other)
  return (
    one === other ||
    (one.time === other.time && one.sequencer === other.sequencer && eventHash(one) === eventHash(other))
  )
}

/** Is it the same event that decides? Tags and classes may have changed since; the bytes are those of one event. */
export function isSameTip(one: ObjectEvent, other: ObjectEvent): boolean {
  return (['kind', 'name', 'time', 'sequencer', 'etag'] as const).every((member) => one[member] === other[member])
}

/** Events whose sequencers compare have the same; those without any come first. */
function sourceWithOrder(event: ObjectEvent): string {
  return sequencerOfEvent(event) === undefined ? '' : event.source
}

const RANK_WITH_ID: Record<ObjectEventKind, number> = { update: 0, marker: 1, create: 2, delete: 3 }
const RANK_OF_NULL: Record<ObjectEventKind, number> = { update: 0, delete: 1, marker: 2, create: 3 }

function rankOf(event: ObjectEvent): number {
  return (event.versionId === NULL_VERSION ? RANK_OF_NULL : RANK_WITH_ID)[event.kind]
}

/** By UTF-16 code unit: never by locale. */
function compareTexts(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1
}
