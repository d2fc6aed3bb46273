/**
 * The order of values of one type, as bounds and partition pruning need it (Iceberg spec, "Sorting" and "Manifests").
 * Floats: -Infinity < … < -0.0 < 0.0 < … < Infinity < NaN. Text by code point, which is the order of its UTF-8 bytes.
 * Binary, fixed and uuid by unsigned bytes.
 */
import { Fault } from '../../base/fault.ts'
import type { Value } from './manifest.ts'
import type { PrimitiveType } from './table-metadata.ts'
import { parsePrimitive } from './type.ts'

/** A value that is not null. */
export type Present = Exclude<Value, null>

/**
 * Negative, zero or positive as `a` is before, equal to or after `b`. Both are values of `type` in memory (see `Value`).
 * @throws Fault `invalid` when a value does not belong to the type, `unsupported` for types without an order
 */
export function compareValues(type: PrimitiveType, a: Present, b: Present): number {
  const { kind } = parsePrimitive(type)
  switch (kind) {
    case 'boolean':
      if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
      break
    case 'int':
    case 'date':
      if (typeof a === 'number' && typeof b === 'number') return a - b
      break
    case 'float':
    case 'double':
      if (typeof a === 'number' && typeof b === 'number') return compareFloats(a, b)
      break
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
    case 'decimal':
      if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0
      break
    case 'string':
      if (typeof a === 'string' && typeof b === 'string') return compareText(a, b)
      break
    case 'uuid':
      if (typeof a === 'string' && typeof b === 'string') return compareText(a.toLowerCase(), b.toLowerCase())
      break
    case 'binary':
    case 'fixed':
      if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
      break
    case 'unknown':
    case 'variant':
    case 'geometry':
    case 'geography':
      throw new Fault('unsupported', `values of type ${type} have no order that the format defines`, { type })
  }
  throw new Fault('invalid', `expected two values of type ${type}, got ${describe(a)} and ${describe(b)}`, { type })
}

/** What a value is, for messages; never its content. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (value instanceof Uint8Array) return `${value.length} bytes`
  return `a ${typeof value}`
}

function compareFloats(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return a !== 0 ? 0 : signOfZero(a) - signOfZero(b)
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}

function signOfZero(zero: number): number {
  return Object.is(zero, -0) ? -1 : 0
}

/** Text by code point. JavaScript's own `<` compares UTF-16 units and puts U+FFFF after U+10000. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at)
    const y = b.charCodeAt(at)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

/** Surrogates (parts of U+10000 and above) rank after all other units. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
