/** Messages of a topic → records of a stream. Pure. */
import { stringifyJson } from '../../../base/json.ts'
import { limits } from '../../../base/limits.ts'
import type { KafkaMessage, KafkaPartition } from '../../../source/source.ts'
import type { RecordProblem } from '../record.ts'
import type { IncomingRecord } from '../request.ts'
import type { KafkaSettings } from './settings.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of bytes; null when they are no UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes)
  } catch {
    return null
  }
}

/**
 * A message as a record. One without a value deletes the row that its key names, in streams with unique keys. What cannot be read is
 * a record with its problem: it keeps its place and becomes a dead letter.
 */
export function recordOfMessage(
  message: KafkaMessage,
  partition: KafkaPartition,
  settings: Pick<KafkaSettings, 'columns' | 'keys'>,
  uniqueKeys: readonly string[],
): Omit<IncomingRecord, 'producer'> {
  const { value } = message
  if (value === null) return tombstone(message, settings.keys, uniqueKeys)
  // A message may be larger than any record: its beginning is enough to be refused, and to be found again.
  if (value.length > limits.streamRecordBytesMax)
    return failed(
      value.subarray(0, limits.streamRecordBytesMax),
      'RecordTooLarge',
      `expected at most ${limits.streamRecordBytesMax} bytes, got ${value.length}; the payload is their beginning`,
    )
  const beside = membersOf(message, partition, settings.columns)
  return { data: beside === null ? value : withMembers(value, beside) }
}

function failed(data: Uint8Array, code: RecordProblem['code'], message: string): Omit<IncomingRecord, 'producer'> {
  return { data, outcome: { kind: 'failed', problem: { code, message } } }
}

function tombstone(
  { key }: KafkaMessage,
  keys: KafkaSettings['keys'],
  uniqueKeys: readonly string[],
): Omit<IncomingRecord, 'producer'> {
  const data = key ?? new Uint8Array()
  const bad = (message: string) => failed(data, 'InvalidTombstone', message)
  if (uniqueKeys.length === 0)
    return bad('a message without a value deletes by its key, but the stream has no uniqueKeys')
  if (key === null) return bad('a message without a value has no key either')
  const text = textOf(key)
  if (text === null) return bad('expected the key as text in UTF-8')
  const [first] = uniqueKeys
  if (/^\s*\{/.test(text) || keys === 'json') {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return bad('expected the key as JSON')
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const missing = uniqueKeys.filter((name) => !Object.hasOwn(value, name))
      if (missing.length > 0)
        return bad(`expected ${uniqueKeys.join(', ')} in the key, got none of ${missing.join(', ')}`)
      // As it stands there: numbers keep all their digits.
      return { data: key, operation: 'delete' }
    }
    if (uniqueKeys.length > 1) return bad(`expected the key as an object with ${uniqueKeys.join(', ')}`)
    return { data: Buffer.from(`{${JSON.stringify(first)}:${text.trim()}}`), operation: 'delete' }
  }
  if (uniqueKeys.length > 1) return bad(`expected the key as an object with ${uniqueKeys.join(', ')}, got text`)
  return { data: Buffer.from(stringifyJson({ [first ?? '']: text })), operation: 'delete' }
}

/** What stands beside the value, as members of an object without its braces; null when nothing is wanted. */
function membersOf(
  { offset, key, headers, timestampMs }: KafkaMessage,
  { topic, partition }: KafkaPartition,
  columns: KafkaSettings['columns'],
): string | null {
  const members: [string, unknown][] = []
  if (columns.topic !== undefined) members.push([columns.topic, topic])
  if (columns.partition !== undefined) members.push([columns.partition, partition])
  if (columns.offset !== undefined) members.push([columns.offset, offset])
  if (columns.timestamp !== undefined && timestampMs >= 0)
    members.push([columns.timestamp, new Date(timestampMs).toISOString()])
  if (columns.key !== undefined) members.push([columns.key, key === null ? null : readable(key)])
  if (columns.headers !== undefined)
    members.push([
      columns.headers,
      Object.fromEntries(headers.map(([name, value]) => [name, value && readable(value)])),
    ])
  return members.length === 0
    ? null
    : members.map(([name, value]) => `${JSON.stringify(name)}:${stringifyJson(value)}`).join()
}

/** Text, or base64 where it is none. */
function readable(bytes: Uint8Array): string {
  return textOf(bytes) ?? Buffer.from(bytes).toString('base64')
}

const OPEN = 0x7b
const CLOSE = 0x7d
const BLANK = new Set([0x20, 0x09, 0x0a, 0x0d])

/** An object's bytes with further members at its end; other bytes as they are: they are refused by what they are. */
function withMembers(value: Uint8Array, members: string): Uint8Array {
  let end = value.length - 1
  while (end > 0 && BLANK.has(value[end] ?? 0)) end--
  let start = 0
  while (start < end && BLANK.has(value[start] ?? 0)) start++
  if (value[start] !== OPEN || value[end] !== CLOSE || start === end) return value
  let inside = start + 1
  while (BLANK.has(value[inside] ?? 0)) inside++
  const comma = inside === end ? '' : ','
  return Buffer.concat([value.subarray(start, end), Buffer.from(`${comma}${members}}`)])
}
