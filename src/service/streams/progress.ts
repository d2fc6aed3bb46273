/** What a stream has accepted and not committed yet: its bytes, its age, and who waits for it. */

interface Stretch {
  /** Offset behind its last entry. */
  end: number
  bytes: number
  /** When its first entry was accepted, ms since 1970. */
  atMs: number
}

/** Appends within such a time and size are one stretch: what is kept is bounded by the backlog, not by the requests. */
const STRETCH_MS = 100
const STRETCH_BYTES = 1024 ** 2

interface Waiter {
  offset: number
  wake: () => void
}

export class Progress {
  /** Oldest first, from `#first` on. */
  #stretches: Stretch[] = []
  #first = 0
  #bytes = 0
  #position = 0
  readonly #waiters = new Set<Waiter>()

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes
  }

  /** When the oldest entry that waits was accepted, ms since 1970; null when none waits. */
  get oldestAtMs(): number | null {
    return this.#stretches[this.#first]?.atMs ?? null
  }

  /** An append that ends before `end`. */
  add(end: number, bytes: number, atMs: number): void {
    this.#bytes += bytes
    const last = this.#stretches.at(-1)
    if (this.#first < this.#stretches.length && last !== undefined) {
      const near = atMs >= last.atMs && atMs - last.atMs < STRETCH_MS
      if (near && last.bytes + bytes <= STRETCH_BYTES) {
        last.bytes += bytes
        last.end = Math.max(last.end, end)
        return
      }
    }
    this.#stretches.push({ end, bytes, atMs })
  }

  /** Everything before `position` is committed. */
  reach(position: number): void {
    this.#position = Math.max(this.#position, position)
    for (let oldest = this.#stretches[this.#first]; oldest && oldest.end <= position; ) {
      this.#bytes -= oldest.bytes
      oldest = this.#stretches[++this.#first]
    }
    if (this.#first > 1_000 && this.#first * 2 > this.#stretches.length) {
      this.#stretches = this.#stretches.slice(this.#first)
      this.#first = 0
    }
    for (const waiter of [...this.#waiters]) if (waiter.offset <= this.#position) waiter.wake()
  }

  /** Resolves when everything before `offset` is committed; rejects with the signal's reason when aborted. */
  wait(offset: number, signal?: AbortSignal): Promise<void> {
    if (offset <= this.#position) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const settle = (then: () => void) => {
        this.#waiters.delete(waiter)
        signal?.removeEventListener('abort', aborted)
        then()
      }
      const aborted = () => settle(() => reject(signal?.reason))
      const waiter: Waiter = { offset, wake: () => settle(resolve) }
      signal?.addEventListener('abort', aborted, { once: true })
      this.#waiters.add(waiter)
    })
  }
}
