/**
 * Content rows made anew from their bytes, beside the stage: for extractors that give other facts than before.
 *
 * Invariant: a newer event wins. Between the look at what decides the version and the row's place in the content log nothing else
 * runs, and the stage merges an event before it passes its row on: so either the newer event is seen here and this row is left out,
 * or the newer event's row comes behind this one.
 *
 * Crash story: a row that is in the log is as good as any other; what was not passed on keeps the row that it has.
 */
import type { Json } from '../../base/json.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { TableChangeEntry } from '../../change/table-change.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { Log } from '../../log/log.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { appendChanges } from './append.ts'
import { lettersOf, toldFaults, UNDESCRIBED } from './letters.ts'
import { isSameTip } from './version-order.ts'
import { visible } from './version-state.ts'
import type { Unread, VersionNames, VersionStore } from './version-store.ts'

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
  extract: (event: ObjectEvent, kept?: KeptFacts) => Promise<Extraction>
  /** The row of an extraction. */
  change: (event: ObjectEvent, extraction: Extraction) => TableChangeEntry
}

export type Redone =
  /** `faults`: extractors that failed; the row says so. */
  | { kind: 'done'; faults: number }
  /** The bytes could not be had: the row stays as it is. */
  | { kind: 'unread'; message: string }
  /** There is no such object version any more. */
  | { kind: 'gone' }
  /** A newer event came meanwhile: its row is the one to have. */
  | { kind: 'overtaken' }

/** Makes the row of one version anew. */
export async function redo(parts: RedoParts, version: VersionNames, kept?: KeptFacts): Promise<Redone> {
  const event = objectOf(parts, version)
  if (event === null) return { kind: 'gone' }
  const extraction = await parts.extract(event, kept)
  const unread = extraction.faults.find(({ extractor }) => extractor === 'read')
  const change = parts.change(event, extraction)
  const now = objectOf(parts, version)
  if (now === null || !isSameTip(now, event)) return { kind: 'overtaken' }
  if (unread !== undefined) return { kind: 'unread', message: unread.message }
  await appendChanges(parts.content, [change])
  const letters = toldFaults(extraction.faults)
  await settle(parts, event, letters)
  return { kind: 'done', faults: letters.length }
}

/** The event of the object that the version is; null: it is none, or none any more. */
function objectOf({ versions }: RedoParts, { bucket, key, versionId }: VersionNames): ObjectEvent | null {
  const state = versions.get(bucket, key, versionId)
  if (state === null) return null
  const { event, present, isDeleteMarker } = visible(state)
  return present && !isDeleteMarker ? event : null
}

/** What failed before and does not any more is settled; what fails now is told. */
async function settle(
  { versions, deadLetters }: RedoParts,
  event: ObjectEvent,
  failed: Unread['letters'],
): Promise<void> {
  const before = versions.unread(event)
  const isOfSame = before !== null && isSameTip(before.event, event)
  // What the store did not answer is not learned by reading.
  const unanswered = isOfSame ? before.letters.filter(({ code }) => code === UNDESCRIBED) : []
  const now = { event, letters: [...failed, ...unanswered] }
  const failing = new Set(now.letters.map(({ code }) => code))
  const over = isOfSame ? before.letters.filter(({ code }) => !failing.has(code)) : []
  if (over.length > 0) await deadLetters.settle(lettersOf({ event, letters: over }))
  if (failed.length > 0) await deadLetters.add(lettersOf({ event, letters: failed }))
  const after = versions.unread(event)
  // A newer event may have come meanwhile, and with it what is unread of it.
  const isTaken = after !== null && !isSameTip(after.event, event)
  if (!isTaken) versions.setUnread(event, now.letters.length > 0 ? now : null)
}
