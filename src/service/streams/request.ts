/** What is asked of a stream and what it answers: records, who sends them, and what became of each. Pure. */
import { createHash } from 'node:crypto'
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { bytesOf, PackedRecords, type Records, recordAt } from './packed.ts'
import type { PipelineRecord, RecordOrigin } from './pipeline.ts'

export const OPERATIONS = ['insert', 'update', 'delete'] as const
export type Operation = (typeof OPERATIONS)[number]

export interface ProducerMark {
  id: string
  /** Grows when the producer starts anew; an older one is refused from then on. */
  epoch: number
  /** The record's number, from 0 in every epoch, without gaps. In an identity: that of the request's first record. */
  sequence: number
}

export interface IncomingRecord {
  data: Uint8Array
  /** Default: what the record's operation field says, else `insert`. */
  operation?: Operation | undefined
  /** Who numbered this record. Records of one request may have different producers; then every record names its own. */
  producer?: ProducerMark | undefined
  /** What whoever read it found out already: then no step sees it. */
  outcome?: PipelineRecord['outcome'] | undefined
}

/** How a repetition is recognised: by the request's key, or by its records' numbers. At most one of the two. */
export interface Identity {
  idempotencyKey?: string | undefined
  /** Numbers all records of the request, the first of them with `sequence`. */
  producer?: ProducerMark | undefined
  /** Whose keys and producer names these are, e.g. the id of an API key: names of different owners never meet. */
  owner?: string | undefined
  /**
   * Numbers may be left out, as the offsets of a source are that has forgotten records of its own: what comes behind a gap is taken.
   * Default: it is refused.
   */
  gaps?: boolean | undefined
}

export interface AcceptOptions {
  /** Resolve only when the request's rows are in snapshots, and wait so long for it. Default: do not wait. */
  waitMs?: number | undefined
  /** Default: now, from nowhere. */
  origin?: RecordOrigin | undefined
}

export type RecordResult =
  /** In the log at `offset`, on its way to its table. */
  | { kind: 'accepted'; offset: number }
  /** Kept as dead letter `letter`. */
  | { kind: 'dead-letter'; letter: string; code: string; message: string }
  /** Left out, as the stream's settings want it. */
  | { kind: 'dropped' }
  /** The producer sent it before: it was taken then, at `offset` where that is still known. */
  | { kind: 'repeated'; offset: number | null }
  /** Not taken: the producer is not at `expected`, or another one with a newer epoch took over. */
  | { kind: 'refused'; code: 'SequenceGap' | 'ProducerFenced'; message: string; expected: number | null }

export interface Acceptance {
  /** In the order of the records. */
  results: RecordResult[]
  /** The whole request was answered before; nothing was done. */
  repeated: boolean
  /** Offset behind the request's last entry: once that is committed, all its rows are. 0 when nothing of it is in the log. */
  end: number
}

const NAME = /^[\x21-\x7e]{1,200}$/

/** @throws Fault `limit` (records, bytes), `invalid` (identity) */
export function checkRequest(records: Records, { idempotencyKey, producer, owner }: Identity): void {
  const bytes = bytesOf(records)
  if (records.length > limits.streamRequestRecordsMax || bytes > limits.streamRequestBytesMax) {
    throw new Fault(
      'limit',
      `a request has at most ${limits.streamRequestRecordsMax} records and ${limits.streamRequestBytesMax} bytes, got ${records.length} and ${bytes}; send it in parts`,
    )
  }
  const marked = records instanceof PackedRecords ? [] : records.filter((record) => record.producer !== undefined)
  const numbered = marked.length
  if (idempotencyKey !== undefined && (producer !== undefined || numbered > 0))
    throw new Fault(
      'invalid',
      'expected an idempotency key or a producer, got both; a producer numbers its records already',
    )
  if (numbered > 0 && (producer !== undefined || numbered < records.length))
    throw new Fault(
      'invalid',
      'expected one producer for the request, or one with every record; got some records with a producer of their own',
    )
  if (idempotencyKey !== undefined && !NAME.test(idempotencyKey))
    throw new Fault('invalid', 'expected an idempotency key of 1 to 200 visible ASCII characters')
  if (owner !== undefined && !NAME.test(owner))
    throw new Fault('invalid', 'expected an owner of 1 to 200 visible ASCII characters')
  if (producer !== undefined) checkMark(producer)
  for (const record of marked) if (record.producer !== undefined) checkMark(record.producer)
}

function checkMark({ id, epoch, sequence }: ProducerMark): void {
  if (!NAME.test(id)) throw new Fault('invalid', 'expected a producer id of 1 to 200 visible ASCII characters')
  if (!Number.isSafeInteger(epoch) || epoch < 0 || !Number.isSafeInteger(sequence) || sequence < 0)
    throw new Fault('invalid', `expected whole numbers from 0 as epoch and sequence, got ${epoch} and ${sequence}`)
}

/** A key or a producer's name as it is remembered: neither an owner nor a name has a space in it. */
export function ownedName(owner: string | undefined, name: string): string {
  return owner === undefined ? name : `${owner} ${name}`
}

const DIGEST_BYTES = 64 * 1024
const DIGEST_HEAD_BYTES_MAX = 32

/** SHA-256 of a request's records, each with its operation and length before it; small ones are hashed many at a time. */
export function digestOf(records: Records): string {
  const hash = createHash('sha256')
  const some = Buffer.allocUnsafe(DIGEST_BYTES)
  let used = 0
  for (let at = 0; at < records.length; at++) {
    const { data, operation } = recordAt(records, at)
    const head = `${operation ?? ''} ${data.length}\n`
    if (used + DIGEST_HEAD_BYTES_MAX + data.length > DIGEST_BYTES) {
      hash.update(some.subarray(0, used))
      used = 0
    }
    used += some.write(head, used)
    if (used + data.length > DIGEST_BYTES) {
      hash.update(some.subarray(0, used)).update(data)
      used = 0
      continue
    }
    some.set(data, used)
    used += data.length
  }
  return hash.update(some.subarray(0, used)).digest('hex')
}
