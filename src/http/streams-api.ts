/**
 * The REST API of streams: the shapes of a REST proxy on delivery streams (`GET /v1/streams`, `GET /v1/streams/{name}`,
 * `PUT …/record`, `PUT …/records`), and one of our own that tells of every record (`POST …/records`).
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import {
  type Acceptance,
  type Identity,
  type IncomingRecord,
  OPERATIONS,
  type Operation,
  type RecordResult,
  type Stream,
} from '../service/streams/streams.ts'
import { bytesOf, parseExact } from './exact-json.ts'

/** The body of `PUT …/record`: `{"Data": …}` or `{"data": …}`, a JSON value or its text. */
export function singleRecord(body: Uint8Array): IncomingRecord {
  return proxyRecord(parseExact(body, 'the body'), 'the body')
}

/** The body of `PUT …/records`: `{"records": [{"data": …}, …]}`. */
export function recordList(body: Uint8Array): IncomingRecord[] {
  const value = parseExact(body, 'the body')
  const records = isObject(value) ? (value['records'] ?? value['Records']) : undefined
  if (!Array.isArray(records) || records.length === 0)
    throw new Fault('invalid', 'the body: expected {"records": [{"data": …}, …]} with one record or more')
  return records.map((record, at) => proxyRecord(record, `records[${at}]`))
}

function proxyRecord(value: unknown, where: string): IncomingRecord {
  const data = isObject(value) ? (value['data'] ?? value['Data']) : undefined
  if (data === undefined || data === null) throw new Fault('invalid', `${where}: expected {"data": …}`)
  return { data: bytesOf(data) }
}

/** The body of `POST …/records`: one record per line, or a JSON array of records, or one record. */
export function bulkRecords(
  body: Uint8Array,
  contentType: string | undefined,
  operation: Operation | undefined,
): IncomingRecord[] {
  const type = (contentType ?? 'application/json').split(';')[0]?.trim().toLowerCase()
  const data =
    type === 'application/json'
      ? jsonRecords(body)
      : /^(application\/(x-)?ndjson|application\/jsonl|text\/plain)$/.test(type ?? '')
        ? lines(body)
        : null
  if (data === null)
    throw new Fault(
      'unsupported',
      `Content-Type: expected application/json or application/x-ndjson, got "${String(type).slice(0, 80)}"`,
    )
  return data.map((bytes) => ({ data: bytes, operation }))
}

function jsonRecords(body: Uint8Array): Uint8Array[] {
  const value = parseExact(body, 'the body')
  return Array.isArray(value) ? value.map((item) => Buffer.from(JSON.stringify(item))) : [body]
}

/** Lines with something in them. Their bytes are not looked at: one that is no JSON is that record's affair. */
function lines(body: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  let from = 0
  while (from < body.length) {
    const feed = body.indexOf(0x0a, from)
    const end = feed < 0 ? body.length : feed
    const line = body.subarray(from, body[end - 1] === 0x0d ? end - 1 : end)
    if (line.some((byte) => byte !== 0x20 && byte !== 0x09)) found.push(line)
    if (found.length > limits.streamRequestRecordsMax)
      throw new Fault('limit', `a request has at most ${limits.streamRequestRecordsMax} records; send it in parts`)
    from = end + 1
  }
  return found
}

/** Who sends, by headers. @throws Fault `invalid` when a producer is told by halves */
export function identityOf(header: (name: string) => string | undefined): Identity {
  const idempotencyKey = header('idempotency-key')
  const id = header('producer-id')
  const epoch = header('producer-epoch')
  const sequence = header('producer-sequence')
  if (id === undefined && (epoch !== undefined || sequence !== undefined))
    throw new Fault('invalid', 'Producer-Epoch and Producer-Sequence need a Producer-Id')
  if (id === undefined) return { idempotencyKey }
  if (sequence === undefined)
    throw new Fault('invalid', 'Producer-Id needs a Producer-Sequence: the number of the first record')
  return {
    idempotencyKey,
    producer: { id, epoch: whole(epoch ?? '0', 'Producer-Epoch'), sequence: whole(sequence, 'Producer-Sequence') },
  }
}

function whole(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new Fault('invalid', `${what}: expected a whole number from 0, got "${text.slice(0, 40)}"`)
  return Number(text)
}

/** @throws Fault `invalid` */
export function operationOf(text: unknown): Operation | undefined {
  if (text === undefined) return undefined
  if (OPERATIONS.includes(text as Operation)) return text as Operation
  throw new Fault('invalid', `operation: expected ${OPERATIONS.join(', ')}, got "${String(text).slice(0, 40)}"`)
}

/** The answer of `POST …/records`: counts, and every record in its order. */
export function bulkAnswer({ results, repeated, end }: Acceptance): { status: number; body: object } {
  const count = (kind: RecordResult['kind']) => results.filter((result) => result.kind === kind).length
  const refused = count('refused')
  return {
    status: refused > 0 ? 409 : 200,
    body: {
      accepted: count('accepted'),
      deadLetters: count('dead-letter'),
      dropped: count('dropped'),
      repeated: repeated ? results.length : count('repeated'),
      refused,
      end,
      results: results.map(({ kind, ...rest }) => ({ status: kind, ...rest })),
    },
  }
}

/** What a stream is and how far it has come. */
export function statusOf(stream: Stream): object {
  const { name: _name, ...settings } = stream.definition
  const { end, committed } = stream.offsets
  return {
    name: stream.name,
    createdAt: new Date(stream.createdMs).toISOString(),
    version: stream.version,
    settings,
    /** Offsets: the next to be given, and the end of what the tables hold. */
    end,
    committed,
    waiting: end - committed,
    freshness: stream.freshness(),
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
