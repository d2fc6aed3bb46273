/**
 * From the bytes of a body to the records in it. A record that is too large, or is none, becomes a piece that says so: it is
 * refused by itself, and the others are taken.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type IncomingRecord, OPERATIONS, type Operation, type ProducerMark } from '../service/streams/streams.ts'
import { elementsOf, membersOf, objectsOf, recordBytes, type Slice, textOf } from './json-slices.ts'

export type RefusalCode = 'RecordTooLarge' | 'MalformedRecord'

/** One record of a request, or what stands in its place. */
export type Piece = { kind: 'record'; record: IncomingRecord } | { kind: 'refused'; code: RefusalCode; message: string }

export function pieceOf(record: IncomingRecord): Piece {
  return record.data.length > limits.streamRecordBytesMax ? tooLarge(record.data.length) : { kind: 'record', record }
}

function tooLarge(bytes: number): Piece {
  return {
    kind: 'refused',
    code: 'RecordTooLarge',
    message: `expected a record of at most ${limits.streamRecordBytesMax} bytes, got ${bytes}; nothing of it was taken`,
  }
}

function malformed(message: string): Piece {
  return { kind: 'refused', code: 'MalformedRecord', message }
}

/**
 * Lines with something in them, as they come. Their bytes are not looked at: one that is no JSON is that record's affair. Of a line
 * that is too long for a record nothing is kept.
 */
export async function* linesOf(
  body: AsyncIterable<Uint8Array>,
  operation?: Operation | undefined,
): AsyncGenerator<Piece[]> {
  let kept: Uint8Array[] = []
  let size = 0
  const add = (part: Uint8Array): void => {
    size += part.length
    if (size <= limits.streamRecordBytesMax + 1) kept.push(part)
    else kept = []
  }
  const take = (): Piece | null => {
    const line = kept.length === 1 ? kept[0]! : Buffer.concat(kept)
    const whole = size
    kept = []
    size = 0
    if (whole > limits.streamRecordBytesMax + 1) return tooLarge(whole)
    const data = line[line.length - 1] === 0x0d ? line.subarray(0, -1) : line
    return data.some((byte) => byte !== 0x20 && byte !== 0x09) ? pieceOf({ data, operation }) : null
  }
  for await (const chunk of body) {
    const pieces: Piece[] = []
    let from = 0
    for (let feed = chunk.indexOf(0x0a); feed >= 0; feed = chunk.indexOf(0x0a, from)) {
      add(chunk.subarray(from, feed))
      const piece = take()
      if (piece !== null) pieces.push(piece)
      from = feed + 1
    }
    if (from < chunk.length) add(chunk.subarray(from))
    if (pieces.length > 0) yield pieces
  }
  const last = size === 0 ? null : take()
  if (last !== null) yield [last]
}

/** A JSON array of records, or one record. @throws Fault `invalid` for an array whose brackets do not match */
export function jsonPieces(body: Uint8Array, operation?: Operation | undefined): Piece[] {
  if (firstSign(body) !== '[') return [pieceOf({ data: body, operation })]
  const elements = elementsOf(body)
  if (elements === null) throw new Fault('invalid', 'the body: expected JSON, got an array that has no end')
  return elements.map(({ from, end }) => pieceOf({ data: body.subarray(from, end), operation }))
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
