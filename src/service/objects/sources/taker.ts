/**
 * Notifications in, from whatever brings them: events become durable in the objects log, what cannot be understood becomes dead
 * letters with its bytes, and the rest is counted. Only then is a notification taken.
 *
 * Crash story: a notification that was taken by halves comes again, and what was taken of it changes nothing the second time: events
 * merge into what is known, and a letter's id follows from what it is about.
 */
import { isFault } from '../../../base/fault.ts'
import { type ObjectEvent, objectEventText } from '../../../change/object-event.ts'
import { type Ignored, type Notification, type Problem, readNotification } from '../../../source/source.ts'
import type { DeadLetter, DeadLetters } from '../../deadletter/deadletter.ts'
import type { ObjectsService } from '../objects.ts'
import type { Room } from './room.ts'

export interface TakerParts {
  objects: Pick<ObjectsService, 'accept'>
  deadLetters: Pick<DeadLetters, 'add'>
  room: Pick<Room, 'full'>
}

/** One document that came. */
export interface Arrived {
  text: string
  /** What it was, for people: `queue uploads, message 12ab`. */
  subject: string
}

/** Totals since the start. */
export interface TakenCounts {
  /** Events that are durable; those that came before are counted too. */
  accepted: number
  /** Dead letters. */
  problems: number
  /** What is no event, rightly, by reason. */
  ignored: Partial<Record<Ignored['reason'], number>>
}

export class NotificationTaker {
  readonly #parts: TakerParts
  readonly counts: TakenCounts = { accepted: 0, problems: 0, ignored: {} }

  constructor(parts: TakerParts) {
    this.#parts = parts
  }

  /** Why nothing can be taken for the moment; null when it can. */
  full(): Promise<string | null> {
    return this.#parts.room.full()
  }

  /** Resolves when everything that follows is durable. @throws Fault: what was taken of it may come again */
  take(documents: readonly Arrived[]): Promise<TakenCounts> {
    return this.takeRead(documents.map(({ text, subject }) => ({ subject, found: readNotification(text) })))
  }

  /** What was read already. @throws Fault */
  async takeRead(documents: readonly { subject: string; found: Notification }[]): Promise<TakenCounts> {
    const letters = documents.flatMap(({ subject, found }) => found.problems.map((each) => sourceLetter(each, subject)))
    const events = documents.flatMap(({ subject, found }) => found.events.map((event) => ({ event, subject })))
    letters.push(...(await this.#accept(events)))
    if (letters.length > 0) await this.#parts.deadLetters.add(letters)
    const taken: TakenCounts = { accepted: events.length, problems: letters.length, ignored: {} }
    for (const { found } of documents) for (const { reason } of found.ignored) count(taken.ignored, reason)
    this.counts.accepted += taken.accepted
    this.counts.problems += taken.problems
    for (const { found } of documents) for (const { reason } of found.ignored) count(this.counts.ignored, reason)
    return taken
  }

  /** Letters of the events that no log takes: they are too large. */
  async #accept(events: readonly { event: ObjectEvent; subject: string }[]): Promise<DeadLetter[]> {
    try {
      await this.#parts.objects.accept(events.map(({ event }) => event))
      return []
    } catch (error) {
      if (!isFault(error) || error.retry !== 'never' || error.kind === 'cancelled') throw error
      if (events.length > 1) {
        const letters: DeadLetter[] = []
        for (const each of events) letters.push(...(await this.#accept([each])))
        return letters
      }
      return events.map(({ event, subject }) => ({
        stage: 'source',
        stream: 'objects',
        code: error.kind,
        reason: error.message,
        payload: Buffer.from(objectEventText(event)),
        subject,
      }))
    }
  }
}

function count(counts: TakenCounts['ignored'], reason: Ignored['reason']): void {
  counts[reason] = (counts[reason] ?? 0) + 1
}

/** The dead letter of what could not be understood, with its bytes, or their beginning and how many there were. */
export function sourceLetter(problem: Problem, subject: string): DeadLetter {
  const { reason, message, payload, encoding, sizeBytes, sha256 } = problem
  return {
    stage: 'source',
    stream: 'objects',
    code: reason,
    reason: message,
    payload: Buffer.from(payload, encoding === 'base64' ? 'base64' : 'utf8'),
    payloadBytes: sizeBytes,
    payloadSha256: sha256,
    subject,
  }
}
