/**
 * Kafka topics into a stream: the partitions are the stream's producers, their offsets the records' numbers.
 *
 * What is taken is known from the stream's log alone, in the same append as the rows, and from the tables' snapshots when nobody
 * remembers. So a message lands once, whoever hands it over and how often; and a rebalance, a restart or a member that does not know
 * that it lost its partitions change nothing.
 */
import { Fault } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import type { KafkaBatch, KafkaPartition, KafkaPosition, KafkaTaker } from '../../../source/source.ts'
import type { IncomingRecord } from '../request.ts'
import { partitionName, SOURCE_OWNER } from '../source-positions.ts'
import type { Stream } from '../stream.ts'
import { recordOfMessage } from './kafka-record.ts'
import type { KafkaSettings } from './settings.ts'

export class StreamTaker implements KafkaTaker {
  readonly #stream: () => Stream
  readonly #settings: Pick<KafkaSettings, 'columns' | 'keys'>

  /** @param stream as it is now. @throws Fault when it is gone or cannot be opened */
  constructor(stream: () => Stream, settings: Pick<KafkaSettings, 'columns' | 'keys'>) {
    this.#stream = stream
    this.#settings = settings
  }

  position(partition: KafkaPartition): Promise<KafkaPosition | null> {
    return this.#stream().sourcePosition(partition)
  }

  async take(batches: readonly KafkaBatch[]): Promise<void> {
    const stream = this.#stream()
    const { uniqueKeys } = stream.definition
    let request: IncomingRecord[] = []
    let bytes = 0
    const flush = async () => {
      if (request.length > 0) await accept(stream, request)
      request = []
      bytes = 0
    }
    for (const { partition, epoch, messages } of batches) {
      const id = partitionName(partition)
      for (const message of messages) {
        const record = recordOfMessage(message, partition, this.#settings, uniqueKeys)
        bytes += record.data.length
        if (request.length === limits.streamRequestRecordsMax || bytes > limits.streamRequestBytesMax) {
          await flush()
          bytes = record.data.length
        }
        request.push({ ...record, producer: { id, epoch, sequence: message.offset } })
      }
    }
    await flush()
  }

  async skipTo(partition: KafkaPartition, { epoch, next }: KafkaPosition): Promise<void> {
    const producer = { id: partitionName(partition), epoch, sequence: next - 1 }
    await accept(this.#stream(), [{ data: new Uint8Array(), outcome: { kind: 'dropped' }, producer }])
  }

  committed(partitions: readonly KafkaPartition[]): (number | null)[] {
    return this.#stream().sourceCommitted(partitions)
  }
}

async function accept(stream: Stream, records: readonly IncomingRecord[]): Promise<void> {
  const { results } = await stream.accept(records, { owner: SOURCE_OWNER, gaps: true })
  const refused = results.find((result) => result.kind === 'refused')
  // Another reader of the same stream began the partition anew: where it stands is asked again.
  if (refused !== undefined) throw new Fault('conflict', refused.message)
}
