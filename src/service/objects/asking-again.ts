/**
 * Objects whose store did not answer are asked about and read again, by themselves, beside the stage.
 *
 * What waits is the list of what is unread (`unread.ts`), and nothing else: it stands in `state/objects.db`, so a restart goes on with
 * it. What makes an object wait is in its letter: its store did not answer, or refused it. A letter whose cause lies in the object is
 * never asked for again but by somebody. A letter of a bucket that the configuration does not name is asked for at the first start that
 * finds it named, and costs nothing until then.
 *
 * Pace, for each bucket by itself: one object is a probe. While the store does not answer, the next probe, of another object, comes after
 * a pause that doubles; once it answers, so many more are asked at once with each turn, up to `askAgainAtOnce`. An object that is refused
 * waits longer each time, and costs the others nothing; when one that was refused before is answered, rights were given, and the others
 * of its bucket are asked at once.
 *
 * Invariants
 * 1. A newer event wins: what the store says of an object comes as an event of its own, in order with all others, and rows are made
 *    anew as by `redo.ts`, between the windows of the stage: a row of less that is on its way comes first.
 * 2. A letter is settled after what was learned is durable, and forgotten after it is settled. What has changed meanwhile stays.
 *
 * Crash story: whatever of that is not done is done again, with the same result.
 */
import { backoffMs } from '../../base/backoff.ts'
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import type { Asking } from './ask.ts'
import { descriptionEvent } from './description.ts'
import { askAgainAtMs, askLetter, lettersOf, passingOf, UNDESCRIBED, unreadOf, unreadWithout } from './letters.ts'
import type { Redone } from './redo.ts'
import type { Unread, UnreadLetter, WaitingVersion } from './unread.ts'
import { isSameTip } from './version-order.ts'
import { isUntold, type VersionState, visible } from './version-state.ts'
import type { VersionNames, VersionStore } from './version-store.ts'

export interface AskingAgainParts {
  versions: VersionStore
  deadLetters: DeadLetters
  clock: Clock
  asking: Asking
  /** Makes events durable. */
  accept: (events: readonly ObjectEvent[]) => Promise<unknown>
  /** Makes the content row of a version anew; see `redo.ts`. */
  redo: (version: VersionNames) => Promise<Redone>
  /** So many events wait for the stage that no more are to be made. */
  isBehind: () => boolean
  onEvent?: ((event: AskedAgain) => void) | undefined
}

/** How one object went: `gone`: it is not there any more, or another took its place; `failed`: what it lacks it will not get by itself. */
export type AgainOutcome = 'answered' | 'gone' | 'unanswered' | 'refused' | 'failed'

export type AskedAgain =
  /** Objects of a bucket have begun to wait. `why` and `reason`: of the one that is asked about first; `named`: the bucket is by now. */
  | { kind: 'began'; bucket: string; waiting: number; why: 'unanswered' | 'refused' | 'named'; reason: string }
  | { kind: 'asked'; bucket: string; outcomes: readonly AgainOutcome[] }
  /** None waits any more. `elapsedMs`: since `began`. */
  | ({ kind: 'ended'; bucket: string; elapsedMs: number } & Over)

/** Objects that wait no more. */
interface Over {
  answered: number
  gone: number
  failed: number
  /** Settled by newer events, or by somebody, without being asked about: of those that waited at `began`, at least so many. */
  settled: number
}

/** What stays unknown of one object, and whether there is nothing more to learn as it is there no more. */
interface Again {
  letters: UnreadLetter[]
  isGone: boolean
}

interface BucketState {
  readonly sinceMs: number
  readonly waitingAtFirst: number
  readonly over: Omit<Over, 'settled'>
  /** Turns that ended because the store did not answer, one after another, and until when it is left alone. */
  failures: number
  heldUntilMs: number
  /** No refused objects are hastened before then. */
  hastenedUntilMs: number
  turn: Promise<void> | null
}

export class AskingAgain {
  readonly #parts: AskingAgainParts
  readonly #buckets = new Map<string, BucketState>()

  constructor(parts: AskingAgainParts) {
    this.#parts = parts
  }

  /** Buckets with objects that wait, and how many. */
  status(): { bucket: string; waiting: number }[] {
    return [...this.#buckets.keys()].map((bucket) => ({ bucket, waiting: this.#parts.versions.unread.waiting(bucket) }))
  }

  /** Follows what waits until the signal is aborted, and ends what is under way. @param onFault told of failures of this machine */
  async follow(signal: AbortSignal, onFault: (fault: Fault, retryInMs: number) => void): Promise<void> {
    const { clock, isBehind, versions, asking } = this.#parts
    const failed = (error: unknown) => {
      const fault = isFault(error) ? error : new Fault('unavailable', messageOf(error), {}, error)
      if (!signal.aborted) onFault(fault, limits.askAgainMs)
    }
    let isLooked = false
    while (!signal.aborted) {
      try {
        if (!isLooked) versions.unread.named((bucket) => asking.names(bucket), clock.nowMs())
        isLooked = true
        if (!isBehind()) this.#look(signal, failed)
      } catch (error) {
        failed(error)
      }
      await clock.sleep(limits.askAgainMs, signal).catch(() => undefined)
    }
    await Promise.all([...this.#buckets.values()].map(({ turn }) => turn))
  }

  /** Begins the turns that are due. */
  #look(signal: AbortSignal, failed: (error: unknown) => void): void {
    const { versions, clock } = this.#parts
    const nowMs = clock.nowMs()
    const waiting = new Set<string>()
    let running = [...this.#buckets.values()].filter(({ turn }) => turn !== null).length
    for (const { bucket, dueMs } of versions.unread.buckets()) {
      if (waiting.size >= limits.bucketsOpenMax) break
      waiting.add(bucket)
      const state = this.#buckets.get(bucket) ?? this.#begin(bucket, nowMs)
      // A clock that stepped back must not hold anything for longer than any pause.
      if (dueMs - nowMs > limits.askAgainRefusedMaxMs) versions.unread.hasten(bucket, nowMs)
      const heldMs = state.heldUntilMs - nowMs
      const isHeld = heldMs > 0 && heldMs <= limits.askAgainPauseMaxMs
      if (state.turn !== null || isHeld || dueMs > nowMs || running >= limits.askAgainBucketsAtOnce) continue
      running++
      state.turn = this.#turn(bucket, state, signal)
        .catch(failed)
        .finally(() => {
          state.turn = null
        })
    }
    for (const [bucket, { turn, over, waitingAtFirst, sinceMs }] of this.#buckets) {
      if (waiting.has(bucket) || turn !== null) continue
      this.#buckets.delete(bucket)
      const settled = Math.max(0, waitingAtFirst - over.answered - over.gone - over.failed)
      this.#parts.onEvent?.({ kind: 'ended', bucket, ...over, settled, elapsedMs: Math.max(0, nowMs - sinceMs) })
    }
  }

  #begin(bucket: string, nowMs: number): BucketState {
    const { versions, onEvent } = this.#parts
    const over = { answered: 0, gone: 0, failed: 0 }
    const waiting = versions.unread.waiting(bucket)
    const pace = { failures: 0, heldUntilMs: 0, hastenedUntilMs: 0, turn: null }
    const state = { sinceMs: nowMs, waitingAtFirst: waiting, over, ...pace }
    this.#buckets.set(bucket, state)
    const [first] = versions.unread.due(bucket, Number.MAX_SAFE_INTEGER, 1)
    const letter = first?.unread.letters.find((each) => passingOf(each) !== 'never')
    onEvent?.({ kind: 'began', bucket, waiting, why: causeOf(letter), reason: letter?.reason ?? '' })
    return state
  }

  /** Asks about objects of a bucket that are due until none is, or the store does not answer. */
  async #turn(bucket: string, state: BucketState, signal: AbortSignal): Promise<void> {
    const { versions, clock, isBehind, onEvent } = this.#parts
    let atOnce = 1
    while (!signal.aborted && !isBehind()) {
      const page = versions.unread.due(bucket, clock.nowMs(), atOnce)
      if (page.length === 0) return
      const outcomes = await Promise.all(page.map((waiting) => this.#again(waiting)))
      for (const outcome of outcomes)
        if (outcome === 'answered' || outcome === 'gone' || outcome === 'failed') state.over[outcome]++
      onEvent?.({ kind: 'asked', bucket, outcomes })
      const nowMs = clock.nowMs()
      if (outcomes.includes('unanswered')) {
        state.heldUntilMs = nowMs + backoffMs(++state.failures, limits.askAgainMs, limits.askAgainPauseMaxMs)
        return
      }
      state.failures = 0
      if (outcomes.some(isTold)) {
        atOnce = Math.min(limits.askAgainAtOnce, atOnce * 2)
        const wasRefused = page.some(({ unread }, at) => unread.letters.some(isRefused) && isTold(outcomes[at]!))
        if (wasRefused) this.#hasten(bucket, state, nowMs)
      }
    }
  }

  /** Where rights are given to some objects and not to others, that is no reason to ask about all of them each time. */
  #hasten(bucket: string, state: BucketState, nowMs: number): void {
    const leftMs = state.hastenedUntilMs - nowMs
    if (leftMs > 0 && leftMs <= limits.askAgainRefusedMaxMs) return
    state.hastenedUntilMs = nowMs + limits.askAgainRefusedMaxMs
    this.#parts.versions.unread.hasten(bucket, nowMs)
  }

  async #again({ version, unread }: WaitingVersion): Promise<AgainOutcome> {
    if (unread.letters.some(isUnnamed)) return this.#named(version, unread)
    const isPassing = (letter: UnreadLetter) => passingOf(letter) !== 'never'
    const codes = new Set(unread.letters.filter(isPassing).map(({ code }) => code))
    if (codes.size === 0) return this.#postponed(version, unread, unread.letters)
    const failed: UnreadLetter[] = []
    let isGone = false
    if (codes.delete(UNDESCRIBED)) {
      const described = await this.#describe(version)
      failed.push(...described.letters)
      isGone = described.isGone
    }
    const isSilent = failed.some((letter) => passingOf(letter) === 'unanswered')
    if (codes.size > 0 && !isSilent) {
      const read = await this.#read(version)
      failed.push(...read.letters)
      isGone ||= read.isGone
    }
    const outcome = await this.#postponed(version, unread, failed)
    return isGone && outcome === 'answered' ? 'gone' : outcome
  }

  /** Nothing was asked of an object before its bucket was named: now it is asked, and read, as if it had just come. */
  async #named(version: VersionNames, unread: Unread): Promise<AgainOutcome> {
    const { versions, deadLetters, clock } = this.#parts
    const failed = [...(await this.describe(version)), ...(await this.read(version))]
    const state = this.#objectOf(version)
    // What came meanwhile of something newer is not for these letters to say.
    if (failed.length === 0 || state === null || !isSameTip(visible(state).event, unread.event))
      return this.#postponed(version, unread, [])
    const { event } = unread
    const over = unread.letters.filter(
      (letter) => isUnnamed(letter) && !failed.some(({ code }) => code === letter.code),
    )
    await deadLetters.add(lettersOf({ event, letters: failed }))
    await deadLetters.settle(lettersOf({ event, letters: over }))
    versions.unread.set(version, unreadOf(event, failed, clock.nowMs()))
    return outcomeOf(failed)
  }

  /**
   * Asks the store of an object what it did not answer, and makes what it says durable as an event. Nothing is asked of what is no object
   * any more.
   * @returns what stays unknown, and why
   */
  async describe(version: VersionNames): Promise<UnreadLetter[]> {
    return (await this.#describe(version)).letters
  }

  async #describe(version: VersionNames): Promise<Again> {
    const { asking, accept } = this.#parts
    const state = this.#objectOf(version)
    if (state === null) return this.#settledGone(version)
    let isGone = false
    if (asking.asks(version.bucket)) {
      const { description, fault } = await asking.describe(state, false)
      // What is known in part is told once; there is no end to telling it.
      const isNews = description !== null && (fault === undefined || isUntold(state))
      if (isNews) await accept([descriptionEvent(visible(state).event, description)])
      if (fault !== undefined) return { letters: [askLetter(fault)], isGone: false }
      isGone = description === null
    }
    await this.#settle(version, ({ code }) => code === UNDESCRIBED, visible(state).event)
    return { letters: [], isGone }
  }

  /** Reads an object again and passes its row on. @returns what stays unread, and why */
  async read(version: VersionNames): Promise<UnreadLetter[]> {
    return (await this.#read(version)).letters
  }

  async #read(version: VersionNames): Promise<Again> {
    if (this.#objectOf(version) === null) return this.#settledGone(version)
    const redone = await this.#parts.redo(version)
    switch (redone.kind) {
      case 'done':
        return { letters: redone.letters, isGone: false }
      case 'unread':
        return { letters: [redone.letter], isGone: false }
      case 'gone':
      case 'overtaken':
        return { letters: [], isGone: true }
    }
  }

  async #settledGone(version: VersionNames): Promise<Again> {
    await this.#settle(version, () => true)
    return { letters: [], isGone: true }
  }

  /** What is known of an object that is there, and is the one that its letters are about. */
  #objectOf(version: VersionNames): VersionState | null {
    const { versions } = this.#parts
    const state = versions.get(version.bucket, version.key, version.versionId)
    if (state === null) return null
    const { event, present, isDeleteMarker } = visible(state)
    const unread = versions.unread.get(version)
    return present && !isDeleteMarker && (unread === null || isSameTip(unread.event, event)) ? state : null
  }

  /** @param of the creation that the letters must be about; absent: any */
  async #settle(version: VersionNames, isOver: (letter: UnreadLetter) => boolean, of?: ObjectEvent): Promise<void> {
    const { versions, deadLetters } = this.#parts
    const before = versions.unread.get(version)
    if (before === null || (of !== undefined && !isSameTip(before.event, of))) return
    const letters = before.letters.filter(isOver)
    if (letters.length === 0) return
    await deadLetters.settle(lettersOf({ event: before.event, letters }))
    if (isSame(before, versions.unread.get(version))) versions.unread.set(version, unreadWithout(before, isOver))
  }

  /** Keeps for later what failed again, and what came meanwhile. */
  async #postponed(version: VersionNames, before: Unread, failed: readonly UnreadLetter[]): Promise<AgainOutcome> {
    const { versions, deadLetters, clock } = this.#parts
    const now = versions.unread.get(version)
    if (failed.length === 0) {
      // The stage is about to pass on something newer of it.
      if (now !== null && now.dueMs !== undefined && now.dueMs <= clock.nowMs())
        versions.unread.set(version, { ...now, dueMs: askAgainAtMs('unanswered', clock.nowMs()) })
      return 'answered'
    }
    const outcome = outcomeOf(failed)
    const passing = outcome === 'unanswered' || outcome === 'refused' ? outcome : 'never'
    // What is unread by now is about something newer, or was told anew.
    if (now !== null && isSameTip(now.event, before.event)) {
      const letters = now.letters.map((letter) => failed.find(({ code }) => code === letter.code) ?? letter)
      const tries = (now.tries ?? 0) + (passing === 'refused' ? 1 : 0)
      const dueMs = passing === 'never' ? undefined : askAgainAtMs(passing, clock.nowMs(), tries)
      // The table of letters says why they wait, not how often they were tried.
      const changed = letters.filter((letter, at) => passingOf(letter) !== passingOf(now.letters[at]!))
      const kept = { event: now.event, letters, ...(tries > 0 && { tries }), ...(dueMs !== undefined && { dueMs }) }
      versions.unread.set(version, kept)
      if (changed.length > 0) await deadLetters.add(lettersOf({ event: now.event, letters: changed }))
    }
    return outcome
  }
}

function outcomeOf(failed: readonly UnreadLetter[]): AgainOutcome {
  if (failed.length === 0) return 'answered'
  const why = failed.map(passingOf)
  return why.includes('unanswered') ? 'unanswered' : why.includes('refused') ? 'refused' : 'failed'
}

function causeOf(letter: UnreadLetter | undefined): 'unanswered' | 'refused' | 'named' {
  if (letter === undefined) return 'unanswered'
  return isUnnamed(letter) ? 'named' : isRefused(letter) ? 'refused' : 'unanswered'
}

function isUnnamed(letter: UnreadLetter): boolean {
  return passingOf(letter) === 'unnamed'
}

function isRefused(letter: UnreadLetter): boolean {
  return passingOf(letter) === 'refused'
}

/** There is nothing more to ask of the object, and not for what is wrong with it. */
function isTold(outcome: AgainOutcome): boolean {
  return outcome === 'answered' || outcome === 'gone'
}

function isSame(one: Unread, other: Unread | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
