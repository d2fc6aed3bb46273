/** A queue in memory that hides messages for a time, as SQS does, for schedules that a real one cannot be made to follow. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/base/clock.ts'
import type { Queue, QueueDepth, QueueMessage } from '../../src/source/queue.ts'

interface Kept {
  id: string
  body: string
  sentMs: number
  visibleAtMs: number
  /** How often it was received. */
  comings: number
}

export class FakeQueue implements Queue {
  readonly kept = new Map<string, Kept>()
  /** Called before each call with its name; may throw. */
  before: (call: 'receive' | 'hide' | 'remove' | 'depth') => void = () => undefined
  /** Messages that a call that deletes says could not be. */
  refuses: (message: QueueMessage) => boolean = () => false
  /** Ids in the order of their deletes. */
  readonly removed: string[] = []
  /** How often each message came. */
  readonly comings = new Map<string, number>()
  closed = false
  readonly #clock: Clock
  readonly #batch: number
  #ids = 0

  constructor(clock: Clock, batch = 10) {
    this.#clock = clock
    this.#batch = batch
  }

  send(body: string): string {
    const id = `m${++this.#ids}`
    const nowMs = this.#clock.nowMs()
    this.kept.set(id, { id, body, sentMs: nowMs, visibleAtMs: nowMs, comings: 0 })
    return id
  }

  async receive(hiddenSeconds: number, signal: AbortSignal): Promise<QueueMessage[]> {
    await turn()
    signal.throwIfAborted()
    this.before('receive')
    const nowMs = this.#clock.nowMs()
    const some = [...this.kept.values()].filter(({ visibleAtMs }) => visibleAtMs <= nowMs).slice(0, this.#batch)
    if (some.length === 0) await this.#clock.sleep(1_000, signal)
    return some.map((kept) => {
      kept.visibleAtMs = nowMs + hiddenSeconds * 1000
      kept.comings++
      this.comings.set(kept.id, kept.comings)
      return { id: kept.id, receipt: `${kept.id}#${kept.comings}`, body: kept.body, sentMs: kept.sentMs }
    })
  }

  async hide(messages: readonly QueueMessage[], hiddenSeconds: number): Promise<void> {
    await turn()
    this.before('hide')
    for (const { id } of messages) {
      const kept = this.kept.get(id)
      if (kept !== undefined) kept.visibleAtMs = this.#clock.nowMs() + hiddenSeconds * 1000
    }
  }

  async remove(messages: readonly QueueMessage[]): Promise<QueueMessage[]> {
    await turn()
    this.before('remove')
    const left = messages.filter((message) => this.refuses(message))
    for (const message of messages) {
      if (left.includes(message) || !this.kept.delete(message.id)) continue
      this.removed.push(message.id)
    }
    return left
  }

  async depth(): Promise<QueueDepth> {
    await turn()
    this.before('depth')
    const nowMs = this.#clock.nowMs()
    const inFlight = [...this.kept.values()].filter(({ visibleAtMs }) => visibleAtMs > nowMs).length
    return { waiting: this.kept.size - inFlight, inFlight }
  }

  close(): void {
    this.closed = true
  }
}
