/**
 * `FileIO` over a store: locations under one root become keys of the store.
 */
import type { Store } from '../../store/store.ts'
import type { FileIO } from './file.ts'

export interface StoreIoOptions {
  /** The location that is the store's root, e.g. `file:///w/warehouse`; `file:/w/warehouse` and `/w/warehouse` are the same. */
  root: string
  /** Local folder for files not yet put; on the store's own file system for a store of local files. Created when needed. */
  scratchDir: string
  /** Bound of the cache of small files (metadata, manifests). Default `limits.fileCacheBytes`. */
  cacheBytes?: number
}

export function storeIo(_store: Store, _options: StoreIoOptions): FileIO {
  throw new Error('not built yet')
}
