/**
 * A bucket of an object store: what it is asked about an object, and how the bytes of an object are read.
 *
 * Versions are asked for by their ids. The null version is asked for without one, as what the key stands for, since most buckets
 * have no versions; where that is another version, or a delete marker, the null version may lie below it and is asked for by name.
 * What is found is compared with the event's etag: another one means that the object has been superseded, nothing that it is
 * missing.
 */
import { isFault, messageOf } from '../base/fault.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { isRefusal, type RangeReader } from '../extract/extract.ts'
import { readingAhead } from '../extract/read-ahead.ts'
import type { Answer, AskFault } from '../service/objects/ask.ts'
import type { ObjectFacts } from '../service/objects/description.ts'
import type { BucketStore, ObjectInfo } from '../store/store.ts'

/** `all`: by HEAD, and tags of objects that have some; `head`: without tags; `none`: nothing is asked. */
export type Describing = 'all' | 'head' | 'none'

export type Located =
  | { kind: 'found'; info: ObjectInfo; versionId: string | undefined }
  | { kind: 'missing' }
  | { kind: 'superseded' }

/** Finds the object of a creation. @throws Fault of the store */
export async function locate(store: BucketStore, event: ObjectEvent): Promise<Located> {
  const { key, versionId, etag } = event
  const isIt = (info: ObjectInfo) => etag === undefined || info.etag === etag
  if (versionId !== NULL_VERSION) {
    const info = await store.head(key, { versionId })
    if (info === null) return { kind: 'missing' }
    return isIt(info) ? { kind: 'found', info, versionId } : { kind: 'superseded' }
  }
  const top = await store.head(key)
  const isNull = top !== null && (top.versionId ?? NULL_VERSION) === NULL_VERSION
  if (isNull) return isIt(top) ? { kind: 'found', info: top, versionId: top.versionId } : { kind: 'superseded' }
  const below = await store.head(key, { versionId: NULL_VERSION }).catch(absentIfRefused)
  if (below !== null) return isIt(below) ? { kind: 'found', info: below, versionId } : { kind: 'superseded' }
  return { kind: 'missing' }
}

/** Some stores refuse the name of the null version where there are no versions. */
function absentIfRefused(error: unknown): null {
  if (isFault(error, 'invalid')) return null
  throw error
}

/** What the store says of the object of a creation. Never throws. */
export async function askAbout(store: BucketStore, event: ObjectEvent, describing: Describing): Promise<Answer> {
  let found: Located
  try {
    found = await locate(store, event)
  } catch (error) {
    return { kind: 'failed', fault: faultOf(error) }
  }
  if (found.kind !== 'found') return { kind: 'gone' }
  const facts = factsOf(found.info)
  if (describing !== 'all') return { kind: 'facts', facts }
  if ((found.info.tagCount ?? 0) === 0) return { kind: 'facts', facts: { ...facts, tags: {} } }
  const { key } = event
  try {
    const tags = await store.tags(key, found.versionId === undefined ? {} : { versionId: found.versionId })
    return tags === null ? { kind: 'gone' } : { kind: 'facts', facts: { ...facts, tags } }
  } catch (error) {
    return { kind: 'facts', facts, fault: faultOf(error) }
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
