/**
 * The files of an S3 Inventory report as one listing: checked, brought into one table of a working DuckDB (which spills to disk), and
 * given in the order of keys, the newest version first.
 *
 * Texts in CSV are percent-encoded keys, with `+` for a blank. In Parquet and ORC keys are as they are.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Fault } from '../../base/fault.ts'
import { NULL_VERSION } from '../../change/object-event.ts'
import { type DuckRow, type DuckSession, ident, literal } from '../../duck/duck.ts'
import {
  groupedKeys,
  type InventoryFile,
  type InventoryManifest,
  type ListedKey,
  type ListedVersion,
  readOrc,
} from '../../source/source.ts'

export interface InventoryParts {
  session: DuckSession
  manifest: InventoryManifest
  /** A local file that holds a file of the report; `release` when it is not needed any more. */
  fetch: (file: InventoryFile) => Promise<{ path: string; release: () => Promise<void> }>
  /** A path for what is written on the way. */
  scratch: (extension: string) => Promise<string>
  /** Keys that begin so only. */
  prefix: string
  onFile?: (done: number, of: number) => void
}

/** Columns that say something of a version. */
const COLUMNS = [
  'key',
  'version_id',
  'is_latest',
  'is_delete_marker',
  'size',
  'last_modified_date',
  'e_tag',
  'storage_class',
  'is_multipart_uploaded',
  'encryption_status',
  'bucket_key_status',
  'checksum_algorithm',
] as const

const TABLE = 'inventory_report'

/** Does the report tell of all versions, or of current objects only? */
export function hasVersions({ columns }: InventoryManifest): boolean {
  return columns.includes('version_id')
}

/**
 * @throws Fault `corrupt` (a checksum, a size or a form that is wrong: nothing of the report has been given then), `limit`,
 * `unsupported` (an ORC file of a form that inventories do not have)
 */
export async function* inventoryListing(parts: InventoryParts): AsyncGenerator<ListedKey> {
  const { session, manifest } = parts
  await session.run(`CREATE OR REPLACE TEMP TABLE ${TABLE} (${COLUMNS.map((name) => `${name} VARCHAR`).join(', ')})`)
  try {
    for (const [at, file] of manifest.files.entries()) {
      const { path, release } = await parts.fetch(file)
      try {
        await checkFile(file, path)
        await load(parts, path)
      } finally {
        await release()
      }
      parts.onFile?.(at + 1, manifest.files.length)
    }
    yield* groupedKeys(rowsOf(session), 'the report')
  } finally {
    await session.run(`DROP TABLE IF EXISTS ${TABLE}`).catch(() => undefined)
  }
}

async function checkFile(file: InventoryFile, path: string): Promise<void> {
  const { size } = await stat(path)
  if (size !== file.sizeBytes)
    throw new Fault('corrupt', `${file.key}: expected ${file.sizeBytes} bytes as the manifest says, got ${size}`)
  const hash = createHash('md5')
  await pipeline(createReadStream(path), hash)
  const md5 = hash.digest('hex')
  if (md5 !== file.md5)
    throw new Fault('corrupt', `${file.key}: expected the MD5 ${file.md5} that the manifest says, got ${md5}`)
}

async function load(parts: InventoryParts, path: string): Promise<void> {
  const { session, manifest, prefix } = parts
  const where = prefix === '' ? '' : ` WHERE starts_with("key", ${literal(prefix)})`
  const insert = (from: string, has: readonly string[], value: (name: string) => string) => {
    const values = COLUMNS.map((name) => (has.includes(name) ? value(name) : `NULL AS ${ident(name)}`))
    return session.run(`INSERT INTO ${TABLE} SELECT * FROM (SELECT ${values.join(', ')} FROM ${from})${where}`)
  }
  const { columns } = manifest
  switch (manifest.format) {
    case 'CSV': {
      const named = columns.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ')
      const from = `read_csv(${literal(path)}, header = false, auto_detect = false, delim = ',', quote = '"', escape = '"', nullstr = '', columns = {${named}})`
      await insert(from, columns, (name) => {
        if (name === 'key') return `url_decode(replace("key", '+', ' ')) AS "key"`
        if (name === 'last_modified_date') return `epoch_ms("last_modified_date"::TIMESTAMP)::VARCHAR AS ${name}`
        return ident(name)
      })
      return
    }
    case 'Parquet':
      await insert(`read_parquet(${literal(path)})`, columns, (name) => {
        if (name === 'last_modified_date') return `epoch_ms("last_modified_date"::TIMESTAMP)::VARCHAR AS ${name}`
        return `${ident(name)}::VARCHAR AS ${ident(name)}`
      })
      return
    case 'ORC': {
      const lines = await parts.scratch('.ndjson')
      try {
        await pipeline(Readable.from(orcLines(path)), createWriteStream(lines))
        const named = COLUMNS.map((name) => `${literal(name)}: 'VARCHAR'`).join(', ')
        const from = `read_json(${literal(lines)}, format = 'newline_delimited', columns = {${named}})`
        await insert(from, COLUMNS, ident)
      } finally {
        await rm(lines, { force: true })
      }
    }
  }
}

async function* orcLines(path: string): AsyncGenerator<string> {
  for await (const { rows, columns } of readOrc(path, COLUMNS)) {
    let text = ''
    for (let at = 0; at < rows; at++) {
      const row = Object.fromEntries(
        [...columns].map(([name, values]) => [name, values[at] === null ? null : String(values[at])]),
      )
      text += `${JSON.stringify(row)}\n`
      if (text.length < TEXT_AT_ONCE) continue
      yield text
      text = ''
    }
    yield text
  }
}

const TEXT_AT_ONCE = 1 << 20

/** DuckDB orders texts by their bytes, as S3 lists keys. */
async function* rowsOf(session: DuckSession): AsyncGenerator<ListedVersion> {
  const sql = `SELECT * FROM ${TABLE} ORDER BY "key", is_latest = 'true' DESC, last_modified_date::BIGINT DESC, version_id`
  for await (const page of session.pages(sql)) for (const row of page) yield listedVersion(row)
}

function listedVersion(row: DuckRow): ListedVersion {
  const text = (name: (typeof COLUMNS)[number]) => (row[name] === null ? undefined : String(row[name]))
  const etag = text('e_tag')?.replace(/^"|"$/g, '')
  const encryptionStatus = text('encryption_status')
  const isMultipart = text('is_multipart_uploaded')
  const bucketKey = text('bucket_key_status')
  const checksumAlgorithm = text('checksum_algorithm')
  const storageClass = text('storage_class')
  return {
    key: String(row['key']),
    versionId: text('version_id') ?? NULL_VERSION,
    isLatest: text('is_latest') !== 'false',
    isDeleteMarker: text('is_delete_marker') === 'true',
    sizeBytes: Number(text('size') ?? 0),
    lastModifiedMs: Number(text('last_modified_date') ?? 0),
    ...(etag === undefined ? {} : { etag }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(isMultipart === undefined ? {} : { isMultipart: isMultipart === 'true' }),
    ...(encryptionStatus === undefined || encryptionStatus === 'NOT-SSE' ? {} : { encryptionStatus }),
    ...(bucketKey === undefined ? {} : { isBucketKeyEnabled: bucketKey === 'ENABLED' }),
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
  }
}
