/**
 * The manifest of an S3 Inventory report: which files it is made of, in which format, with which columns, as of when.
 *
 * Nothing of a report is taken before its checksum is right: the manifest's against `manifest.checksum` beside it where that is
 * there, each file's against the manifest.
 */
import { Fault, messageOf } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'

export type InventoryFormat = 'CSV' | 'Parquet' | 'ORC'

export interface InventoryFile {
  /** In the bucket that the report was written to. */
  key: string
  sizeBytes: number
  md5: string
}

export interface InventoryManifest {
  sourceBucket: string
  /** Without what is before the name in an ARN. */
  destinationBucket: string
  format: InventoryFormat
  /** When the report was begun, in milliseconds since 1970. */
  createdMs: number
  /** Of its files, in their order, as `InventoryColumn`. */
  columns: string[]
  files: InventoryFile[]
}

/**
 * @param bytes of `manifest.json`
 * @param checksum text of `manifest.checksum`; null where there is none
 * @param name of the manifest, for messages
 * @throws Fault `invalid` (no manifest of an inventory), `corrupt` (checksum), `limit`
 */
export function readManifest(bytes: Uint8Array, checksum: string | null, name: string): InventoryManifest {
  if (bytes.length > limits.inventoryManifestBytesMax)
    throw new Fault('limit', `${name}: expected at most ${limits.inventoryManifestBytesMax} bytes, got ${bytes.length}`)
  if (checksum !== null && checksum.trim().toLowerCase() !== md5Hex(bytes)) {
    throw new Fault(
      'corrupt',
      `${name}: expected the MD5 ${checksum.trim()} that manifest.checksum says, got ${md5Hex(bytes)}; fetch the report again`,
    )
  }
  const wrong = (what: string) =>
    new Fault('invalid', `${name}: expected the manifest.json of an S3 Inventory report, ${what}`)
  let parsed: Record<string, unknown>
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('got JSON of another form')
    parsed = value as Record<string, unknown>
  } catch (error) {
    throw error instanceof Fault ? error : wrong(`got no JSON: ${messageOf(error)}`)
  }
  const text = (member: string): string => {
    const value = parsed[member]
    if (typeof value !== 'string' || value === '') throw wrong(`whose ${member} is a text; it is missing or none`)
    return value
  }
  const format = text('fileFormat')
  if (format !== 'CSV' && format !== 'Parquet' && format !== 'ORC')
    throw wrong(`whose fileFormat is CSV, Parquet or ORC; it is ${JSON.stringify(format)}`)
  const createdMs = Number(text('creationTimestamp'))
  if (!Number.isSafeInteger(createdMs) || createdMs <= 0)
    throw wrong(`whose creationTimestamp is in milliseconds; it is ${JSON.stringify(parsed['creationTimestamp'])}`)
  const { files } = parsed
  if (!Array.isArray(files)) throw wrong('whose files are a list')
  if (files.length > limits.inventoryFilesMax)
    throw new Fault('limit', `${name}: expected at most ${limits.inventoryFilesMax} files, got ${files.length}`)
  const columns = columnsOf(text('fileSchema'), format)
  if (!columns.includes('key')) throw wrong('whose fileSchema has a column of keys')
  return {
    sourceBucket: text('sourceBucket'),
    destinationBucket: text('destinationBucket').replace(/^arn:[^:]*:s3:::/, ''),
    format,
    createdMs,
    columns,
    files: files.map((file: unknown, at) => {
      const { key, size, MD5checksum } = (file ?? {}) as Record<string, unknown>
      if (typeof key !== 'string' || typeof size !== 'number' || typeof MD5checksum !== 'string')
        throw wrong(`whose files have key, size and MD5checksum; files[${at}] has not`)
      if (size > limits.inventoryFileBytesMax)
        throw new Fault(
          'limit',
          `${name}: expected files of at most ${limits.inventoryFileBytesMax} bytes, ${key} has ${size}`,
        )
      return { key, sizeBytes: size, md5: MD5checksum.toLowerCase() }
    }),
  }
}

/** Names of the columns as Parquet and ORC have them; those of CSV are turned into them. */
const CSV_COLUMNS: Record<string, string> = {
  Bucket: 'bucket',
  Key: 'key',
  VersionId: 'version_id',
  IsLatest: 'is_latest',
  IsDeleteMarker: 'is_delete_marker',
  Size: 'size',
  LastModifiedDate: 'last_modified_date',
  ETag: 'e_tag',
  StorageClass: 'storage_class',
  IsMultipartUploaded: 'is_multipart_uploaded',
  EncryptionStatus: 'encryption_status',
  BucketKeyStatus: 'bucket_key_status',
  ChecksumAlgorithm: 'checksum_algorithm',
}

function columnsOf(schema: string, format: InventoryFormat): string[] {
  switch (format) {
    case 'CSV':
      return schema.split(',').map((name) => CSV_COLUMNS[name.trim()] ?? name.trim())
    case 'Parquet':
      return [...schema.matchAll(/(?:required|optional)\s+[\w()\s]*?(\w+)\s*(?:\([A-Z0-9_]+\))?\s*;/g)].map(
        ([, name]) => name!,
      )
    case 'ORC':
      return [...schema.matchAll(/(\w+):/g)].map(([, name]) => name!)
  }
}
