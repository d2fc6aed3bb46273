/**
 * The object-store port. A store maps keys (any non-empty UTF-8 text, `/` between parts) to immutable byte strings.
 *
 * Invariants: `put` is all or nothing and durable when it resolves; `putIfAbsent` has one winner;
 * `list` is in key order (by UTF-16 code unit) and sees every write that has resolved.
 * Adapters: `file`, `memory`; the contract suite is `test/contract/store.ts`.
 */

/** What is known of an object without its bytes. */
export interface ObjectInfo {
  key: string
  sizeBytes: number
  /** Without quotes. Equal etags mean equal bytes under one key; not always an MD5. */
  etag: string
  lastModifiedMs: number
  versionId?: string
  contentType?: string
  storageClass?: string
  userMetadata?: Record<string, string>
  tags?: Record<string, string>
}

export interface GetOptions {
  /** First byte and end (exclusive). An end past the object is cut; a start at or past it gives no bytes. */
  range?: { start: number; end: number }
  versionId?: string
  /** Refuse with fault `superseded` when the object's etag is another. */
  ifMatch?: string
}

export interface Store {
  /** For messages: what this store is, e.g. `file:///data/photos`. */
  readonly name: string
  /** Null when there is no such object (or version). */
  head(key: string, options?: { versionId?: string }): Promise<ObjectInfo | null>
  /** @throws Fault `not-found`, `superseded` */
  get(key: string, options?: GetOptions): Promise<Uint8Array>
  put(key: string, bytes: Uint8Array): Promise<ObjectInfo>
  /** True when this call created the object; false when one was there already (it is left as it is). */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>
  copy(from: string, to: string): Promise<ObjectInfo>
  /** Objects whose key begins with `prefix`, in key order. */
  list(prefix?: string): AsyncIterable<ObjectInfo>
  /** Deletes; a key that is not there is no error. */
  delete(keys: readonly string[]): Promise<void>
  /** Moves a finished local file into the store under `key`, durably. The local file is gone afterwards. */
  putFile(key: string, localPath: string): Promise<ObjectInfo>
  /** A local path whose content is the object: the file itself, or a cached copy. @throws Fault `not-found` */
  localFile(key: string): Promise<string>
}
