/**
 * A bucket in memory, for tests and simulation: versions, delete markers, the `null` version, suspended versioning and tags behave
 * as S3's do, and keys are in S3's order. Nothing is durable and nothing is bounded.
 *
 * Per key a stack of versions, the newest first. Without versions, or with them suspended, a put takes the place of the version
 * `null`, wherever it lies in the stack, and goes on top; a delete puts a marker there in the same way, or, in a bucket that never
 * had versions, removes the object.
 */
import { type Clock, systemClock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import { compareKeyOrder } from '../base/key-order.ts'
import { MemoryFiles, takeFile } from './memory-files.ts'
import { bytesOf, type MemoryObject, requireKey } from './memory-object.ts'
import type {
  BucketStore,
  GetOptions,
  ListOptions,
  ListVersionsOptions,
  ObjectInfo,
  ObjectWithBytes,
  VersionInfo,
  Versioning,
} from './store.ts'

/** What a bucket may say of an object besides what its bytes say. */
export type ObjectExtra = Partial<Omit<ObjectInfo, 'key' | 'sizeBytes' | 'etag' | 'lastModifiedMs' | 'versionId'>>

export interface MemoryBucketOptions {
  /** Default `memory:`. */
  name?: string
  /** Default `never`. */
  versioning?: Versioning
  clock?: Clock
}

export interface MemoryBucket extends BucketStore {
  setVersioning(versioning: 'enabled' | 'suspended'): void
  putObject(key: string, bytes: Uint8Array, extra: ObjectExtra): Promise<ObjectInfo>
  /** @throws Fault `not-found` */
  setTags(key: string, tags: Record<string, string>, options?: { versionId?: string }): void
  /** Removes a version or a marker for good; one that is not there is no error. */
  deleteVersion(key: string, versionId: string): void
  /** Changes what is said of a version, as a lifecycle rule changes its storage class. @throws Fault `not-found` */
  describe(key: string, extra: ObjectExtra, options?: { versionId?: string }): void
  /** Removes the files that `localFile` made. */
  close(): Promise<void>
}

interface Version extends MemoryObject {
  versionId: string
  marker: boolean
  tags: Record<string, string>
}

const noBytes = new Uint8Array()

export function openMemoryBucket(options: MemoryBucketOptions = {}): MemoryBucket {
  return new MemoryBucketAdapter(options)
}

class MemoryBucketAdapter implements MemoryBucket {
  readonly name: string
  readonly #clock: Clock
  #versioning: Versioning
  /** Newest first. */
  readonly #versions = new Map<string, Version[]>()
  #versionCount = 0
  readonly #files = new MemoryFiles()

  constructor(options: MemoryBucketOptions) {
    this.name = options.name ?? 'memory:'
    this.#clock = options.clock ?? systemClock
    this.#versioning = options.versioning ?? 'never'
  }

  async versioning(): Promise<Versioning> {
    return this.#versioning
  }

  setVersioning(versioning: 'enabled' | 'suspended'): void {
    this.#versioning = versioning
  }

  async head(key: string, options: { versionId?: string } = {}): Promise<ObjectInfo | null> {
    const found = this.#find(key, options.versionId)
    if (found === undefined || found.marker) return null
    const tagCount = Object.keys(found.tags).length
    return { ...this.#infoOf(found), ...(tagCount > 0 && { tagCount }) }
  }

  async headWithBytes(
    key: string,
    { bytesMax, ...options }: { versionId?: string; bytesMax: number },
  ): Promise<ObjectWithBytes | null> {
    const info = await this.head(key, options)
    if (info === null) return null
    return { info, bytes: info.sizeBytes > bytesMax ? null : this.#mustFind(key, options.versionId).bytes.slice() }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    return bytesOf(this.name, this.#mustFind(key, options.versionId), options)
  }

  put(key: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.putObject(key, bytes, {})
  }

  async putObject(key: string, bytes: Uint8Array, extra: ObjectExtra): Promise<ObjectInfo> {
    requireKey(key)
    const { tags = {}, ...rest } = structuredClone(extra)
    const info: ObjectInfo = {
      key,
      sizeBytes: bytes.length,
      etag: md5Hex(bytes),
      lastModifiedMs: this.#clock.nowMs(),
      storageClass: 'STANDARD',
      ...rest,
    }
    return this.#infoOf(this.#push(key, { marker: false, info, bytes: Uint8Array.from(bytes), tags }))
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    const found = this.#find(key)
    if (found !== undefined && !found.marker) return false
    await this.put(key, bytes)
    return true
  }

  async copy(from: string, to: string): Promise<ObjectInfo> {
    requireKey(to)
    const { info, bytes, tags } = this.#mustFind(from)
    const { key: _key, sizeBytes: _size, etag: _etag, lastModifiedMs: _modified, versionId: _version, ...extra } = info
    return this.putObject(to, bytes, { ...extra, tags })
  }

  async *list(prefix = '', options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    for (const key of this.#keys(prefix, options.after)) {
      const found = this.#find(key)
      if (found === undefined || found.marker) continue
      // A listing of current objects does not say of which version they are.
      const { versionId: _, ...info } = this.#infoOf(found)
      yield info
    }
  }

  async *listVersions(prefix = '', { after }: ListVersionsOptions = {}): AsyncGenerator<VersionInfo> {
    const rest = after?.versionId === undefined ? [] : (this.#versions.get(after.key) ?? [])
    const at = rest.findIndex(({ versionId }) => versionId === after?.versionId)
    if (after !== undefined && at >= 0 && after.key.startsWith(prefix)) {
      for (const version of rest.slice(at + 1)) yield this.#versionInfoOf(after.key, version)
    }
    for (const key of this.#keys(prefix, after?.key)) {
      for (const version of [...(this.#versions.get(key) ?? [])]) yield this.#versionInfoOf(key, version)
    }
  }

  async tags(key: string, options: { versionId?: string } = {}): Promise<Record<string, string> | null> {
    const found = this.#find(key, options.versionId)
    return found === undefined || found.marker ? null : { ...found.tags }
  }

  setTags(key: string, tags: Record<string, string>, options: { versionId?: string } = {}): void {
    this.#mustFind(key, options.versionId).tags = { ...tags }
  }

  describe(key: string, extra: ObjectExtra, options: { versionId?: string } = {}): void {
    const found = this.#mustFind(key, options.versionId)
    const { tags, ...rest } = structuredClone(extra)
    Object.assign(found.info, rest)
    if (tags !== undefined) found.tags = tags
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) requireKey(key)
    for (const key of keys) {
      if (this.#versioning === 'never') this.#versions.delete(key)
      else {
        const info: ObjectInfo = { key, sizeBytes: 0, etag: '', lastModifiedMs: this.#clock.nowMs() }
        this.#push(key, { marker: true, info, bytes: noBytes, tags: {} })
      }
    }
  }

  deleteVersion(key: string, versionId: string): void {
    const left = (this.#versions.get(key) ?? []).filter((version) => version.versionId !== versionId)
    if (left.length === 0) this.#versions.delete(key)
    else this.#versions.set(key, left)
  }

  putFile(key: string, localPath: string): Promise<ObjectInfo> {
    return takeFile(this.name, localPath, (bytes) => this.put(key, bytes))
  }

  async localFile(key: string): Promise<string> {
    return this.#files.pathOf(key, this.#mustFind(key).bytes)
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  #keys(prefix: string, after?: string): string[] {
    const keys = [...this.#versions.keys()].filter((key) => key.startsWith(prefix))
    return keys.filter((key) => after === undefined || compareKeyOrder(key, after) > 0).sort(compareKeyOrder)
  }

  #push(key: string, made: Omit<Version, 'versionId'>): Version {
    const versionId = this.#versioning === 'enabled' ? `v${++this.#versionCount}` : 'null'
    const version = { ...made, versionId }
    const before = (this.#versions.get(key) ?? []).filter((each) => each.versionId !== versionId)
    this.#versions.set(key, [version, ...before])
    return version
  }

  /** Without a version id: the top of the stack, which may be a marker. */
  #find(key: string, versionId?: string): Version | undefined {
    requireKey(key)
    const versions = this.#versions.get(key)
    return versionId === undefined ? versions?.[0] : versions?.find((version) => version.versionId === versionId)
  }

  #mustFind(key: string, versionId?: string): Version {
    const found = this.#find(key, versionId)
    if (found !== undefined && !found.marker) return found
    const version = versionId === undefined ? '' : ` (version ${versionId})`
    const why = found === undefined ? '' : ': a delete marker is in its place'
    throw new Fault('not-found', `there is no object "${key}"${version} in ${this.name}${why}`, {
      key,
      versionId,
      ...(found?.marker && { deleteMarker: true }),
    })
  }

  #infoOf({ info, versionId }: Version): ObjectInfo {
    return { ...structuredClone(info), ...(this.#versioning !== 'never' && { versionId }) }
  }

  #versionInfoOf(key: string, version: Version): VersionInfo {
    return {
      ...structuredClone(version.info),
      versionId: version.versionId,
      isLatest: this.#versions.get(key)?.[0] === version,
      isDeleteMarker: version.marker,
    }
  }
}
