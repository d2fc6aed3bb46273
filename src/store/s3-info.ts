/** What S3 says of an object in the heads of its answers and in listings, in the port's words. */
import type { GetObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import type { EncryptionStatus, ObjectInfo } from './store.ts'

/** An entry of a listing, of objects or of versions. */
export interface ListedEntry {
  Size?: number | undefined
  ETag?: string | undefined
  LastModified?: Date | undefined
  StorageClass?: string | undefined
  ChecksumAlgorithm?: readonly string[] | undefined
}

export function infoOfListed(key: string, entry: ListedEntry): ObjectInfo {
  const etag = unquoted(entry.ETag)
  const checksum = entry.ChecksumAlgorithm?.[0]
  return {
    key,
    sizeBytes: entry.Size ?? 0,
    etag,
    lastModifiedMs: entry.LastModified?.getTime() ?? 0,
    storageClass: entry.StorageClass ?? 'STANDARD',
    isMultipart: isMultipart(etag),
    ...(checksum !== undefined && { checksumAlgorithm: checksum }),
  }
}

/** The head of an answer about a whole object. */
export type ObjectHead = Pick<
  HeadObjectCommandOutput & GetObjectCommandOutput,
  | 'ETag'
  | 'ContentLength'
  | 'LastModified'
  | 'StorageClass'
  | 'VersionId'
  | 'ContentType'
  | 'Metadata'
  | 'TagCount'
  | 'ServerSideEncryption'
  | 'SSECustomerAlgorithm'
  | 'SSEKMSKeyId'
  | 'BucketKeyEnabled'
  | 'ChecksumCRC64NVME'
  | 'ChecksumCRC32C'
  | 'ChecksumCRC32'
  | 'ChecksumSHA256'
  | 'ChecksumSHA1'
>

export function infoOfHead(key: string, head: ObjectHead): ObjectInfo {
  const etag = unquoted(head.ETag)
  const checksumAlgorithm = checksumOf(head)
  const encryptionStatus = encryptionOf(head)
  return {
    key,
    sizeBytes: head.ContentLength ?? 0,
    etag,
    lastModifiedMs: head.LastModified?.getTime() ?? 0,
    // S3 says nothing of the class that objects have unless another was asked for.
    storageClass: head.StorageClass ?? 'STANDARD',
    isMultipart: isMultipart(etag),
    ...(head.VersionId !== undefined && { versionId: head.VersionId }),
    ...(head.ContentType !== undefined && { contentType: head.ContentType }),
    ...(head.Metadata !== undefined && { userMetadata: userMetadataOf(head.Metadata) }),
    ...(checksumAlgorithm !== undefined && { checksumAlgorithm }),
    ...(encryptionStatus !== undefined && { encryptionStatus }),
    ...(head.TagCount !== undefined && head.TagCount > 0 && { tagCount: head.TagCount }),
    ...(head.BucketKeyEnabled !== undefined && { isBucketKeyEnabled: head.BucketKeyEnabled }),
    ...(head.SSEKMSKeyId !== undefined && { kmsKeyArn: head.SSEKMSKeyId }),
  }
}

export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll('"', '')
}

/** An object of parts has `-` and their count behind its etag. */
function isMultipart(etag: string): boolean {
  return /-\d+$/.test(etag)
}

function checksumOf(head: ObjectHead): string | undefined {
  if (head.ChecksumCRC64NVME !== undefined) return 'CRC64NVME'
  if (head.ChecksumCRC32C !== undefined) return 'CRC32C'
  if (head.ChecksumCRC32 !== undefined) return 'CRC32'
  if (head.ChecksumSHA256 !== undefined) return 'SHA256'
  if (head.ChecksumSHA1 !== undefined) return 'SHA1'
  return undefined
}

function encryptionOf(head: ObjectHead): EncryptionStatus | undefined {
  if (head.SSECustomerAlgorithm !== undefined) return 'SSE-C'
  switch (head.ServerSideEncryption) {
    case 'AES256':
      return 'SSE-S3'
    case 'aws:kms':
      return 'SSE-KMS'
    case 'aws:kms:dsse':
      return 'DSSE-KMS'
    default:
      return undefined
  }
}

function userMetadataOf(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, headerText(value)]))
}

/** Text beyond ASCII comes as RFC 2047 has it (AWS), or as bare UTF-8 bytes (others), of which Node makes Latin-1. */
function headerText(value: string): string {
  const decoded = value.replace(/=\?utf-8\?([bq])\?([^?]*)\?=(?:\s+(?==\?))?/gi, (_all, kind: string, text: string) =>
    kind.toLowerCase() === 'b'
      ? Buffer.from(text, 'base64').toString()
      : Buffer.from(quotedBytes(text), 'latin1').toString(),
  )
  if (decoded !== value || !/[\x80-\xff]/.test(value) || /[^\0-\xff]/.test(value)) return decoded
  const text = Buffer.from(value, 'latin1').toString()
  return text.includes('\ufffd') ? value : text
}

function quotedBytes(text: string): string {
  return text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
