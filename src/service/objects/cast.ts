/**
 * JSON → a column's type, in the form that rows travel in (`change/table-change.ts`). Strict: a value that is not of the
 * type is null and counts as a misfit. EXIF rationals (`{numerator, denominator}`) count as numbers, EXIF date texts
 * (`2024:05:01 10:00:00`) as timestamps without zone.
 */
import { unreachable } from '../../base/assert.ts'
import { isFault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { microsecondsOf } from '../../change/sequence.ts'
import type { Type } from '../../iceberg/spec/table-metadata.ts'
import { formatTimestamp } from '../../iceberg/spec/time-text.ts'

export interface Cast {
  value: Json
  /** How many values inside did not fit. Null is always fine. */
  misfits: number
}

const FITS = (value: Json): Cast => ({ value, misfits: 0 })
const MISFIT: Cast = { value: null, misfits: 1 }

const INT_MAX = 2n ** 31n
const LONG_MAX = 2n ** 63n

export function castJson(value: Json | undefined, type: Type): Cast {
  if (value === null || value === undefined) return FITS(null)
  if (typeof type === 'string') return castPrimitive(value, type)
  switch (type.type) {
    case 'list': {
      if (!Array.isArray(value)) return MISFIT
      const items = value.map((item) => castJson(item, type.element))
      return { value: items.map((item) => item.value), misfits: sum(items) }
    }
    case 'map': {
      if (!isObject(value)) return MISFIT
      return castMembers(Object.entries(value).map(([key, item]) => [key, castJson(item, type.value)]))
    }
    case 'struct': {
      if (!isObject(value)) return MISFIT
      return castMembers(
        type.fields.map((field) => [
          field.name,
          castJson(Object.hasOwn(value, field.name) ? value[field.name] : null, field.type),
        ]),
      )
    }
    default:
      return unreachable(type)
  }
}

function castMembers(members: [string, Cast][]): Cast {
  return {
    value: Object.fromEntries(members.map(([key, cast]) => [key, cast.value])),
    misfits: sum(members.map(([, cast]) => cast)),
  }
}

function sum(casts: readonly Cast[]): number {
  return casts.reduce((total, cast) => total + cast.misfits, 0)
}

function castPrimitive(value: Json, type: string): Cast {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean' ? FITS(value) : MISFIT
    case 'string':
      return typeof value === 'string' ? FITS(value) : typeof value === 'object' ? MISFIT : FITS(String(value))
    case 'int':
      return wholeNumber(value, INT_MAX)
    case 'long':
      return wholeNumber(value, LONG_MAX)
    case 'float': {
      const number = numeric(value)
      return number === null || !Number.isFinite(Math.fround(number)) ? MISFIT : FITS(number)
    }
    case 'double': {
      const number = numeric(value)
      return number === null ? MISFIT : FITS(number)
    }
    case 'date':
      return match(
        value,
        /^(\d{4})[-:](\d{2})[-:](\d{2})(?:$|[T ])/,
        ([, year, month, day]) => `${year}-${month}-${day}`,
      )
    case 'timestamp':
      return match(
        value,
        /^(\d{4})[-:](\d{2})[-:](\d{2})[T ](\d{2}:\d{2}:\d{2})(\.\d{1,6})?\d{0,3}Z?$/,
        ([, year, month, day, time, fraction]) => `${year}-${month}-${day} ${time}${fraction ?? ''}`,
      )
    case 'timestamptz':
      return instant(value)
    default:
      return type.startsWith('decimal(') ? decimal(value, type) : MISFIT
  }
}

function wholeNumber(value: Json, bound: bigint): Cast {
  if (typeof value !== 'bigint' && !(typeof value === 'number' && Number.isSafeInteger(value))) return MISFIT
  const whole = BigInt(value)
  return whole >= -bound && whole < bound ? FITS(value) : MISFIT
}

/** A finite number, also of an EXIF rational; null for anything else. */
function numeric(value: Json): number | null {
  if (typeof value === 'bigint') return Number(value)
  if (isObject(value) && typeof value['numerator'] === 'number' && typeof value['denominator'] === 'number') {
    const quotient = value['numerator'] / value['denominator']
    return Number.isFinite(quotient) ? quotient : null
  }
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function decimal(value: Json, type: string): Cast {
  const [, precision, scale] = /^decimal\((\d+),\s*(\d+)\)$/.exec(type)!.map(Number)
  const number = typeof value === 'string' || typeof value === 'bigint' ? value : numeric(value)
  if (number === null) return MISFIT
  const digits = /^(-?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(String(number))
  if (digits === null || (digits[2] === '' && (digits[3] ?? '') === '' && !/\d/.test(String(number)))) return MISFIT
  const [, , whole = '', fraction = ''] = digits
  return fraction.length <= scale! && whole.length <= precision! - scale! ? FITS(String(number)) : MISFIT
}

function match(value: Json, pattern: RegExp, build: (groups: RegExpExecArray) => string): Cast {
  const groups = typeof value === 'string' ? pattern.exec(value) : null
  if (groups === null) return MISFIT
  const text = build(groups)
  // Rejects 2024-02-31 and 25:00:00, which the reader would refuse for the whole batch.
  const parsed = new Date(`${text.slice(0, 10)}T${text.slice(11, 19) || '00:00:00'}Z`)
  if (Number.isNaN(parsed.getTime()) || !parsed.toISOString().startsWith(text.slice(0, 10))) return MISFIT
  return FITS(text)
}

/** A time with its offset as text in UTC: which texts a database takes beyond that depends on the database. */
function instant(value: Json): Cast {
  if (typeof value !== 'string') return MISFIT
  try {
    const text = formatTimestamp(microsecondsOf(value))
    return /^\d{4}-/.test(text) ? FITS(`${text}Z`) : MISFIT
  } catch (error) {
    if (isFault(error, 'invalid')) return MISFIT
    throw error
  }
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
