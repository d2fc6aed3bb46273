/**
 * Where the bytes of objects are: buckets by name, and the worker pool that extracts from them.
 *
 * A bucket that is not attached has no bytes to read: its objects get their row with a `missing` fault.
 */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { ObjectEvent } from '../change/object-event.ts'
import type { Extraction } from '../extract/extract.ts'
import { type ExtractPool, openExtractPool } from '../extract/pool.ts'
import type { Store } from '../store/store.ts'
import { openFileStore } from '../store/file.ts'
import type { Config } from './config.ts'

export class Buckets {
  readonly #pool: ExtractPool
  readonly #stores = new Map<string, Store>()
  /** Folder of recorded objects, `<root>/<bucket>/<key>`, for buckets not attached by name. */
  #objectsRoot: string | null = null

  private constructor(pool: ExtractPool) {
    this.#pool = pool
  }

  static async open(config: Config, configDir: string): Promise<Buckets> {
    const extractors = config.objects.extractors.map(({ module, ...rest }) => ({ ...rest, module: path.resolve(configDir, module) }))
    return new Buckets(await openExtractPool({ extractors, workers: config.objects.workers ?? availableParallelism() }))
  }

  /** A directory as a bucket. Its etags are those that `DirectoryBucket` gave. */
  async attachDirectory(bucket: string, root: string): Promise<Store> {
    const store = await openFileStore({ root })
    this.#stores.set(bucket, store)
    return store
  }

  /** Recorded objects: bucket B's key K is the file `<root>/B/K`, or `<root>/B/K@<version>` for a version of its own. */
  attachObjects(root: string): void {
    this.#objectsRoot = path.resolve(root)
  }

  async extract(event: ObjectEvent): Promise<Extraction> {
    const store = await this.#storeOf(event.bucket)
    return this.#pool.extract(store, event)
  }

  async close(): Promise<void> {
    await this.#pool.close()
  }

  async #storeOf(bucket: string): Promise<Store | null> {
    const attached = this.#stores.get(bucket)
    if (attached !== undefined || this.#objectsRoot === null) return attached ?? null
    const root = path.join(this.#objectsRoot, bucket)
    // A bucket name is one path part; anything else would leave the folder.
    if (path.dirname(root) !== this.#objectsRoot) return null
    const store = await openFileStore({ root, etag: 'md5', versions: true }).catch(() => null)
    if (store !== null) this.#stores.set(bucket, store)
    return store
  }
}
