/**
 * A queue of messages, such as SQS: several receivers at once, each with what it received until that is durable.
 *
 * Invariants
 * 1. A message is deleted only after whoever takes it has made durable what follows from it.
 * 2. A message is held while it is worked on: its time out of others' sight is made longer until it is taken, however long that lasts.
 * 3. What is held in memory is one receipt per receiver, and the deletes under way (`limits.queueDeletesAtOnce`).
 * 4. While the taker has no room, nothing more is received.
 * 5. Nothing is lost by a failure: what could not be deleted comes again, and taking again changes nothing.
 *
 * Order is not the queue's: receivers work side by side, and what comes late or twice is settled by whoever takes it.
 *
 * Crash story: there is no state here. Messages that were received and not deleted come again when their time is over.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Clock } from '../base/clock.ts'
import { isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

export interface QueueMessage {
  /** The same whenever the message comes. */
  readonly id: string
  /** Names this coming of it. */
  readonly receipt: string
  readonly body: string
  /** When it was sent, ms since 1970; null when the queue does not say. */
  readonly sentMs: number | null
}

/** How many messages there are, as the queue says; it may be wrong for a while. */
export interface QueueDepth {
  /** To be received. */
  waiting: number
  /** Received by somebody and not deleted. */
  inFlight: number
}

/** One queue. Every call ends by itself. */
export interface Queue {
  /** Some messages, which nobody else gets for `hiddenSeconds`; none after a while in which there were none. @throws Fault */
  receive(hiddenSeconds: number, signal: AbortSignal): Promise<QueueMessage[]>
  /** Nobody else gets them for so long from now; 0: at once. @throws Fault */
  hide(messages: readonly QueueMessage[], hiddenSeconds: number): Promise<void>
  /** @returns those that are to be tried again. @throws Fault: all are */
  remove(messages: readonly QueueMessage[]): Promise<QueueMessage[]>
  /** @throws Fault */
  depth(): Promise<QueueDepth>
  close(): void
}

/** Who takes the messages. */
export interface QueueTaker {
  /** Why nothing more can be taken for the moment; null when it can. */
  full(): Promise<string | null>
  /** Resolves when what follows from all of them is durable. @throws Fault: none need be taken */
  take(messages: readonly QueueMessage[]): Promise<void>
}

export interface QueueReaderOptions {
  /** @throws Fault: it is tried again */
  open: () => Promise<Queue>
  taker: QueueTaker
  clock: Clock
  /** Messages are received by so many at once. */
  receivers: number
  /** A message that is neither deleted nor held comes again after so long. */
  hiddenSeconds: number
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

export interface QueueStatus {
  /** Why nothing can be received or taken now; null when all is well. */
  trouble: string | null
  /** The last failure, also when all is well again. */
  lastError: { message: string; atMs: number } | null
  /** As the queue said when it was last asked; null: it did not say. */
  depth: QueueDepth | null
  /** Messages that are held here. */
  held: number
  /** Totals since the start. */
  received: number
  deleted: number
  /** Messages that could not be deleted: they come again. */
  undeleted: number
  /** How old the oldest message of the last receipt was, ms; null when there was none, or it does not say. */
  oldestMs: number | null
}

const BEGIN = 'not begun yet'

export class QueueReader {
  readonly #options: QueueReaderOptions
  readonly #status: QueueStatus = {
    trouble: BEGIN,
    lastError: null,
    depth: null,
    held: 0,
    received: 0,
    deleted: 0,
    undeleted: 0,
    oldestMs: null,
  }
  readonly #deleting = new Set<Promise<void>>()
  /** The taker had no room when it was last asked. */
  #isFull = false

  constructor(options: QueueReaderOptions) {
    this.#options = options
  }

  status(): QueueStatus {
    return { ...this.#status }
  }

  /** Receives until the signal is aborted. Failures are told and waited out. */
  async run(signal: AbortSignal): Promise<void> {
    const queue = await this.#open(signal)
    if (queue === null) return
    try {
      const receivers = Array.from({ length: this.#options.receivers }, () => this.#receive(queue, signal))
      await Promise.all([...receivers, this.#look(queue, signal)])
      await Promise.all(this.#deleting)
    } finally {
      queue.close()
    }
  }

  async #open(signal: AbortSignal): Promise<Queue | null> {
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        return await this.#options.open()
      } catch (error) {
        await this.#pause(error, failures, signal)
      }
    }
    return null
  }

  async #receive(queue: Queue, signal: AbortSignal): Promise<void> {
    const { hiddenSeconds } = this.#options
    let failures = 0
    while (!signal.aborted) {
      try {
        if (!(await this.#hasRoom(signal))) continue
        const messages = await queue.receive(hiddenSeconds, signal)
        failures = 0
        this.#clear()
        this.#noteAge(messages)
        if (messages.length > 0) await this.#work(queue, messages, signal)
      } catch (error) {
        if (signal.aborted) return
        await this.#pause(error, ++failures, signal)
      }
    }
  }

  /** Waits a little when there is none. */
  async #hasRoom(signal: AbortSignal): Promise<boolean> {
    const full = await this.#options.taker.full()
    if (full === null) {
      if (this.#isFull) this.#clear()
      this.#isFull = false
      return true
    }
    this.#isFull = true
    this.#tell(`nothing is received for the moment: ${full}`)
    await this.#options.clock.sleep(limits.queueRoomMs, signal).catch(() => undefined)
    return false
  }

  /** Hands messages over, again and again until they are taken; then they are deleted while the next are received. */
  async #work(queue: Queue, messages: readonly QueueMessage[], signal: AbortSignal): Promise<void> {
    this.#status.received += messages.length
    this.#status.held += messages.length
    const taken = new AbortController()
    const holding = this.#hold(queue, messages, taken.signal)
    try {
      for (let failures = 1; !(await this.#take(messages, failures, signal)); failures++) {
        if (!signal.aborted) continue
        // Whoever else reads the queue may have them now.
        await queue.hide(messages, 0).catch(() => undefined)
        return
      }
    } finally {
      this.#status.held -= messages.length
      taken.abort()
      await holding
    }
    while (this.#deleting.size >= limits.queueDeletesAtOnce) await Promise.race(this.#deleting)
    const deleting = this.#delete(queue, messages, signal).finally(() => this.#deleting.delete(deleting))
    this.#deleting.add(deleting)
  }

  async #take(messages: readonly QueueMessage[], failures: number, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.taker.take(messages)
      this.#clear()
      return true
    } catch (error) {
      await this.#pause(error, failures, signal)
      return false
    }
  }

  /** Keeps messages out of others' sight until the signal is aborted. */
  async #hold(queue: Queue, messages: readonly QueueMessage[], signal: AbortSignal): Promise<void> {
    const { clock, hiddenSeconds } = this.#options
    while (!signal.aborted) {
      await clock.sleep((hiddenSeconds * 1000) / 2, signal).catch(() => undefined)
      if (signal.aborted) return
      // Where that fails they may come again, here or elsewhere, which changes nothing.
      await queue.hide(messages, hiddenSeconds).catch((error: unknown) => this.#note(messageOf(error)))
    }
  }

  async #delete(queue: Queue, messages: readonly QueueMessage[], signal: AbortSignal): Promise<void> {
    let left = messages
    let why = 'the queue refused it'
    for (let tries = 1; left.length > 0 && tries <= limits.queueDeleteTries; tries++) {
      if (tries > 1)
        await this.#options.clock
          .sleep(backoffMs(tries - 1, limits.stageBackoffMs, limits.stageBackoffMaxMs), signal)
          .catch(() => undefined)
      try {
        left = await queue.remove(left)
      } catch (error) {
        why = messageOf(error)
        this.#note(why)
      }
    }
    this.#status.deleted += messages.length - left.length
    if (left.length === 0) return
    this.#status.undeleted += left.length
    this.#options.notice(
      `${left.length} messages were taken and could not be deleted (${why}): they come again, which changes nothing`,
    )
  }

  async #look(queue: Queue, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#status.depth = await queue.depth().catch(() => null)
      // A receipt may wait for messages for a while before it says that all is well.
      if (this.#status.depth !== null && this.#status.trouble === BEGIN) this.#status.trouble = null
      await this.#options.clock.sleep(limits.queueLookMs, signal).catch(() => undefined)
    }
  }

  #noteAge(messages: readonly QueueMessage[]): void {
    const sent = messages.flatMap(({ sentMs }) => sentMs ?? [])
    this.#status.oldestMs = sent.length === 0 ? null : Math.max(0, this.#options.clock.nowMs() - Math.min(...sent))
  }

  async #pause(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    this.#tell(messageOf(error))
    this.#note(messageOf(error))
    const told = isFault(error) ? error.facts['retryAfterMs'] : undefined
    const waitMs = backoffMs(failures, limits.stageBackoffMs, limits.queueBackoffMaxMs)
    // Receivers that failed together do not come back together.
    const spreadMs = waitMs * (0.5 + Math.random() / 2)
    await this.#options.clock
      .sleep(typeof told === 'number' ? Math.max(told, spreadMs) : spreadMs, signal)
      .catch(() => undefined)
  }

  #note(message: string): void {
    this.#status.lastError = { message, atMs: this.#options.clock.nowMs() }
  }

  #tell(trouble: string): void {
    if (this.#status.trouble !== trouble) this.#options.notice(trouble)
    this.#status.trouble = trouble
  }

  #clear(): void {
    const { trouble } = this.#status
    if (trouble !== null && trouble !== BEGIN) this.#options.notice('receiving again')
    this.#status.trouble = null
  }
}
