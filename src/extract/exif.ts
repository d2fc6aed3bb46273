/**
 * A reader of EXIF, that is of TIFF directories (EXIF 2.32 and 3.0, TIFF 6.0, BigTIFF), in either byte order.
 *
 * It trusts nothing: a directory is visited once, counts and offsets are checked against the block before anything is
 * touched, a bad tag is dropped alone, and entries, values and output have bounds whatever the block says. What a bound
 * cuts off is named in `truncated`. Within all directories the first value found for a name wins, IFD0 before Exif.
 * The thumbnail's directory (IFD1) is never read, so its size cannot be taken for the image's.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import {
  DATE_NAMES,
  GPS_NAMES,
  INTEROP_NAMES,
  LEFT_OUT,
  LIST_NAMES,
  TAG,
  TAG_NAMES,
  VERSION_NAMES,
  XP_TAGS,
} from './exif-tags.ts'
import { cut, latin1, trimBlanks, untilNul, utf8OrLatin1, utf16 } from './text.ts'

/** A rational as the file holds it, unreduced. With denominator 0 it stands for no number. */
export type IfdRational = { type: 'IFDRational'; numerator: number; denominator: number; imag: 0 }
export type Facts = { [key: string]: Json }

/** Bytes [start, end) of a TIFF block; null when they lie outside it. */
export type BlockReader = (start: number, end: number) => Uint8Array | null

export interface ExifBlock {
  /** Tags by Pillow's name, `GPSInfo` nested; tags without a name by their number in decimal. */
  exif: Facts
  /** The decoded UserComment, or null. */
  userComment: string | null
  /** Blocks of other formats that TIFF carries in tags. */
  xmp: Uint8Array | null
  iptc: Uint8Array | null
  photoshop: Uint8Array | null
  icc: Uint8Array | null
  /** What the bounds left out, e.g. `exif.ImageDescription`. */
  truncated: string[]
  /** Offset of the directory after IFD0 (the thumbnail, or a TIFF's second page), or 0. */
  nextIfd: number
  bigTiff: boolean
  littleEndian: boolean
}

const TYPE_BYTES = new Map([
  [1, 1], [2, 1], [3, 2], [4, 4], [5, 8], [6, 1], [7, 1], [8, 2], [9, 4], [10, 8], [11, 4], [12, 8], [13, 4], [16, 8], [17, 8], [18, 8], [129, 1],
]) // biome-ignore format: a table

/** A reader over a block that is in memory as a whole. */
export function blockOf(bytes: Uint8Array): BlockReader {
  return (start, end) => (start < 0 || end > bytes.length || start > end ? null : bytes.subarray(start, end))
}

/** Reads a TIFF block. Null when it is none (byte order mark or magic number wrong, too short). */
export function readExif(read: BlockReader): ExifBlock | null {
  const head = read(0, 8)
  if (head === null) return null
  const littleEndian = head[0] === 0x49 && head[1] === 0x49
  if (!littleEndian && !(head[0] === 0x4d && head[1] === 0x4d)) return null
  const first = viewOf(head)
  const magic = first.getUint16(2, littleEndian)
  // Cameras' raw files put other magic numbers before the same structure.
  if (magic !== 42 && magic !== 43) return null
  const bigTiff = magic === 43
  let ifd0: number
  if (bigTiff) {
    const rest = read(8, 16)
    if (rest === null || first.getUint16(4, littleEndian) !== 8) return null
    ifd0 = Number(viewOf(rest).getBigUint64(0, littleEndian))
  } else ifd0 = first.getUint32(4, littleEndian)
  return new ExifReader(read, littleEndian, bigTiff).run(ifd0)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** One directory entry with its value's bytes. */
interface Entry {
  tag: number
  type: number
  count: number
  bytes: Uint8Array
}

class ExifReader {
  readonly #read: BlockReader
  readonly #little: boolean
  readonly #big: boolean
  readonly #visited = new Set<number>()
  #entriesLeft: number = limits.exifEntriesMax
  #unknownLeft: number = limits.exifUnknownTagsMax
  #outputLeft: number = limits.exifOutputBytesMax
  readonly #exif: Facts = {}
  readonly #gps: Facts = {}
  readonly #truncated = new Set<string>()
  #userComment: string | null = null
  readonly #blocks = new Map<number, Uint8Array>()
  #subIfds: { tag: number; offset: number }[] = []

  constructor(read: BlockReader, littleEndian: boolean, bigTiff: boolean) {
    this.#read = read
    this.#little = littleEndian
    this.#big = bigTiff
  }

  run(ifd0: number): ExifBlock {
    const nextIfd = this.#directory(ifd0, this.#exif, TAG_NAMES, 'exif.')
    // The list grows while it is walked: the Exif directory points to the interoperability directory.
    for (let i = 0; i < this.#subIfds.length && i < 16; i++) {
      const { tag, offset } = this.#subIfds[i]!
      if (tag === TAG.exifPointer) this.#directory(offset, this.#exif, TAG_NAMES, 'exif.')
      else if (tag === TAG.gpsPointer) this.#directory(offset, this.#gps, GPS_NAME_MAP, 'exif.GPSInfo.')
      else this.#directory(offset, this.#exif, INTEROP_NAMES, 'exif.')
    }
    if (Object.keys(this.#gps).length > 0) this.#exif['GPSInfo'] = this.#gps
    return {
      exif: this.#exif,
      userComment: this.#userComment,
      xmp: this.#blocks.get(TAG.xmp) ?? null,
      iptc: this.#blocks.get(TAG.iptc) ?? null,
      photoshop: this.#blocks.get(TAG.photoshop) ?? null,
      icc: this.#blocks.get(TAG.icc) ?? null,
      truncated: [...this.#truncated],
      nextIfd,
      bigTiff: this.#big,
      littleEndian: this.#little,
    }
  }

  /** Reads one directory into `into`; returns the offset of the next one, or 0. */
  #directory(offset: number, into: Facts, names: ReadonlyMap<number, string>, path: string): number {
    if (!Number.isSafeInteger(offset) || this.#visited.has(offset)) return 0
    this.#visited.add(offset)
    const countBytes = this.#big ? 8 : 2
    const counted = this.#read(offset, offset + countBytes)
    if (counted === null) return 0
    const entryBytes = this.#big ? 20 : 12
    const count = this.#big
      ? Number(viewOf(counted).getBigUint64(0, this.#little))
      : viewOf(counted).getUint16(0, this.#little)
    const base = offset + countBytes
    const looked = Math.min(count, this.#entriesLeft)
    if (looked < count) this.#truncated.add(path.slice(0, -1))
    this.#entriesLeft -= looked
    // A directory may claim more entries than the block holds: those that are there still count.
    const all = this.#read(base, base + looked * entryBytes)
    for (let i = 0; i < looked; i++) {
      const at = i * entryBytes
      const bytes = all === null ? this.#read(base + at, base + at + entryBytes) : all.subarray(at, at + entryBytes)
      if (bytes === null) return 0
      this.#entry(bytes, into, names, path)
    }
    const end = base + count * entryBytes
    const next = this.#read(end, end + (this.#big ? 8 : 4))
    if (next === null) return 0
    return this.#big ? Number(viewOf(next).getBigUint64(0, this.#little)) : viewOf(next).getUint32(0, this.#little)
  }

  #entry(raw: Uint8Array, into: Facts, names: ReadonlyMap<number, string>, path: string): void {
    const view = viewOf(raw)
    const tag = view.getUint16(0, this.#little)
    const type = view.getUint16(2, this.#little)
    const unit = TYPE_BYTES.get(type)
    if (unit === undefined) return
    const inMain = names === TAG_NAMES
    const name = names.get(tag)
    if (inMain && (tag === TAG.makerNote || (name === undefined && LEFT_OUT.has(tag) && !POINTERS_AND_BLOCKS.has(tag))))
      return
    if (name === undefined && !(inMain && LEFT_OUT.has(tag)) && this.#unknownLeft <= 0) {
      this.#truncated.add(path.slice(0, -1))
      return
    }
    const key = name ?? String(tag)
    if (Object.hasOwn(into, key)) return
    const count = this.#big ? Number(view.getBigUint64(4, this.#little)) : view.getUint32(4, this.#little)
    const length = count * unit
    const inlineMax = this.#big ? 8 : 4
    const inlineAt = this.#big ? 12 : 8
    const isBlock = inMain && POINTERS_AND_BLOCKS.has(tag)
    const max = isBlock ? limits.metadataBlockBytesMax : limits.exifValueBytesMax
    const isText = type === 2 || type === 129
    const wanted = isText && !isBlock ? Math.min(length, max) : length
    let bytes: Uint8Array | null
    if (length <= inlineMax) bytes = raw.subarray(inlineAt, inlineAt + length)
    else {
      const at = this.#big ? Number(view.getBigUint64(12, this.#little)) : view.getUint32(8, this.#little)
      if (!Number.isSafeInteger(at + length)) return
      // The last byte decides whether the value lies inside the block; a huge one is not fetched to find that out.
      if (wanted > max) {
        if (this.#read(at + length, at + length) !== null) this.#truncated.add(path + key)
        return
      }
      if (wanted < length && this.#read(at + length, at + length) === null) return
      bytes = this.#read(at, at + wanted)
    }
    if (bytes === null) return
    if (wanted < length) {
      this.#truncated.add(path + key)
      bytes = wholeCharacters(bytes)
    }
    const entry: Entry = { tag, type, count: bytes.length / unit, bytes }
    if (isBlock) this.#special(entry)
    else {
      if (name === undefined) this.#unknownLeft--
      this.#keep(entry, key, into, path)
    }
  }

  /** Pointers to other directories, the comment, and blocks of other formats. */
  #special(entry: Entry): void {
    const { tag, type, bytes } = entry
    if (tag === TAG.userComment) {
      this.#userComment ??= decodeComment(bytes, this.#little)
    } else if (tag === TAG.exifPointer || tag === TAG.gpsPointer || tag === TAG.interopPointer) {
      if (entry.count < 1) return
      const view = viewOf(bytes)
      if (type === 4 || type === 13) this.#subIfds.push({ tag, offset: view.getUint32(0, this.#little) })
      else if (type === 16 || type === 18)
        this.#subIfds.push({ tag, offset: Number(view.getBigUint64(0, this.#little)) })
    } else if (!this.#blocks.has(tag)) this.#blocks.set(tag, bytes)
  }

  #keep(entry: Entry, key: string, into: Facts, path: string): void {
    const value = decodeValue(entry, key, this.#little)
    if (value === undefined) return
    const cost = key.length + 4 + costOf(value)
    if (cost > this.#outputLeft) {
      this.#truncated.add(path + key)
      return
    }
    this.#outputLeft -= cost
    into[key] = value
  }
}

const POINTERS_AND_BLOCKS: ReadonlySet<number> = new Set([
  TAG.exifPointer,
  TAG.gpsPointer,
  TAG.interopPointer,
  TAG.userComment,
  TAG.xmp,
  TAG.iptc,
  TAG.photoshop,
  TAG.icc,
])

const GPS_NAME_MAP: ReadonlyMap<number, string> = new Map(GPS_NAMES.map((name, tag) => [tag, name]))

/** About the length of a value as JSON. */
function costOf(value: Json): number {
  if (typeof value === 'string') return value.length * 2
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + costOf(item), 2)
  if (typeof value === 'object' && value !== null) return 72
  return 12
}

/** One value by its type; undefined when it is of no use (an empty list). */
function decodeValue(entry: Entry, key: string, little: boolean): Json | undefined {
  const { type, tag, bytes } = entry
  if (type === 2 || type === 129) return decodeText(entry, key)
  if (type === 7) {
    return VERSION_NAMES.has(key) ? trimBlanks(untilNul(latin1(bytes))) : base64(bytes)
  }
  if (type === 1 && XP_TAGS.has(tag)) return trimBlanks(utf16(bytes, false))
  const view = viewOf(bytes)
  const unit = TYPE_BYTES.get(type) ?? 1
  const count = Math.min(entry.count, limits.exifValueBytesMax)
  if (count === 0) return undefined
  if (count === 1 && !LIST_NAMES.has(key)) return decodeNumber(view, 0, type, little)
  const list: Json[] = []
  for (let i = 0; i < count; i++) list.push(decodeNumber(view, i * unit, type, little))
  return list
}

function decodeNumber(view: DataView, at: number, type: number, little: boolean): Json {
  switch (type) {
    case 1:
      return view.getUint8(at)
    case 3:
      return view.getUint16(at, little)
    case 4:
    case 13:
      return view.getUint32(at, little)
    case 5:
      return rational(view.getUint32(at, little), view.getUint32(at + 4, little))
    case 6:
      return view.getInt8(at)
    case 8:
      return view.getInt16(at, little)
    case 9:
      return view.getInt32(at, little)
    case 10:
      return rational(view.getInt32(at, little), view.getInt32(at + 4, little))
    case 11:
      return finite(view.getFloat32(at, little))
    case 12:
      return finite(view.getFloat64(at, little))
    case 16:
    case 18:
      return exact(view.getBigUint64(at, little))
    default:
      return exact(view.getBigInt64(at, little))
  }
}

function rational(numerator: number, denominator: number): IfdRational {
  return { type: 'IFDRational', numerator, denominator, imag: 0 }
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function decodeText({ tag, bytes }: Entry, key: string): string {
  const text = utf8OrLatin1(bytes)
  if (tag === TAG.copyright) return decodeCopyright(text)
  const value = untilNul(text)
  return DATE_NAMES.has(key) ? value : trimBlanks(value)
}

/** Without the beginning of a UTF-8 sequence that was cut at the end. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  let end = bytes.length
  while (end > 0 && bytes.length - end < 3 && (bytes[end - 1]! & 0xc0) === 0x80) end--
  return end > 0 && bytes[end - 1]! >= 0xc0 ? bytes.subarray(0, end - 1) : bytes
}

/** Photographer, NUL, editor: two lines; an absent photographer is written as one blank. */
function decodeCopyright(text: string): string {
  return text
    .split('\0', 2)
    .map(trimBlanks)
    .filter((part) => part !== '')
    .join('\n')
}

/** UserComment: eight bytes that name the character code, then the text. Null for blank or unknown. */
export function decodeComment(bytes: Uint8Array, littleEndian: boolean): string | null {
  if (bytes.length <= 8) return null
  const code = latin1(bytes.subarray(0, 8))
  const body = bytes.subarray(8)
  let text: string
  if (code.startsWith('UNICODE')) {
    const marked =
      body[0] === 0xff && body[1] === 0xfe ? false : body[0] === 0xfe && body[1] === 0xff ? true : !littleEndian
    text = utf16(body, marked).replace(/^\ufeff/, '')
  } else if (code.startsWith('JIS')) {
    text = untilNul(new TextDecoder('iso-2022-jp').decode(body))
  } else text = untilNul(utf8OrLatin1(body))
  const trimmed = trimBlanks(text)
  return trimmed === '' ? null : cut(trimmed, limits.metadataTextMax)
}
