/**
 * How fast calls are made: so many at once, so many a second. A service that turns calls away halves the rate and stops all calls for a
 * moment; each call that is answered brings the rate a little nearer to what it was.
 */
import type { Clock } from '../../../base/clock.ts'
import { limits } from '../../../base/limits.ts'

export interface PaceOptions {
  atOnce: number
  perSecond: number
  clock: Clock
  /** From 0 to 1. */
  random?: () => number
}

/** Leave to make one call. */
export interface Turn {
  end(): void
}

/** The rate falls to this share of what is allowed and no lower, and rises by a twentieth of that for each good call. */
const SLOWEST = 1 / 32
const STEP = 1 / 20

export class Pace {
  readonly #options: PaceOptions
  readonly #random: () => number
  readonly #queue: (() => void)[] = []
  #free: number
  #perSecond: number
  #nextMs = 0
  #slowed = 0

  constructor(options: PaceOptions) {
    this.#options = options
    this.#random = options.random ?? Math.random
    this.#free = options.atOnce
    this.#perSecond = options.perSecond
  }

  /** Calls a second that are made now. */
  get perSecond(): number {
    return this.#perSecond
  }

  /** Resolves when a call may be made; null when that takes longer than `waitMaxMs`. */
  async turn(waitMaxMs: number): Promise<Turn | null> {
    const { clock } = this.#options
    const untilMs = clock.nowMs() + waitMaxMs
    if (this.#free > 0) this.#free--
    else await new Promise<void>((go) => this.#queue.push(go))
    const nowMs = clock.nowMs()
    const atMs = Math.max(nowMs, this.#nextMs)
    if (atMs > untilMs) {
      this.#release()
      return null
    }
    this.#nextMs = atMs + 1000 / this.#perSecond
    if (atMs > nowMs) await clock.sleep(atMs - nowMs)
    let isOver = false
    return {
      end: () => {
        if (!isOver) this.#release()
        isOver = true
      },
    }
  }

  /** A call was turned away. */
  slow(): void {
    const { perSecond, clock } = this.#options
    this.#perSecond = Math.max(perSecond * SLOWEST, this.#perSecond / 2)
    this.#slowed++
    this.#nextMs = Math.max(this.#nextMs, clock.nowMs() + this.pauseMs(this.#slowed))
  }

  /** A call was answered. */
  quicken(): void {
    const { perSecond } = this.#options
    this.#slowed = 0
    this.#perSecond = Math.min(perSecond, this.#perSecond + perSecond * STEP)
  }

  /** A pause before another try: doubled each time up to the maximum, and somewhere in its upper half, so that not all come at once. */
  pauseMs(failures: number): number {
    const full = Math.min(limits.labelBackoffMaxMs, limits.labelBackoffMs * 2 ** Math.max(0, failures - 1))
    return Math.ceil((full * (1 + this.#random())) / 2)
  }

  #release(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
