/**
 * Runs: how the streams of an ORC file write numbers, bits and bytes (ORC Specification v1, "Run Length Encoding"). Pure.
 *
 * Numbers are exact up to 2^53; a greater one is refused.
 */
import { Fault } from '../base/fault.ts'
import { cutOff, varint } from './orc-tail.ts'

interface Cursor {
  bytes: Uint8Array
  offset: number
}

/** `count` bytes. @throws Fault `corrupt` */
export function byteRuns(bytes: Uint8Array, count: number): Uint8Array {
  const values = new Uint8Array(count)
  const at: Cursor = { bytes, offset: 0 }
  let filled = 0
  while (filled < count) {
    const control = byteAt(at)
    if (control < 0x80) {
      const end = Math.min(count, filled + control + 3)
      values.fill(byteAt(at), filled, end)
      filled = end
    } else {
      for (let left = 256 - control; left > 0; left--) {
        const value = byteAt(at)
        if (filled < count) values[filled++] = value
      }
    }
  }
  return values
}

/** `count` bits, the highest of each byte first. @throws Fault `corrupt` */
export function bitRuns(bytes: Uint8Array, count: number): boolean[] {
  const packed = byteRuns(bytes, Math.ceil(count / 8))
  return Array.from({ length: count }, (_, at) => ((packed[at >> 3]! >> (7 - (at & 7))) & 1) === 1)
}

/** `count` numbers of the first form of runs. @throws Fault `corrupt` */
export function numberRunsV1(bytes: Uint8Array, count: number, signed: boolean): number[] {
  const values: number[] = []
  const at: Cursor = { bytes, offset: 0 }
  const next = () => number(varint(bytes, at), signed)
  while (values.length < count) {
    const control = byteAt(at)
    if (control < 0x80) {
      const delta = (byteAt(at) << 24) >> 24
      const base = next()
      for (let index = 0; index < control + 3; index++) values.push(base + index * delta)
    } else {
      for (let left = 256 - control; left > 0; left--) values.push(next())
    }
  }
  return ofCount(values, count)
}

/** `count` numbers of the second form of runs. @throws Fault `corrupt` */
export function numberRunsV2(bytes: Uint8Array, count: number, signed: boolean): number[] {
  const values: number[] = []
  const at: Cursor = { bytes, offset: 0 }
  while (values.length < count) {
    const header = byteAt(at)
    switch (header >> 6) {
      case 0: {
        const value = number(bigEndian(at, ((header >> 3) & 7) + 1), signed)
        for (let left = (header & 7) + 3; left > 0; left--) values.push(value)
        break
      }
      case 1: {
        const length = lengthOf(header, at)
        for (const value of bitPacked(at, length, widthOf(header))) values.push(number(value, signed))
        break
      }
      case 2:
        values.push(...patched(header, at))
        break
      default:
        values.push(...deltas(header, at, signed))
    }
  }
  return ofCount(values, count)
}

/** Most are small and some are large: the large ones have their high bits in a list of patches. */
function patched(header: number, at: Cursor): number[] {
  const width = widthOf(header)
  const length = lengthOf(header, at)
  const third = byteAt(at)
  const fourth = byteAt(at)
  const patchWidth = WIDTHS[third & 0x1f]!
  const gapWidth = (fourth >> 5) + 1
  const base = signedMagnitude(at, (third >> 5) + 1)
  const values = bitPacked(at, length, width)
  let place = 0
  for (const entry of bitPacked(at, fourth & 0x1f, closestWidth(gapWidth + patchWidth))) {
    const scale = 2 ** patchWidth
    place += Math.floor(entry / scale)
    const patch = entry % scale
    if (patch > 0) values[place] = safe((values[place] ?? 0) + patch * 2 ** width)
  }
  return values.map((value) => safe(base + value))
}

/** Ascending or descending, each by what it differs from the one before. */
function deltas(header: number, at: Cursor, signed: boolean): number[] {
  const width = (header >> 1) & 0x1f
  const length = lengthOf(header, at)
  const base = number(varint(at.bytes, at), signed)
  const first = number(varint(at.bytes, at), true)
  const values = [base]
  if (length > 1) values.push(safe(base + first))
  if (width === 0) {
    while (values.length < length) values.push(safe(values.at(-1)! + first))
    return values
  }
  const sign = first < 0 ? -1 : 1
  for (const delta of bitPacked(at, length - 2, WIDTHS[width]!)) values.push(safe(values.at(-1)! + sign * delta))
  return values
}

/** Bits that a width of five bits stands for. */
const WIDTHS = [...Array.from({ length: 24 }, (_, code) => code + 1), 26, 28, 30, 32, 40, 48, 56, 64]

function closestWidth(bits: number): number {
  return WIDTHS.find((width) => width >= bits) ?? 64
}

function widthOf(header: number): number {
  return WIDTHS[(header >> 1) & 0x1f]!
}

function lengthOf(header: number, at: Cursor): number {
  return ((header & 1) << 8) + byteAt(at) + 1
}

/** Whole bytes are taken from the stream. */
function bitPacked(at: Cursor, count: number, width: number): number[] {
  const values: number[] = []
  let left = 0
  let current = 0
  for (let index = 0; index < count; index++) {
    let value = 0
    let wanted = width
    while (wanted > 0) {
      if (left === 0) {
        current = byteAt(at)
        left = 8
      }
      const taken = Math.min(left, wanted)
      value = value * 2 ** taken + ((current >> (left - taken)) & (2 ** taken - 1))
      left -= taken
      wanted -= taken
    }
    values.push(value)
  }
  return values
}

function bigEndian(at: Cursor, bytes: number): number {
  let value = 0
  for (let index = 0; index < bytes; index++) value = value * 256 + byteAt(at)
  return value
}

/** The highest bit is the sign. */
function signedMagnitude(at: Cursor, bytes: number): number {
  const value = bigEndian(at, bytes)
  const sign = 2 ** (bytes * 8 - 1)
  return value >= sign ? -(value - sign) : value
}

/** A signed number is written as 0, -1, 1, -2, 2, … */
function number(value: number, signed: boolean): number {
  if (!signed) return safe(value)
  return value % 2 === 0 ? safe(value / 2) : safe(-(value + 1) / 2)
}

function safe(value: number): number {
  if (Number.isSafeInteger(value)) return value
  throw new Fault('corrupt', `expected numbers below 2^53 in an ORC file, got ${value}`)
}

function byteAt(at: Cursor): number {
  const byte = at.bytes[at.offset]
  if (byte === undefined) throw cutOff()
  at.offset++
  return byte
}

function ofCount(values: number[], count: number): number[] {
  if (values.length > count) values.length = count
  return values
}
