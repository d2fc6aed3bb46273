/**
 * How many requests one bucket gets at once, shared by everybody who uses it.
 *
 * A store that throttles is asked by half as many at once, after a pause that doubles with each such answer (with full jitter, or as
 * long as the store says); with each good answer the number grows again by a part of one, as TCP's window does. Answers to requests
 * that were under way when the number was halved do not halve it again. Invariant: never more at once than `atOnceMax`, never none.
 *
 * A store that has said nothing else for long is asked by one request after each pause, and all others are refused at once: who asks has
 * other buckets to go on with. Those who ask again later by themselves (`patienceMs`) hear so after that time already, and also where the
 * store has not answered at all: for them one request at a time, after a pause that doubles, finds out whether it does again.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

export interface GateOptions {
  clock: Clock
  /** In [0, 1). */
  random: () => number
  atOnceMax?: number
  waitingMax?: number
}

/** One request's leave to go. */
export interface Pass {
  /** The bucket has answered nothing for longer than this request would wait: it finds out whether it does again. */
  readonly isProbe: boolean
  /** Gives the place back, and says how it went. */
  leave(outcome: 'answered' | 'throttled' | 'failed', retryAfterMs?: number): void
}

interface Waiting {
  patienceMs: number | undefined
  resolve: () => void
  reject: (fault: Fault) => void
}

export class Gate {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #atOnceMax: number
  readonly #waitingMax: number
  readonly #waiting: Waiting[] = []
  #atOnce: number
  #inFlight = 0
  #throttles = 0
  /** Since when nothing but "slow down" has come; null: something else came last. */
  #throttledSinceMs: number | null = null
  #throttledLastMs = 0
  #epoch = 0
  #closedUntilMs = 0
  #answeredLastMs: number
  /** Since when no answer has come, "slow down" included; null: one came last. */
  #silentSinceMs: number | null = null
  #silentLastMs = 0
  /** Probes that found it silent, one after another; until when those who have no patience are refused; one is under way. */
  #silences = 0
  #silentUntilMs = 0
  #probing = false
  #opening = false

  constructor(options: GateOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.#atOnceMax = options.atOnceMax ?? limits.s3RequestsAtOnce
    this.#waitingMax = options.waitingMax ?? limits.s3RequestsWaitingMax
    this.#atOnce = this.#atOnceMax
    this.#answeredLastMs = options.clock.nowMs()
  }

  /** How many may be under way now: less than the most while a store throttles. */
  get atOnce(): number {
    return Math.max(1, Math.floor(this.#atOnce))
  }

  /**
   * @param patienceMs of those who ask again later; absent: they only mind being throttled for long
   * @throws Fault `limit` when too many wait, `unavailable` where the store has answered nothing, or throttled, for too long
   */
  async enter(patienceMs?: number): Promise<Pass> {
    const isProbe = this.#isSilent(patienceMs)
    if (isProbe && (this.#probing || this.#clock.nowMs() < this.#silentUntilMs)) throw this.#givenUp()
    if (this.#isClosedFor(patienceMs)) throw this.#givenUp()
    if (this.#waiting.length > 0 || !this.#open()) {
      if (isProbe || this.#isGivenUp()) throw this.#givenUp()
      if (this.#waiting.length >= this.#waitingMax) {
        throw new Fault(
          'limit',
          `expected at most ${this.#waitingMax} requests to wait for one bucket; ask for less at once`,
        )
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#waiting.push({ patienceMs, resolve, reject })
      this.#admit()
      await promise
    } else this.#inFlight++
    if (isProbe) this.#probing = true
    const epoch = this.#epoch
    const enteredMs = this.#clock.nowMs()
    let left = false
    return {
      isProbe,
      leave: (outcome, retryAfterMs) => {
        if (left) return
        left = true
        this.#inFlight--
        if (isProbe) this.#probing = false
        if (outcome === 'answered') this.#answered()
        else {
          this.#silent(enteredMs, isProbe)
          if (outcome === 'throttled' && epoch === this.#epoch) this.#throttled(retryAfterMs)
          this.#refuseImpatient()
        }
        this.#admit()
      },
    }
  }

  #open(): boolean {
    return this.#inFlight < this.atOnce && this.#clock.nowMs() >= this.#closedUntilMs
  }

  #isGivenUp(): boolean {
    const sinceMs = this.#throttledSinceMs
    return sinceMs !== null && this.#isThrottled() && this.#clock.nowMs() - sinceMs >= limits.s3ThrottledGiveUpMs
  }

  /** It said so lately: what it said before nobody asked for a while is forgotten. */
  #isThrottled(): boolean {
    return this.#clock.nowMs() - this.#throttledLastMs < limits.s3ThrottledGiveUpMs
  }

  #givenUp(): Fault {
    const nowMs = this.#clock.nowMs()
    const sinceMs = this.#throttledSinceMs ?? this.#silentSinceMs ?? nowMs
    const seconds = Math.floor((nowMs - sinceMs) / 1000)
    const did = this.#throttledSinceMs === null ? 'answered no request' : 'only asked for fewer requests'
    return new Fault('unavailable', `the store has ${did} to this bucket for ${seconds} s; it is asked again later`, {
      retryAfterMs: Math.max(0, this.#closedUntilMs - nowMs, this.#silentUntilMs - nowMs),
    })
  }

  /** For those who wait so long: it has answered nothing for as long, and not so long ago that this may be over. */
  #isSilent(patienceMs: number | undefined): boolean {
    if (patienceMs === undefined || this.#silentSinceMs === null) return false
    const nowMs = this.#clock.nowMs()
    return nowMs - this.#silentSinceMs >= patienceMs && nowMs - this.#silentLastMs < limits.s3ThrottledGiveUpMs
  }

  /** They would not wait to the end of the pause. */
  #isClosedFor(patienceMs: number | undefined): boolean {
    return patienceMs !== undefined && this.#closedUntilMs - this.#clock.nowMs() > patienceMs
  }

  #silent(enteredMs: number, isProbe: boolean): void {
    const nowMs = this.#clock.nowMs()
    if (this.#silentSinceMs === null || nowMs - this.#silentLastMs >= limits.s3ThrottledGiveUpMs)
      this.#silentSinceMs = Math.max(enteredMs, this.#answeredLastMs)
    this.#silentLastMs = nowMs
    if (isProbe || this.#silences === 0) this.#silences++
    this.#silentUntilMs = nowMs + backoffMs(this.#silences, limits.s3SilentMs, limits.s3ThrottleMaxMs)
  }

  #refuseImpatient(): void {
    const isOver = ({ patienceMs }: Waiting) => this.#isSilent(patienceMs) || this.#isClosedFor(patienceMs)
    if (!this.#waiting.some(isOver)) return
    const fault = this.#givenUp()
    for (const waiting of this.#waiting.splice(0)) {
      if (isOver(waiting)) waiting.reject(fault)
      else this.#waiting.push(waiting)
    }
  }

  #answered(): void {
    this.#silences = 0
    this.#silentSinceMs = null
    this.#silentUntilMs = 0
    this.#answeredLastMs = this.#clock.nowMs()
    this.#throttles = 0
    this.#throttledSinceMs = null
    this.#atOnce = Math.min(this.#atOnceMax, this.#atOnce + 1 / this.#atOnce)
  }

  #throttled(retryAfterMs: number | undefined): void {
    this.#epoch++
    this.#throttles++
    this.#atOnce = Math.max(1, this.#atOnce / 2)
    const longestMs = backoffMs(this.#throttles, limits.s3BackoffMs, limits.s3ThrottleMaxMs)
    const pauseMs = Math.max(this.#random() * longestMs, Math.min(retryAfterMs ?? 0, limits.s3ThrottleMaxMs))
    const nowMs = this.#clock.nowMs()
    this.#closedUntilMs = nowMs + Math.ceil(pauseMs)
    if (this.#throttledSinceMs === null || !this.#isThrottled()) this.#throttledSinceMs = nowMs
    this.#throttledLastMs = nowMs
    if (!this.#isGivenUp()) return
    const fault = this.#givenUp()
    for (const { reject } of this.#waiting.splice(0)) reject(fault)
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#open()) {
      this.#inFlight++
      this.#waiting.shift()!.resolve()
    }
    const leftMs = this.#closedUntilMs - this.#clock.nowMs()
    if (this.#waiting.length === 0 || leftMs <= 0 || this.#opening) return
    this.#opening = true
    // A clock that stepped back must not close the bucket for longer than any pause.
    void this.#clock.sleep(Math.min(leftMs, limits.s3ThrottleMaxMs)).then(() => {
      this.#opening = false
      if (this.#closedUntilMs - this.#clock.nowMs() > limits.s3ThrottleMaxMs) this.#closedUntilMs = 0
      this.#admit()
    })
  }
}
