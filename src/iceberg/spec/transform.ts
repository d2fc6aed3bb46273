/**
 * Partition and sort transforms (Iceberg spec, "Partition Transforms", Appendix B for hashes): text to parts, result
 * types, applying to values, and turning a filter on a column into one on its partition.
 */
import { Fault } from '../../base/fault.ts'
import type { Value } from './manifest.ts'
import { murmur3 } from './murmur3.ts'
import { cutText, decimalToBytes, uuidToBytes } from './single-value.ts'
import type { PrimitiveType, Transform } from './table-metadata.ts'
import { civilFromDays, floorDiv } from './time-text.ts'
import { parsePrimitive } from './type.ts'
import { describe, type Present } from './value-order.ts'

export type ParsedTransform =
  | { kind: 'identity' | 'year' | 'month' | 'day' | 'hour' | 'void' }
  | { kind: 'bucket'; buckets: number }
  | { kind: 'truncate'; width: number }
  /** A transform of a later specification: readers ignore the field, writers refuse the spec. */
  | { kind: 'unknown'; text: string }

const NAMED = new Set(['identity', 'year', 'month', 'day', 'hour', 'void'])

/** Text of a transform → its parts; what is not known becomes kind `unknown`. */
export function parseTransform(text: Transform): ParsedTransform {
  const name = text.trim().toLowerCase()
  if (NAMED.has(name)) return { kind: name as 'identity' }
  const match = /^(bucket|truncate)\s*\[\s*(\d{1,10})\s*\]$/.exec(name)
  const parameter = Number(match?.[2])
  if (match !== null && parameter >= 1 && parameter <= 0x7fff_ffff) {
    return match[1] === 'bucket' ? { kind: 'bucket', buckets: parameter } : { kind: 'truncate', width: parameter }
  }
  return { kind: 'unknown', text }
}

/** Parts → the text in metadata, e.g. `bucket[16]`. */
export function formatTransform(transform: ParsedTransform): Transform {
  switch (transform.kind) {
    case 'bucket':
      return `bucket[${transform.buckets}]`
    case 'truncate':
      return `truncate[${transform.width}]`
    case 'unknown':
      return transform.text
    default:
      return transform.kind
  }
}

const TIMESTAMPS = new Set(['timestamp', 'timestamptz', 'timestamp_ns', 'timestamptz_ns'])
const HASHED = new Set(['int', 'long', 'decimal', 'date', 'time', 'string', 'uuid', 'fixed', 'binary', ...TIMESTAMPS])
const TRUNCATED = new Set(['int', 'long', 'decimal', 'string', 'binary'])
const NOT_IDENTITY = new Set(['geometry', 'geography', 'variant'])

/** May the transform be applied to columns of this type? False for unknown transforms. */
export function canTransform(transform: Transform, source: PrimitiveType): boolean {
  const { kind } = parsePrimitive(source)
  switch (parseTransform(transform).kind) {
    case 'identity':
      return !NOT_IDENTITY.has(kind)
    case 'bucket':
      return HASHED.has(kind)
    case 'truncate':
      return TRUNCATED.has(kind)
    case 'year':
    case 'month':
    case 'day':
      return kind === 'date' || TIMESTAMPS.has(kind)
    case 'hour':
      return TIMESTAMPS.has(kind)
    case 'void':
      return true
    case 'unknown':
      return false
  }
}

/** The type of the transform's results. Unknown transforms give `unknown`. */
export function resultType(transform: Transform, source: PrimitiveType): PrimitiveType {
  switch (parseTransform(transform).kind) {
    case 'identity':
    case 'truncate':
    case 'void':
      return source
    case 'day':
      return 'date'
    case 'bucket':
    case 'year':
    case 'month':
    case 'hour':
      return 'int'
    case 'unknown':
      return 'unknown'
  }
}

/**
 * The partition value of a column value; null for null.
 * @throws Fault `unsupported` for a transform that is unknown or not defined for the type, `invalid` for a value that does
 * not belong to the type
 */
export function applyTransform(transform: Transform, source: PrimitiveType, value: Value): Value {
  const parsed = parseTransform(transform)
  if (parsed.kind === 'unknown' || !canTransform(transform, source)) {
    throw new Fault('unsupported', `the transform ${transform} is not defined for columns of type ${source}`, {
      transform,
      type: source,
    })
  }
  if (value === null || parsed.kind === 'void') return null
  switch (parsed.kind) {
    case 'identity':
      return value
    case 'bucket':
      return (hashValue(source, value) & 0x7fff_ffff) % parsed.buckets
    case 'truncate':
      return truncate(source, value, parsed.width)
    case 'year':
      return civilFromDays(daysOf(source, value)).year - 1970
    case 'month': {
      const { year, month } = civilFromDays(daysOf(source, value))
      return (year - 1970) * 12 + month - 1
    }
    case 'day':
      return daysOf(source, value)
    case 'hour':
      return Number(floorDiv(bigintOf(source, value), ticksPerSecond(source) * 3600n))
  }
}

/** The 32-bit hash of a value (spec, Appendix B), signed. Also for types that cannot be bucketed, except unknown ones. */
export function hashValue(source: PrimitiveType, value: Present): number {
  const { kind } = parsePrimitive(source)
  switch (kind) {
    case 'int':
    case 'date':
      return hashLong(BigInt(numberOf(source, value)))
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return hashLong(bigintOf(source, value))
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return hashLong(floorDiv(bigintOf(source, value), 1000n))
    case 'decimal':
      return murmur3(decimalToBytes(bigintOf(source, value)))
    case 'string':
      if (typeof value === 'string') return murmur3(Buffer.from(value, 'utf8'))
      break
    case 'uuid':
      if (typeof value === 'string') return murmur3(uuidToBytes(value))
      break
    case 'fixed':
    case 'binary':
      if (value instanceof Uint8Array) return murmur3(value)
      break
    case 'boolean':
      if (typeof value === 'boolean') return hashLong(value ? 1n : 0n)
      break
    case 'float':
    case 'double':
      return hashDouble(numberOf(source, value))
    case 'unknown':
    case 'variant':
    case 'geometry':
    case 'geography':
      throw new Fault('unsupported', `values of type ${source} have no hash in the format`, { type: source })
  }
  throw mismatch(source, value)
}

function hashLong(value: bigint): number {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt.asIntN(64, value))
  return murmur3(bytes)
}

function hashDouble(value: number): number {
  const bytes = Buffer.alloc(8)
  // Adding zero turns -0.0 into 0.0; every NaN becomes the one bit pattern.
  bytes.writeDoubleLE(Number.isNaN(value) ? Number.NaN : value + 0)
  return murmur3(bytes)
}

function truncate(source: PrimitiveType, value: Present, width: number): Value {
  if (typeof value === 'string') return cutText(value, width)
  if (value instanceof Uint8Array) return value.subarray(0, width)
  const { kind } = parsePrimitive(source)
  if (kind === 'int') {
    const int = numberOf(source, value)
    // Java's library computes in 32 (64) bits and wraps below the least value; partitions must agree with its own.
    return (int - (((int % width) + width) % width)) | 0
  }
  const step = BigInt(width)
  const whole = bigintOf(source, value)
  const down = whole - (((whole % step) + step) % step)
  return kind === 'long' ? BigInt.asIntN(64, down) : down
}

function daysOf(source: PrimitiveType, value: Present): number {
  if (parsePrimitive(source).kind === 'date') return numberOf(source, value)
  return Number(floorDiv(bigintOf(source, value), ticksPerSecond(source) * 86_400n))
}

function ticksPerSecond(source: PrimitiveType): bigint {
  return source.endsWith('_ns') ? 1_000_000_000n : 1_000_000n
}

function numberOf(source: PrimitiveType, value: Present): number {
  if (typeof value === 'number') return value
  throw mismatch(source, value)
}

function bigintOf(source: PrimitiveType, value: Present): bigint {
  if (typeof value === 'bigint') return value
  throw mismatch(source, value)
}

function mismatch(source: PrimitiveType, value: Present): Fault {
  return new Fault('invalid', `expected a value of type ${source} in memory, got ${describe(value)}`, { type: source })
}
