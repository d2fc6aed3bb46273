/**
 * Everything a process does outside itself, one step at a time, each at the mercy of a seed: it may fail, be slow, be done
 * without a reply, or be the last thing the process does.
 *
 * Steps run one after another even where the code starts several at once: the same seed gives the same run.
 */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { Clock } from '../../src/base/clock.ts'
import { Fault } from '../../src/base/fault.ts'
import type { Random } from './random.ts'

/** The process is gone. Not a fault: no code may handle it. */
export class Killed extends Error {
  constructor() {
    super('the process was killed')
  }
}

export interface Odds {
  fail: number
  /** Done, but told as failed. Only of steps that can be. */
  lose: number
  stall: number
  kill: number
  /** Somebody else does something between two steps. */
  outside: number
}

export const NO_ODDS: Odds = { fail: 0, lose: 0, stall: 0, kill: 0, outside: 0 }

/** What a step can suffer beside being slow and being the last. */
export interface StepKind {
  name: string
  /** The fault of a step that did not happen; absent: it never fails. */
  fails?: () => Error
  /** The fault of a step that happened and whose reply was lost; absent: that cannot be. */
  loses?: () => Error
}

export class SimulatedClock implements Clock {
  now = Date.UTC(2026, 0, 1)

  nowMs(): number {
    return this.now
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.now += Math.ceil(ms)
  }
}

export class Steps {
  readonly #random: Random
  readonly #clock: SimulatedClock
  readonly #outside: () => Promise<void>
  #odds = NO_ODDS
  #life = 0
  #dead = false
  #last: Promise<unknown> = Promise.resolve()
  /** Steps taken, and what was done to them: for the report of a failed run. */
  readonly trace: string[] = []
  readonly counts = { steps: 0, failed: 0, lost: 0, stalled: 0, killed: 0 }

  constructor(random: Random, clock: SimulatedClock, outside: () => Promise<void>) {
    this.#random = random
    this.#clock = clock
    this.#outside = outside
  }

  get life(): number {
    return this.#life
  }

  get dead(): boolean {
    return this.#dead
  }

  get odds(): Odds {
    return this.#odds
  }

  set odds(odds: Odds) {
    this.#odds = odds
  }

  /** A new process begins. What the old one still had under way must have ended. */
  begin(): void {
    this.#life++
    this.#dead = false
  }

  kill(): void {
    this.#dead = true
  }

  /** Resolves when no step is under way. */
  async settled(): Promise<void> {
    let seen: Promise<unknown> | undefined
    while (seen !== this.#last) {
      seen = this.#last
      await seen
    }
  }

  /** Performs `work` as one step of process `life`. */
  perform<T>(life: number, kind: StepKind, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => this.#step(life, kind, work))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #step<T>(life: number, kind: StepKind, work: () => Promise<T>): Promise<T> {
    if (this.#dead || life !== this.#life) throw new Killed()
    const odds = this.#odds
    this.counts.steps++
    this.#clock.now += 1 + this.#random.below(3)
    if (this.#random.chance(odds.stall)) {
      this.counts.stalled++
      // Now and then the clock is set back instead.
      this.#clock.now += this.#random.chance(0.2) ? -this.#random.below(5_000) : this.#random.below(120_000)
    }
    const fate = this.#random.next()
    let bound = odds.kill / 2
    if (fate < bound) this.#die(`before ${kind.name}`)
    bound += odds.fail
    if (fate < bound && kind.fails) {
      this.#note(`failed ${kind.name}`)
      this.counts.failed++
      throw kind.fails()
    }
    if (this.#random.chance(odds.outside)) await this.#outside()
    this.#note(kind.name)
    const result = await work()
    if (this.#random.chance(odds.outside)) await this.#outside()
    bound += odds.lose
    if (fate < bound && kind.loses) {
      this.#note(`lost the reply of ${kind.name}`)
      this.counts.lost++
      throw kind.loses()
    }
    if (fate >= 1 - odds.kill / 2) this.#die(`after ${kind.name}`)
    return result
  }

  #die(when: string): never {
    this.#note(`killed ${when}`)
    this.counts.killed++
    this.#dead = true
    throw new Killed()
  }

  #note(text: string): void {
    this.trace.push(text)
    if (this.trace.length > 400) this.trace.shift()
  }

  note(text: string): void {
    this.#note(`== ${text}`)
  }
}

export const ioFault = (what: string) => () => new Fault('unavailable', `simulated: ${what}: no space left on device`)

/** Makes ids and jitter come from the seed until the returned function is called. */
export function seededRandomness(random: Random): () => void {
  const before = { randomBytes: crypto.randomBytes, random: Math.random }
  crypto.randomBytes = ((length: number) =>
    Buffer.from(Array.from({ length }, () => random.below(256)))) as typeof crypto.randomBytes
  Math.random = () => random.next()
  syncBuiltinESMExports()
  return () => {
    crypto.randomBytes = before.randomBytes
    Math.random = before.random
    syncBuiltinESMExports()
  }
}
