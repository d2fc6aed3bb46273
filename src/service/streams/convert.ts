/**
 * A record → a row of its table, strictly: names match letter by letter, a value has its column's type or the record is refused,
 * nothing is rounded. The row is in the wire form of `change/table-change.ts`. Pure.
 *
 * Timestamps are ISO 8601 text; numbers only when the stream says which unit they count, and then only between the years 1971
 * and 2200: the same instant in another unit falls outside, so that a wrong unit is refused and never stored as another time.
 */
import { unreachable } from '../../base/assert.ts'
import { messageOf } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { NestedField, StructType, Type } from '../../iceberg/spec/table-metadata.ts'
import {
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
} from '../../iceberg/spec/time-text.ts'
import {
  excerpt,
  NumberText,
  type RecordObject,
  type RecordProblem,
  type RecordProblemCode,
  type RecordValue,
} from './record.ts'

export type EpochUnit = 's' | 'ms' | 'us'

export interface ConvertOptions {
  /** What a number in a timestamp column counts since 1970-01-01T00:00Z; undefined: numbers are refused. */
  epochUnit?: EpochUnit | undefined
  /** Are members without a column an error, or left out? */
  unknown: 'refuse' | 'drop'
}

export type Row = { [column: string]: Json }
export type Converted = { ok: true; row: Row } | { ok: false; problem: RecordProblem }

/** @param only columns to take (a delete names its key only); undefined: all of them */
export function convertRecord(
  record: RecordObject,
  schema: StructType,
  options: ConvertOptions,
  only?: ReadonlySet<string>,
): Converted {
  const fields = only === undefined ? schema.fields : schema.fields.filter((field) => only.has(field.name))
  const problems: RecordProblem[] = []
  const converter = new Converter(options, problems)
  const row = converter.members(record, fields, '')
  if (only === undefined) converter.refuseUnknown(record, schema.fields, '')
  const [first] = problems
  if (first === undefined) return { ok: true, row }
  const told = problems.slice(0, limits.streamProblemsMax).map(({ message }) => message)
  const more = problems.length - told.length
  const message = `${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
  return { ok: false, problem: { code: first.code, message } }
}

const EPOCH_MIN = parseTimestamp('1971-01-01T00:00:00', 'us', 'none')
const EPOCH_MAX = parseTimestamp('2200-01-01T00:00:00', 'us', 'none')
const TIME_MIN = parseTimestamp('0001-01-01T00:00:00', 'us', 'none')
const TIME_MAX = parseTimestamp('9999-12-31T23:59:59.999999', 'us', 'none')
const MICROS: Record<EpochUnit, bigint> = { s: 1_000_000n, ms: 1_000n, us: 1n }
const WHOLE_MAX = { int: 2n ** 31n, long: 2n ** 63n }

class Converter {
  readonly #options: ConvertOptions
  readonly #problems: RecordProblem[]

  constructor(options: ConvertOptions, problems: RecordProblem[]) {
    this.#options = options
    this.#problems = problems
  }

  members(record: RecordObject, fields: readonly NestedField[], path: string): Row {
    const row: Row = {}
    for (const field of fields) {
      const value = Object.hasOwn(record, field.name) ? record[field.name]! : null
      const where = path === '' ? field.name : `${path}.${field.name}`
      if (value !== null) row[field.name] = this.value(value, field.type, where)
      else if (field.required) this.#fail('MissingField', `${where}: expected a value, got none`)
    }
    return row
  }

  refuseUnknown(record: RecordObject, fields: readonly NestedField[], path: string): void {
    if (this.#options.unknown === 'drop') return
    for (const [name, value] of Object.entries(record)) {
      // Of a member without a value nothing is lost.
      if (value === null || fields.some((field) => field.name === name)) continue
      const near = fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
      const where = path === '' ? name : `${path}.${name}`
      const hint = near === undefined ? '' : `; there is "${near.name}", and names are case-sensitive`
      this.#fail('UnknownField', `${where}: the table has no such column${hint}`)
    }
  }

  value(value: RecordValue, type: Type, path: string): Json {
    if (typeof type === 'string') return this.#primitive(value, type, path)
    switch (type.type) {
      case 'list':
        if (!Array.isArray(value)) return this.#wrong(path, 'an array', value)
        return value.map((item, at) => this.#element(item, type.element, type['element-required'], `${path}[${at}]`))
      case 'map':
        if (!isObject(value)) return this.#wrong(path, 'an object', value)
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [
            this.#primitive(key, 'string', path) as string,
            this.#element(item, type.value, type['value-required'], `${path}.${key}`),
          ]),
        )
      case 'struct':
        if (!isObject(value)) return this.#wrong(path, 'an object', value)
        this.refuseUnknown(value, type.fields, path)
        return this.members(value, type.fields, path)
      default:
        return unreachable(type)
    }
  }

  #element(value: RecordValue, type: Type, required: boolean, path: string): Json {
    if (value !== null) return this.value(value, type, path)
    if (required) this.#fail('MissingField', `${path}: expected a value, got none`)
    return null
  }

  #primitive(value: RecordValue, type: string, path: string): Json {
    switch (type) {
      case 'boolean':
        return typeof value === 'boolean' ? value : this.#wrong(path, 'true or false', value)
      case 'string':
        if (typeof value !== 'string') return this.#wrong(path, 'text', value)
        return value.isWellFormed() ? value : this.#wrong(path, 'text without half of a surrogate pair', value)
      case 'int':
      case 'long':
        return this.#whole(value, type, path)
      case 'float':
      case 'double': {
        const number = value instanceof NumberText ? Number(value.text) : Number.NaN
        const fits = Number.isFinite(type === 'float' ? Math.fround(number) : number)
        return fits ? number : this.#wrong(path, `a number that fits ${type}`, value)
      }
      case 'date':
        return this.#time(value, path, 'a date such as 2026-11-21', (text) => formatDate(parseDate(text)))
      case 'time':
        return this.#time(value, path, 'a time such as 22:31:08', (text) => formatTime(parseTime(text)))
      case 'timestamp':
      case 'timestamptz':
        return this.#timestamp(value, type, path)
      case 'uuid': {
        const fits = typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)
        return fits ? value : this.#wrong(path, 'a UUID with dashes', value)
      }
      case 'binary': {
        const bytes = typeof value === 'string' ? base64Bytes(value) : null
        return bytes === null ? this.#wrong(path, 'bytes in base64', value) : bytes.toString('hex')
      }
      default:
        return this.#decimal(value, type, path)
    }
  }

  #whole(value: RecordValue, type: 'int' | 'long', path: string): Json {
    const parts = value instanceof NumberText ? exactNumber(value.text) : null
    if (parts === null || parts.scale > 0) return this.#wrong(path, `a whole number (${type})`, value)
    const whole = parts.digits * 10n ** BigInt(-parts.scale)
    if (whole < -WHOLE_MAX[type] || whole >= WHOLE_MAX[type])
      return this.#wrong(path, `a number that fits ${type}`, value)
    return whole
  }

  #decimal(value: RecordValue, type: string, path: string): Json {
    const declared = /^decimal\((\d+),\s*(\d+)\)$/.exec(type)
    if (declared === null) return this.#wrong(path, `a value of type ${type}, which records cannot hold`, value)
    const precision = Number(declared[1])
    const scale = Number(declared[2])
    const parts = exactNumber(value instanceof NumberText ? value.text : typeof value === 'string' ? value : '')
    if (parts === null) return this.#wrong(path, `a number or a number as text (${type})`, value)
    if (parts.scale > scale) return this.#wrong(path, `at most ${scale} digits after the point (${type})`, value)
    const unscaled = parts.digits * 10n ** BigInt(scale - parts.scale)
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
    if (digits.length > precision && unscaled !== 0n && String(BigInt(digits)).length > precision) {
      return this.#wrong(path, `at most ${precision - scale} digits before the point (${type})`, value)
    }
    const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
    return unscaled < 0n ? `-${text}` : text
  }

  #timestamp(value: RecordValue, type: 'timestamp' | 'timestamptz', path: string): Json {
    const suffix = type === 'timestamptz' ? 'Z' : ''
    if (value instanceof NumberText) {
      const unit = this.#options.epochUnit
      if (unit === undefined) {
        return this.#wrong(path, 'a timestamp as ISO 8601 text; set epochUnit to take numbers', value)
      }
      const micros = epochMicros(value.text, unit)
      if (micros === null || micros < EPOCH_MIN || micros >= EPOCH_MAX) {
        return this.#wrong(path, `a time between the years 1971 and 2200 in ${unit} since 1970`, value)
      }
      return `${formatTimestamp(micros)}${suffix}`
    }
    const expected =
      type === 'timestamptz'
        ? 'a timestamp with offset such as 2026-11-21T04:00:00Z'
        : 'a timestamp such as 2026-11-21T04:00:00Z'
    return this.#time(value, path, expected, (text) => {
      const zoned = /(Z|[+-]\d\d(:?\d\d)?)$/.test(text.slice(11))
      // A column without zone holds UTC: an offset is applied, none means that it was UTC already.
      const micros = parseTimestamp(text, 'us', zoned || type === 'timestamptz' ? 'required' : 'none')
      if (micros < TIME_MIN || micros > TIME_MAX) throw new Error('expected a year from 1 to 9999')
      return `${formatTimestamp(micros)}${suffix}`
    })
  }

  #time(value: RecordValue, path: string, expected: string, parse: (text: string) => string): Json {
    if (typeof value !== 'string') return this.#wrong(path, expected, value)
    try {
      return parse(value)
    } catch (error) {
      this.#fail('WrongType', `${path}: ${messageOf(error)}`)
      return null
    }
  }

  #wrong(path: string, expected: string, value: RecordValue): null {
    this.#fail('WrongType', `${path}: expected ${expected}, got ${excerpt(value)}`)
    return null
  }

  #fail(code: RecordProblemCode, message: string): void {
    this.#problems.push({ code, message })
  }
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

function epochMicros(text: string, unit: EpochUnit): bigint | null {
  const parts = exactNumber(text)
  if (parts === null) return null
  const { digits, scale } = parts
  if (scale <= 0) return digits * 10n ** BigInt(-scale) * MICROS[unit]
  const scaled = digits * MICROS[unit]
  const divisor = 10n ** BigInt(scale)
  return scaled % divisor === 0n ? scaled / divisor : null
}

/** Base64 with its padding, as the standard has it; null for anything else. */
export function base64Bytes(text: string): Buffer | null {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : null
}

function isObject(value: RecordValue): value is RecordObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText)
}
