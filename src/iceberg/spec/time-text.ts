/**
 * Dates and times of the format as ISO 8601 text and back. Proleptic Gregorian calendar; years outside 0000 to 9999 are
 * written with a sign and at least five digits, as ISO 8601 has it. Days and years are floored: they are right before 1970.
 */
import { Fault } from '../../base/fault.ts'

export const MICROS_PER_DAY = 86_400_000_000n
const MICROS_PER_SECOND = 1_000_000n

/** a / b rounded towards minus infinity. */
export function floorDiv(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

/** The remainder that goes with `floorDiv`: never negative for positive b. */
export function floorMod(a: bigint, b: bigint): bigint {
  return a - floorDiv(a, b) * b
}

export interface CivilDate {
  year: number
  /** 1 to 12 */
  month: number
  /** 1 to 31 */
  day: number
}

/** Days since 1970-01-01 → calendar date (Hinnant's algorithm over 400-year eras). */
export function civilFromDays(days: number): CivilDate {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
  }
}

/** Calendar date → days since 1970-01-01. */
export function daysFromCivil({ year, month, day }: CivilDate): number {
  const shiftedYear = month <= 2 ? year - 1 : year
  const era = Math.floor(shiftedYear / 400)
  const yearOfEra = shiftedYear - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

/** Year → text of at least four digits, signed outside 0 to 9999. */
export function formatYear(year: number): string {
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(5, '0')}`
}

/** Days → `2017-11-16`. */
export function formatDate(days: number): string {
  const { year, month, day } = civilFromDays(days)
  return `${formatYear(year)}-${two(month)}-${two(day)}`
}

/** Microseconds of the day → `22:31:08.123456`; without the fraction when it is zero. */
export function formatTime(micros: bigint): string {
  return formatClock(micros, MICROS_PER_SECOND, 6)
}

/** Micro- or nanoseconds since the epoch → `2017-11-16T22:31:08.123456`, without zone. */
export function formatTimestamp(value: bigint, unit: 'us' | 'ns' = 'us'): string {
  const perSecond = unit === 'us' ? MICROS_PER_SECOND : 1_000_000_000n
  const perDay = perSecond * 86_400n
  const days = Number(floorDiv(value, perDay))
  return `${formatDate(days)}T${formatClock(floorMod(value, perDay), perSecond, unit === 'us' ? 6 : 9)}`
}

function formatClock(ofDay: bigint, perSecond: bigint, digits: number): string {
  const seconds = Number(ofDay / perSecond)
  const fraction = ofDay % perSecond
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return fraction === 0n ? clock : `${clock}.${String(fraction).padStart(digits, '0')}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** `2017-11-16` → days. @throws Fault `invalid` for other text or a day that the calendar does not have */
export function parseDate(text: string): number {
  const match = /^([+-]\d{5,9}|\d{4})-(\d\d)-(\d\d)$/.exec(text)
  if (match === null) throw invalid('a date such as 2017-11-16', text)
  const date = { year: Number(match[1]), month: Number(match[2]), day: Number(match[3]) }
  const days = daysFromCivil(date)
  const back = civilFromDays(days)
  if (back.year !== date.year || back.month !== date.month || back.day !== date.day) {
    throw invalid('a day that the calendar has', text)
  }
  return days
}

/** `22:31`, `22:31:08` or `22:31:08.123456` → microseconds of the day. @throws Fault `invalid` */
export function parseTime(text: string): bigint {
  return parseClock(text, 6, 'a time such as 22:31:08.123456')
}

/**
 * `2017-11-16T22:31:08.123456` → micro- or nanoseconds. `zone`: `none` refuses an offset, `required` asks for one (`Z` or
 * `+hh:mm`) and converts to UTC. A blank instead of T is taken. @throws Fault `invalid`
 */
export function parseTimestamp(text: string, unit: 'us' | 'ns', zone: 'none' | 'required'): bigint {
  const match = /^([+-]?\d+-\d\d-\d\d)[T ]([\d:.]+)(Z|[+-]\d\d(?::?\d\d)?)?$/.exec(text)
  const example = zone === 'none' ? '2017-11-16T22:31:08' : '2017-11-16T22:31:08+00:00'
  if (match === null || (match[3] !== undefined) !== (zone === 'required')) {
    throw invalid(`a timestamp such as ${example}`, text)
  }
  const digits = unit === 'us' ? 6 : 9
  const perSecond = 10n ** BigInt(digits)
  const clock = parseClock(match[2]!, digits, `a timestamp such as ${example}`)
  const offsetSeconds = match[3] === undefined ? 0n : parseOffsetSeconds(match[3])
  return BigInt(parseDate(match[1]!)) * 86_400n * perSecond + clock - offsetSeconds * perSecond
}

function parseClock(text: string, digits: number, expected: string): bigint {
  const match = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/.exec(text)
  if (match === null) throw invalid(expected, text)
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? '0')]
  const fraction = match[4] ?? ''
  if (hours > 23 || minutes > 59 || seconds > 59) throw invalid(expected, text)
  if (/[1-9]/.test(fraction.slice(digits))) throw invalid(`at most ${digits} digits of a second`, text)
  const perSecond = 10n ** BigInt(digits)
  return (
    BigInt(hours * 3600 + minutes * 60 + seconds) * perSecond + BigInt(fraction.slice(0, digits).padEnd(digits, '0'))
  )
}

function parseOffsetSeconds(text: string): bigint {
  if (text === 'Z') return 0n
  const digits = text.slice(1).replace(':', '').padEnd(4, '0')
  const seconds = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60
  return BigInt(text.startsWith('-') ? -seconds : seconds)
}

function invalid(expected: string, got: string): Fault {
  return new Fault('invalid', `expected ${expected}, got "${got.slice(0, 80)}"`)
}
