/**
 * A zip archive's directory, read from the end of the file by ranges and never inflated; and single parts of it, inflated up to a
 * bound. Read once for each object, for `archive` and `office`.
 *
 * Names are data: they are told, never followed. Sizes are what the directory says; a part that inflates to more is refused.
 */
import { Readable } from 'node:stream'
import type { Entry, RandomAccessReader, ZipFile } from 'yauzl'
import { limits } from '../base/limits.ts'
import type { ByteSource } from './extract.ts'
import { invalid } from './image-head.ts'
import { type Pages, pagesOf, parsed, tooMuch } from './pages.ts'

export interface ZipEntry {
  name: string
  packedBytes: number
  unpackedBytes: number
  /** As the archive says it, in no zone. */
  modified: string | null
  isFolder: boolean
  isEncrypted: boolean
  /** The name leads out of the folder that the archive is unpacked in, or is absolute. */
  isUnsafe: boolean
  entry: Entry
}

export interface ZipListing {
  /** Those that were looked at, in the archive's order. */
  entries: readonly ZipEntry[]
  /** How many the archive says there are. */
  count: number
  isWhole: boolean
  comment: string
  file: ZipFile
}

const listed = new WeakMap<ByteSource, Promise<ZipListing>>()

/** @throws Fault `corrupt` for what is no readable zip, and faults of reading */
export function zipListing(source: ByteSource): Promise<ZipListing> {
  const known = listed.get(source)
  if (known !== undefined) return known
  const pages = pagesOf(source)
  const listing = parsed(pages, 'the zip archive', () => list(pages))
  listed.set(source, listing)
  listing.catch(() => undefined)
  return listing
}

async function list(pages: Pages): Promise<ZipListing> {
  const yauzl = await import('yauzl')
  const { fromRandomAccessReaderPromise, getFileNameLowLevel, validateFileName } = yauzl.default
  class Reader extends yauzl.default.RandomAccessReader {
    override _readStreamForRange(start: number, end: number): Readable {
      return Readable.from(ranges(pages, start, end), { objectMode: false })
    }
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      pages.read(position, position + length).then(
        (bytes) => {
          buffer.set(bytes, offset)
          callback(bytes.length < length ? new Error('unexpected EOF') : null)
        },
        (error: unknown) => callback(error as Error),
      )
    }
  }
  const reader: RandomAccessReader = new Reader()
  // Names are decoded here, one by one: a bad one must not end the listing.
  const file = await fromRandomAccessReaderPromise(reader, pages.sizeBytes, {
    lazyEntries: true,
    autoClose: false,
    decodeStrings: false,
    validateEntrySizes: true,
  })
  await fetchDirectory(pages, file)
  const entries: ZipEntry[] = []
  for await (const entry of file.eachEntry()) {
    if (entries.length >= limits.archiveEntriesMax) break
    const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false)
    entries.push({
      name,
      packedBytes: entry.compressedSize,
      unpackedBytes: entry.uncompressedSize,
      modified: modifiedOf(entry),
      isFolder: name.endsWith('/'),
      isEncrypted: entry.isEncrypted(),
      isUnsafe: validateFileName(name) !== null,
      entry,
    })
  }
  const comment = (file.comment as unknown as Buffer).toString('utf8')
  return { entries, count: file.entryCount, isWhole: entries.length === file.entryCount, comment, file }
}

/** The least that one entry of a directory takes beside its name, and a name of usual length. */
const ENTRY_BYTES = 128

/** The directory in one fetch, as far as its number of entries lets one expect. */
async function fetchDirectory(pages: Pages, file: ZipFile): Promise<void> {
  const start = file.readEntryCursor as unknown as number
  const expected = Math.min(file.entryCount, limits.archiveEntriesMax) * ENTRY_BYTES
  await pages.read(start, Math.min(pages.sizeBytes, start + Math.min(expected, limits.archiveDirectoryBytesMax)))
}

async function* ranges(pages: Pages, start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += limits.extractPageBytes) {
    yield await pages.read(at, Math.min(end, at + limits.extractPageBytes))
  }
}

/** A DOS time has no zone; the library's reading in UTC gives its digits back. */
function modifiedOf(entry: Entry): string | null {
  if (entry.lastModFileDate === 0) return null
  const date = entry.getLastModDate({ timezone: 'UTC', forceDosFormat: true })
  return Number.isNaN(date.getTime()) ? null : date.toISOString().slice(0, 19)
}

/** The content of a part. @throws Fault `limit` past the bound, whatever the directory says; `corrupt` */
export async function zipPart(source: ByteSource, { file }: ZipListing, part: ZipEntry): Promise<Uint8Array> {
  const max = limits.officePartBytesMax
  const refused = () => tooMuch(`${part.name} unpacks to more than ${max} bytes, the most that is unpacked of one part`)
  if (part.unpackedBytes > max) throw refused()
  if (part.isEncrypted) throw invalid(`${part.name} is encrypted`)
  return await parsed(pagesOf(source), part.name, async () => {
    const stream = await file.openReadStreamPromise(part.entry)
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > max) throw refused()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  })
}
