/** What a broker sends of a partition → the messages that are to be read. Pure. */
import type { KafkaMessage } from './kafka.ts'

/** As the wire has it. */
export interface WireBatch {
  firstOffset: bigint
  lastOffsetDelta: number
  attributes: number
  firstTimestamp: bigint
  maxTimestamp: bigint
  partitionLeaderEpoch: number
  producerId: bigint
  records: readonly WireRecord[]
}

export interface WireRecord {
  timestampDelta: bigint
  offsetDelta: number
  key: Buffer | null
  value: Buffer | null
  headers: readonly (readonly [Buffer | null, Buffer | null])[]
}

export interface AbortedTransaction {
  producerId: bigint
  firstOffset: bigint
}

// Bits of a batch's attributes (kafka.apache.org/documentation, "Record Batch").
const LOG_APPEND_TIME = 1 << 3
const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5

/**
 * The messages from `from` on that were not taken back, and where to read on.
 *
 * A transaction that was taken back reaches from the offset that `aborted` names to its marker, which may be in a later answer: from
 * there on all of its producer's are left out until the marker comes.
 */
export function readBatches(
  batches: readonly WireBatch[],
  aborted: readonly AbortedTransaction[],
  from: number,
): { messages: KafkaMessage[]; next: number; leaderEpoch: number | null } {
  const waiting = [...aborted].sort((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1))
  const open = new Set<bigint>()
  const messages: KafkaMessage[] = []
  let next = from
  let leaderEpoch: number | null = null
  for (const batch of batches) {
    const last = batch.firstOffset + BigInt(batch.lastOffsetDelta)
    while (waiting[0] !== undefined && waiting[0].firstOffset <= last) open.add(waiting.shift()!.producerId)
    next = Math.max(next, Number(last) + 1)
    leaderEpoch = batch.partitionLeaderEpoch
    if ((batch.attributes & CONTROL) !== 0) {
      if (isAbort(batch)) open.delete(batch.producerId)
      continue
    }
    if ((batch.attributes & TRANSACTIONAL) !== 0 && open.has(batch.producerId)) continue
    for (const record of batch.records) {
      const offset = Number(batch.firstOffset) + record.offsetDelta
      // A compressed batch comes as a whole.
      if (offset >= from) messages.push(messageOf(batch, record, offset))
    }
  }
  return { messages, next, leaderEpoch }
}

/** The marker's key is a version and a type, 16 bits each: 0 takes back, 1 commits. */
function isAbort({ records }: WireBatch): boolean {
  const key = records[0]?.key
  return key !== null && key !== undefined && key.length >= 4 && key.readInt16BE(2) === 0
}

function messageOf(
  batch: WireBatch,
  { timestampDelta, key, value, headers }: WireRecord,
  offset: number,
): KafkaMessage {
  const atMs = (batch.attributes & LOG_APPEND_TIME) === 0 ? batch.firstTimestamp + timestampDelta : batch.maxTimestamp
  return {
    offset,
    key,
    value,
    headers: headers.map(([name, content]) => [name === null ? '' : name.toString('utf8'), content]),
    timestampMs: Number(atMs),
  }
}
