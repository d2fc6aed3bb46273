/**
 * Unwraps a notification down to its records. Which envelope a document is shows in its members; what is inside is
 * read the same way again, as deep as `limits.notificationEnvelopesMax`.
 */
import { isUtf8 } from 'node:buffer'
import { unreachable } from '../base/assert.ts'
import { type Fault, isFault, messageOf } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { readEventBridge } from './event-bridge.ts'
import { isMembers, type Members } from './fields.ts'
import { JsonSlices } from './json-slice.ts'
import { bytesProblem, reasonOf, refuse, shown, textProblem } from './problem.ts'
import { readS3Record } from './s3-records.ts'
import { isSns, readSns } from './sns.ts'
import type { Ignored, Notification } from './source.ts'
import { isSqsMessage, readSqsMessage } from './sqs.ts'

/** What a document is. */
type Envelope =
  | { is: 'list'; member: string | null; items: readonly unknown[] }
  | { is: 's3-record'; record: Members }
  | { is: 'event-bridge'; document: Members }
  /** `at`: where the message stands in the value. */
  | { is: 'sns'; message: Members; at: Path }
  | { is: 'sqs'; message: Members }
  | { is: 'test-event' }

type Path = readonly (string | number)[]

/** One text being read, and what it is part of. */
interface Reading {
  found: Notification
  slices: JsonSlices
  /** Envelopes around this one. */
  depth: number
  /** Where in the document, for messages: empty, or such as `Records[0].body: `. */
  where: string
}

/**
 * Reads one JSON document in any envelope that the door lists. Never throws on bad input: that is what `problems` are.
 */
export function readNotification(text: string): Notification {
  const found: Notification = { events: [], problems: [], ignored: [] }
  readText(found, text.charCodeAt(0) === 0xfeff ? text.slice(1) : text, 0, '')
  return found
}

/** The same of bytes as they came. Bytes that are no text are a problem, blank ones tell of nothing. */
export function readNotificationBytes(bytes: Uint8Array): Notification {
  if (!isUtf8(bytes)) {
    const message = 'expected UTF-8, got other bytes (they are kept in base64)'
    const whole = { sizeBytes: bytes.length, sha256: sha256Hex(bytes) }
    return { events: [], problems: [bytesProblem('not-utf8', message, bytes, whole)], ignored: [] }
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  if (text.trim() === '') return { events: [], problems: [], ignored: [{ reason: 'no-records', name: '' }] }
  return readNotification(text)
}

function readText(found: Notification, text: string, depth: number, where: string): void {
  const sizeBytes = Buffer.byteLength(text)
  if (sizeBytes > limits.notificationBytesMax) {
    const message = `expected at most ${limits.notificationBytesMax} bytes, got ${sizeBytes}`
    found.problems.push(textProblem('too-large', where + message, text))
    return
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    const message = `expected a JSON document, got ${shown(text)} (${messageOf(error)})`
    found.problems.push(textProblem('not-json', where + message, text))
    return
  }
  readValue({ found, slices: new JsonSlices(text), depth, where }, value, [])
}

/** Reads the value that stands at `path` of the text. Only faults are caught: a bug must not become a dead letter. */
function readValue(reading: Reading, value: unknown, path: Path): void {
  try {
    if (reading.depth > limits.notificationEnvelopesMax) {
      throw refuse('too-deep', `expected at most ${limits.notificationEnvelopesMax} envelopes in each other`)
    }
    open(reading, contentOf(envelopeOf(value), path))
  } catch (error) {
    if (!isFault(error, 'invalid')) throw error
    addProblem(reading, error, path)
  }
}

function addProblem(reading: Reading, fault: Fault, path: Path): void {
  const message = `${reading.where}${pathText(path)}${path.length === 0 ? '' : ': '}${fault.message}`
  reading.found.problems.push(textProblem(reasonOf(fault), message, reading.slices.at(path)))
}

function pathText(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('')
}

/** @throws Fault `invalid` when the value is no envelope */
function envelopeOf(value: unknown): Envelope {
  if (Array.isArray(value)) return { is: 'list', member: null, items: value }
  if (!isMembers(value)) throw refuse('unknown-envelope', `expected a JSON object, got ${shown(value)}`)
  if (isMembers(value['s3'])) return { is: 's3-record', record: value }
  for (const member of ['Records', 'Messages']) {
    const items = value[member]
    if (Array.isArray(items)) return { is: 'list', member, items }
    // Go writes an empty list as null.
    if (items === null) return { is: 'list', member, items: [] }
  }
  if (Object.hasOwn(value, 'detail-type')) return { is: 'event-bridge', document: value }
  if (isSns(value)) return { is: 'sns', message: value, at: [] }
  if (isMembers(value['Sns'])) return { is: 'sns', message: value['Sns'], at: ['Sns'] }
  if (isSqsMessage(value)) return { is: 'sqs', message: value }
  if (value['Event'] === 's3:TestEvent') return { is: 'test-event' }
  if (Object.hasOwn(value, 'eventName')) return { is: 's3-record', record: value }
  const members = Object.keys(value).slice(0, 10).join(', ')
  const known = 'Records, Messages, detail-type, Type and Message, or body'
  throw refuse(
    'unknown-envelope',
    `expected a notification (an object with ${known}), got the members: ${members || 'none'}`,
  )
}

/** What an envelope holds: something read, more values to read, or more text. */
type Content =
  | { read: ObjectEvent | Ignored }
  | { items: readonly unknown[]; path: Path }
  | { text: string; path: Path }

/** @throws Fault `invalid` when what must be in the envelope is not */
function contentOf(envelope: Envelope, path: Path): Content {
  switch (envelope.is) {
    case 'list': {
      const { member, items } = envelope
      if (items.length === 0) return { read: { reason: 'no-records', name: member ?? '' } }
      return { items, path: member === null ? path : [...path, member] }
    }
    case 's3-record':
      return { read: readS3Record(envelope.record) }
    case 'event-bridge':
      return { read: readEventBridge(envelope.document) }
    case 'sns': {
      const inside = readSns(envelope.message)
      return 'text' in inside ? { text: inside.text, path: [...path, ...envelope.at, 'Message'] } : { read: inside }
    }
    case 'sqs': {
      const { text, member } = readSqsMessage(envelope.message)
      return { text, path: [...path, member] }
    }
    case 'test-event':
      return { read: { reason: 'test-event', name: 's3:TestEvent' } }
    default:
      return unreachable(envelope)
  }
}

function open(reading: Reading, content: Content): void {
  const { found, where, depth } = reading
  if ('read' in content) {
    if ('kind' in content.read) found.events.push(content.read)
    else found.ignored.push(content.read)
  } else if ('text' in content) {
    readText(found, content.text, depth + 1, `${where}${pathText(content.path)}: `)
  } else {
    checkCount(found, content.items.length)
    const inner = { ...reading, depth: depth + 1 }
    for (const [index, item] of content.items.entries()) readValue(inner, item, [...content.path, index])
  }
}

function checkCount(found: Notification, more: number): void {
  const total = found.events.length + found.problems.length + found.ignored.length + more
  if (total <= limits.notificationRecordsMax) return
  throw refuse('too-many', `expected at most ${limits.notificationRecordsMax} records in a document, got ${total}`)
}
