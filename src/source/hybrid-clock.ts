/**
 * Sequencers for sources that have none: a hybrid logical clock.
 *
 * Each is the time in nanoseconds, or one more than the last where the clock stands or has stepped back. So within one
 * directory a later event always has the greater sequencer, whatever the times of the files or of the machine say.
 */
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'

const DIGITS = 16
const FORM = /^[0-9A-Fa-f]{1,16}$/
const NS_PER_MS = 1_000_000n

export class HybridClock {
  readonly #clock: Clock
  #last: bigint

  /**
   * @param last the greatest sequencer given before (by an earlier process, say), if any
   * @throws Fault `invalid` when `last` is not one of this clock's
   */
  constructor(clock: Clock, last?: string) {
    this.#clock = clock
    this.#last = last === undefined ? -1n : nanosecondsOf(last)
  }

  /** The greatest sequencer so far, or undefined before the first. */
  get last(): string | undefined {
    return this.#last < 0n ? undefined : textOf(this.#last)
  }

  /** A sequencer greater than all before: 16 upper-case hex digits, text order is order. */
  next(): string {
    const nowNs = BigInt(this.#clock.nowMs()) * NS_PER_MS
    this.#last = nowNs > this.#last ? nowNs : this.#last + 1n
    return textOf(this.#last)
  }

  /**
   * Makes what comes greater than `sequencer`, met in what an earlier process wrote. One of another form was given by
   * another source and means nothing here.
   */
  observe(sequencer: string): void {
    if (!FORM.test(sequencer)) return
    const value = nanosecondsOf(sequencer)
    if (value > this.#last) this.#last = value
  }
}

function nanosecondsOf(sequencer: string): bigint {
  if (!FORM.test(sequencer)) {
    const got = JSON.stringify(sequencer.slice(0, 80))
    throw new Fault('invalid', `expected a directory's sequencer of ${DIGITS} hex digits, got ${got}`)
  }
  // Stored in canonical form it has lost the zeros on its right.
  return BigInt(`0x${sequencer.padEnd(DIGITS, '0')}`)
}

function textOf(value: bigint): string {
  return value.toString(16).toUpperCase().padStart(DIGITS, '0')
}
