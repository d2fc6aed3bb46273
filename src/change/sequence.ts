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
 *     │                └ 0 created, deleted or marked; 1 updated, which comes after what it updates
 *     └ 16 digits: microseconds since 1970
 *
 * Within a bucket and key its text order is the order of time, and where times are equal that of sequencers.
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

/** Shorter ones are counters without padding, which do not order (versitygw; it also begins at 1 with each start). */
const SEQUENCER_DIGITS_MIN = 8

/** Constants that emulators send with every event: LocalStack's two, and moto's. */
const CONSTANTS = new Set(['0055AED6DCD90281E5', '0062E99A88DC40746', '617F08299329D189'])

/** Sources whose sequencers never order, however they look. */
const SOURCES_WITHOUT_ORDER = new Set(['versitygw:s3'])

/** Whole: 16 + 1 + 32 + 16. */
const SEQUENCE_NUMBER = /^[0-9A-F]{65}$/

/** A sequencer in canonical form, or undefined when the text does not order: not hex, a counter, a known constant, nothing. */
export function canonicalSequencer(text: string | undefined): Sequencer | undefined {
  if (text === undefined || text.length < SEQUENCER_DIGITS_MIN || !/^[0-9A-Fa-f]+$/.test(text)) return undefined
  const canonical = text.toUpperCase().replace(/0+$/, '')
  if (canonical === '' || canonical.length > SEQUENCER_DIGITS_MAX || CONSTANTS.has(canonical)) return undefined
  return canonical as Sequencer
}

/** What orders `event` among the creations and removals of its version, or undefined when only its time does. */
export function sequencerOfEvent(event: Pick<ObjectEvent, 'source' | 'sequencer'>): Sequencer | undefined {
  return SOURCES_WITHOUT_ORDER.has(event.source) ? undefined : canonicalSequencer(event.sequencer)
}

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/

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
  // 253402300799999 ms, the last of year 9999, times 1000 is beyond 2^53: the parts are put together as bigint.
  const microseconds = ms < 9e12 ? ms * 1000 + fractionUs(time) : microsecondsOf(time)
  return microseconds.toString(16).toUpperCase().padStart(16, '0') as Instant
}

/** Milliseconds of the whole seconds of a time. */
function wholeMs(time: string): number {
  const parts = TIME.exec(time)
  const local = parts?.[1]
  const ms = local === undefined ? Number.NaN : Date.parse(`${local}Z`)
  // Date takes 30 February for 1 March: what does not come back as it went in is no time.
  if (parts === null || Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== local) throw notATime(time)
  if (parts[3] === undefined) return ms
  const [hours, minutes] = [Number(parts[4]), Number(parts[5])]
  if (hours > 23 || minutes > 59) throw notATime(time)
  return ms - (parts[3] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

function fractionUs(time: string): number {
  if (time.charCodeAt(19) !== 0x2e) return 0
  const digits = /^\d+/.exec(time.slice(20, 26))?.[0] ?? ''
  return Number(digits.padEnd(6, '0'))
}

function notATime(time: string): Fault {
  return new Fault(
    'invalid',
    `Expected a time such as 2024-05-01T10:00:00.123Z, got ${JSON.stringify(time.slice(0, 80))}.`,
  )
}

/** 64 bits of a hash over everything an event says, as 16 upper-case hex digits: the same for the same event only. */
export function eventHash(event: ObjectEvent): string {
  return sha256Hex(canonicalText(event)).slice(0, 16).toUpperCase()
}

/** A value as JSON that does not depend on the order of members; undefined ones are left out. */
function canonicalText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = value as Record<string, unknown>
  let text = ''
  for (const name of Object.keys(members).sort()) {
    if (members[name] !== undefined) text += `${JSON.stringify(name)}:${canonicalText(members[name])},`
  }
  return `{${text}}`
}

/** The journal's `sequence_number` of an event: 65 upper-case hex digits, laid out as above. @throws Fault `invalid` (time) */
export function sequenceNumber(event: ObjectEvent): string {
  const rank = event.kind === 'update' ? '1' : '0'
  const sequencer = (sequencerOfEvent(event) ?? '').padEnd(SEQUENCER_DIGITS_MAX, '0')
  return `${instantOf(event.time)}${rank}${sequencer}${eventHash(event)}`
}

/** The sequencer in a sequence number; undefined when its event had none. @throws Fault `invalid` */
export function sequencerOf(number: string): Sequencer | undefined {
  const digits = checked(number)
    .slice(17, 17 + SEQUENCER_DIGITS_MAX)
    .replace(/0+$/, '')
  return digits === '' ? undefined : (digits as Sequencer)
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
