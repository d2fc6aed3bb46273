/** Notifications on topics of Kafka: each message is one document, in any envelope; one without a value tells of nothing. */
import { Fault } from '../../../base/fault.ts'
import {
  type KafkaBatch,
  type KafkaPartition,
  type KafkaPosition,
  type KafkaTaker,
  readNotificationBytes,
} from '../../../source/source.ts'
import type { Positions } from './positions.ts'
import type { NotificationTaker } from './taker.ts'

export interface TopicCounts {
  received: number
  /** How old the oldest message of the last fetch was, ms; null when none said. */
  oldestMs: number | null
}

export class TopicTaker implements KafkaTaker {
  readonly #source: string
  readonly #taker: NotificationTaker
  readonly #positions: Positions
  readonly #nowMs: () => number
  readonly counts: TopicCounts = { received: 0, oldestMs: null }

  constructor(source: string, taker: NotificationTaker, positions: Positions, nowMs: () => number) {
    this.#source = source
    this.#taker = taker
    this.#positions = positions
    this.#nowMs = nowMs
  }

  position(partition: KafkaPartition): Promise<KafkaPosition | null> {
    return this.#positions.of(this.#source, partition)
  }

  async take(batches: readonly KafkaBatch[]): Promise<void> {
    const full = await this.#taker.full()
    if (full !== null) throw new Fault('unavailable', `nothing is read for the moment: ${full}`)
    await this.#taker.takeRead(
      batches.flatMap(({ partition: { topic, partition }, messages }) =>
        messages.map(({ offset, value }) => ({
          subject: `${topic}/${partition}@${offset}`,
          found: readNotificationBytes(value ?? new Uint8Array()),
        })),
      ),
    )
    this.#count(batches)
    const places = batches.flatMap(({ partition, epoch, messages }) => {
      const last = messages.at(-1)
      return last === undefined ? [] : [[partition, { epoch, next: last.offset + 1 }] as const]
    })
    await this.#positions.set(this.#source, places, false)
  }

  skipTo(partition: KafkaPartition, position: KafkaPosition): Promise<void> {
    return this.#positions.set(this.#source, [[partition, position]], true)
  }

  /** What was taken is durable here, though it may not be in snapshots yet: a lag says what the source still has to bring. */
  committed(partitions: readonly KafkaPartition[]): (number | null)[] {
    return partitions.map((partition) => this.#positions.last(this.#source, partition)?.next ?? null)
  }

  #count(batches: readonly KafkaBatch[]): void {
    const messages = batches.flatMap((batch) => batch.messages)
    const times = messages.map(({ timestampMs }) => timestampMs).filter((timeMs) => timeMs >= 0)
    this.counts.received += messages.length
    this.counts.oldestMs =
      times.length === 0 ? null : Math.max(0, this.#nowMs() - times.reduce((one, other) => Math.min(one, other)))
  }
}
