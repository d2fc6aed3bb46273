/**
 * Work in the background that goes on until it is told to stop: turn after turn, and after a turn that failed a pause that grows
 * with each further failure up to its bound.
 *
 * Invariant: a failure is told once and never ends the work; what fails because the work was to end is no failure.
 */
import { backoffMs } from './backoff.ts'
import type { Clock } from './clock.ts'
import { type Fault, faultOf } from './fault.ts'
import { limits } from './limits.ts'

export interface Following {
  clock: Clock
  /**
   * Waits until there is something to do and does it. One that never waits takes the whole process. When the signal is aborted it
   * rejects or comes to its end.
   */
  turn: (signal: AbortSignal) => Promise<unknown>
  /** Told of a turn that failed, and when the next begins. Must not throw. */
  onFault: (fault: Fault, retryInMs: number) => void
  /** The pause after a first failure, and the longest. Default: those of stages. */
  pause?: { firstMs: number; maxMs: number }
}

const STAGE_PAUSE = { firstMs: limits.stageBackoffMs, maxMs: limits.stageBackoffMaxMs }

/** Takes turns until the signal is aborted. Never rejects. */
export async function follow(following: Following, signal: AbortSignal): Promise<void> {
  const { clock, turn, onFault, pause = STAGE_PAUSE } = following
  let failures = 0
  while (!signal.aborted) {
    try {
      await turn(signal)
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      const retryInMs = backoffMs(++failures, pause.firstMs, pause.maxMs)
      onFault(faultOf(error), retryInMs)
      await clock.sleep(retryInMs, signal).catch(() => undefined)
    }
  }
}

/** The same, started and stopped, as often as one likes. */
export class Follower {
  readonly #following: Following
  #stop = new AbortController()
  #running: Promise<void> | null = null

  constructor(following: Following) {
    this.#following = following
  }

  /** Nothing when it runs already. */
  start(): void {
    if (this.#running !== null) return
    this.#stop = new AbortController()
    this.#running = follow(this.#following, this.#stop.signal)
  }

  /** Ends after the turn under way. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    this.#running = null
  }
}
