/**
 * One value of a record → the wire form of its column's type, or what was expected instead. Pure.
 *
 * `exact` takes what is of the column's type and nothing else; `convert` also takes a text that says a number, a truth or an
 * epoch, and anything as text. Neither rounds: a value whose digits do not fit is a misfit. The one exception is asked for by
 * name: `epochUnit: ns` cuts what is finer than a microsecond, which no column holds.
 *
 * An epoch number must lie between the years 1971 and 2200. The same instant in another unit falls outside, so that a wrong
 * unit is refused and never stored as another time, and `auto` knows the unit from the number alone.
 */
import { messageOf } from '../../base/fault.ts'
import {
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
} from '../../iceberg/spec/time-text.ts'
import { type DateFormat, parseWithFormats } from './date-format.ts'
import { excerpt, NumberText, type RecordValue, recordText } from './record.ts'

export type EpochUnit = 's' | 'ms' | 'us' | 'ns'
export type Strictness = 'exact' | 'convert'

export interface ScalarRules {
  strictness?: Strictness | undefined
  /** What a number in a timestamp column counts since 1970-01-01T00:00Z; undefined: numbers are refused. */
  epochUnit?: EpochUnit | 'auto' | undefined
  /** Taken for dates and timestamps before ISO 8601 is tried. */
  dateFormats?: readonly DateFormat[] | undefined
}

/** A value that does not fit its column, and why: `expected …, got …`. */
export class Misfit {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

/** A value in wire form: longs as bigint where they need it, decimals and times as text, bytes as hex. */
export type Scalar = boolean | number | bigint | string

const EPOCH_MIN = parseTimestamp('1971-01-01T00:00:00', 'us', 'none')
const EPOCH_MAX = parseTimestamp('2200-01-01T00:00:00', 'us', 'none')
const TIME_MIN = parseTimestamp('0001-01-01T00:00:00', 'us', 'none')
const TIME_MAX = parseTimestamp('9999-12-31T23:59:59.999999', 'us', 'none')
const PER_SECOND: Record<EpochUnit, bigint> = { s: 1n, ms: 1_000n, us: 1_000_000n, ns: 1_000_000_000n }
const EPOCH_UNITS: readonly EpochUnit[] = ['s', 'ms', 'us', 'ns']
/** Digits that fit in any case, and need no closer look. */
const SHORT = { int: 9, long: 15 }
const DIGITS = /^-?\d+$/
const WHOLE_MAX = { int: 2n ** 31n, long: 2n ** 63n }
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const NUMERIC: ReadonlySet<string> = new Set(['int', 'long', 'float', 'double'])
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

export function convertScalar(given: RecordValue, type: string, rules: ScalarRules): Scalar | Misfit {
  const lenient = rules.strictness === 'convert'
  const value = lenient ? asNumber(given, type) : given
  switch (type) {
    case 'boolean':
      if (typeof value === 'boolean') return value
      if (lenient && typeof value === 'string' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true'
      return wrong(lenient ? 'true or false, also as text' : 'true or false', given)
    case 'string':
      return text(lenient ? asText(value) : value)
    case 'int':
    case 'long':
      return whole(value, type)
    case 'float':
    case 'double': {
      const number = value instanceof NumberText ? Number(value.text) : Number.NaN
      const fits = Number.isFinite(type === 'float' ? Math.fround(number) : number)
      return fits ? number : wrong(`a number that fits ${type}`, given)
    }
    case 'date':
      return date(value, rules)
    case 'time':
      return time(value, 'a time such as 22:31:08', (said) => formatTime(parseTime(said)))
    case 'timestamp':
    case 'timestamptz':
      return timestamp(value, type, rules)
    case 'uuid':
      return typeof value === 'string' && UUID.test(value) ? value : wrong('a UUID with dashes', value)
    case 'binary': {
      const bytes = typeof value === 'string' ? base64Bytes(value) : null
      return bytes === null ? wrong('bytes in base64', value) : bytes.toString('hex')
    }
    default:
      return decimal(value, type)
  }
}

/** A text that says a number, for columns of numbers. */
function asNumber(value: RecordValue, type: string): RecordValue {
  return NUMERIC.has(type) && typeof value === 'string' && isNumber(value) ? new NumberText(value) : value
}

function isNumber(text: string): boolean {
  return text.length <= 400 && NUMBER.test(text)
}

/** Anything as text: a number as it stood there, what is nested as JSON. */
function asText(value: RecordValue): RecordValue {
  if (value instanceof NumberText) return value.text
  return typeof value === 'string' || value === null ? value : recordText(value)
}

function text(value: RecordValue): string | Misfit {
  if (typeof value !== 'string') return wrong('text', value)
  return value.isWellFormed() ? value : wrong('text without half of a surrogate pair', value)
}

/** A bigint where a number would not hold it. */
function whole(value: RecordValue, type: 'int' | 'long'): number | bigint | Misfit {
  if (value instanceof NumberText && value.text.length <= SHORT[type] && DIGITS.test(value.text)) {
    const short = Number(value.text)
    // No minus before a zero.
    return short === 0 ? 0 : short
  }
  const parts = value instanceof NumberText ? exactNumber(value.text) : null
  if (parts === null || parts.scale > 0) return wrong(`a whole number (${type})`, value)
  const digits = parts.digits * 10n ** BigInt(-parts.scale)
  if (digits < -WHOLE_MAX[type] || digits >= WHOLE_MAX[type]) return wrong(`a number that fits ${type}`, value)
  const number = Number(digits)
  return Number.isSafeInteger(number) ? number : digits
}

/** Precision and scale of `decimal(p, s)`; null for other types. */
export function decimalOf(type: string): { precision: number; scale: number } | null {
  const declared = /^decimal\((\d+),\s*(\d+)\)$/.exec(type)
  return declared === null ? null : { precision: Number(declared[1]), scale: Number(declared[2]) }
}

function decimal(value: RecordValue, type: string): string | Misfit {
  const declared = decimalOf(type)
  if (declared === null) return wrong(`a value of type ${type}, which records cannot hold`, value)
  const { precision, scale } = declared
  const parts = exactNumber(value instanceof NumberText ? value.text : typeof value === 'string' ? value : '')
  if (parts === null) return wrong(`a number or a number as text (${type})`, value)
  if (parts.scale > scale) return wrong(`at most ${scale} digits after the point (${type})`, value)
  const unscaled = parts.digits * 10n ** BigInt(scale - parts.scale)
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  if (digits.length > precision && unscaled !== 0n && String(BigInt(digits)).length > precision) {
    return wrong(`at most ${precision - scale} digits before the point (${type})`, value)
  }
  const said = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return unscaled < 0n ? `-${said}` : said
}

function date(value: RecordValue, { dateFormats = [] }: ScalarRules): Scalar | Misfit {
  return time(value, 'a date such as 2026-11-21', (said) => {
    const micros = parseWithFormats(said, dateFormats)
    return micros === null ? formatDate(parseDate(said)) : formatTimestamp(micros).slice(0, 10)
  })
}

function timestamp(value: RecordValue, type: 'timestamp' | 'timestamptz', rules: ScalarRules): Scalar | Misfit {
  const suffix = type === 'timestamptz' ? 'Z' : ''
  if (value instanceof NumberText) return epoch(value, suffix, rules.epochUnit)
  if (rules.strictness === 'convert' && rules.epochUnit !== undefined && typeof value === 'string' && isNumber(value)) {
    const micros = parseWithFormats(value, rules.dateFormats ?? [])
    return micros === null
      ? epoch(new NumberText(value), suffix, rules.epochUnit)
      : `${formatTimestamp(micros)}${suffix}`
  }
  const expected =
    type === 'timestamptz'
      ? 'a timestamp with offset such as 2026-11-21T04:00:00Z'
      : 'a timestamp such as 2026-11-21T04:00:00Z'
  return time(value, expected, (said) => {
    const plain = (rules.dateFormats ?? []).length === 0 ? plainTimestamp(said, suffix !== '') : null
    if (plain !== null) return plain
    const micros = parseWithFormats(said, rules.dateFormats ?? []) ?? isoMicros(said, type)
    if (micros < TIME_MIN || micros > TIME_MAX) throw new Error('expected a year from 1 to 9999')
    return `${formatTimestamp(micros)}${suffix}`
  })
}

const PLAIN = /^(\d{4})-(\d\d)-(\d\d)[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,6}))?(Z?)$/

/** A time in UTC whose text is nearly the wire form already; null: it needs a closer look. */
function plainTimestamp(said: string, zoned: boolean): string | null {
  const match = PLAIN.exec(said)
  if (match === null || (zoned && match[6] === '')) return null
  // Days that every month has, so that no calendar is needed.
  const [year, month, day] = [match[1]!, Number(match[2]), Number(match[3])]
  if (year === '0000' || month < 1 || month > 12 || day < 1 || day > 28) return null
  const fraction = (match[5] ?? '').padEnd(6, '0')
  return `${said.slice(0, 10)}T${said.slice(11, 19)}${fraction === '000000' ? '' : `.${fraction}`}${zoned ? 'Z' : ''}`
}

function isoMicros(said: string, type: 'timestamp' | 'timestamptz'): bigint {
  const zoned = /(Z|[+-]\d\d(:?\d\d)?)$/.test(said.slice(11))
  // A column without zone holds UTC: an offset is applied, none means that it was UTC already.
  return parseTimestamp(said, 'us', zoned || type === 'timestamptz' ? 'required' : 'none')
}

function epoch(value: NumberText, suffix: string, unit: ScalarRules['epochUnit']): string | Misfit {
  if (unit === undefined) return wrong('a timestamp as ISO 8601 text; set epochUnit to take numbers', value)
  const units = unit === 'auto' ? EPOCH_UNITS : [unit]
  const short = value.text.length <= 16 && DIGITS.test(value.text) ? Number(value.text) : null
  for (const candidate of units) {
    if (short !== null && candidate !== 'ns') {
      const text = shortEpochText(short * SHORT_MICROS[candidate])
      if (text !== null) return `${text}${suffix}`
      continue
    }
    const micros = epochMicros(value.text, candidate)
    if (micros !== null && micros >= EPOCH_MIN && micros < EPOCH_MAX) return `${formatTimestamp(micros)}${suffix}`
  }
  return wrong(
    `a time between the years 1971 and 2200 in ${unit === 'auto' ? EPOCH_UNITS.join(', ') : unit} since 1970`,
    value,
  )
}

const SHORT_MICROS = { s: 1_000_000, ms: 1_000, us: 1 }
const SHORT_MIN = Number(EPOCH_MIN)
const SHORT_MAX = Number(EPOCH_MAX)

/** The same by numbers, which hold all microseconds between the years 1971 and 2200; null outside of them. */
function shortEpochText(micros: number): string | null {
  if (micros < SHORT_MIN || micros >= SHORT_MAX) return null
  const fraction = micros % 1_000_000
  const text = new Date((micros - fraction) / 1000).toISOString().slice(0, 19)
  return fraction === 0 ? text : `${text}.${String(fraction).padStart(6, '0')}`
}

function time(value: RecordValue, expected: string, parse: (text: string) => string): string | Misfit {
  if (typeof value !== 'string') return wrong(expected, value)
  try {
    return parse(value)
  } catch (error) {
    return new Misfit(messageOf(error))
  }
}

function wrong(expected: string, value: RecordValue): Misfit {
  return new Misfit(`expected ${expected}, got ${excerpt(value)}`)
}

/** Exponents beyond this are no quantity of this world, and would cost memory. */
const EXPONENT_MAX = 400

/** digits × 10^-scale, with the smallest scale; null when the text is no number. */
export function exactNumber(text: string): { digits: bigint; scale: number } | null {
  const match = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text)
  if (match === null || text.length > 1_000) return null
  const fraction = match[2] ?? ''
  let digits = BigInt(`${match[1]}${fraction}`)
  // The sign of -0.5 is lost in "-0", so the digits are read with it in front: "-05".
  let scale = fraction.length - Number(match[3] ?? '0')
  if (digits === 0n) return { digits, scale: 0 }
  if (Math.abs(scale) > EXPONENT_MAX) return null
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale--
  }
  return { digits, scale }
}

/** Microseconds since 1970; null when the number is none, or finer than a microsecond (but for `ns`). */
function epochMicros(text: string, unit: EpochUnit): bigint | null {
  const parts = exactNumber(text)
  if (parts === null) return null
  const scaled = parts.scale <= 0 ? parts.digits * 10n ** BigInt(-parts.scale) : parts.digits
  const divisor = PER_SECOND[unit] * 10n ** BigInt(Math.max(0, parts.scale))
  const micros = scaled * 1_000_000n
  if (micros % divisor === 0n) return micros / divisor
  // Down, also before 1970: but those times are refused anyway.
  return unit === 'ns' ? micros / divisor : null
}

/** Base64 with its padding, as the standard has it; null for anything else. */
export function base64Bytes(text: string): Buffer | null {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : null
}
