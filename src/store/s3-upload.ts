/**
 * Putting bytes and files.
 *
 * An answer that was lost leaves open whether the request took effect. Each write that is not the same done twice therefore carries
 * an id of its own in the object's user metadata: a look at the object says whose write it is.
 * Crash story: an upload in parts that is not completed leaves no object; its parts stay in the bucket, invisible, until a lifecycle
 * rule or `AbortMultipartUpload` removes them.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { eachAtOnce } from '../base/each-at-once.ts'
import { Fault, systemCode } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Slots } from '../base/slots.ts'
import { readRange } from './range.ts'
import { unquoted } from './s3-info.ts'
import type { S3Requests } from './s3-requests.ts'

/** The name, in user metadata, of the id by which a write is recognised. */
export const writeIdKey = 'tidewater-write'

export interface Target {
  readonly requests: S3Requests
  readonly bucket: string
  /** The whole key. */
  readonly key: string
  /** Of whoever holds a body in memory. */
  readonly bodies: Slots
}

export interface Written {
  readonly etag: string
  readonly sizeBytes: number
  readonly versionId?: string | undefined
}

export async function putBytes({ requests, bucket, key }: Target, bytes: Uint8Array): Promise<Written> {
  const { value } = await requests.run(
    { operation: 'PutObject', what: `put object "${key}" to s3://${bucket}`, facts: { key }, bytes: bytes.length },
    ({ sdk, client }, abortSignal) =>
      client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ContentMD5: md5Base64(bytes) }), {
        abortSignal,
      }),
  )
  return { etag: unquoted(value.ETag), sizeBytes: bytes.length, versionId: value.VersionId }
}

/** True when this call created the object. */
export async function createObject(target: Target, bytes: Uint8Array): Promise<boolean> {
  const { requests, bucket, key } = target
  const writeId = uuidv7(Date.now())
  const input = {
    Bucket: bucket,
    Key: key,
    Body: bytes,
    ContentMD5: md5Base64(bytes),
    IfNoneMatch: '*',
    Metadata: { [writeIdKey]: writeId },
  }
  const done = await requests.tryRun(
    { operation: 'PutObject', what: `create object "${key}" in s3://${bucket}`, facts: { key }, bytes: bytes.length },
    ({ sdk, client }, abortSignal) => client.send(new sdk.PutObjectCommand(input), { abortSignal }),
  )
  if ('value' in done) return true
  if (done.failure.kind === 'condition') return done.uncertain && (await isOurs(target, writeId, md5Hex(bytes)))
  throw done.fault
}

/** Whether the object that is there now is what the write of this id, or else of this etag, made. */
async function isOurs({ requests, bucket, key }: Target, writeId: string, etag: string | null): Promise<boolean> {
  const done = await requests.tryRun(
    { operation: 'HeadObject', what: `look at object "${key}" of s3://${bucket}`, facts: { key } },
    ({ sdk, client }, abortSignal) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
  )
  if ('value' in done) {
    const found = done.value.Metadata?.[writeIdKey]
    // A store that keeps no metadata still has the etag.
    return found === undefined ? unquoted(done.value.ETag) === etag : found === writeId
  }
  if (done.failure.kind === 'missing') return false
  throw done.fault
}

/** Puts a local file, in parts when it is large. @throws Fault `not-found` when there is no such file */
export async function putLocalFile(target: Target, localPath: string): Promise<Written> {
  const handle = await openLocal(target, localPath)
  try {
    const { size } = await handle.stat()
    return size <= limits.s3PutBytesMax
      ? await target.bodies.run(async () => putBytes(target, await readRange(handle)))
      : await putParts(target, handle, size)
  } finally {
    await handle.close()
  }
}

async function openLocal({ bucket }: Target, localPath: string): Promise<FileHandle> {
  try {
    return await open(localPath, 'r')
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw new Fault('not-found', `cannot move ${localPath} into s3://${bucket}: there is no such file`, {}, error)
  }
}

interface Part {
  readonly PartNumber: number
  readonly ETag: string | undefined
}

async function putParts(target: Target, handle: FileHandle, sizeBytes: number): Promise<Written> {
  const { requests, bucket, key } = target
  const facts = { key, sizeBytes }
  const what = `put object "${key}" in parts to s3://${bucket}`
  const writeId = uuidv7(Date.now())
  const begun = await requests.run(
    { operation: 'CreateMultipartUpload', what, facts },
    ({ sdk, client }, abortSignal) =>
      client.send(
        new sdk.CreateMultipartUploadCommand({ Bucket: bucket, Key: key, Metadata: { [writeIdKey]: writeId } }),
        { abortSignal },
      ),
  )
  const upload = { Bucket: bucket, Key: key, UploadId: begun.value.UploadId }
  try {
    const parts = await sendParts(target, upload, handle, sizeBytes, what)
    const done = await requests.tryRun(
      { operation: 'CompleteMultipartUpload', what, facts },
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }), {
          abortSignal,
        }),
    )
    if ('value' in done) return { etag: unquoted(done.value.ETag), sizeBytes, versionId: done.value.VersionId }
    // Completed by a try whose answer was lost: the upload is gone then, and the object carries our id.
    if (done.failure.kind === 'no-upload' && done.uncertain && (await isOurs(target, writeId, null))) {
      return await writtenOf(target, sizeBytes)
    }
    throw done.fault
  } catch (error) {
    await requests.tryRun({ operation: 'AbortMultipartUpload', what, facts }, ({ sdk, client }, abortSignal) =>
      client.send(new sdk.AbortMultipartUploadCommand(upload), { abortSignal }),
    )
    throw error
  }
}

async function sendParts(
  { requests, bodies }: Target,
  upload: { Bucket: string; Key: string; UploadId: string | undefined },
  handle: FileHandle,
  sizeBytes: number,
  what: string,
): Promise<Part[]> {
  const partBytes = Math.max(limits.s3PutBytesMax, Math.ceil(sizeBytes / limits.s3PartsMax))
  const count = Math.ceil(sizeBytes / partBytes)
  const parts: Part[] = []
  const starts = Array.from({ length: count }, (_, at) => at * partBytes)
  const send = async (start: number, at: number): Promise<void> => {
    const end = Math.min(sizeBytes, start + partBytes)
    const bytes = await readRange(handle, { start, end })
    if (bytes.length !== end - start) throw cutWhileRead(upload.Key)
    const { value } = await requests.run(
      { operation: 'UploadPart', what, facts: { key: upload.Key, part: at + 1 }, bytes: bytes.length },
      ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.UploadPartCommand({ ...upload, PartNumber: at + 1, Body: bytes, ContentMD5: md5Base64(bytes) }),
          { abortSignal },
        ),
    )
    parts[at] = { PartNumber: at + 1, ETag: value.ETag }
  }
  await eachAtOnce(limits.s3BodiesAtOnce, starts, (start, at) => bodies.run(() => send(start, at)))
  return parts
}

async function writtenOf({ requests, bucket, key }: Target, sizeBytes: number): Promise<Written> {
  const { value } = await requests.run(
    { operation: 'HeadObject', what: `look at object "${key}" of s3://${bucket}`, facts: { key } },
    ({ sdk, client }, abortSignal) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
  )
  return { etag: unquoted(value.ETag), sizeBytes, versionId: value.VersionId }
}

function cutWhileRead(key: string): Fault {
  return new Fault(
    'invalid',
    `expected the local file for object "${key}" to stay whole while it is put, but it was cut`,
  )
}

function md5Base64(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64')
}

function md5Hex(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
