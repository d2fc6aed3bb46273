/**
 * Entries of a tar archive: headers of 512 bytes, each telling where the next one is. What is between them is not read, so a
 * large archive costs a fetch for each large file in it. Names by POSIX (ustar and pax) and GNU.
 */
import { limits } from '../base/limits.ts'
import { invalid, truncated } from './image-head.ts'
import { hasAscii, untilNul, utf8OrLatin1 } from './text.ts'

export interface TarEntry {
  name: string
  bytes: number
  /** UTC. */
  modified: string | null
  isFolder: boolean
}

/** Bytes in order: each read begins at or behind the end of the one before. Short at the end of the archive. */
export interface ForwardBytes {
  /** Null when it is not known before the end. */
  readonly sizeBytes: number | null
  read(start: number, length: number): Promise<Uint8Array>
  /** Enough has been read: the listing ends here. */
  isSpent(): boolean
}

export interface TarListing {
  entries: TarEntry[]
  isWhole: boolean
}

const BLOCK = 512
/** A pax or GNU header's content that is looked at. */
const EXTENDED_BYTES_MAX = 64 * 1024

/** @throws Fault `corrupt` when the archive breaks off or is none; the entries before are lost then, as a cut archive's count is wrong */
export async function tarEntries(bytes: ForwardBytes): Promise<TarListing> {
  const entries: TarEntry[] = []
  let longName: string | null = null
  let longSize: number | null = null
  for (let at = 0, headers = 0; ; headers++) {
    if (entries.length >= limits.archiveEntriesMax || headers >= 2 * limits.archiveEntriesMax || bytes.isSpent())
      return { entries, isWhole: false }
    const header = await bytes.read(at, BLOCK)
    if (header.length < BLOCK && bytes.isSpent()) return { entries, isWhole: false }
    if (bytes.sizeBytes !== null && at > bytes.sizeBytes) throw truncated('the tar archive breaks off in its last file')
    // Two blocks of zeros end an archive; some writers leave them out.
    if (header.length === 0 || header.every((byte) => byte === 0)) return { entries, isWhole: true }
    if (header.length < BLOCK) throw truncated('the tar archive breaks off in a header')
    if (!hasSum(header)) throw invalid(`the tar header at ${at} has a wrong checksum`)
    const kind = String.fromCharCode(header[156]!)
    const size = longSize ?? numberAt(header, 124, 12)
    if (size === null) throw invalid(`the tar header at ${at} has no size`)
    const content = at + BLOCK
    at = content + Math.ceil(size / BLOCK) * BLOCK
    if (kind === 'x' || kind === 'L') {
      const body = await bytes.read(content, Math.min(size, EXTENDED_BYTES_MAX))
      if (kind === 'L') longName = untilNul(utf8OrLatin1(body))
      else {
        const records = paxRecords(body)
        longName = records.get('path') ?? longName
        longSize = sizeOf(records.get('size')) ?? longSize
      }
      continue
    }
    // A link's target and what counts for all entries are no entries.
    if (kind === 'K' || kind === 'g') continue
    const name = longName ?? nameOf(header)
    const modified = numberAt(header, 136, 12)
    entries.push({
      name,
      bytes: hasContent(kind) ? size : 0,
      modified:
        modified === null || modified > TIME_MAX_S
          ? null
          : new Date(modified * 1000).toISOString().replace('.000Z', 'Z'),
      isFolder: kind === '5' || name.endsWith('/'),
    })
    if (!hasContent(kind)) at = content
    longName = null
    longSize = null
  }
}

/** The last second of the year 9999. */
const TIME_MAX_S = 253_402_300_799

/** Regular files (old, new, contiguous, sparse); links, folders and devices have none, whatever their header says. */
function hasContent(kind: string): boolean {
  return !['1', '2', '3', '4', '5', '6'].includes(kind)
}

function hasSum(header: Uint8Array): boolean {
  const told = numberAt(header, 148, 8)
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!
  return told === sum
}

/** Octal digits, or GNU's form for large numbers: the first bit set, then the number. */
function numberAt(header: Uint8Array, start: number, length: number): number | null {
  if ((header[start]! & 0x80) !== 0) {
    let value = header[start]! & 0x7f
    for (let i = start + 1; i < start + length; i++) value = value * 256 + header[i]!
    return Number.isSafeInteger(value) ? value : null
  }
  const text = untilNul(String.fromCharCode(...header.subarray(start, start + length))).trim()
  if (text === '') return 0
  return /^[0-7]{1,12}$/.test(text) ? Number.parseInt(text, 8) : null
}

function nameOf(header: Uint8Array): string {
  const name = untilNul(utf8OrLatin1(header.subarray(0, 100)))
  const prefix = hasAscii(header, 257, 'ustar\0') ? untilNul(utf8OrLatin1(header.subarray(345, 500))) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

/** `27 path=long/name\n` … */
function paxRecords(body: Uint8Array): Map<string, string> {
  const records = new Map<string, string>()
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  for (let at = 0; at < text.length; ) {
    const found = /^(\d{1,6}) /.exec(text.toString('latin1', at, at + 8))
    const length = Number(found?.[1] ?? 0)
    if (found === null || length <= found[0].length) break
    const [key, value] = splitOnce(text.toString('utf8', at + found[0].length, at + length - 1))
    records.set(key, value)
    at += length
  }
  return records
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function sizeOf(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}
