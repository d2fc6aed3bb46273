/**
 * A bucket of an object store: what it is asked about an object, and how the bytes of an object are read.
 *
 * Versions are asked for by their ids. The null version is asked for without one, as what the key stands for, since most buckets
 * have no versions; where that is another version, or a delete marker, the null version may lie below it and is asked for by name.
 * What is found is compared with the event's etag: another one means that the object has been superseded, nothing that it is
 * missing.
 */
import { isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { isRefusal, type RangeReader } from '../extract/extract.ts'
import { readingAhead } from '../extract/read-ahead.ts'
import type { Answer, AskFault, ReadObject } from '../service/objects/ask.ts'
import type { ObjectFacts } from '../service/objects/description.ts'
import type { BucketStore, ObjectInfo, ObjectWithBytes } from '../store/store.ts'

/** `all`: by HEAD, and tags of objects that have some; `head`: without tags; `none`: nothing is asked. */
export type Describing = 'all' | 'head' | 'none'

export type Located =
  | { kind: 'found'; info: ObjectInfo; versionId: string | undefined; bytes: Uint8Array | null }
  | { kind: 'missing' }
  | { kind: 'superseded' }

/**
 * Finds the object of a creation.
 * @param bytesMax fetch its bytes along, if there are no more
 * @throws Fault of the store
 */
export async function locate(store: BucketStore, event: ObjectEvent, bytesMax?: number): Promise<Located> {
  const { key, versionId, etag } = event
  const look = (version: { versionId?: string }) => lookAt(store, key, version, bytesMax)
  const foundAs = (seen: ObjectWithBytes, as: string | undefined): Located =>
    etag === undefined || seen.info.etag === etag ? { kind: 'found', ...seen, versionId: as } : { kind: 'superseded' }
  if (versionId !== NULL_VERSION) {
    const seen = await look({ versionId })
    return seen === null ? { kind: 'missing' } : foundAs(seen, versionId)
  }
  const top = await look({})
  const isNull = top !== null && (top.info.versionId ?? NULL_VERSION) === NULL_VERSION
  if (isNull) return foundAs(top, top.info.versionId)
  const below = await look({ versionId: NULL_VERSION }).catch(absentIfRefused)
  return below === null ? { kind: 'missing' } : foundAs(below, versionId)
}

async function lookAt(
  store: BucketStore,
  key: string,
  version: { versionId?: string },
  bytesMax: number | undefined,
): Promise<ObjectWithBytes | null> {
  if (bytesMax !== undefined) return store.headWithBytes(key, { ...version, bytesMax })
  const info = await store.head(key, version)
  return info === null ? null : { info, bytes: null }
}

/** Some stores refuse the name of the null version where there are no versions. */
function absentIfRefused(error: unknown): null {
  if (isFault(error, 'invalid')) return null
  throw error
}

/**
 * What the store says of the object of a creation. Never throws.
 * @param isRead its bytes are wanted next: those of a small object come with the answer, by the same request
 */
export async function askAbout(
  store: BucketStore,
  event: ObjectEvent,
  describing: Describing,
  isRead: boolean,
): Promise<Answer> {
  const isSmall = event.sizeBytes !== undefined && event.sizeBytes <= limits.extractHeadBytes
  let found: Located
  try {
    found = await locate(store, event, isRead && isSmall ? limits.extractHeadBytes : undefined)
  } catch (error) {
    return { kind: 'failed', fault: faultOf(error) }
  }
  if (found.kind !== 'found') return { kind: 'gone' }
  const { info, bytes } = found
  const facts = factsOf(info)
  const read = bytes === null ? {} : { read: { etag: info.etag, bytes } }
  if (describing !== 'all') return { kind: 'facts', facts, ...read }
  if ((info.tagCount ?? 0) === 0) return { kind: 'facts', facts: { ...facts, tags: {} }, ...read }
  const { key } = event
  try {
    const tags = await store.tags(key, found.versionId === undefined ? {} : { versionId: found.versionId })
    return tags === null ? { kind: 'gone' } : { kind: 'facts', facts: { ...facts, tags }, ...read }
  } catch (error) {
    return { kind: 'facts', facts, ...read, fault: faultOf(error) }
  }
}

export function faultOf(error: unknown): AskFault {
  const code = isFault(error) ? error.kind : 'unavailable'
  return { code, message: messageOf(error), ...(isRefusal(error) && { isRefused: true }) }
}

function factsOf(info: ObjectInfo): ObjectFacts {
  const { etag, sizeBytes, contentType, storageClass, userMetadata = {}, isMultipart } = info
  const { encryptionStatus, isBucketKeyEnabled, kmsKeyArn, checksumAlgorithm } = info
  const facts = {
    contentType,
    storageClass,
    isMultipart,
    encryptionStatus,
    isBucketKeyEnabled,
    kmsKeyArn,
    checksumAlgorithm,
  }
  const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
  return { etag, sizeBytes, userMetadata, ...known }
}

/** The bytes of an object, all of which are here. */
export function readerOf({ bytes }: ReadObject): RangeReader {
  // Copies: what is sent to a worker takes the memory that it lies in along.
  return async (start, end) => bytes.slice(start, end)
}

/** The bytes of an object whose size and etag are known; a newer object's are refused as `superseded`. */
export function remoteReader(
  store: BucketStore,
  { key, versionId }: ObjectEvent,
  { sizeBytes, etag }: { sizeBytes: number; etag: string },
): RangeReader {
  let pin: { versionId?: string } = versionId === NULL_VERSION ? {} : { versionId }
  let isSettled = versionId !== NULL_VERSION
  const read: RangeReader = async (start, end) => {
    const options = { ifMatch: etag, range: { start, end } }
    try {
      const bytes = await store.get(key, { ...pin, ...options })
      isSettled = true
      return bytes
    } catch (error) {
      if (isSettled || !(isFault(error, 'superseded') || isFault(error, 'not-found'))) throw error
      isSettled = true
      // The null version may lie below another one. If it does not, what was said first holds.
      const bytes = await store.get(key, { versionId: NULL_VERSION, ...options }).catch(() => null)
      if (bytes === null) throw error
      pin = { versionId: NULL_VERSION }
      return bytes
    }
  }
  return readingAhead(read, sizeBytes)
}
