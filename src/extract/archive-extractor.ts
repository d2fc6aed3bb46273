/**
 * `archive`: what is in a zip, tar or gzip file, from its directory or its headers. Nothing is unpacked but a tar in a gzip, up to
 * a bound; so a bomb costs what its directory costs.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { TRUNCATED } from './canonical.ts'
import type { ByteSource, Extractor } from './extract.ts'
import { fact, facts, list, record, word } from './fact-schema.ts'
import { writtenText } from './fact-text.ts'
import { gzipHead, Inflated } from './gzip.ts'
import { type Pages, pagesOf, parsed } from './pages.ts'
import { type ForwardBytes, type TarEntry, type TarListing, tarEntries } from './tar.ts'
import { cut, hasAscii } from './text.ts'
import { type ZipEntry, zipListing } from './zip.ts'

const FORMATS: ReadonlyMap<string, 'zip' | 'tar' | 'gzip'> = new Map([
  ['application/zip', 'zip'],
  ['application/java-archive', 'zip'],
  ['application/vnd.android.package-archive', 'zip'],
  ['application/epub+zip', 'zip'],
  ['application/x-tar', 'tar'],
  ['application/gzip', 'gzip'],
])

const entrySchema = record({
  name: fact('string', `its name, at most ${limits.archiveNameMax} characters`),
  bytes: fact('integer', 'its length, unpacked'),
  modified: fact('string | null', 'when it was changed: UTC in tar, in no zone in zip'),
})

const schema = facts('archive', {
  archive: record({
    format: word(['zip', 'tar', 'tar.gz', 'gzip'], 'how it is packed'),
    entries: fact('integer', 'files and folders in it; for gzip 1'),
    files: fact('integer', 'files among those that were counted'),
    folders: fact('integer', 'folders among them, where the archive has entries for them'),
    counted: fact(
      'boolean',
      `all entries were looked at (at most ${limits.archiveEntriesMax}); otherwise the sums are those of the first`,
    ),
    packed_bytes: fact('integer | null', 'sum of their lengths in the archive; null inside of a tar.gz'),
    unpacked_bytes: fact('integer', 'sum of their lengths unpacked, as the archive says it'),
    encrypted: fact('boolean', 'some entry needs a password'),
    unsafe_names: fact('integer', 'names that are absolute or lead out of the folder that one unpacks in'),
    bomb: fact(
      'boolean',
      `it says that it unpacks to more than ${limits.archiveRatioMax} times its length, and to more than 64 MiB; or its entries overlap`,
    ),
    comment: fact('string | null', 'the comment of a zip'),
    list: list(entrySchema, `the first ${limits.archiveListedMax} entries`),
  }),
})

export const archiveExtractor: Extractor = {
  name: 'archive',
  version: 1,
  schema,
  appliesTo: (subject) => subject.sniffed !== null && FORMATS.has(subject.sniffed),
  async extract(subject, bytes) {
    const pages = pagesOf(bytes)
    switch (FORMATS.get(subject.sniffed ?? '')) {
      case 'zip':
        return zipFacts(bytes)
      case 'tar':
        return tarFacts('tar', await tarEntries(forward(pages)), pages.sizeBytes)
      case 'gzip':
        return await gzipFacts(pages)
      case undefined:
        return {}
    }
  },
}

interface Listed {
  name: string
  bytes: number
  modified: string | null
}

interface Sums {
  format: 'zip' | 'tar' | 'tar.gz' | 'gzip'
  entries: number
  folders: number
  counted: boolean
  packed: number | null
  unpacked: number
  encrypted: boolean
  unsafe: number
  overlaps: boolean
  comment: string | null
  list: readonly Listed[]
}

async function zipFacts(bytes: ByteSource): Promise<{ [key: string]: Json }> {
  const { entries, count, isWhole, comment } = await zipListing(bytes)
  const packed = sum(entries.map((entry) => entry.packedBytes))
  return archiveFacts(bytes.sizeBytes, {
    format: 'zip',
    entries: count,
    folders: entries.filter((entry) => entry.isFolder).length,
    counted: isWhole,
    packed,
    unpacked: sum(entries.map((entry) => entry.unpackedBytes)),
    encrypted: entries.some((entry) => entry.isEncrypted),
    unsafe: entries.filter((entry) => entry.isUnsafe).length,
    overlaps: packed > bytes.sizeBytes,
    comment: writtenText(comment),
    list: entries.map(({ name, unpackedBytes, modified }: ZipEntry) => ({ name, bytes: unpackedBytes, modified })),
  })
}

function tarFacts(
  format: 'tar' | 'tar.gz',
  { entries, isWhole }: TarListing,
  sizeBytes: number,
): { [key: string]: Json } {
  const unpacked = sum(entries.map((entry) => entry.bytes))
  return archiveFacts(sizeBytes, {
    format,
    entries: entries.length,
    folders: entries.filter((entry) => entry.isFolder).length,
    counted: isWhole,
    packed: format === 'tar' ? unpacked : null,
    unpacked,
    encrypted: false,
    unsafe: entries.filter((entry: TarEntry) => isUnsafe(entry.name)).length,
    overlaps: false,
    comment: null,
    list: entries,
  })
}

/** Where a tar's magic stands. */
const TAR_MAGIC_AT = 257

async function gzipFacts(pages: Pages): Promise<{ [key: string]: Json }> {
  const head = await gzipHead(pages)
  const content = new Inflated(pages)
  try {
    return await parsed(pages, 'the gzip file', async () => {
      const first = await content.read(0, 512)
      if (hasAscii(first, TAR_MAGIC_AT, 'ustar')) {
        // From its first byte again: a forward reader does not go back.
        const again = new Inflated(pages)
        try {
          return tarFacts('tar.gz', await tarEntries(again), pages.sizeBytes)
        } finally {
          again.close()
        }
      }
      return archiveFacts(pages.sizeBytes, {
        format: 'gzip',
        entries: 1,
        folders: 0,
        counted: true,
        packed: pages.sizeBytes,
        unpacked: head.unpackedBytes,
        encrypted: false,
        unsafe: head.name !== null && isUnsafe(head.name) ? 1 : 0,
        overlaps: false,
        comment: null,
        list: head.name === null ? [] : [{ name: head.name, bytes: head.unpackedBytes, modified: head.modified }],
      })
    })
  } finally {
    content.close()
  }
}

/** Below this nobody is hurt. */
const BOMB_BYTES_MIN = 64 * 1024 * 1024

function archiveFacts(sizeBytes: number, sums: Sums): { [key: string]: Json } {
  const { format, entries, folders, counted, packed, unpacked, encrypted, unsafe, overlaps, comment } = sums
  const isSwollen = unpacked > BOMB_BYTES_MIN && unpacked > sizeBytes * limits.archiveRatioMax
  const listed = sums.list.slice(0, limits.archiveListedMax)
  return {
    archive: {
      format,
      entries,
      files: (counted ? entries : sums.list.length) - folders,
      folders,
      counted,
      packed_bytes: packed,
      unpacked_bytes: unpacked,
      encrypted,
      unsafe_names: unsafe,
      bomb: overlaps || isSwollen,
      comment,
      list: listed.map(({ name, bytes, modified }) => ({ name: cut(name, limits.archiveNameMax), bytes, modified })),
    },
    ...(listed.length < entries && format !== 'gzip' ? { [TRUNCATED]: ['archive.list'] } : {}),
  }
}

function sum(numbers: readonly number[]): number {
  const total = numbers.reduce((before, number) => before + number, 0)
  return Math.min(total, Number.MAX_SAFE_INTEGER)
}

function isUnsafe(name: string): boolean {
  return /^(?:[\\/]|[A-Za-z]:)/.test(name) || name.split(/[\\/]/).includes('..')
}

/** Fetches of an object that are left to other extractors. */
const FETCHES_LEFT = 64

function forward(pages: Pages): ForwardBytes {
  return {
    sizeBytes: pages.sizeBytes,
    read: (start, length) => pages.read(start, start + length),
    isSpent: () => pages.fetches >= limits.extractReadsMax - FETCHES_LEFT,
  }
}
