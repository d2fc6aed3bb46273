/** A clock for what runs in the background by itself: time goes from one awaited moment to the next, and what is due then is waited for. */
import type { Clock } from '../../src/base/clock.ts'

export class HandClock implements Clock {
  #nowMs: number
  #sleeping: { untilMs: number; wake: () => void }[] = []
  /** Told of the next who sleeps. */
  readonly #awaiting: (() => void)[] = []

  constructor(nowMs = 0) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = { untilMs: this.#nowMs + Math.max(0, ms), wake }
      this.#sleeping.push(sleeper)
      for (const done of this.#awaiting.splice(0)) done()
      signal?.addEventListener('abort', () => {
        this.#sleeping = this.#sleeping.filter((each) => each !== sleeper)
        reject(signal.reason)
      })
    })
  }

  /** Only the time: nobody is woken. */
  jump(ms: number): void {
    this.#nowMs += ms
  }

  /** Resolves when the one who goes by this clock waits for time to pass. */
  async asleep(): Promise<void> {
    if (this.#sleeping.length > 0) return
    await new Promise<void>((done) => this.#awaiting.push(done))
  }

  /** Everything that is due within so long happens, each at its moment. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      await this.asleep()
      const nextMs = Math.min(...this.#sleeping.map(({ untilMs }) => untilMs))
      if (nextMs > endMs) break
      this.#nowMs = Math.max(this.#nowMs, nextMs)
      const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.#nowMs)
      this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > this.#nowMs)
      for (const { wake } of due) wake()
    }
    this.#nowMs = endMs
  }
}
