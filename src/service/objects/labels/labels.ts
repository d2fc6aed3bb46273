/**
 * Labels of pictures by a service that is paid by the call: put beside the facts that extractors gave, at a pace and under a cap.
 *
 * Invariants
 * 1. Labels are only told of the bytes that the event names: bytes are read under its etag; of a picture that the service reads by
 *    itself the etag is asked for again after the call, and another one makes the whole extraction `superseded`.
 * 2. No more calls are made in any hour than the cap, restarts or not: a call is counted before it is made (`call-book.ts`).
 * 3. What cannot be done now is not lost: the row says `waiting`, the book has the object before the row is passed on, and its row is
 *    made anew (`redo.ts`) when there is room again.
 *
 * Crash story: killed after a call and before the row, the event is passed on again and its picture is called for again.
 */
import type { Clock } from '../../../base/clock.ts'
import { type Fault, isFault, messageOf } from '../../../base/fault.ts'
import { follow } from '../../../base/follow.ts'
import type { Json } from '../../../base/json.ts'
import { limits } from '../../../base/limits.ts'
import type { ExtractFault, Extraction } from '../../../extract/extract.ts'
import type { KeptFacts, Redone } from '../redo.ts'
import type { VersionNames } from '../version-store.ts'
import type { CallBook } from './call-book.ts'
import type { Pace } from './pace.ts'

/** One picture as its service is told of it. */
export type LabelImage =
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 's3'; bucket: string; key: string; versionId?: string }

/** What a service found: members of the metadata as they are stored. */
export interface LabelFacts {
  /** Whole label objects, the surest first: `Name`, `Confidence` (percent), and what else the service tells of each. */
  labels: { [member: string]: Json }[]
  label_model: { [member: string]: Json }
}

/**
 * Why there are no labels:
 * - `final`: this picture will never have any
 * - `throttled`: too many calls; `passing`: another failure that may pass by itself
 * - `refused`: nobody's picture is taken (credentials, rights): somebody must do something about it
 * - `unreadable`: the service cannot read the object
 */
export class LabelTrouble extends Error {
  readonly kind: 'final' | 'throttled' | 'passing' | 'refused' | 'unreadable'
  /** Kind of the fault in the row. */
  readonly fault: 'invalid' | 'limit' | 'unavailable'

  constructor(kind: LabelTrouble['kind'], message: string, fault: LabelTrouble['fault'] = 'unavailable') {
    super(message)
    this.kind = kind
    this.fault = fault
  }
}

export interface LabelClient {
  /** @throws LabelTrouble */
  detect(image: LabelImage): Promise<LabelFacts>
  close(): void
}

/** An object that may be a picture. */
export interface LabelSubject extends VersionNames {
  etag?: string | undefined
  sequencer?: string | undefined
  sizeBytes: number
  /** The service can read it by itself. */
  isInS3: boolean
  /** All bytes, of the etag that the event names. @throws Fault */
  bytes(): Promise<Uint8Array>
  /** Is it still the object that the event names? @throws Fault */
  isStill(): Promise<boolean>
}

export interface LabelsParts {
  client: LabelClient
  book: CallBook
  pace: Pace
  clock: Clock
  /** Raised when rows are to be labelled anew. */
  version: number
  callsPerHourMax: number
  /** A picture of fewer bytes. Rejects when it cannot be decoded. */
  shrink: (bytes: Uint8Array) => Promise<Uint8Array>
  /** Told of what holds labels up, once until it is over. */
  onNotice: (text: string) => void
}

export const REKOGNITION = 'rekognition'

/** Formats that the service takes. */
const FORMATS: readonly Json[] = ['JPEG', 'PNG']

type Outcome =
  | { kind: 'labels'; facts: LabelFacts }
  | { kind: 'fault'; fault: ExtractFault }
  | { kind: 'waiting'; why: string }
  | { kind: 'superseded' }

export class Labels {
  readonly #parts: LabelsParts
  /** Until then no call is made: the last ones were refused. */
  #refusedUntilMs = 0
  #held: string | null = null

  constructor(parts: LabelsParts) {
    this.#parts = parts
  }

  /** As an extractor among the others. */
  get extractor(): { name: string; version: number } {
    return { name: REKOGNITION, version: this.#parts.version }
  }

  /** Objects whose labels wait. */
  get waiting(): number {
    return this.#parts.book.waitingCount()
  }

  /**
   * An extraction with its labels.
   * @param kept of the row as it is: its labels are taken if they are of these bytes and of this version
   * @throws Fault `unavailable` when the book of calls cannot be written, and nothing else
   */
  async added(subject: LabelSubject, extraction: Extraction, kept?: KeptFacts): Promise<Extraction> {
    if (extraction.extractors === undefined || !isPicture(extraction)) return extraction
    const { name, version } = this.extractor
    const made = { ...extraction, extractors: { ...extraction.extractors, [name]: version } }
    if (kept !== undefined && this.#holds(subject, kept)) {
      this.#parts.book.forget(subject)
      return { ...made, metadata: { ...extraction.metadata, ...kept.facts } }
    }
    const outcome = await this.#labelled(subject)
    if (outcome.kind === 'waiting') {
      this.#parts.book.wait(subject, this.#parts.clock.nowMs())
      const fault = { extractor: name, kind: 'waiting', message: `${outcome.why}; the labels come by themselves` }
      return { ...extraction, faults: [...extraction.faults, fault] }
    }
    this.#parts.book.forget(subject)
    switch (outcome.kind) {
      case 'labels':
        return { ...made, metadata: { ...extraction.metadata, ...outcome.facts } }
      case 'fault':
        return { ...made, faults: [...extraction.faults, outcome.fault] }
      case 'superseded':
        return {
          metadata: {},
          bytesRead: extraction.bytesRead,
          faults: [{ extractor: 'read', kind: 'superseded', message: 'the object was replaced while it was labelled' }],
        }
    }
  }

  /**
   * Makes rows whose labels wait anew, as long as there are some and calls are left. `redo` comes back here by `added`.
   * @returns how many still wait
   */
  async settle(redo: (version: VersionNames) => Promise<Redone>, signal?: AbortSignal): Promise<number> {
    const { book, clock } = this.#parts
    // Those that wait by then were tried in this turn.
    const untilMs = clock.nowMs()
    while (signal?.aborted !== true && this.#hold() === null) {
      const page = book.waitingSince(untilMs, limits.labelCallsAtOnceMax)
      if (page.length === 0) break
      await Promise.all(
        page.map(async (version) => {
          // Whatever comes of it, it is not the oldest any more.
          book.wait(version, Math.max(clock.nowMs(), untilMs + 1))
          const redone = await redo(version)
          if (redone.kind === 'gone') book.forget(version)
        }),
      )
    }
    return book.waitingCount()
  }

  /** Follows what waits until the signal is aborted. @param onFault told of failures, after which it goes on */
  async follow(
    redo: (version: VersionNames) => Promise<Redone>,
    signal: AbortSignal,
    onFault: (fault: Fault) => void,
  ): Promise<void> {
    const { clock } = this.#parts
    const turn = async () => {
      await this.settle(redo, signal)
      await clock.sleep(limits.labelWaitingPollMs, signal)
    }
    const pause = { firstMs: limits.labelWaitingPollMs, maxMs: limits.labelWaitingPollMs }
    await follow({ clock, turn, onFault, pause }, signal)
  }

  close(): void {
    this.#parts.client.close()
    this.#parts.book.close()
  }

  #holds({ etag, sequencer }: LabelSubject, kept: KeptFacts): boolean {
    const isSame = kept.etag === (etag ?? null) && kept.sequencer === (sequencer ?? null) && etag !== undefined
    return isSame && (kept.extractors[REKOGNITION] ?? 0) >= this.#parts.version
  }

  async #labelled(subject: LabelSubject): Promise<Outcome> {
    const { clock, pace } = this.#parts
    const untilMs = clock.nowMs() + limits.labelTurnMs
    for (let attempt = 1; ; attempt++) {
      const held = this.#hold()
      if (held !== null) return { kind: 'waiting', why: held }
      const turn = await pace.turn(untilMs - clock.nowMs())
      if (turn === null) return { kind: 'waiting', why: 'too many pictures came at once for the rate of calls' }
      try {
        return await this.#called(subject)
      } catch (error) {
        if (!(error instanceof LabelTrouble)) return failedRead(error)
        const { kind, message, fault } = error
        if (kind === 'final') return { kind: 'fault', fault: { extractor: REKOGNITION, kind: fault, message } }
        if (kind === 'unreadable') return this.#unreadable(subject, message)
        if (kind === 'refused') {
          this.#refusedUntilMs = clock.nowMs() + limits.labelRefusedMs
          this.#tell(`labels wait: ${message}`)
          return { kind: 'waiting', why: message }
        }
        if (kind === 'throttled') pace.slow()
        if (attempt >= limits.labelAttemptsMax || clock.nowMs() >= untilMs) return { kind: 'waiting', why: message }
        await clock.sleep(pace.pauseMs(attempt))
      } finally {
        turn.end()
      }
    }
  }

  /** One call, counted. */
  async #called(subject: LabelSubject): Promise<Outcome> {
    const { client, book, clock, pace, callsPerHourMax, shrink } = this.#parts
    const image = await imageOf(subject, shrink)
    const nowMs = clock.nowMs()
    if (!book.take(nowMs, callsPerHourMax)) return { kind: 'waiting', why: capText(callsPerHourMax) }
    let facts: LabelFacts
    try {
      facts = await client.detect(image)
    } catch (error) {
      // A call that was turned away costs nothing.
      if (error instanceof LabelTrouble && (error.kind === 'throttled' || error.kind === 'refused'))
        book.giveBack(nowMs)
      throw error
    }
    pace.quicken()
    this.#held = null
    const isPinned = image.kind === 'bytes' || image.versionId !== undefined
    return isPinned || (await subject.isStill()) ? { kind: 'labels', facts } : { kind: 'superseded' }
  }

  /** The service cannot read what is there: it is gone, replaced, or not the service's to read. */
  async #unreadable(subject: LabelSubject, message: string): Promise<Outcome> {
    const isStill = await subject.isStill().catch(() => true)
    if (!isStill) return { kind: 'superseded' }
    return { kind: 'fault', fault: { extractor: REKOGNITION, kind: 'invalid', message } }
  }

  /** Why no call may be made now; null: one may. */
  #hold(): string | null {
    const { book, clock, callsPerHourMax } = this.#parts
    const nowMs = clock.nowMs()
    if (nowMs < this.#refusedUntilMs) return 'the last calls were refused'
    if (book.calls(nowMs) < callsPerHourMax) return null
    this.#tell(`labels wait: ${capText(callsPerHourMax)}; they come by themselves while a server holds the home`)
    return capText(callsPerHourMax)
  }

  #tell(text: string): void {
    if (this.#held !== null) return
    this.#held = text
    this.#parts.onNotice(text)
  }
}

function capText(max: number): string {
  return `${max} calls were made in the last hour, which is the cap (objects.labels.callsPerHourMax)`
}

function isPicture({ metadata }: Extraction): boolean {
  const image = metadata['image']
  if (typeof image !== 'object' || image === null || Array.isArray(image)) return false
  return FORMATS.includes(image['format'] ?? null)
}

/** By name where the service can read it and may; the bytes, made small enough, otherwise. */
async function imageOf(subject: LabelSubject, shrink: LabelsParts['shrink']): Promise<LabelImage> {
  const { bucket, key, versionId, sizeBytes } = subject
  if (subject.isInS3 && sizeBytes <= limits.labelS3BytesMax)
    return { kind: 's3', bucket, key, ...(versionId === 'null' ? {} : { versionId }) }
  if (sizeBytes > limits.labelShrinkBytesMax) {
    throw new LabelTrouble(
      'final',
      `${sizeBytes} bytes are too many to label: at most ${limits.labelShrinkBytesMax} are made smaller`,
      'limit',
    )
  }
  const bytes = await subject.bytes()
  return { kind: 'bytes', bytes: bytes.length <= limits.labelBytesMax ? bytes : await shrunk(bytes, shrink) }
}

/** @throws LabelTrouble of kind `final` when it cannot be made small */
async function shrunk(bytes: Uint8Array, shrink: LabelsParts['shrink']): Promise<Uint8Array> {
  try {
    const small = await shrink(bytes)
    if (small.length <= limits.labelBytesMax) return small
    throw new Error(`${small.length} bytes are left`)
  } catch (error) {
    throw new LabelTrouble(
      'final',
      `${bytes.length} bytes are too many to label (at most ${limits.labelBytesMax}), and the picture cannot be made smaller: ${messageOf(error)}`,
      'limit',
    )
  }
}

/** The bytes could not be had: as it is told of the bytes that extractors read. */
function failedRead(error: unknown): Outcome {
  if (isFault(error, 'superseded') || isFault(error, 'not-found')) return { kind: 'superseded' }
  return { kind: 'waiting', why: `the picture could not be read: ${messageOf(error)}` }
}
