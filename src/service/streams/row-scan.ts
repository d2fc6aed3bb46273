/**
 * A record's bytes, read once from left to right against the types of its columns. It takes what is JSON and already in the
 * wire form of `change/table-change.ts`, or can be put into it value by value; at the first doubt it says `NO`, and the exact
 * way of `record.ts` and `convert.ts` decides. So it never refuses a record, and what it takes the exact way takes as well.
 *
 * The readers here take the position of a value and give the position behind it, or `NO`.
 */
export const NO = -1

/**
 * What is known of the record while it is read. It is a part of `bytes`, behind which others may follow: readers may go on into
 * them, so what they took counts only when all of it ends before `end`.
 */
export class RowScan {
  bytes: Buffer = Buffer.alloc(0)
  end = 0
  /** There is a line break between two tokens. */
  breaks = false
  /** Parts that do not travel as they stand: begin, end, text instead; in their order. */
  readonly patches: Patch[] = []
  /** The string that the operation member holds. */
  operation: string | undefined = undefined

  begin(bytes: Buffer, end: number): void {
    this.bytes = bytes
    this.end = end
    this.breaks = false
    if (this.patches.length > 0) this.patches.length = 0
    this.operation = undefined
  }
}

export interface Patch {
  from: number
  end: number
  text: string
}

export type ReadValue = (scan: RowScan, at: number) => number

/** Behind white space. */
export function gap(scan: RowScan, from: number): number {
  const { bytes } = scan
  let at = from
  for (;;) {
    const byte = bytes[at]
    if (byte === 0x0a || byte === 0x0d) scan.breaks = true
    else if (byte !== 0x20 && byte !== 0x09) return at
    at++
  }
}

/** 1 for the bytes that a string cannot hold as they are: control characters, quotes, backslashes. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x20 || byte === 0x22 || byte === 0x5c ? 1 : 0))

/** A string: no control characters, no unknown escapes, no half of a surrogate pair. Whether it is UTF-8 is not looked at. */
export function string(scan: RowScan, from: number): number {
  const { bytes, end } = scan
  if (bytes[from] !== 0x22) return NO
  for (let at = from + 1; at < end; at++) {
    if (SPECIAL[bytes[at]!] === 0) continue
    if (bytes[at] === 0x22) return at + 1
    if (bytes[at] !== 0x5c) return NO
    at = escaped(bytes, at + 1)
    if (at === NO) return NO
  }
  return NO
}

/** Position of the last byte of an escape whose first one after the backslash is at `at`. */
function escaped(bytes: Buffer, at: number): number {
  switch (bytes[at]) {
    case 0x22:
    case 0x2f:
    case 0x5c:
    case 0x62:
    case 0x66:
    case 0x6e:
    case 0x72:
    case 0x74:
      return at
    case 0x75: {
      let code = 0
      for (let digit = 1; digit <= 4; digit++) {
        const value = hexValue(bytes[at + digit])
        if (value === NO) return NO
        code = code * 16 + value
      }
      // Pairs of surrogates are left to the exact way, which knows halves.
      return code >= 0xd800 && code <= 0xdfff ? NO : at + 4
    }
    default:
      return NO
  }
}

function hexValue(byte: number | undefined): number {
  if (byte === undefined) return NO
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : NO
}

/** A number of any form. */
export function number(scan: RowScan, from: number): number {
  const { bytes } = scan
  const at = fraction(bytes, whole(bytes, from))
  if (at === NO || (bytes[at]! | 0x20) !== 0x65) return at
  const signed = bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d ? at + 2 : at + 1
  return isDigit(bytes[signed]) ? digits(bytes, signed) : NO
}

/** `-`, and digits without needless zeros. */
function whole(bytes: Buffer, from: number): number {
  const at = bytes[from] === 0x2d ? from + 1 : from
  if (bytes[at] === 0x30) return at + 1
  return isDigit(bytes[at]) ? digits(bytes, at) : NO
}

function fraction(bytes: Buffer, at: number): number {
  if (at === NO || bytes[at] !== 0x2e) return at
  return isDigit(bytes[at + 1]) ? digits(bytes, at + 1) : NO
}

function digits(bytes: Buffer, from: number): number {
  let at = from
  while (isDigit(bytes[at])) at++
  return at
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

export function boolean(scan: RowScan, at: number): number {
  const { bytes } = scan
  if (bytes[at] === 0x74) return word(bytes, at, 'true')
  return bytes[at] === 0x66 ? word(bytes, at, 'false') : NO
}

export function nothing(scan: RowScan, at: number): number {
  return word(scan.bytes, at, 'null')
}

function word(bytes: Buffer, at: number, letters: string): number {
  for (let i = 0; i < letters.length; i++) if (bytes[at + i] !== letters.charCodeAt(i)) return NO
  return at + letters.length
}

/** A whole number of at most 18 digits; its value is not looked at. `-0` is left to the exact way. */
export function long(scan: RowScan, from: number): number {
  const { bytes } = scan
  const end = whole(bytes, from)
  if (end === NO || end - from > 18 || isFractional(bytes[end])) return NO
  return bytes[from] === 0x2d && bytes[from + 1] === 0x30 ? NO : end
}

/** A whole number of at most 9 digits. */
export function int(scan: RowScan, from: number): number {
  const end = long(scan, from)
  return end - from > 9 ? NO : end
}

function isFractional(byte: number | undefined): boolean {
  return byte === 0x2e || byte === 0x65 || byte === 0x45
}

/** A number that is finite, is not minus zero, and is read alike by everybody: short, without exponent. */
export function double(scan: RowScan, from: number): number {
  const { bytes } = scan
  const end = fraction(bytes, whole(bytes, from))
  if (end === NO || end - from > 20 || isFractional(bytes[end])) return NO
  return bytes[from] === 0x2d && bytes[from + 1] === 0x30 && isZero(bytes, from + 1, end) ? NO : end
}

function isZero(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if (bytes[at] !== 0x30 && bytes[at] !== 0x2e) return false
  return true
}

/** `2026-11-21` in quotes, between the years 1 and 9999. */
export function date(scan: RowScan, from: number): number {
  const { bytes } = scan
  return bytes[from] === 0x22 && isDate(bytes, from + 1) && bytes[from + 11] === 0x22 ? from + 12 : NO
}

/** `2026-11-21T04:00:00.123456` or with a blank, in quotes; `Z` may or must follow. */
export function timestamp(zone: 'optional' | 'required'): ReadValue {
  return ({ bytes }, from) => {
    if (bytes[from] !== 0x22 || !isDate(bytes, from + 1)) return NO
    if (bytes[from + 11] !== 0x54 && bytes[from + 11] !== 0x20) return NO
    let at = clock(bytes, from + 12)
    if (at === NO) return NO
    if (bytes[at] === 0x5a) at++
    else if (zone === 'required') return NO
    return bytes[at] === 0x22 ? at + 1 : NO
  }
}

/** `22:31:08.123456` in quotes. */
export function time({ bytes }: RowScan, from: number): number {
  const at = bytes[from] === 0x22 ? clock(bytes, from + 1) : NO
  return at !== NO && bytes[at] === 0x22 ? at + 1 : NO
}

const MONTH_DAYS = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isDate(bytes: Buffer, at: number): boolean {
  if (bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) return false
  const year = two(bytes, at) * 100 + two(bytes, at + 2)
  const month = two(bytes, at + 5)
  const day = two(bytes, at + 8)
  // Two digits that are none make these false as well: they are not a number.
  if (!(year >= 1) || !(month >= 1 && month <= 12) || !(day >= 1)) return false
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return day <= MONTH_DAYS[month]! + (leap ? 1 : 0)
}

/** Behind `22:31:08` with up to six digits of a second. */
function clock(bytes: Buffer, at: number): number {
  if (bytes[at + 2] !== 0x3a || bytes[at + 5] !== 0x3a) return NO
  if (!(two(bytes, at) <= 23 && two(bytes, at + 3) <= 59 && two(bytes, at + 6) <= 59)) return NO
  if (bytes[at + 8] !== 0x2e) return at + 8
  const end = digits(bytes, at + 9)
  return end > at + 9 && end <= at + 15 ? end : NO
}

/** Two digits as a number; NaN when they are none. */
function two(bytes: Buffer, at: number): number {
  const tens = bytes[at]
  const ones = bytes[at + 1]
  if (!isDigit(tens) || !isDigit(ones)) return Number.NaN
  return (tens! - 0x30) * 10 + (ones! - 0x30)
}

/** `0190f5c4-1111-7abc-8def-0123456789ab` in quotes. */
export function uuid({ bytes }: RowScan, from: number): number {
  if (bytes[from] !== 0x22 || bytes[from + 37] !== 0x22) return NO
  for (let at = 1; at <= 36; at++) {
    const dash = at === 9 || at === 14 || at === 19 || at === 24
    if (dash ? bytes[from + at] !== 0x2d : hexValue(bytes[from + at]) === NO) return NO
  }
  return from + 38
}

/** A number with at most so many digits before and behind the point, as text in quotes; without them it gets them. */
export function decimal(precision: number, scale: number): ReadValue {
  return (scan, from) => {
    const { bytes } = scan
    const quoted = bytes[from] === 0x22
    const at = quoted ? from + 1 : from
    const point = whole(bytes, at)
    const end = fraction(bytes, point)
    if (end === NO || isFractional(bytes[end])) return NO
    const before = point - at - (bytes[at] === 0x2d ? 1 : 0)
    const behind = end === point ? 0 : end - point - 1
    if (before > precision - scale || behind > scale) return NO
    if (quoted) return bytes[end] === 0x22 ? end + 1 : NO
    scan.patches.push({ from, end, text: `"${bytes.toString('latin1', from, end)}"` })
    return end
  }
}

/** Any value, nested at most so deep: what it says is of no matter. */
export function anything(scan: RowScan, at: number, depthMax: number): number {
  const { bytes } = scan
  switch (bytes[at]) {
    case 0x22:
      return string(scan, at)
    case 0x74:
    case 0x66:
      return boolean(scan, at)
    case 0x6e:
      return nothing(scan, at)
    case 0x7b:
    case 0x5b:
      return depthMax <= 0 ? NO : nested(scan, at, depthMax)
    default:
      return number(scan, at)
  }
}

function nested(scan: RowScan, from: number, depthMax: number): number {
  const { bytes } = scan
  const named = bytes[from] === 0x7b
  const close = named ? 0x7d : 0x5d
  let at = gap(scan, from + 1)
  if (bytes[at] === close) return at + 1
  for (;;) {
    if (named) {
      at = string(scan, at)
      if (at === NO) return NO
      at = gap(scan, at)
      if (bytes[at] !== 0x3a) return NO
      at = gap(scan, at + 1)
    }
    at = anything(scan, at, depthMax - 1)
    if (at === NO) return NO
    at = gap(scan, at)
    if (bytes[at] === close) return at + 1
    if (bytes[at] !== 0x2c) return NO
    at = gap(scan, at + 1)
  }
}
