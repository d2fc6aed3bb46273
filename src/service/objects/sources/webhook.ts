/**
 * Notifications that senders bring by HTTP. While there is no room for more, each is refused, and its sender is to send it again: that is
 * told once, and once more when there is room. Whether there is any is asked for here, so what is told does not wait for the next sender.
 */
import type { Clock } from '../../../base/clock.ts'
import { Fault, messageOf } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import { readNotificationBytes } from '../../../source/source.ts'
import type { ObjectSourceStatus } from './sources.ts'
import type { NotificationTaker, TakenCounts } from './taker.ts'

export interface WebhookSourceParts {
  name: string
  taker: NotificationTaker
  clock: Clock
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

export class WebhookSource {
  readonly #parts: WebhookSourceParts
  #inFlight = 0
  #received = 0
  #full: string | null = null
  #filled = Promise.withResolvers<void>()
  #lastError: ObjectSourceStatus['lastError'] = null

  constructor(parts: WebhookSourceParts) {
    this.#parts = parts
  }

  /** Resolves when everything that follows is durable. @throws Fault `unavailable` when there is no room, and as the logs */
  async take(body: Uint8Array): Promise<TakenCounts> {
    const { name, taker, clock } = this.#parts
    this.#inFlight++
    try {
      const full = await taker.full()
      if (full !== null) {
        this.#refuse(full)
        throw new Fault('unavailable', `${full}; send it again later`)
      }
      const taken = await taker.takeRead([{ subject: `webhook ${name}`, found: readNotificationBytes(body) }])
      this.#received++
      return taken
    } catch (error) {
      this.#lastError = { message: messageOf(error), at: new Date(clock.nowMs()).toISOString() }
      throw error
    } finally {
      this.#inFlight--
    }
  }

  /** Finds out when there is room again, until the signal is aborted; at this pace, so that a bound that is only just met floods no log. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, taker } = this.#parts
    const ended = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => ended.resolve(), { once: true })
    while (!signal.aborted) {
      if (this.#full === null) {
        await Promise.race([this.#filled.promise, ended.promise])
        continue
      }
      await clock.sleep(limits.objectsFreeCheckMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const full = await taker.full()
      if (full === null) this.#clear()
      else this.#full = full
    }
  }

  status(): Omit<ObjectSourceStatus, 'source'> {
    return {
      type: 'webhook',
      trouble: this.#full,
      lastError: this.#lastError,
      waiting: null,
      inFlight: this.#inFlight,
      received: this.#received,
      taken: this.#parts.taker.counts,
      oldestSeconds: null,
    }
  }

  /** Tells only of the first refusal; why there is no room may be said in other numbers each time. */
  #refuse(full: string): void {
    const isFirst = this.#full === null
    this.#full = full
    if (!isFirst) return
    this.#parts.notice(`refuses what it is sent, so that it is sent again: ${full}`)
    this.#filled.resolve()
  }

  #clear(): void {
    this.#full = null
    this.#filled = Promise.withResolvers()
    this.#parts.notice('takes what it is sent again')
  }
}
