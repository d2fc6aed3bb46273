/** Callers that wait for the log to grow. */
import { Fault } from '../base/fault.ts'

interface Waiter {
  offset: number
  wake: () => void
  fail: (reason: unknown) => void
}

export class Waiters {
  readonly #waiting = new Set<Waiter>()

  /** Resolves when `wake` was called with an end beyond `offset`; rejects with the signal's reason when aborted. */
  wait(offset: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const settle = (then: () => void) => {
        this.#waiting.delete(waiter)
        signal?.removeEventListener('abort', aborted)
        then()
      }
      const aborted = () => settle(() => reject(signal?.reason))
      const waiter: Waiter = {
        offset,
        wake: () => settle(resolve),
        fail: (reason) => settle(() => reject(reason)),
      }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waiting.add(waiter)
    })
  }

  /** Wakes those that wait for an offset before `end`. */
  wake(end: number): void {
    for (const waiter of [...this.#waiting]) if (waiter.offset < end) waiter.wake()
  }

  /** The log closes: nobody will be woken any more. */
  close(logName: string): void {
    const fault = new Fault('cancelled', `Log ${logName} was closed while waiting for an entry.`, { log: logName })
    for (const waiter of [...this.#waiting]) waiter.fail(fault)
  }
}
