/**
 * Where the values of a JSON text lie, as ranges of its bytes: so that a record is kept as it was sent, to the last digit, and one
 * that is damaged does not keep its neighbours from being read. Pure.
 *
 * Only strings, brackets and commas are looked at. A range may hold what is no JSON: that is told where the value is parsed.
 */
import { BACKSLASH, CLOSE_LIST, CLOSE_OBJECT, COLON, COMMA, OPEN_LIST, OPEN_OBJECT, QUOTE } from './json-bytes.ts'

/** [from, end) of the bytes of one value, without the space around it. */
export interface Slice {
  from: number
  end: number
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** First place from `at` on that is no space. */
export function skipSpace(bytes: Uint8Array, at: number, end = bytes.length): number {
  let place = at
  while (place < end && isSpace(bytes[place])) place++
  return place
}

/** Behind the string that begins at `at`; -1 when it has no end. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let place = at + 1; place < end; place++) {
    const byte = bytes[place]
    if (byte === BACKSLASH) place++
    else if (byte === QUOTE) return place + 1
  }
  return -1
}

/**
 * From `at` to the next comma or closing bracket of this level, or to `end` where there is none.
 * @returns null when a string or bracket has no end
 */
function valueAt(bytes: Uint8Array, at: number, end: number): Slice | null {
  let depth = 0
  let place = at
  for (; place < end; place++) {
    const byte = bytes[place]
    if (byte === QUOTE) {
      const behind = stringEnd(bytes, place, end)
      if (behind < 0) return null
      place = behind - 1
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      if (depth === 0) break
      depth--
    } else if (byte === COMMA && depth === 0) break
  }
  if (depth > 0) return null
  let last = place
  while (last > at && isSpace(bytes[last - 1])) last--
  return { from: at, end: last }
}

/** The elements of the array that `within` is. Null when it is none, or its brackets do not match. */
export function elementsOf(bytes: Uint8Array, within: Slice = { from: 0, end: bytes.length }): Slice[] | null {
  return split(bytes, within, OPEN_LIST, CLOSE_LIST)
}

/** The members of the object that `within` is, by name; of two of one name the last. Null when it is none. */
export function membersOf(
  bytes: Uint8Array,
  within: Slice = { from: 0, end: bytes.length },
): Map<string, Slice> | null {
  const parts = split(bytes, within, OPEN_OBJECT, CLOSE_OBJECT)
  if (parts === null) return null
  const members = new Map<string, Slice>()
  for (const { from, end } of parts) {
    if (bytes[from] !== QUOTE) return null
    const behind = stringEnd(bytes, from, end)
    const colon = behind < 0 ? -1 : skipSpace(bytes, behind, end)
    if (colon < 0 || bytes[colon] !== COLON) return null
    const name = textOf(bytes, { from, end: behind })
    if (name === null) return null
    members.set(name, { from: skipSpace(bytes, colon + 1, end), end })
  }
  return members
}

function split(bytes: Uint8Array, within: Slice, open: number, close: number): Slice[] | null {
  const { end } = within
  let at = skipSpace(bytes, within.from, end)
  if (bytes[at] !== open) return null
  const found: Slice[] = []
  at = skipSpace(bytes, at + 1, end)
  if (bytes[at] === close) return skipSpace(bytes, at + 1, end) === end ? found : null
  for (;;) {
    const value = valueAt(bytes, at, end)
    if (value === null) return null
    found.push(value)
    const behind = skipSpace(bytes, value.end, end)
    if (bytes[behind] === close) return skipSpace(bytes, behind + 1, end) === end ? found : null
    if (behind >= end || bytes[behind] !== COMMA) return null
    at = skipSpace(bytes, behind + 1, end)
  }
}

/** The text of a JSON string; null when the slice is none. */
export function textOf(bytes: Uint8Array, { from, end }: Slice): string | null {
  if (bytes[from] !== QUOTE || end - from < 2) return null
  const inner = Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from)
  try {
    const value: unknown = JSON.parse(inner.toString('utf8'))
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

/** A value as the bytes of a record: a string's text stands for itself, everything else is its own JSON. */
export function recordBytes(bytes: Uint8Array, slice: Slice): Uint8Array {
  const text = textOf(bytes, slice)
  return text === null ? bytes.subarray(slice.from, slice.end) : Buffer.from(text)
}

/**
 * The objects of bytes that hold several, one behind the other with nothing but space between them; null for any other bytes,
 * those of one object among them. Not more than `max` are looked for.
 */
export function objectsOf(bytes: Uint8Array, max: number): Slice[] | null {
  if (!mayHoldSeveral(bytes)) return null
  const found: Slice[] = []
  let at = skipSpace(bytes, 0)
  while (at < bytes.length) {
    const end = bytes[at] === OPEN_OBJECT ? objectEnd(bytes, at) : -1
    if (end < 0 || found.length >= max) return null
    found.push({ from: at, end })
    at = skipSpace(bytes, end)
  }
  return found.length > 1 ? found : null
}

/** A closing bracket with an opening one behind it, if only in a text: most records are told apart by this alone. */
function mayHoldSeveral(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(CLOSE_OBJECT); at >= 0; at = bytes.indexOf(CLOSE_OBJECT, at + 1)) {
    if (bytes[skipSpace(bytes, at + 1)] === OPEN_OBJECT) return true
  }
  return false
}

function objectEnd(bytes: Uint8Array, at: number): number {
  let depth = 0
  for (let place = at; place < bytes.length; place++) {
    const byte = bytes[place]
    if (byte === QUOTE) {
      const behind = stringEnd(bytes, place, bytes.length)
      if (behind < 0) return -1
      place = behind - 1
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
    else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --depth === 0) return place + 1
  }
  return -1
}
