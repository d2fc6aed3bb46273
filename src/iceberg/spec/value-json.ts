/**
 * Single values as JSON (Iceberg spec, Appendix D, "JSON single-value serialization") and as text for people and for
 * partition paths. Only primitive types: nested defaults stay JSON.
 */
import { Fault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import type { Value } from './manifest.ts'
import { fitsPrecision, uuidFromBytes, uuidToBytes } from './single-value.ts'
import type { PrimitiveType, Transform } from './table-metadata.ts'
import {
  formatDate,
  formatTime,
  formatTimestamp,
  formatYear,
  MICROS_PER_DAY,
  parseDate,
  parseTime,
  parseTimestamp,
} from './time-text.ts'
import { parseTransform, resultType } from './transform.ts'
import { parsePrimitive } from './type.ts'
import { describe, type Present } from './value-order.ts'

/**
 * Value → JSON by type; null stays null.
 * @throws Fault `invalid` for a value of another type, `unsupported` for NaN and infinities (JSON has none) and for types
 * without a JSON form here
 */
export function valueToJson(type: PrimitiveType, value: Value): Json {
  if (value === null) return null
  const primitive = parsePrimitive(type)
  const { kind } = primitive
  switch (kind) {
    case 'boolean':
      if (typeof value === 'boolean') return value
      break
    case 'int':
      if (typeof value === 'number') return value
      break
    case 'float':
    case 'double':
      if (typeof value === 'number') {
        if (!Number.isFinite(value)) throw new Fault('unsupported', `JSON cannot hold the ${kind} ${value}`, { type })
        return value
      }
      break
    case 'long':
      if (typeof value === 'bigint') return value
      break
    case 'decimal':
      if (typeof value === 'bigint') return formatDecimal(value, primitive.scale)
      break
    case 'date':
      if (typeof value === 'number') return formatDate(value)
      break
    case 'time':
      if (typeof value === 'bigint') return formatTime(value)
      break
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      if (typeof value === 'bigint') {
        const text = formatTimestamp(value, kind.endsWith('_ns') ? 'ns' : 'us')
        return kind.startsWith('timestamptz') ? `${text}+00:00` : text
      }
      break
    case 'string':
    case 'uuid':
      if (typeof value === 'string') return value
      break
    case 'fixed':
    case 'binary':
      if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
      break
    case 'unknown':
    case 'variant':
    case 'geometry':
    case 'geography':
      throw new Fault('unsupported', `values of type ${type} have no JSON form here`, { type })
  }
  throw new Fault('invalid', `expected a value of type ${type} in memory, got ${describe(value)}`, { type })
}

/** JSON → value by type; null stays null. @throws Fault `invalid` when the JSON is no value of the type */
export function valueFromJson(type: PrimitiveType, json: Json): Value {
  if (json === null) return null
  const primitive = parsePrimitive(type)
  const wrong = (): Fault =>
    new Fault('invalid', `expected the JSON of a ${type}, got ${JSON.stringify(json, bigintAsText)?.slice(0, 80)}`, {
      type,
    })
  switch (primitive.kind) {
    case 'boolean':
      if (typeof json === 'boolean') return json
      break
    case 'int':
      if (typeof json === 'number' && json === (json | 0)) return json
      break
    case 'float':
    case 'double':
      if (typeof json === 'number') return primitive.kind === 'float' ? Math.fround(json) : json
      if (typeof json === 'bigint') return Number(json)
      break
    case 'long':
      if (typeof json === 'bigint' && BigInt.asIntN(64, json) === json) return json
      if (typeof json === 'number' && Number.isSafeInteger(json)) return BigInt(json)
      break
    case 'decimal':
      if (typeof json === 'string') return parseDecimal(json, primitive.precision, primitive.scale)
      break
    case 'date':
      if (typeof json === 'string') return parseDate(json)
      break
    case 'time':
      if (typeof json === 'string') return parseTime(json)
      break
    case 'timestamp':
    case 'timestamp_ns':
      if (typeof json === 'string') return parseTimestamp(json, primitive.kind === 'timestamp' ? 'us' : 'ns', 'none')
      break
    case 'timestamptz':
    case 'timestamptz_ns':
      if (typeof json === 'string') {
        return parseTimestamp(json, primitive.kind === 'timestamptz' ? 'us' : 'ns', 'required')
      }
      break
    case 'string':
      if (typeof json === 'string') return json
      break
    case 'uuid':
      if (typeof json === 'string') return uuidFromBytes(uuidToBytes(json))
      break
    case 'fixed':
    case 'binary':
      if (typeof json === 'string' && /^(?:[0-9a-f]{2})*$/i.test(json)) {
        if (primitive.kind === 'fixed' && json.length !== primitive.length * 2) throw wrong()
        return new Uint8Array(Buffer.from(json, 'hex'))
      }
      break
    case 'unknown':
    case 'variant':
    case 'geometry':
    case 'geography':
      throw new Fault('unsupported', `values of type ${type} have no JSON form here`, { type })
  }
  throw wrong()
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** Unscaled 1420 of scale 2 → `14.20`. */
export function formatDecimal(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const sign = unscaled < 0n ? '-' : ''
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

/**
 * Decimal text, also with exponent, → unscaled value of exactly this scale; zeros are added or dropped, digits never.
 * @throws Fault `invalid` when it is no decimal, or does not fit precision and scale
 */
export function parseDecimal(text: string, precision: number, scale: number): bigint {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text)
  const whole = match?.[2] ?? ''
  const fraction = match?.[3] ?? ''
  const expected = `a decimal of at most ${precision} digits, ${scale} of them after the point`
  if (match === null || whole + fraction === '')
    throw new Fault('invalid', `expected ${expected}, got "${text.slice(0, 80)}"`)
  const shift = scale - fraction.length + Number(match[4] ?? '0')
  const digits = BigInt(whole + fraction)
  const power = 10n ** BigInt(Math.abs(shift))
  if (shift < 0 && digits % power !== 0n) throw new Fault('invalid', `expected ${expected}, got "${text.slice(0, 80)}"`)
  const magnitude = shift < 0 ? digits / power : digits * power
  if (!fitsPrecision(magnitude, precision))
    throw new Fault('invalid', `expected ${expected}, got "${text.slice(0, 80)}"`)
  return match[1] === '-' ? -magnitude : magnitude
}

/**
 * A partition value as people read it, and as partition paths have it: `2024`, `2024-03`, `2024-03-01`, `2024-03-01-05` for
 * time transforms, base64 for bytes, `null` for null. They follow those of Java's library (which leaves out the seconds of whole minutes).
 */
export function humanValue(transform: Transform, source: PrimitiveType, value: Value): string {
  if (value === null) return 'null'
  const parsed = parseTransform(transform)
  if (typeof value === 'number') {
    switch (parsed.kind) {
      case 'year':
        return formatYear(1970 + value)
      case 'month':
        return `${formatYear(1970 + Math.floor(value / 12))}-${String((((value % 12) + 12) % 12) + 1).padStart(2, '0')}`
      case 'day':
        return formatDate(value)
      case 'hour':
        return `${formatDate(Math.floor(value / 24))}-${String(((value % 24) + 24) % 24).padStart(2, '0')}`
      default:
    }
  }
  return humanText(parsed.kind === 'unknown' ? null : resultType(transform, source), value)
}

function humanText(type: PrimitiveType | null, value: Present): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (type === null || typeof value === 'string' || typeof value === 'boolean') return String(value)
  const primitive = parsePrimitive(type)
  if (typeof value === 'number') return primitive.kind === 'date' ? formatDate(value) : String(value)
  switch (primitive.kind) {
    case 'decimal':
      return formatDecimal(value, primitive.scale)
    case 'time':
      return value >= 0n && value < MICROS_PER_DAY ? formatTime(value) : String(value)
    case 'timestamp':
      return formatTimestamp(value)
    case 'timestamptz':
      return `${formatTimestamp(value)}+00:00`
    case 'timestamp_ns':
      return formatTimestamp(value, 'ns')
    case 'timestamptz_ns':
      return `${formatTimestamp(value, 'ns')}+00:00`
    default:
      return String(value)
  }
}
