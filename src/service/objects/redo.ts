/**
 * Content rows made anew from their bytes, beside the stage: for extractors that give other facts than before.
 *
 * Invariant: a newer event wins. Between the look at what decides the version and the row's place in the content log nothing else
 * runs, and the stage merges an event before it passes its row on: so either the newer event is seen here and this row is left out,
 * or the newer event's row comes behind this one.
 *
 * Crash story: a row that is in the log is as good as any other; what was not passed on keeps the row that it has.
 */
import type { Clock } from '../../base/clock.ts'
import type { Json } from '../../base/json.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { TableChangeEntry } from '../../change/table-change.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { Log } from '../../log/log.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { appendChanges } from './append.ts'
import { lettersOf, passingOf, toldFaults, UNDESCRIBED, unreadOf } from './letters.ts'
import type { UnreadLetter } from './unread.ts'
import { isSameTip } from './version-order.ts'
import { visible } from './version-state.ts'
import type { VersionNames, VersionStore } from './version-store.ts'

/** Facts of the row as it is that need not be made anew, and of which bytes they are. */
export interface KeptFacts {
  etag: string | null
  sequencer: string | null
  /** Members of the metadata. */
  facts: { [member: string]: Json }
  /** Versions of the extractors that made the row. */
  extractors: { readonly [name: string]: number }
}

export interface RedoParts {
  content: Log
  versions: VersionStore
  deadLetters: DeadLetters
  clock: Clock
  extract: (event: ObjectEvent, kept?: KeptFacts) => Promise<Extraction>
  /** The row of an extraction. */
  change: (event: ObjectEvent, extraction: Extraction) => TableChangeEntry
}

export type Redone =
  /** `letters`: what extractors failed at; the row says so. */
  | { kind: 'done'; letters: UnreadLetter[] }
  /** The bytes could not be had: the row stays as it is. */
  | { kind: 'unread'; letter: UnreadLetter; message: string }
  /** There is no such object version any more. */
  | { kind: 'gone' }
  /** A newer event came meanwhile: its row is the one to have. */
  | { kind: 'overtaken' }

export interface RedoOptions {
  kept?: KeptFacts | undefined
  /** The row as it is has nothing of the bytes: that they are not there any more is passed on. */
  isUnread?: boolean
  /**
   * Runs what passes the row on when the stage does not. Without it, a row that the stage is about to pass on for the same event may
   * come behind this one: to be given where that row may say less.
   */
  between?: <T>(work: () => Promise<T>) => Promise<T>
}

/** Makes the row of one version anew. */
export async function redo(
  parts: RedoParts,
  version: VersionNames,
  { kept, isUnread = false, between = (work) => work() }: RedoOptions = {},
): Promise<Redone> {
  const object = objectOf(parts, version)
  if (object === null) return { kind: 'gone' }
  const extraction = await parts.extract(object.whole, kept)
  return between(() => passOn(parts, object, extraction, isUnread))
}

async function passOn(
  parts: RedoParts,
  { event, whole }: KnownObject,
  extraction: Extraction,
  isUnread: boolean,
): Promise<Redone> {
  const unread = extraction.faults.find(({ extractor }) => extractor === 'read')
  const change = parts.change(whole, extraction)
  const now = objectOf(parts, event)
  if (now === null || !isSameTip(now.event, event)) return { kind: 'overtaken' }
  const [letter] = toldFaults(unread === undefined ? [] : [unread])
  if (unread !== undefined && letter !== undefined && (!isUnread || passingOf(letter) !== 'never'))
    return { kind: 'unread', letter, message: unread.message }
  await appendChanges(parts.content, [change])
  const letters = toldFaults(extraction.faults)
  await settle(parts, event, letters)
  return { kind: 'done', letters }
}

interface KnownObject {
  event: ObjectEvent
  whole: ObjectEvent
}

/** The event of the object that the version is, with what its store has said of it; null: it is none, or none any more. */
function objectOf({ versions }: RedoParts, { bucket, key, versionId }: VersionNames): KnownObject | null {
  const state = versions.get(bucket, key, versionId)
  if (state === null) return null
  const { event, present, isDeleteMarker, facts } = visible(state)
  return present && !isDeleteMarker ? { event, whole: { ...facts, ...event } } : null
}

/** What failed before and does not any more is settled; what fails now is told. */
async function settle(
  { versions, deadLetters, clock }: RedoParts,
  event: ObjectEvent,
  failed: readonly UnreadLetter[],
): Promise<void> {
  const before = versions.unread.get(event)
  const isOfSame = before !== null && isSameTip(before.event, event)
  // What the store did not answer is not learned by reading.
  const failing = new Set([...failed.map(({ code }) => code), UNDESCRIBED])
  const over = isOfSame ? before.letters.filter(({ code }) => !failing.has(code)) : []
  if (over.length > 0) await deadLetters.settle(lettersOf({ event: before?.event ?? event, letters: over }))
  if (failed.length > 0) await deadLetters.add(lettersOf({ event, letters: [...failed] }))
  const after = versions.unread.get(event)
  // A newer event may have come meanwhile, and with it what is unread of it.
  if (after !== null && !isSameTip(after.event, event)) return
  const unanswered = after?.letters.filter(({ code }) => code === UNDESCRIBED) ?? []
  const now = unreadOf(event, [...failed, ...unanswered], clock.nowMs())
  versions.unread.set(event, now === null || after?.tries === undefined ? now : { ...now, tries: after.tries })
}
