/**
 * Single values as bytes (Iceberg spec, Appendix D, "Binary single-value serialization") and the bounds made of them.
 * Bounds do not say which type they were written with: after a promotion a long may have 4 bytes (spec, "Schema
 * Evolution"), and reading takes that into account.
 */
import { Fault } from '../../base/fault.ts'
import type { PrimitiveType } from './table-metadata.ts'
import { formatPrimitive, type Primitive, parsePrimitive } from './type.ts'
import { describe, type Present } from './value-order.ts'

/** Lengths of string (code points) and binary (bytes) bounds: what Java's and Python's libraries write by default. */
export const BOUND_LENGTH = 16

/**
 * Value → bytes. The result may share memory with a binary value.
 * @throws Fault `invalid` when the value does not belong to the type or exceeds its range, `unsupported` for types that
 * the format gives no binary form
 */
export function valueToBytes(type: PrimitiveType, value: Present): Uint8Array {
  const primitive = parsePrimitive(type)
  const kind = primitive.kind
  switch (kind) {
    case 'boolean':
      if (typeof value === 'boolean') return Uint8Array.of(value ? 1 : 0)
      break
    case 'int':
    case 'date':
      if (typeof value === 'number' && Number.isInteger(value) && value === (value | 0)) {
        const bytes = Buffer.alloc(4)
        bytes.writeInt32LE(value)
        return bytes
      }
      break
    case 'float':
      if (typeof value === 'number') {
        const bytes = Buffer.alloc(4)
        bytes.writeFloatLE(value)
        return bytes
      }
      break
    case 'double':
      if (typeof value === 'number') {
        const bytes = Buffer.alloc(8)
        bytes.writeDoubleLE(value)
        return bytes
      }
      break
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) {
        const bytes = Buffer.alloc(8)
        bytes.writeBigInt64LE(value)
        return bytes
      }
      break
    case 'decimal':
      if (typeof value === 'bigint' && fitsPrecision(value, primitive.precision)) return decimalToBytes(value)
      break
    case 'string':
      if (typeof value === 'string' && value.isWellFormed()) return Buffer.from(value, 'utf8')
      break
    case 'uuid':
      if (typeof value === 'string') return uuidToBytes(value)
      break
    case 'fixed':
      // A bound of a long fixed may be cut.
      if (value instanceof Uint8Array && value.length <= primitive.length) return value
      break
    case 'binary':
    case 'geometry':
    case 'geography':
      if (value instanceof Uint8Array) return value
      break
    case 'unknown':
    case 'variant':
      throw new Fault('unsupported', `type ${type} has no single-value bytes in the format`, { type })
  }
  throw new Fault('invalid', `expected a value of type ${type} within its range, got ${describe(value)}`, { type })
}

/**
 * Bytes → value. Bytes written before a promotion of the column are read by the type they had then.
 * @throws Fault `corrupt` when the length does not fit the type, `unsupported` for types without binary form
 */
export function valueFromBytes(type: PrimitiveType, bytes: Uint8Array): Present {
  const primitive = parsePrimitive(type)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  switch (primitive.kind) {
    case 'boolean':
      if (buffer.length === 1) return buffer[0] !== 0
      break
    case 'int':
    case 'date':
      if (buffer.length === 4) return buffer.readInt32LE()
      break
    case 'float':
      if (buffer.length === 4) return buffer.readFloatLE()
      break
    case 'double':
      if (buffer.length === 8) return buffer.readDoubleLE()
      if (buffer.length === 4) return buffer.readFloatLE()
      break
    case 'long':
      if (buffer.length === 8) return buffer.readBigInt64LE()
      if (buffer.length === 4) return BigInt(buffer.readInt32LE())
      break
    case 'timestamp':
    case 'timestamp_ns':
      if (buffer.length === 8) return buffer.readBigInt64LE()
      if (buffer.length === 4) return dateAsTimestamp(primitive.kind, buffer.readInt32LE())
      break
    case 'time':
    case 'timestamptz':
    case 'timestamptz_ns':
      if (buffer.length === 8) return buffer.readBigInt64LE()
      break
    case 'decimal':
      if (buffer.length >= 1 && buffer.length <= 17) return decimalFromBytes(buffer)
      break
    case 'string':
      return buffer.toString('utf8')
    case 'uuid':
      if (buffer.length === 16) return uuidFromBytes(buffer)
      break
    case 'fixed':
      if (buffer.length <= primitive.length) return bytes
      break
    case 'binary':
    case 'geometry':
    case 'geography':
      return bytes
    case 'unknown':
    case 'variant':
      throw new Fault('unsupported', `type ${type} has no single-value bytes in the format`, { type })
  }
  throw new Fault('corrupt', `expected the bytes of a ${formatPrimitive(primitive)}, got ${bytes.length} bytes`, {
    type,
  })
}

function dateAsTimestamp(kind: 'timestamp' | 'timestamp_ns', days: number): bigint {
  return BigInt(days) * 86_400n * (kind === 'timestamp' ? 1_000_000n : 1_000_000_000n)
}

const POWERS_OF_TEN = Array.from({ length: 39 }, (_, digits) => 10n ** BigInt(digits))

/** Has the unscaled value at most so many digits? */
export function fitsPrecision(unscaled: bigint, precision: number): boolean {
  const bound = POWERS_OF_TEN[precision]
  return bound !== undefined && unscaled > -bound && unscaled < bound
}

/** Unscaled value → two's complement, big-endian, as few bytes as hold it. */
export function decimalToBytes(unscaled: bigint): Uint8Array {
  let length = 1
  while (BigInt.asIntN(length * 8, unscaled) !== unscaled) length++
  return signedBytes(unscaled, length)
}

/** Two's complement, big-endian, of exactly this length; higher bits are cut off. */
export function signedBytes(value: bigint, length: number): Buffer {
  const unsigned = BigInt.asUintN(length * 8, value)
  return Buffer.from(unsigned.toString(16).padStart(length * 2, '0'), 'hex')
}

/** Two's complement, big-endian, of any length from 1 → unscaled value. */
export function decimalFromBytes(bytes: Uint8Array): bigint {
  return BigInt.asIntN(bytes.length * 8, BigInt(`0x${Buffer.from(bytes).toString('hex')}`))
}

/** Text of a UUID in any case → 16 bytes. @throws Fault `invalid` */
export function uuidToBytes(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) {
    throw new Fault(
      'invalid',
      `expected a UUID such as f79c3e09-677c-4bbd-a479-3f349cb785e7, got "${text.slice(0, 80)}"`,
    )
  }
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}

/** 16 bytes → text of a UUID, lower case. */
export function uuidFromBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** A lower bound of at most `length` code points or bytes: string and binary are cut, others kept as they are. */
export function truncateLowerBound(type: PrimitiveType, value: Present, length: number = BOUND_LENGTH): Present {
  if (!isCut(parsePrimitive(type))) return value
  if (typeof value === 'string') return cutText(value, length)
  return value instanceof Uint8Array ? value.subarray(0, length) : value
}

/**
 * An upper bound of at most `length` code points or bytes. A cut one is rounded up, so that it is not below the value;
 * undefined when nothing of that length is above (leave the bound out then: an absent bound says nothing).
 */
export function truncateUpperBound(
  type: PrimitiveType,
  value: Present,
  length: number = BOUND_LENGTH,
): Present | undefined {
  if (!isCut(parsePrimitive(type))) return value
  if (typeof value === 'string') return roundTextUp(value, length)
  return value instanceof Uint8Array ? roundBytesUp(value, length) : value
}

function isCut(primitive: Primitive): boolean {
  return primitive.kind === 'string' || primitive.kind === 'binary' || primitive.kind === 'fixed'
}

/** The first `length` code points. */
export function cutText(text: string, length: number): string {
  if (text.length <= length) return text
  let units = 0
  for (let points = 0; points < length && units < text.length; points++) {
    units += text.codePointAt(units)! > 0xffff ? 2 : 1
  }
  return text.slice(0, units)
}

function roundTextUp(text: string, length: number): string | undefined {
  const cut = cutText(text, length)
  if (cut.length === text.length) return text
  const points = Array.from(cut, (char) => char.codePointAt(0)!)
  for (let at = points.length - 1; at >= 0; at--) {
    const next = nextCodePoint(points[at]!)
    if (next !== undefined) return String.fromCodePoint(...points.slice(0, at), next)
  }
  return undefined
}

function nextCodePoint(point: number): number | undefined {
  if (point >= 0x10ffff) return undefined
  const next = point + 1
  return next >= 0xd800 && next <= 0xdfff ? 0xe000 : next
}

function roundBytesUp(bytes: Uint8Array, length: number): Uint8Array | undefined {
  if (bytes.length <= length) return bytes
  for (let at = length - 1; at >= 0; at--) {
    if (bytes[at] !== 0xff) {
      const rounded = bytes.slice(0, at + 1)
      rounded[at] = bytes[at]! + 1
      return rounded
    }
  }
  return undefined
}
