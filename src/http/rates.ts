/**
 * How fast each API key may send: a bucket for its records and one for its bytes, which fill at the key's rates.
 *
 * A bucket holds what comes in in `limits.httpRateBurstMs`. A request passes while there is anything in the buckets and may take
 * them below nothing; the next waits until that is made good. So a request of any size passes, and the average holds.
 */
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ApiKey } from './access.ts'

interface Bucket {
  left: number
  atMs: number
}

export class RateLimiter {
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds until the key may send again; 0: now. */
  waitMs(key: ApiKey | null): number {
    if (key === null) return 0
    const { recordsPerSecond, bytesPerSecond } = key.rates
    return Math.max(
      this.#waitMs(`${key.id} records`, recordsPerSecond),
      this.#waitMs(`${key.id} bytes`, bytesPerSecond),
    )
  }

  /** @throws Fault `unavailable` with `retryAfterMs` among its facts */
  check(key: ApiKey | null): void {
    const retryAfterMs = this.waitMs(key)
    if (retryAfterMs > 0)
      throw new Fault(
        'unavailable',
        `the key "${key?.id}" has sent as much as it may for the moment; send again later`,
        {
          retryAfterMs,
        },
      )
  }

  /** Counts what was sent. */
  spend(key: ApiKey | null, records: number, bytes: number): void {
    if (key === null) return
    this.#spend(`${key.id} records`, key.rates.recordsPerSecond, records)
    this.#spend(`${key.id} bytes`, key.rates.bytesPerSecond, bytes)
  }

  /** Forgets keys that are no more. */
  keepOnly(keys: readonly ApiKey[]): void {
    const ids = new Set(keys.map(({ id }) => id))
    for (const name of this.#buckets.keys()) if (!ids.has(name.split(' ')[0] ?? '')) this.#buckets.delete(name)
  }

  #waitMs(name: string, perSecond: number | null): number {
    if (perSecond === null) return 0
    const { left } = this.#fill(name, perSecond)
    return left > 0 ? 0 : Math.ceil((-left / perSecond) * 1000) + 1
  }

  #spend(name: string, perSecond: number | null, amount: number): void {
    if (perSecond !== null) this.#fill(name, perSecond).left -= amount
  }

  #fill(name: string, perSecond: number): Bucket {
    const nowMs = this.#clock.nowMs()
    const full = (perSecond * limits.httpRateBurstMs) / 1000
    const bucket = this.#buckets.get(name) ?? { left: full, atMs: nowMs }
    // A clock that steps back fills nothing.
    const passedMs = Math.max(0, nowMs - bucket.atMs)
    bucket.left = Math.min(full, bucket.left + (perSecond * passedMs) / 1000)
    bucket.atMs = nowMs
    this.#buckets.set(name, bucket)
    return bucket
  }
}
