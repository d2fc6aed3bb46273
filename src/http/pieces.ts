/**
 * From the bytes of a body to the records in it. A record that is too large, or is none, becomes a piece that says so: it is
 * refused by itself, and the others are taken.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import {
  type IncomingRecord,
  OPERATIONS,
  type Operation,
  PackedRecords,
  type ProducerMark,
  type Records,
} from '../service/streams/streams.ts'
import type { Hold } from './in-flight.ts'
import { elementsOf, membersOf, objectsOf, recordBytes, type Slice, textOf } from './json-slices.ts'
import { LineCutter } from './lines.ts'

export type RefusalCode = 'RecordTooLarge' | 'MalformedRecord'

/** What stands in the place of a record that is none. */
export interface Refused {
  kind: 'refused'
  code: RefusalCode
  message: string
}

/** One record of a request, or what stands in its place. */
export type Piece = { kind: 'record'; record: IncomingRecord } | Refused

export function pieceOf(record: IncomingRecord): Piece {
  return record.data.length > limits.streamRecordBytesMax ? tooLarge(record.data.length) : { kind: 'record', record }
}

function tooLarge(bytes: number): Refused {
  return {
    kind: 'refused',
    code: 'RecordTooLarge',
    message: `expected a record of at most ${limits.streamRecordBytesMax} bytes, got ${bytes}; nothing of it was taken`,
  }
}

function malformed(message: string): Refused {
  return { kind: 'refused', code: 'MalformedRecord', message }
}

/** What a stream takes at once of a request: records, and what stands in the place of others. */
export interface Part {
  records: Records
  /** By their place among the pieces of the part. */
  refused: ReadonlyMap<number, Refused>
}

export function partOf(pieces: readonly Piece[]): Part {
  const records: IncomingRecord[] = []
  const refused = new Map<number, Refused>()
  for (const [at, piece] of pieces.entries()) {
    if (piece.kind === 'record') records.push(piece.record)
    else refused.set(at, piece)
  }
  return { records, refused }
}

/** Gathers the pieces of a part that are ranges of one buffer. */
class Gathering {
  readonly bounds: number[] = []
  readonly refused = new Map<number, Refused>()
  bytes = 0

  get pieces(): number {
    return this.bounds.length / 2 + this.refused.size
  }

  isFull(bytes: number): boolean {
    return this.pieces >= limits.streamRequestRecordsMax || this.bytes + bytes > limits.streamRequestBytesMax
  }

  add(from: number, end: number): void {
    this.bounds.push(from, end)
    this.bytes += end - from
  }

  refuse(bytes: number): void {
    this.refused.set(this.pieces, tooLarge(bytes))
  }

  part(bytes: Buffer, operation: Operation | undefined): Part {
    return { records: new PackedRecords(bytes, this.bounds, operation), refused: this.refused }
  }
}

/**
 * Lines with something in them, in parts that a stream takes at once, the last of them told. Their bytes are not looked at: one that is
 * no JSON is that record's affair. A part holds until the next is asked for.
 * @param bytes that are likely to come
 */
export async function* lineParts(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
  hold: Pick<Hold, 'grow'>,
  operation?: Operation | undefined,
): AsyncGenerator<{ part: Part; last: boolean }> {
  const lines = new LineCutter(Math.min(bytes + 1, limits.streamRecordBytesMax))
  let some = new Gathering()
  for await (const chunk of endedBy(body, null)) {
    if (chunk === null) lines.end()
    else lines.add(chunk)
    for (let line = lines.next(); line !== null; line = lines.next()) {
      const { size, tooLong } = line
      let { from, end } = line
      if (some.isFull(tooLong ? 0 : size)) {
        yield { part: some.part(lines.bytes, operation), last: false }
        some = new Gathering()
        lines.forget(from)
        end -= from
        from = 0
      }
      if (tooLong) some.refuse(size)
      else {
        hold.grow(size)
        some.add(from, end)
      }
    }
  }
  yield { part: some.part(lines.bytes, operation), last: true }
}

async function* endedBy<T, E>(values: AsyncIterable<T>, end: E): AsyncGenerator<T | E> {
  yield* values
  yield end
}

/** All lines of a body as one part, whatever their number. */
export function linesOf(body: Uint8Array, operation?: Operation | undefined): Part {
  const lines = new LineCutter(body.length + 1)
  const all = new Gathering()
  lines.add(body)
  lines.end()
  for (let line = lines.next(); line !== null; line = lines.next()) {
    if (line.tooLong) all.refuse(line.size)
    else all.add(line.from, line.end)
  }
  return all.part(lines.bytes, operation)
}

/** A JSON array of records, or one record. @throws Fault `invalid` for an array whose brackets do not match */
export function jsonPart(body: Buffer, operation?: Operation | undefined): Part {
  if (firstSign(body) !== '[') return partOf([pieceOf({ data: body, operation })])
  const elements = elementsOf(body)
  if (elements === null) throw new Fault('invalid', 'the body: expected JSON, got an array that has no end')
  const all = new Gathering()
  for (const { from, end } of elements) {
    if (end - from > limits.streamRecordBytesMax) all.refuse(end - from)
    else all.add(from, end)
  }
  return all.part(body, operation)
}

function firstSign(body: Uint8Array): string {
  return Buffer.from(body.subarray(0, 1_024)).toString('latin1').trimStart().slice(0, 1)
}

/** A record of the REST proxy, which may be several JSON objects in one. */
export type Group = Piece[]

/** The body of `PUT …/record`: `{"Data": …}` or `{"data": …}`, a JSON value or its text. @throws Fault `invalid` */
export function singleRecord(body: Uint8Array, several: boolean): Group {
  const group = proxyRecord(body, { from: 0, end: body.length }, 'the body', several)
  const [first] = group
  if (first?.kind === 'refused' && first.code === 'MalformedRecord') throw new Fault('invalid', first.message)
  return group
}

/** The body of `PUT …/records`: `{"records": [{"data": …}, …]}`. @throws Fault `invalid`, `limit` */
export function recordList(body: Uint8Array, several: boolean): Group[] {
  const members = membersOf(body)
  const list = members?.get('records') ?? members?.get('Records')
  const elements = list === undefined ? null : elementsOf(body, list)
  if (elements === null || elements.length === 0)
    throw new Fault('invalid', 'the body: expected JSON as {"records": [{"data": …}, …]} with one record or more')
  if (elements.length > limits.streamRequestRecordsMax)
    throw new Fault(
      'limit',
      `the body: expected at most ${limits.streamRequestRecordsMax} records, got ${elements.length}; send it in parts`,
    )
  return elements.map((element, at) => proxyRecord(body, element, `records[${at}]`, several))
}

function proxyRecord(body: Uint8Array, within: Slice, where: string, several: boolean): Group {
  const members = membersOf(body, within)
  const data = members?.get('data') ?? members?.get('Data')
  if (members === null || data === undefined || isNull(body, data))
    return [malformed(`${where}: expected {"data": …}, a JSON value or its text`)]
  if (!isJson(body, data)) return [malformed(`${where}.data: expected JSON`)]
  try {
    const operation = operationOf(parsedOf(body, members.get('operation')), `${where}.operation`)
    const producer = markOf(parsedOf(body, members.get('producer')), `${where}.producer`)
    return documentsOf({ data: recordBytes(body, data), operation, producer }, where, several)
  } catch (error) {
    if (error instanceof Fault) return [malformed(error.message)]
    throw error
  }
}

/**
 * What senders put into one record to send fewer: JSON objects in a row become a record each.
 * @param several false where the sender numbers its records: then one is one, whatever it holds
 */
export function documentsOf(record: IncomingRecord, where: string, several: boolean): Group {
  const whole = pieceOf(record)
  if (whole.kind === 'refused' || record.producer !== undefined || !several) return [whole]
  const max = limits.streamRequestRecordsMax
  const slices = objectsOf(record.data, max + 1)
  if (slices === null) return [whole]
  if (slices.length > max) return [malformed(`${where}: expected at most ${max} JSON objects in one record`)]
  return slices.map(({ from, end }) => pieceOf({ ...record, data: record.data.subarray(from, end) }))
}

function isNull(body: Uint8Array, { from, end }: Slice): boolean {
  return end - from === 4 && Buffer.from(body.subarray(from, end)).toString('latin1') === 'null'
}

function isJson(body: Uint8Array, slice: Slice): boolean {
  try {
    JSON.parse(Buffer.from(body.subarray(slice.from, slice.end)).toString('utf8'))
    return true
  } catch {
    return false
  }
}

function parsedOf(body: Uint8Array, slice: Slice | undefined): unknown {
  if (slice === undefined) return undefined
  const text = textOf(body, slice)
  if (text !== null) return text
  try {
    return JSON.parse(Buffer.from(body.subarray(slice.from, slice.end)).toString('utf8'))
  } catch {
    return null
  }
}

/** @throws Fault `invalid` */
export function operationOf(text: unknown, where = 'operation'): Operation | undefined {
  if (text === undefined) return undefined
  if (OPERATIONS.includes(text as Operation)) return text as Operation
  throw new Fault('invalid', `${where}: expected ${OPERATIONS.join(', ')}, got "${String(text).slice(0, 40)}"`)
}

/** @throws Fault `invalid` */
function markOf(value: unknown, where: string): ProducerMark | undefined {
  if (value === undefined) return undefined
  const { id, epoch = 0, sequence } = (value ?? {}) as Record<string, unknown>
  if (typeof id === 'string' && isWhole(epoch) && isWhole(sequence)) return { id, epoch, sequence }
  throw new Fault('invalid', `${where}: expected {"id": text, "epoch": whole number, "sequence": whole number}`)
}

function isWhole(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
