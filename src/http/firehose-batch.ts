/**
 * `PutRecordBatch` as SDKs send it, read from its bytes: the stream's name and records of base64, decoded side by side into one buffer. It
 * takes nothing else, and refuses nothing: whatever is unusual is read as JSON, and decided there (`firehose.ts`). Pure.
 */
import { PackedRecords } from '../service/streams/streams.ts'
import { BACKSLASH, CLOSE_LIST, CLOSE_OBJECT, COLON, COMMA, OPEN_LIST, OPEN_OBJECT, QUOTE } from './json-bytes.ts'
import { skipSpace } from './json-slices.ts'

export interface QuickBatch {
  stream: string
  records: PackedRecords
}

export interface BatchBounds {
  recordsMax: number
  recordBytesMax: number
  bytesMax: number
}

const NO = -1
const EQUALS = 0x3d

const STREAM = Buffer.from('"DeliveryStreamName"')
const RECORDS = Buffer.from('"Records"')
const DATA = Buffer.from('"Data"')

/** Null: not in the usual form, or over a bound. */
export function quickBatch(body: Buffer, bounds: BatchBounds): QuickBatch | null {
  if (body.includes(BACKSLASH)) return null
  let stream: string | null = null
  let records: PackedRecords | null = null
  let at = skipSpace(body, 0)
  if (body[at] !== OPEN_OBJECT) return null
  do {
    at = skipSpace(body, at + 1)
    const isStream = stream === null && startsWith(body, at, STREAM)
    if (!isStream && (records !== null || !startsWith(body, at, RECORDS))) return null
    at = behindColon(body, at + (isStream ? STREAM : RECORDS).length)
    if (at === NO) return null
    if (isStream) {
      const end = body[at] === QUOTE ? body.indexOf(QUOTE, at + 1) : NO
      if (end === NO) return null
      const name = body.toString('latin1', at + 1, end)
      if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(name)) return null
      stream = name
      at = end + 1
    } else {
      const read = readRecords(body, at, bounds)
      if (read === null) return null
      records = read.records
      at = read.end
    }
    at = skipSpace(body, at)
  } while (body[at] === COMMA)
  if (body[at] !== CLOSE_OBJECT || skipSpace(body, at + 1) !== body.length) return null
  if (stream === null || records === null || mayHoldSeveral(records)) return null
  return { stream, records }
}

function startsWith(bytes: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false
  return true
}

/** From behind a name to its value. */
function behindColon(body: Buffer, from: number): number {
  const at = skipSpace(body, from)
  return body[at] === COLON ? skipSpace(body, at + 1) : NO
}

/** `[{"Data": "…"}, …]` */
function readRecords(
  body: Buffer,
  from: number,
  { recordsMax, recordBytesMax, bytesMax }: BatchBounds,
): { records: PackedRecords; end: number } | null {
  if (body[from] !== OPEN_LIST) return null
  const into = Buffer.allocUnsafe(Math.floor(((body.length - from) * 3) / 4))
  const ranges: number[] = []
  let used = 0
  let at = from
  do {
    at = skipSpace(body, at + 1)
    if (body[at] !== OPEN_OBJECT) return null
    at = skipSpace(body, at + 1)
    if (!startsWith(body, at, DATA)) return null
    at = behindColon(body, at + DATA.length)
    if (at === NO || body[at] !== QUOTE) return null
    const end = body.indexOf(QUOTE, at + 1)
    if (end === NO) return null
    const bytes = decodedBytes(body, at + 1, end)
    if (bytes === NO || bytes > recordBytesMax) return null
    // What is no base64 is left out of what is decoded, which then is too short.
    if (bytes > 0 && into.write(body.toString('latin1', at + 1, end), used, bytes, 'base64') !== bytes) return null
    ranges.push(used, used + bytes)
    used += bytes
    at = skipSpace(body, end + 1)
    if (body[at] !== CLOSE_OBJECT) return null
    at = skipSpace(body, at + 1)
  } while (body[at] === COMMA && ranges.length < recordsMax * 2)
  if (body[at] !== CLOSE_LIST || used > bytesMax) return null
  // The decoder takes the letters of base64url as well.
  const texts = body.subarray(from, at)
  if (texts.includes(0x2d) || texts.includes(0x5f)) return null
  return { records: new PackedRecords(into.subarray(0, used), ranges), end: at + 1 }
}

/** Bytes that so much base64 stands for, if it is some. */
function decodedBytes(body: Buffer, from: number, end: number): number {
  const length = end - from
  if (length % 4 !== 0) return NO
  if (length === 0 || body[end - 1] !== EQUALS) return (length / 4) * 3
  return (length / 4) * 3 - (body[end - 2] === EQUALS ? 2 : 1)
}

/** Does a record have a closing bracket with an opening one behind it, if only in a text? */
function mayHoldSeveral(records: PackedRecords): boolean {
  const { bytes } = records
  let record = 0
  for (let at = bytes.indexOf(CLOSE_OBJECT); at >= 0; at = bytes.indexOf(CLOSE_OBJECT, at + 1)) {
    while (records.end(record) <= at) record++
    const next = skipSpace(bytes, at + 1, records.end(record))
    if (next < records.end(record) && bytes[next] === OPEN_OBJECT) return true
  }
  return false
}
