/**
 * Order: what of an object happened before what.
 *
 * Two things give order, and neither is to be trusted beyond its reach:
 * - A *sequencer* orders the creations and removals of one version of one object, as told by one source. Stores write it in
 *   hex of any length; two compare as text after padding on the right with zeros. Stripped of zeros on the right and in
 *   upper case (`Sequencer`), text order is that order. It means nothing across versions, keys or sources.
 * - An *instant* is the time of an event, in microseconds. It orders anything, but only as well as the clock that gave it,
 *   which for some sources counts whole seconds.
 *
 * The journal's `sequence_number` is made of both, and of nothing but the event: a repeated notification gives the same
 * number, two different events give two.
 *
 *     0005F2A1B2C3D4E5 0 18E9C8EE468FAA420000000000000000 3A7C0F11D2E49B60
 *     │                │ │                                └ 16 digits of a hash of the event
 *     │                │ └ sequencer, 32 digits padded on the right; zeros when there is none
 *     │                └ 0 created, deleted or marked; 1 updated, which comes after what it updates; 2 seen, not told
 *     └ 16 digits: microseconds since 1970
 *
 * Within a bucket and key its text order is the order of time, and where times are equal that of sequencers. What was seen in a
 * listing has, in the place of a sequencer, the instant until which it is the last word (`ObjectEvent.observed`).
 */
import { Fault } from '../base/fault.ts'
import { sha256Hex } from '../base/hash.ts'
import type { ObjectEvent } from './object-event.ts'

declare const sequencerBrand: unique symbol
declare const instantBrand: unique symbol

/** Upper-case hex without zeros on the right: text order is order, within one source and version. */
export type Sequencer = string & { [sequencerBrand]: true }

/** 16 upper-case hex digits, microseconds since 1970: text order is order. */
export type Instant = string & { [instantBrand]: true }

/** Digits of a sequencer that are told apart; the longest seen has 18. */
const SEQUENCER_DIGITS_MAX = 32

/**
 * Constants that emulators send with every event: LocalStack's two, one for each of its channels, and moto's. One that is not
 * known does no harm, because equal sequencers are told apart by time; two of one source, as LocalStack's, would.
 */
const CONSTANTS = new Set(['0055AED6DCD90281E5', '0062E99A88DC40746', '617F08299329D189'])

/** Sources whose sequencers never order, however they look: a counter without padding, which begins at 1 with each start. */
const SOURCES_WITHOUT_ORDER = new Set(['versitygw:s3'])

/** Whole: 16 + 1 + 32 + 16. */
const SEQUENCE_NUMBER_DIGITS = 65
const SEQUENCE_NUMBER = /^[0-9A-F]{65}$/

/** A sequencer in canonical form, or undefined when the text does not order: not hex, zeros only, a known constant, nothing. */
export function canonicalSequencer(text: string | undefined): Sequencer | undefined {
  if (text === undefined || !/^[0-9A-Fa-f]+$/.test(text)) return undefined
  const canonical = text.toUpperCase().replace(/0+$/, '')
  if (canonical === '' || canonical.length > SEQUENCER_DIGITS_MAX || CONSTANTS.has(canonical)) return undefined
  return canonical as Sequencer
}

/** What orders `event` among the creations and removals of its version, or undefined when only its time does. */
export function sequencerOfEvent(event: Pick<ObjectEvent, 'source' | 'sequencer'>): Sequencer | undefined {
  return SOURCES_WITHOUT_ORDER.has(event.source) ? undefined : canonicalSequencer(event.sequencer)
}

/**
 * ISO 8601 with `Z` or an offset, and up to nine digits of fraction (cut to microseconds) → microseconds since 1970.
 * @throws Fault `invalid` for anything else, dates that do not exist among it
 */
export function microsecondsOf(time: string): bigint {
  return BigInt(wholeMs(time)) * 1000n + BigInt(fractionUs(time))
}

/** The time of an event as text that sorts. Times before 1970 count as 1970. @throws Fault `invalid` */
export function instantOf(time: string): Instant {
  const ms = wholeMs(time)
  if (ms < 0) return '0'.repeat(16) as Instant
  // Microseconds are exact as a number until the year 2255.
  const microseconds = ms < 9e12 ? ms * 1000 + fractionUs(time) : microsecondsOf(time)
  return microseconds.toString(16).toUpperCase().padStart(16, '0') as Instant
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Milliseconds of the whole seconds of a time. This runs several times per event: it makes no objects on the way. */
function wholeMs(time: string): number {
  if (!TIME.test(time)) throw notATime(time)
  const year = digits(time, 0, 4)
  const month = digits(time, 5, 7)
  const day = digits(time, 8, 10)
  const hour = digits(time, 11, 13)
  const minute = digits(time, 14, 16)
  const second = digits(time, 17, 19)
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const lastDay = month === 2 && isLeap ? 29 : (DAYS_IN_MONTH[month - 1] ?? 0)
  if (day < 1 || day > lastDay || hour > 23 || minute > 59 || second > 59) throw notATime(time)
  // Date.UTC takes the years 0 to 99 for 1900 to 1999; 400 years are 146,097 days wherever they begin.
  const localMs = Date.UTC(year + 400, month - 1, day, hour, minute, second) - 146_097 * 86_400_000
  if (time.endsWith('Z')) return localMs
  const offsetHour = digits(time, time.length - 5, time.length - 3)
  const offsetMinute = digits(time, time.length - 2, time.length)
  if (offsetHour > 23 || offsetMinute > 59) throw notATime(time)
  const offsetMs = (offsetHour * 60 + offsetMinute) * 60_000
  return time.charCodeAt(time.length - 6) === MINUS ? localMs + offsetMs : localMs - offsetMs
}

const POINT = 0x2e
const MINUS = 0x2d
const ZERO = 0x30

/** The number that stands at [start, end) of a text known to have digits there. */
function digits(text: string, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + text.charCodeAt(at) - ZERO
  return value
}

/** The first six digits of the fraction; missing ones are zeros. */
function fractionUs(time: string): number {
  if (time.charCodeAt(19) !== POINT) return 0
  let microseconds = 0
  let at = 20
  for (; at < 26 && isDigit(time.charCodeAt(at)); at++) microseconds = microseconds * 10 + time.charCodeAt(at) - ZERO
  return microseconds * 10 ** (26 - at)
}

function isDigit(code: number): boolean {
  return code >= ZERO && code < ZERO + 10
}

function notATime(time: string): Fault {
  return new Fault(
    'invalid',
    `Expected a time such as 2024-05-01T10:00:00.123Z, got ${JSON.stringify(time.slice(0, 80))}.`,
  )
}

/** Microseconds since 1970 as a time of an event. Exact until the year 2255. */
export function timeOfMicroseconds(microseconds: number): string {
  const text = new Date(Math.floor(microseconds / 1000)).toISOString()
  const rest = microseconds % 1000
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

/** An instant as a number: microseconds since 1970. */
export function microsecondsOfInstant(instant: Instant): number {
  return Number.parseInt(instant, 16)
}

/** The `source` of events made anew from the journal, where it is not known who sent them. */
export const RECORDED_SOURCE = 'journal'

/**
 * An event made anew from the journal, which keeps less than the event said, has its sequence number for a name: so it has the
 * same number and order as the event itself.
 */
export function isRecorded(event: ObjectEvent): boolean {
  return event.name.length === SEQUENCE_NUMBER_DIGITS && SEQUENCE_NUMBER.test(event.name)
}

/** 64 bits of a hash over everything an event says, as 16 upper-case hex digits: the same for the same event only. */
export function eventHash(event: ObjectEvent): string {
  if (isRecorded(event)) return event.name.slice(-16)
  return sha256Hex(canonicalText(event)).slice(0, 16).toUpperCase()
}

/** Members as text, in the order of their names, each value behind its length: two texts are equal for equal members only. */
function canonicalText(members: object): string {
  const values = members as Record<string, unknown>
  let text = ''
  for (const name of Object.keys(members).sort()) {
    const value = values[name]
    if (value === undefined) continue
    const inner = typeof value === 'object' && value !== null ? `{${canonicalText(value)}` : String(value)
    text += `${name.length}:${name}${inner.length}:${inner}`
  }
  return text
}

/** The journal's `sequence_number` of an event: 65 upper-case hex digits, laid out as above. @throws Fault `invalid` (time) */
export function sequenceNumber(event: ObjectEvent): string {
  if (isRecorded(event)) return event.name
  const seen = event.kind === 'update' ? undefined : event.observed
  const rank = event.kind === 'update' ? '1' : seen === undefined ? '0' : SEEN
  const order = seen === undefined ? (sequencerOfEvent(event) ?? '') : instantOf(seen)
  return `${instantOf(event.time)}${rank}${order.padEnd(SEQUENCER_DIGITS_MAX, '0')}${eventHash(event)}`
}

/** The rank of what was seen in a listing. */
const SEEN = '2'

/** The sequencer in a sequence number; undefined when its event had none. @throws Fault `invalid` */
export function sequencerOf(number: string): Sequencer | undefined {
  if (checked(number)[16] === SEEN) return undefined
  const digits = number.slice(17, 17 + SEQUENCER_DIGITS_MAX).replace(/0+$/, '')
  return digits === '' ? undefined : (digits as Sequencer)
}

/** `ObjectEvent.observed` in a sequence number; undefined when its event was told. @throws Fault `invalid` */
export function observedOf(number: string): string | undefined {
  if (checked(number)[16] !== SEEN) return undefined
  return timeOfMicroseconds(microsecondsOfInstant(number.slice(17, 33) as Instant))
}

/** The time in a sequence number. @throws Fault `invalid` */
export function instantOfSequence(number: string): Instant {
  return checked(number).slice(0, 16) as Instant
}

function checked(number: string): string {
  if (SEQUENCE_NUMBER.test(number)) return number
  throw new Fault(
    'invalid',
    `Expected a sequence number of 65 hex digits, got ${JSON.stringify(number.slice(0, 100))}.`,
  )
}
