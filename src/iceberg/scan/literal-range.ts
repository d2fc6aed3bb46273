/**
 * A literal of a predicate as values of the column's type: the least and the greatest that the engine could compare with.
 *
 * Pruning must never leave out a matching row, so a literal is used only where the engine's comparison is known to be the
 * comparison of values. A FLOAT column may be compared as FLOAT or as DOUBLE: then the range holds both. Anything else
 * (a number for a text, a time without zone for a zoned column, more digits than the column has) gives null: no pruning.
 */
import { isFault } from '../../base/fault.ts'
import type { PrimitiveType } from '../spec/table-metadata.ts'
import { MICROS_PER_DAY, parseDate, parseTime, parseTimestamp } from '../spec/time-text.ts'
import { parsePrimitive } from '../spec/type.ts'
import { parseDecimal } from '../spec/value-json.ts'
import type { Present } from '../spec/value-order.ts'

export interface LiteralRange {
  low: Present
  high: Present
}

export type Literal = string | number | bigint | boolean

/** Doubles have 15 digits for sure: wider decimals are not compared exactly with a number. */
const EXACT_DIGITS = 15

export function literalRange(type: PrimitiveType, literal: Literal): LiteralRange | null {
  try {
    const value = exact(type, literal)
    if (value === null) return null
    if (type === 'float' && typeof value === 'number') {
      const rounded = Math.fround(value)
      return { low: Math.min(value, rounded), high: Math.max(value, rounded) }
    }
    return { low: value, high: value }
  } catch (error) {
    if (isFault(error, 'invalid')) return null
    throw error
  }
}

function exact(type: PrimitiveType, literal: Literal): Present | null {
  const primitive = parsePrimitive(type)
  switch (primitive.kind) {
    case 'boolean':
      return typeof literal === 'boolean' ? literal : null
    case 'int': {
      const whole = wholeOf(literal)
      return whole !== null && BigInt.asIntN(32, whole) === whole ? Number(whole) : null
    }
    case 'long': {
      const whole = wholeOf(literal)
      return whole !== null && BigInt.asIntN(64, whole) === whole ? whole : null
    }
    case 'float':
    case 'double':
      if (typeof literal === 'bigint') return Number.isSafeInteger(Number(literal)) ? Number(literal) : null
      return typeof literal === 'number' && Number.isFinite(literal) ? literal + 0 : null
    case 'decimal':
      if (typeof literal === 'boolean') return null
      if (typeof literal === 'number' && !(Number.isSafeInteger(literal) && primitive.precision <= EXACT_DIGITS))
        return null
      return parseDecimal(String(literal), primitive.precision, primitive.scale)
    case 'date':
      return typeof literal === 'string' ? parseDate(literal) : null
    case 'time':
      return typeof literal === 'string' ? parseTime(literal) : null
    case 'timestamp':
      if (typeof literal !== 'string') return null
      return /^\d{4}-\d\d-\d\d$/.test(literal)
        ? BigInt(parseDate(literal)) * MICROS_PER_DAY
        : parseTimestamp(literal, 'us', 'none')
    case 'timestamptz':
      return typeof literal === 'string' ? parseTimestamp(literal, 'us', 'required') : null
    case 'string':
      return typeof literal === 'string' && literal.isWellFormed() ? literal : null
    case 'uuid':
      return typeof literal === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(literal)
        ? literal.toLowerCase()
        : null
    default:
      return null
  }
}

function wholeOf(literal: Literal): bigint | null {
  if (typeof literal === 'bigint') return literal
  return typeof literal === 'number' && Number.isSafeInteger(literal) ? BigInt(literal) : null
}
