/**
 * A store in memory, for tests and simulation: the same contract as `file`, and versions as S3 keeps them: each put
 * makes one, a delete hides the key and keeps its versions. Nothing is durable and nothing is bounded.
 */
import { type Clock, systemClock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import { MemoryFiles, takeFile } from './memory-files.ts'
import { bytesOf, type MemoryObject, requireKey } from './memory-object.ts'
import type { GetOptions, ListOptions, ObjectInfo, Store } from './store.ts'

export interface MemoryStoreOptions {
  /** Default `memory:`. */
  name?: string
  /** Keep every version of an object and give each an id. Default false. */
  versions?: boolean
  clock?: Clock
}

export interface MemoryStore extends Store {
  /** Puts an object with what a real store may say of it besides: content type, tags, user metadata. */
  putObject(
    key: string,
    bytes: Uint8Array,
    extra: Pick<ObjectInfo, 'contentType' | 'storageClass' | 'userMetadata' | 'tags'>,
  ): Promise<ObjectInfo>
  /** Removes the files that `localFile` made. */
  close(): Promise<void>
}

export function openMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  return new MemoryStoreAdapter(options)
}

class MemoryStoreAdapter implements MemoryStore {
  readonly name: string
  readonly #clock: Clock
  readonly #keepVersions: boolean
  /** Newest last. */
  readonly #versions = new Map<string, MemoryObject[]>()
  /** Keys that are there now. */
  readonly #current = new Map<string, MemoryObject>()
  #versionCount = 0
  readonly #files = new MemoryFiles()

  constructor(options: MemoryStoreOptions) {
    this.name = options.name ?? 'memory:'
    this.#clock = options.clock ?? systemClock
    this.#keepVersions = options.versions ?? false
  }

  async head(key: string, options: { versionId?: string } = {}): Promise<ObjectInfo | null> {
    const found = this.#find(key, options.versionId)
    return found ? structuredClone(found.info) : null
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    return bytesOf(this.name, this.#mustFind(key, options.versionId), options)
  }

  put(key: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.putObject(key, bytes, {})
  }

  async putObject(
    key: string,
    bytes: Uint8Array,
    extra: Pick<ObjectInfo, 'contentType' | 'storageClass' | 'userMetadata' | 'tags'>,
  ): Promise<ObjectInfo> {
    requireKey(key)
    const info: ObjectInfo = {
      key,
      sizeBytes: bytes.length,
      etag: md5Hex(bytes),
      lastModifiedMs: this.#clock.nowMs(),
      ...structuredClone(extra),
    }
    if (this.#keepVersions) info.versionId = `v${++this.#versionCount}`
    const version = { info, bytes: Uint8Array.from(bytes) }
    this.#current.set(key, version)
    if (this.#keepVersions) this.#versions.set(key, [...(this.#versions.get(key) ?? []), version])
    return structuredClone(info)
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    requireKey(key)
    if (this.#current.has(key)) return false
    await this.put(key, bytes)
    return true
  }

  async copy(from: string, to: string): Promise<ObjectInfo> {
    const { info, bytes } = this.#mustFind(from)
    const { contentType, storageClass, userMetadata, tags } = info
    const extra = Object.entries({ contentType, storageClass, userMetadata, tags }).filter(
      ([, value]) => value !== undefined,
    )
    return this.putObject(to, bytes, Object.fromEntries(extra))
  }

  async *list(prefix = '', { after = '' }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const keys = [...this.#current.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()
    for (const key of keys) {
      const found = this.#current.get(key)
      if (found) yield structuredClone(found.info)
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) requireKey(key)
    for (const key of keys) this.#current.delete(key)
  }

  async putFile(key: string, localPath: string): Promise<ObjectInfo> {
    requireKey(key)
    return takeFile(this.name, localPath, (bytes) => this.put(key, bytes))
  }

  async localFile(key: string): Promise<string> {
    const { bytes } = this.#mustFind(key)
    return this.#files.pathOf(key, bytes)
  }

  close(): Promise<void> {
    return this.#files.close()
  }

  #find(key: string, versionId?: string): MemoryObject | undefined {
    requireKey(key)
    if (versionId === undefined) return this.#current.get(key)
    return this.#versions.get(key)?.find((version) => version.info.versionId === versionId)
  }

  #mustFind(key: string, versionId?: string): MemoryObject {
    const found = this.#find(key, versionId)
    if (found) return found
    const version = versionId === undefined ? '' : ` (version ${versionId})`
    throw new Fault('not-found', `there is no object "${key}"${version} in ${this.name}`, { key, versionId })
  }
}
