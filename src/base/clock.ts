import { setTimeout as delay } from 'node:timers/promises'

/** Time as a port, so that tests and simulation decide what time it is. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z, whole. May step backwards, as system clocks do. */
  nowMs(): number
  /** Resolves after about `ms` milliseconds; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : undefined),
}
