/**
 * Tombstones of a table with an ordering column: key hash → ordering value of the delete that was the newest word on the key.
 *
 * They are part of the table, not of the row index, which is only a cache: a blob in a Puffin file, which the metadata names as
 * the statistics of every snapshot that it is true of. Engines expire the file with the last snapshot that names it, and none
 * calls it an orphan. A snapshot without an entry of its own (another engine made
 * it) has the tombstones of its nearest ancestor with one. The blob is a Parquet file with columns hi, lo (the hash), ord and
 * at_ms (when the delete was committed, ms since 1970), so that no row passes through JavaScript.
 *
 * The file may still name keys that have come back since: their rows have values at least as great, so they say nothing.
 *
 * Crash story: the file is written before the commit that names it; killed in between, it is an orphan like any other.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { must } from '../base/assert.ts'
import { uuidv7 } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { type DuckSession, literal } from '../duck/duck.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { ancestors } from '../iceberg/spec/history.ts'
import { withoutTrailingSlash } from '../iceberg/spec/metadata-json.ts'
import { encodePuffin, readPuffin } from '../iceberg/spec/puffin.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'

/** The blob's type, in the file's own footer. */
const TYPE = 'tidewater-tombstones-v1'
/** How the file is known: in the metadata the blob is not listed, since PyIceberg (0.12) reads no table with a type unknown to it there. */
const NAME = '-tombstones.puffin'

/** An entry of `statistics` in a table's metadata. */
export type Statistics = { [key: string]: Json }

/** The statistics entry with the tombstones of snapshot `snapshotId`: its own, or that of its nearest ancestor with one. */
export function tombstonesOf(metadata: TableMetadata, snapshotId: bigint | undefined): Statistics | null {
  if ((metadata.statistics ?? []).length === 0) return null
  for (const snapshot of ancestors(metadata, snapshotId)) {
    const entry = entryOf(metadata, snapshot['snapshot-id'])
    if (entry !== null) return entry
  }
  return null
}

/**
 * Where the tombstones of the current snapshot are, for an index that has those of snapshot `known`: in the index itself, when
 * no snapshot since `known` tells others.
 */
export function tombstonesSince(metadata: TableMetadata, known: bigint | null): Statistics | 'known' | null {
  const current = metadata['current-snapshot-id']
  if (known !== null && current !== undefined) {
    // The parent of the oldest may be expired, and still be the one that the index has.
    const line = ancestors(metadata, current)
    const told = line.findIndex((snapshot) => entryOf(metadata, snapshot['snapshot-id']) !== null)
    const ids = line.map((snapshot) => snapshot['snapshot-id'])
    const before = line.at(-1)?.['parent-snapshot-id']
    const at = before === known ? ids.length : ids.indexOf(known)
    if (at !== -1 && (told === -1 || at <= told)) return 'known'
  }
  return tombstonesOf(metadata, current)
}

function entryOf(metadata: TableMetadata, snapshotId: bigint): Statistics | null {
  for (const entry of metadata.statistics ?? []) {
    if (!isObject(entry) || BigInt(String(entry['snapshot-id'])) !== snapshotId) continue
    if (String(entry['statistics-path']).endsWith(NAME)) return entry
  }
  return null
}

function isObject(json: Json): json is Statistics {
  return json !== null && typeof json === 'object' && !Array.isArray(json)
}

export interface TombstoneWrite {
  /** Table (h, ord, at_ms) of all tombstones that the snapshot has. */
  rows: string
  count: number
  /** Field ids of the key. */
  fields: number[]
  metadata: TableMetadata
  snapshotId: bigint
  sequenceNumber: number
  nowMs: number
}

/** Writes the tombstones of a snapshot about to be committed; gives its statistics entry. */
export async function writeTombstones(session: DuckSession, io: FileIO, write: TombstoneWrite): Promise<Json> {
  const { metadata, snapshotId, sequenceNumber, nowMs } = write
  const local = await io.scratch('-tombstones.parquet')
  try {
    await session.run(
      `COPY (SELECT (h >> 64)::UBIGINT AS hi, (h & 18446744073709551615::UHUGEINT)::UBIGINT AS lo, ord, at_ms FROM ${write.rows} ORDER BY hi, lo)
      TO ${literal(local)} (FORMAT parquet, COMPRESSION zstd)`,
    )
    const properties = { count: String(write.count) }
    const facts = { type: TYPE, fields: write.fields, snapshotId, sequenceNumber, properties }
    const { bytes, footerBytes } = encodePuffin([{ facts, bytes: await readFile(local) }])
    const location = `${withoutTrailingSlash(metadata.location)}/metadata/${uuidv7(nowMs)}${NAME}`
    await io.write(location, bytes)
    return {
      'snapshot-id': snapshotId,
      'statistics-path': location,
      'file-size-in-bytes': bytes.length,
      'file-footer-size-in-bytes': footerBytes,
      'blob-metadata': [],
    }
  } finally {
    await rm(local, { force: true })
  }
}

/** Gives `work` the relation (h, ord, at_ms) of what a statistics entry names. @throws Fault `not-found`, `corrupt` */
export async function withTombstones<T>(
  io: FileIO,
  entry: Statistics,
  work: (relation: string) => Promise<T>,
): Promise<T> {
  const file = await io.read(String(entry['statistics-path']))
  const [blob] = readPuffin(file, TYPE)
  const local = await io.scratch('-tombstones.parquet')
  try {
    await writeFile(local, must(blob, 'the tombstones that the metadata names').bytes)
    return await work(
      `SELECT (hi::UHUGEINT << 64) | lo::UHUGEINT AS h, ord, at_ms FROM read_parquet(${literal(local)})`,
    )
  } finally {
    await rm(local, { force: true })
  }
}

/** Those of relation `rows` (h, ord, at_ms) that are kept at `nowMs`: not too old, and the youngest when there are too many. */
export function keptTombstones(rows: string, nowMs: number): string {
  return `SELECT h, ord, at_ms FROM (${rows}) WHERE at_ms > ${nowMs - limits.tombstoneAgeMaxMs} ORDER BY at_ms DESC, h LIMIT ${limits.tombstonesKeptMax}`
}
