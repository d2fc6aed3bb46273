/**
 * What a process with a stream does outside itself, one step at a time: each may fail, be done without a reply, or be the last
 * thing that the process does.
 *
 * What happens to a step is a function of the seed, the process, the step's name and how often it came: also where two parts
 * of a process race, and their steps come in another order, the same things happen to each of them.
 */
import type { Clock } from '../../src/base/clock.ts'
import { Fault } from '../../src/base/fault.ts'
import { Killed } from './faulty.ts'
import { Random } from './random.ts'

export interface StreamOdds {
  fail: number
  /** Done, but told as failed. Only of steps that can be. */
  lose: number
  kill: number
}

export const CALM: StreamOdds = { fail: 0, lose: 0, kill: 0 }

export interface StreamStep {
  name: string
  /** The error of a step that did not happen. */
  fails: () => Error
  /** The error of a step that happened; absent: that cannot be. */
  loses?: () => Error
}

export class StreamSteps {
  odds = CALM
  readonly trace: string[] = []
  readonly counts = { steps: 0, failed: 0, lost: 0, killed: 0 }
  readonly #seed: number
  readonly #times = new Map<string, number>()
  #life = 0
  #dead = false
  #last: Promise<unknown> = Promise.resolve()

  constructor(seed: number) {
    this.#seed = seed
  }

  get life(): number {
    return this.#life
  }

  get dead(): boolean {
    return this.#dead
  }

  begin(): void {
    this.#life++
    this.#dead = false
    this.#times.clear()
  }

  kill(): void {
    this.#dead = true
  }

  isGone(life: number): boolean {
    return this.#dead || life !== this.#life
  }

  /** Resolves when no step is under way. */
  async settled(): Promise<void> {
    let seen: Promise<unknown> | undefined
    while (seen !== this.#last) {
      seen = this.#last
      await seen
    }
  }

  perform<T>(life: number, step: StreamStep, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(async () => {
      const after = this.#before(life, step)
      const result = await work()
      after()
      return result
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  performNow<T>(life: number, step: StreamStep, work: () => T): T {
    const after = this.#before(life, step)
    const result = work()
    after()
    return result
  }

  note(text: string): void {
    this.trace.push(text)
    if (this.trace.length > 600) this.trace.shift()
  }

  /** @returns what comes after the step */
  #before(life: number, { name, fails, loses }: StreamStep): () => void {
    if (this.isGone(life)) throw new Killed()
    this.counts.steps++
    const { fail, lose, kill } = this.odds
    const fate = this.#fateOf(name)
    if (fate < kill / 2) this.#die(`before ${name}`)
    if (fate < kill / 2 + fail) {
      this.note(`failed ${name}`)
      this.counts.failed++
      throw fails()
    }
    this.note(name)
    return () => {
      if (fate >= 1 - kill / 2) this.#die(`after ${name}`)
      if (loses === undefined || fate < 1 - kill / 2 - lose) return
      this.note(`lost the reply of ${name}`)
      this.counts.lost++
      throw loses()
    }
  }

  #fateOf(name: string): number {
    const times = (this.#times.get(name) ?? 0) + 1
    this.#times.set(name, times)
    let mixed = this.#seed
    for (const sign of `${this.#life} ${name} ${times}`) mixed = Math.imul(mixed ^ sign.charCodeAt(0), 0x01000193)
    return new Random(mixed).next()
  }

  #die(when: string): never {
    this.note(`killed ${when}`)
    this.counts.killed++
    this.#dead = true
    throw new Killed()
  }
}

/** Time that passes when somebody sleeps. One who sleeps when the process is gone does not wake up. */
export function lifeClock(steps: StreamSteps, time: { ms: number }): Clock {
  const { life } = steps
  return {
    nowMs: () => time.ms,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      if (steps.isGone(life))
        return new Promise((_done, fail) => {
          signal?.addEventListener('abort', () => fail(signal.reason), { once: true })
        })
      time.ms += Math.ceil(ms)
      // Whoever sleeps again and again lets others have their turn.
      await new Promise((done) => setImmediate(done))
    },
  }
}

export const unavailable = (what: string) => () =>
  new Fault('unavailable', `simulated: ${what}: no space left on device`)
