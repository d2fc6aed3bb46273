/** IPTC-IIM (version 4.2, application record) from its own block, or out of Photoshop's resources. */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { cut, hasAscii, trimBlanks, utf8OrLatin1 } from './text.ts'

/** Data sets of record 2: number → name, and whether it may repeat. */
const DATA_SETS: ReadonlyMap<number, { name: string; list?: true }> = new Map([
  [5, { name: 'title' }],
  [10, { name: 'urgency' }],
  [15, { name: 'category' }],
  [20, { name: 'supplemental_categories', list: true }],
  [25, { name: 'keywords', list: true }],
  [40, { name: 'instructions' }],
  [55, { name: 'date_created' }],
  [60, { name: 'time_created' }],
  [65, { name: 'program' }],
  [80, { name: 'byline', list: true }],
  [85, { name: 'byline_title', list: true }],
  [90, { name: 'city' }],
  [92, { name: 'sublocation' }],
  [95, { name: 'state' }],
  [100, { name: 'country_code' }],
  [101, { name: 'country' }],
  [103, { name: 'transmission_reference' }],
  [105, { name: 'headline' }],
  [110, { name: 'credit' }],
  [115, { name: 'source' }],
  [116, { name: 'copyright' }],
  [118, { name: 'contact', list: true }],
  [120, { name: 'caption' }],
  [122, { name: 'caption_writer', list: true }],
])

/** The IPTC block among Photoshop image resources (`8BIM`, resource 0x0404), or null. */
export function iptcInPhotoshop(bytes: Uint8Array): Uint8Array | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = hasAscii(bytes, 0, 'Photoshop 3.0\0') ? 14 : 0
  while (at + 12 <= bytes.length && hasAscii(bytes, at, '8BIM')) {
    const id = view.getUint16(at + 4)
    const nameBytes = 1 + bytes[at + 6]!
    const sizeAt = at + 6 + nameBytes + (nameBytes & 1)
    if (sizeAt + 4 > bytes.length) return null
    const size = view.getUint32(sizeAt)
    const end = sizeAt + 4 + size
    if (end > bytes.length) return null
    if (id === 0x0404) return bytes.subarray(sizeAt + 4, end)
    at = end + (size & 1)
  }
  return null
}

/** The named data sets of an IPTC block; null when it holds none. */
export function readIptc(bytes: Uint8Array): { [key: string]: Json } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const facts: { [key: string]: Json } = {}
  let found = false
  for (let at = 0; at + 5 <= bytes.length && bytes[at] === 0x1c; ) {
    const record = bytes[at + 1]!
    const dataSet = bytes[at + 2]!
    let length = view.getUint16(at + 3)
    at += 5
    if (length & 0x8000) {
      // Extended: the low bits say how many bytes the length has.
      const bytesOfLength = length & 0x7fff
      if (bytesOfLength > 4 || at + bytesOfLength > bytes.length) break
      length = 0
      for (let i = 0; i < bytesOfLength; i++) length = length * 256 + bytes[at + i]!
      at += bytesOfLength
    }
    if (at + length > bytes.length) break
    const known = record === 2 ? DATA_SETS.get(dataSet) : undefined
    if (known !== undefined) {
      const text = cut(
        trimBlanks(utf8OrLatin1(bytes.subarray(at, at + length)).replaceAll('\0', '')),
        limits.metadataTextMax,
      )
      if (text !== '') found = keep(facts, known, text) || found
    }
    at += length
  }
  return found ? facts : null
}

function keep(facts: { [key: string]: Json }, { name, list }: { name: string; list?: true }, text: string): boolean {
  const present = facts[name]
  if (list === undefined) {
    if (present !== undefined) return false
    facts[name] = text
  } else if (Array.isArray(present)) {
    if (present.length >= limits.metadataItemsMax) return false
    present.push(text)
  } else facts[name] = [text]
  return true
}
