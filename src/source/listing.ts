/**
 * A bucket as its listing shows it: keys in the order of code points, each with its versions, newest first; in a bucket that never
 * had versions, with the object alone.
 *
 * Invariant: what is given is in order and of one key at a time. A listing out of order is refused, because comparing it would make
 * removals of objects that are there.
 */
import { Fault } from '../base/fault.ts'
import { compareKeyOrder } from '../base/key-order.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION } from '../change/object-event.ts'
import type { BucketStore, ObjectInfo, VersionInfo } from '../store/store.ts'

/** What a listing or a report says of a version. What it does not say is absent. */
export interface ListedVersion {
  key: string
  /** `NULL_VERSION` in buckets without versions. */
  versionId: string
  isLatest: boolean
  isDeleteMarker: boolean
  sizeBytes: number
  lastModifiedMs: number
  etag?: string
  storageClass?: string
  isMultipart?: boolean
  checksumAlgorithm?: string
  encryptionStatus?: string
  isBucketKeyEnabled?: boolean
}

export interface ListedKey {
  key: string
  /** Newest first. */
  versions: ListedVersion[]
  /** There are more than `limits.reconcileVersionsPerKeyMax`: these are not all. */
  isCut: boolean
}

export interface ListingOptions {
  prefix: string
  /** List versions and markers. */
  versions: boolean
  /** Exclusive. */
  after?: string
}

/** The keys of a bucket. @throws Fault `corrupt` when the store lists out of order */
export function listKeys(store: BucketStore, options: ListingOptions): AsyncGenerator<ListedKey> {
  return groupedKeys(listedVersions(store, options), store.name)
}

/** One key as the bucket shows it now; no versions: it is not there. */
export async function lookAtKey(store: BucketStore, key: string, versions: boolean): Promise<ListedKey> {
  if (!versions) {
    const found = await store.head(key)
    return { key, versions: found === null ? [] : [listedObject(found)], isCut: false }
  }
  // Keys that begin with this one come after it.
  for await (const found of listKeys(store, { prefix: key, versions })) {
    if (found.key === key) return found
    break
  }
  return { key, versions: [], isCut: false }
}

/** Versions in order → keys with their versions. */
export async function* groupedKeys(versions: AsyncIterable<ListedVersion>, name: string): AsyncGenerator<ListedKey> {
  let open = null as ListedKey | null
  for await (const version of versions) {
    if (open?.key === version.key) {
      if (open.versions.length < limits.reconcileVersionsPerKeyMax) open.versions.push(version)
      else open.isCut = true
      continue
    }
    if (open !== null) {
      if (compareKeyOrder(open.key, version.key) > 0) {
        const got = `${JSON.stringify(version.key)} after ${JSON.stringify(open.key)}`
        throw new Fault('corrupt', `expected ${name} to list its keys in the order of their UTF-8 bytes, got ${got}`)
      }
      yield open
    }
    open = { key: version.key, versions: [version], isCut: false }
  }
  if (open !== null) yield open
}

async function* listedVersions(store: BucketStore, options: ListingOptions): AsyncGenerator<ListedVersion> {
  const { prefix, versions, after } = options
  if (versions) {
    const from = after === undefined ? {} : { after: { key: after } }
    for await (const info of store.listVersions(prefix, from)) yield listedVersion(info)
  } else {
    const from = after === undefined ? {} : { after }
    for await (const info of store.list(prefix, from)) yield listedObject(info)
  }
}

function listedObject(info: ObjectInfo): ListedVersion {
  return { ...common(info), versionId: NULL_VERSION, isLatest: true, isDeleteMarker: false }
}

function listedVersion(info: VersionInfo): ListedVersion {
  const { versionId, isLatest, isDeleteMarker } = info
  return { ...common(info), versionId, isLatest, isDeleteMarker }
}

function common(info: ObjectInfo) {
  const { key, sizeBytes, lastModifiedMs, etag, storageClass, checksumAlgorithm } = info
  const isMultipart = /^[0-9a-f]{32}-\d+$/i.test(etag)
  return {
    key,
    sizeBytes,
    lastModifiedMs,
    ...(etag === '' ? {} : { etag, isMultipart }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
  }
}
