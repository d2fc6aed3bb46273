/**
 * `FileIO` over a store: locations under one root become keys of the store.
 *
 * Files never change once written, so what was read once is right for ever: small files (metadata, manifest lists,
 * manifests) stay in memory, the least recently used leave first. A file deleted here leaves the cache; one deleted by
 * another program may still be read from it, which is what a reader of an older snapshot wants.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { Recent } from '../../base/recent.ts'
import type { Store } from '../../store/store.ts'
import { type FileIO, plainLocation } from './file.ts'

export interface StoreIoOptions {
  /** The location that is the store's root, e.g. `file:///w/warehouse`; `file:/w/warehouse` and `/w/warehouse` are the same. */
  root: string
  /** Local folder for files not yet put; on the store's own file system for a store of local files. Created when needed. */
  scratchDir: string
  /** Bound of the cache of small files (metadata, manifests). Default `limits.fileCacheBytes`. */
  cacheBytes?: number
}

/** A file above this share of the cache is not kept. */
const CACHED_SHARE = 1 / 8

export function storeIo(store: Store, options: StoreIoOptions): FileIO {
  return new StoreIo(store, options)
}

class StoreIo implements FileIO {
  readonly localBytesMax: number | null
  readonly #store: Store
  readonly #root: string
  readonly #plainRoot: string
  readonly #scratchDir: string
  readonly #cache: Recent<string, Uint8Array>
  readonly #cachedBytesMax: number

  constructor(store: Store, options: StoreIoOptions) {
    this.#store = store
    this.localBytesMax = store.localBytesMax ?? null
    this.#root = options.root.replace(/\/+$/, '')
    this.#plainRoot = plainLocation(options.root)
    this.#scratchDir = options.scratchDir
    const cacheBytes = options.cacheBytes ?? limits.fileCacheBytes
    this.#cache = new Recent(cacheBytes)
    this.#cachedBytesMax = cacheBytes * CACHED_SHARE
  }

  async read(location: string): Promise<Uint8Array> {
    const key = this.#key(location)
    const cached = this.#cache.get(key)
    if (cached !== undefined) return cached
    const bytes = await this.#store.get(key)
    this.#keep(key, bytes)
    return bytes
  }

  async write(location: string, bytes: Uint8Array): Promise<void> {
    const key = this.#key(location)
    if (!(await this.#store.putIfAbsent(key, bytes))) {
      throw new Fault(
        'conflict',
        `${location} exists already; files of a table are never overwritten: choose a new name`,
        {
          location,
        },
      )
    }
    this.#keep(key, bytes)
  }

  async exists(location: string): Promise<boolean> {
    return (await this.#store.head(this.#key(location))) !== null
  }

  async sizeOf(location: string): Promise<number | null> {
    return (await this.#store.head(this.#key(location)))?.sizeBytes ?? null
  }

  async localFile(location: string): Promise<string> {
    return this.#store.localFile(this.#key(location))
  }

  async scratch(suffix: string): Promise<string> {
    await mkdir(this.#scratchDir, { recursive: true })
    return join(this.#scratchDir, `${uuidv7(Date.now())}${suffix}`)
  }

  async putFile(location: string, localPath: string): Promise<number> {
    return (await this.#store.putFile(this.#key(location), localPath)).sizeBytes
  }

  async delete(locations: readonly string[]): Promise<void> {
    const keys = locations.map((location) => this.#key(location))
    for (const key of keys) this.#cache.delete(key)
    await this.#store.delete(keys)
  }

  async *list(location: string): AsyncGenerator<{ location: string; sizeBytes: number; lastModifiedMs: number }> {
    const prefix = plainLocation(location) === this.#plainRoot ? '' : `${this.#key(location.replace(/\/+$/, ''))}/`
    for await (const { key, sizeBytes, lastModifiedMs } of this.#store.list(prefix)) {
      yield { location: `${this.#root}/${key}`, sizeBytes, lastModifiedMs }
    }
  }

  /** @throws Fault `invalid` for a location outside the root */
  #key(location: string): string {
    const plain = plainLocation(location)
    const prefix = this.#plainRoot.endsWith('/') ? this.#plainRoot : `${this.#plainRoot}/`
    if (!plain.startsWith(prefix) || plain.length === prefix.length) {
      throw new Fault(
        'invalid',
        `expected a location under ${this.#root}, got ${location}: tables name their files by whole paths, so a warehouse that was moved must go back (and warehouse.location with it), or a link at its old place must lead to the new one`,
        { location },
      )
    }
    return plain.slice(prefix.length)
  }

  #keep(key: string, bytes: Uint8Array): void {
    if (bytes.length <= this.#cachedBytesMax) this.#cache.set(key, bytes, bytes.length)
  }
}
