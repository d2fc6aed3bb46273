/** Reading bytes of an object, whole or by range, and making sure that they are all there. */
import { Fault } from '../base/fault.ts'
import type { ByteRange } from './range.ts'
import type { LoadedClient } from './s3-client.ts'
import { type GotObject, getObject, type ObjectBody } from './s3-get.ts'
import { type ObjectHead, unquoted } from './s3-info.ts'

export interface ReadPart {
  readonly bytes: Uint8Array
  /** Of the object that they are of. */
  readonly etag: string
  /** Bytes of the whole object. */
  readonly sizeBytes: number
}

export interface ReadInput {
  readonly bucket: string
  readonly key: string
  readonly range?: ByteRange | undefined
  readonly versionId?: string | undefined
  readonly ifMatch?: string | undefined
}

/** One request. An answer that breaks off or is shorter than it says is thrown as an error that may pass. */
export async function readPart(loaded: LoadedClient, input: ReadInput, abortSignal: AbortSignal): Promise<ReadPart> {
  const { range } = input
  const got = await getObject(
    loaded,
    {
      Bucket: input.bucket,
      Key: input.key,
      ...(range !== undefined && { Range: `bytes=${range.start}-${range.end - 1}` }),
      ...(input.versionId !== undefined && { VersionId: input.versionId }),
      ...(input.ifMatch !== undefined && { IfMatch: `"${input.ifMatch}"` }),
    },
    abortSignal,
  )
  const expected = expectedOf(got, input)
  const bytes = await collect(got.body, expected.bytes, abortSignal)
  return { bytes, etag: unquoted(got.head.ETag), sizeBytes: expected.sizeBytes }
}

/** The head of an answer, and its whole body; `head` is null where it does not say how long the object is. */
export interface ReadWhole {
  readonly head: ObjectHead | null
  /** Null: longer than was asked for. */
  readonly bytes: Uint8Array | null
}

/**
 * An object with everything that is said of it, by one request. Not by a range: S3 says no checksum beside one, and an empty object has
 * no first byte.
 */
export async function readWhole(
  loaded: LoadedClient,
  { bucket, key, versionId, bytesMax }: ReadInput & { readonly bytesMax: number },
  abortSignal: AbortSignal,
): Promise<ReadWhole> {
  const { head, body } = await getObject(
    loaded,
    { Bucket: bucket, Key: key, ChecksumMode: 'ENABLED', ...(versionId !== undefined && { VersionId: versionId }) },
    abortSignal,
  )
  const length = head.ContentLength
  if (length !== undefined && length <= bytesMax) return { head, bytes: await collect(body, length, abortSignal) }
  // An answer that is not read to its end takes its connection with it.
  body?.destroy()
  return { head: length === undefined ? null : head, bytes: null }
}

/** How long the body must be, and the object. @throws Fault `corrupt` when the answer is of another range */
function expectedOf({ head, body }: GotObject, input: ReadInput): { bytes: number; sizeBytes: number } {
  const { range } = input
  const length = head.ContentLength
  if (range === undefined) {
    if (length === undefined) throw new Error('the answer does not say how long it is')
    return { bytes: length, sizeBytes: length }
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(head.ContentRange ?? '')
  if (match === null) {
    body?.destroy()
    throw new Fault(
      'unsupported',
      `expected s3://${input.bucket}/${input.key} in the range that was asked for, got an answer without one ("${head.ContentRange ?? ''}"); the store must know ranges`,
      { bucket: input.bucket, key: input.key },
    )
  }
  const [start, last, sizeBytes] = match.slice(1).map(Number) as [number, number, number]
  if (start !== range.start || last !== Math.min(range.end, sizeBytes) - 1) {
    body?.destroy()
    throw new Error(`expected bytes ${range.start} to ${range.end} of ${sizeBytes}, got ${head.ContentRange}`)
  }
  return { bytes: last - start + 1, sizeBytes }
}

async function collect(body: ObjectBody | undefined, expected: number, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(expected)
  let filled = 0
  const stop = () => body?.destroy()
  signal.addEventListener('abort', stop)
  try {
    for await (const chunk of body ?? []) {
      if (filled + chunk.length > expected) throw new Error(`expected ${expected} bytes, got more`)
      bytes.set(chunk, filled)
      filled += chunk.length
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
  if (filled !== expected) throw new Error(`expected ${expected} bytes, got ${filled}`)
  return bytes
}
