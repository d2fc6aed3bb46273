/**
 * What tells of objects by itself, by name: queues, topics, and senders that come by HTTP. Each is for itself: one that fails waits
 * and tries again, and the others live on.
 */
import { unreachable } from '../../../base/assert.ts'
import type { Clock } from '../../../base/clock.ts'
import { messageOf } from '../../../base/fault.ts'
import {
  type KafkaMember,
  KafkaReader,
  type KafkaReaderOptions,
  type Queue,
  QueueReader,
} from '../../../source/source.ts'
import type { DirectoryBucket, DirectoryBucketParts } from '../directory-bucket.ts'
import { DirectorySource } from './directory-source.ts'
import { Positions, type PositionsFile } from './positions.ts'
import { NotificationTaker, type TakenCounts, type TakerParts } from './taker.ts'
import { TopicTaker } from './topic.ts'
import { WebhookSource } from './webhook.ts'

/** A source, with what it is opened by. */
export type ObjectSource =
  | {
      readonly type: 'sqs'
      /** Of the queue, for people. */
      readonly queue: string
      readonly open: () => Promise<Queue>
      readonly receivers: number
      readonly hiddenSeconds: number
    }
  | {
      readonly type: 'kafka'
      readonly join: (signal: AbortSignal) => Promise<KafkaMember>
      readonly from: KafkaReaderOptions['from']
      readonly outOfRange: KafkaReaderOptions['outOfRange']
    }
  | {
      readonly type: 'directory'
      /** A watch of it; `told` takes what it finds. @throws Fault */
      readonly open: (told: DirectoryBucketParts['objects'], onSkip: (text: string) => void) => Promise<DirectoryBucket>
    }
  | {
      readonly type: 'webhook'
      /** What a sender shows; null: an API key, as everywhere else. Asked at the start. @throws Fault `invalid` */
      readonly token: () => string | null
    }

export interface ObjectSourceStatus {
  source: string
  type: ObjectSource['type']
  /** Why nothing can be received or taken now; null when all is well. */
  trouble: string | null
  /** The last failure, also when all is well again. */
  lastError: { message: string; at: string } | null
  /** Notifications that wait to be received, as far as that is known. */
  waiting: number | null
  /** Notifications that are being worked on here. */
  inFlight: number
  received: number
  taken: TakenCounts
  /** Of queues. */
  deleted?: number
  undeleted?: number
  /** How old the oldest notification of the last receipt was; null when there was none, or it does not say. */
  oldestSeconds: number | null
}

export interface ObjectSourcesOptions extends Omit<TakerParts, 'objects'> {
  objects: DirectoryBucketParts['objects']
  configured: ReadonlyMap<string, ObjectSource>
  positions: PositionsFile
  clock: Clock
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

/** A sender that comes by HTTP. */
export interface Webhook {
  readonly token: string | null
  /** Resolves when everything that follows is durable. @throws Fault `unavailable` when there is no room, and as the logs */
  take(body: Uint8Array): Promise<TakenCounts>
}

interface Running {
  run(signal: AbortSignal): Promise<void>
  status(): Omit<ObjectSourceStatus, 'source'>
}

export class ObjectSources {
  readonly #running = new Map<string, Running>()
  readonly #senders: { source: string; webhook: () => Webhook }[] = []
  /** Those that may come in: from the start on. */
  readonly #webhooks = new Map<string, Webhook>()
  readonly #positions: Positions
  readonly #notice: (text: string) => void
  readonly #room: TakerParts['room']
  #started: { stop: AbortController; ends: Promise<unknown> } | null = null

  constructor(options: ObjectSourcesOptions) {
    this.#notice = options.notice
    this.#room = options.room
    this.#positions = new Positions(options.positions, options.clock)
    for (const [name, source] of options.configured) this.#running.set(name, this.#open(name, source, options))
  }

  /** @throws Fault `invalid` for a token that cannot be had */
  start(): void {
    if (this.#started !== null) return
    for (const { source, webhook } of this.#senders) this.#webhooks.set(source, webhook())
    const stop = new AbortController()
    const ends = [...this.#running].map(([name, source]) =>
      source
        .run(stop.signal)
        .catch((error: unknown) => this.#notice(`object source ${name} ended: ${messageOf(error)}`)),
    )
    this.#started = { stop, ends: Promise.all(ends) }
  }

  /** Resolves when nothing more comes, and what came is deleted where it came from. */
  async stop(): Promise<void> {
    this.#webhooks.clear()
    this.#started?.stop.abort()
    await this.#started?.ends
    this.#started = null
    await this.#positions.flush()
  }

  /** Null: there is none of that name, or it does not take anything now. */
  webhook(name: string): Webhook | null {
    return this.#webhooks.get(name) ?? null
  }

  /** Why nothing more may come in for the moment; null when it may. */
  full(): Promise<string | null> {
    return this.#room.full()
  }

  status(): ObjectSourceStatus[] {
    return [...this.#running].map(([source, each]) => ({ source, ...each.status() }))
  }

  #open(name: string, source: ObjectSource, options: ObjectSourcesOptions): Running {
    const { clock } = options
    const taker = new NotificationTaker(options)
    const notice = (text: string) => options.notice(`object source ${name}: ${text}`)
    switch (source.type) {
      case 'sqs': {
        const { open, receivers, hiddenSeconds } = source
        return queueSource(
          new QueueReader({
            open,
            receivers,
            hiddenSeconds,
            clock,
            notice,
            taker: {
              full: () => taker.full(),
              take: async (messages) => {
                await taker.take(
                  messages.map(({ id, body }) => ({ text: body, subject: `queue ${source.queue}, message ${id}` })),
                )
              },
            },
          }),
          taker,
        )
      }
      case 'kafka': {
        const topic = new TopicTaker(name, taker, this.#positions, () => clock.nowMs())
        const { join, from, outOfRange } = source
        return topicSource(new KafkaReader({ join, from, outOfRange, taker: topic, clock, notice }), topic, taker)
      }
      case 'directory':
        return new DirectorySource({ ...options, ...source, notice })
      case 'webhook': {
        const webhook = new WebhookSource({ name, taker, clock, notice })
        this.#senders.push({
          source: name,
          webhook: () => ({ token: source.token(), take: (body) => webhook.take(body) }),
        })
        return webhook
      }
      default:
        return unreachable(source)
    }
  }
}

function queueSource(reader: QueueReader, taker: NotificationTaker): Running {
  return {
    run: (signal) => reader.run(signal),
    status: () => {
      const { trouble, lastError, depth, held, received, deleted, undeleted, oldestMs } = reader.status()
      return {
        type: 'sqs',
        trouble,
        lastError: lastError && { message: lastError.message, at: new Date(lastError.atMs).toISOString() },
        waiting: depth?.waiting ?? null,
        inFlight: held,
        received,
        deleted,
        undeleted,
        taken: taker.counts,
        oldestSeconds: oldestMs === null ? null : oldestMs / 1000,
      }
    },
  }
}

function topicSource(reader: KafkaReader, topic: TopicTaker, taker: NotificationTaker): Running {
  let lastError: ObjectSourceStatus['lastError'] = null
  return {
    run: (signal) => reader.run(signal),
    status: () => {
      const { trouble, places } = reader.status()
      const lags = places.map(({ next, end }) => (end === null ? null : Math.max(0, end - next)))
      const stopped = places.find((place) => place.stopped !== null)?.stopped ?? null
      const message = trouble ?? stopped
      if (message !== null && message !== lastError?.message) lastError = { message, at: new Date().toISOString() }
      return {
        type: 'kafka',
        trouble: message,
        lastError,
        waiting: lags.reduce<number | null>((sum, lag) => (sum === null || lag === null ? null : sum + lag), 0),
        inFlight: 0,
        received: topic.counts.received,
        taken: taker.counts,
        oldestSeconds: topic.counts.oldestMs === null ? null : topic.counts.oldestMs / 1000,
      }
    },
  }
}
