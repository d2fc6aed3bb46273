/**
 * The object-store port. A store maps keys (any non-empty UTF-8 text, `/` between parts) to immutable byte strings.
 *
 * Invariants: `put` is all or nothing and durable when it resolves; `putIfAbsent` has one winner;
 * `list` is in key order (by UTF-16 code unit; by UTF-8 byte in a `BucketStore`, as S3 has it) and sees every write that has resolved.
 * Adapters: `file`, `memory`, and the buckets `s3` and `memory-bucket`; the contract suite is `test/contract/store.ts`.
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
  /** Only where they are told beside the object: `head` of a bucket does not ask for them, `BucketStore.tags` does. */
  tags?: Record<string, string>
  /** How many tags an object of a bucket has, from `head`; absent: none, or not told. */
  tagCount?: number
  /** `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` or `SHA256`: of the checksum kept with the object, if there is one. */
  checksumAlgorithm?: string
  encryptionStatus?: EncryptionStatus
  isBucketKeyEnabled?: boolean
  kmsKeyArn?: string
  /** Put in parts: the etag is then no MD5 of the bytes. */
  isMultipart?: boolean
}

/** How a bucket keeps an object encrypted: with keys of S3, of KMS (once or twice), or of its owner. */
export type EncryptionStatus = 'SSE-S3' | 'SSE-KMS' | 'DSSE-KMS' | 'SSE-C'

/** One version of an object, or a delete marker: it hides the versions before it, and has no bytes and no etag (``). */
export interface VersionInfo extends ObjectInfo {
  /** `null` is the name of the version that was put while the bucket had no versions, or had them suspended. */
  versionId: string
  /** The version or marker that the key stands for now. */
  isLatest: boolean
  isDeleteMarker: boolean
}

/** Whether a bucket keeps versions. `suspended`: old ones stay, and what is put now is the version `null`. */
export type Versioning = 'enabled' | 'suspended' | 'never'

/** An object as `head` tells of it, and its bytes with it. */
export interface ObjectWithBytes {
  info: ObjectInfo
  /** All of them; null: they are more than were asked for, or the store tells of the object and does not give it. */
  bytes: Uint8Array | null
}

export interface GetOptions {
  /** First byte and end (exclusive). An end past the object is cut; a start at or past it gives no bytes. */
  range?: { start: number; end: number }
  versionId?: string
  /** Refuse with fault `superseded` when the object's etag is another. */
  ifMatch?: string
}

export interface ListOptions {
  /** A listing that broke off goes on after the last key that it gave, whether that object is still there or not. */
  after?: string
}

export interface ListVersionsOptions {
  /** Goes on after this version of this key; after all versions of the key when none is given. */
  after?: { key: string; versionId?: string }
}

export interface Store {
  /** For messages: what this store is, e.g. `file:///data/photos`. */
  readonly name: string
  /** Bytes of all local copies together, where `localFile` makes copies; what is needed at once must fit. */
  readonly localBytesMax?: number
  /** Null when there is no such object (or version), or a delete marker in its place. */
  head(key: string, options?: { versionId?: string }): Promise<ObjectInfo | null>
  /** @throws Fault `not-found` (fact `deleteMarker` where a marker stands in its place), `superseded` */
  get(key: string, options?: GetOptions): Promise<Uint8Array>
  put(key: string, bytes: Uint8Array): Promise<ObjectInfo>
  /** True when this call created the object; false when one was there already (it is left as it is). */
  putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean>
  copy(from: string, to: string): Promise<ObjectInfo>
  /** Objects whose key begins with `prefix`, in key order; only those after the key `after` if one is given. */
  list(prefix?: string, options?: ListOptions): AsyncIterable<ObjectInfo>
  /** Deletes; a key that is not there is no error. */
  delete(keys: readonly string[]): Promise<void>
  /** Moves a finished local file into the store under `key`, durably. The local file is gone afterwards. */
  putFile(key: string, localPath: string): Promise<ObjectInfo>
  /** A local path whose content is the object: the file itself, or a cached copy. @throws Fault `not-found` */
  localFile(key: string): Promise<string>
}

/** A store whose objects may have versions and tags: a bucket of S3, or one in memory for tests. */
export interface BucketStore extends Store {
  /**
   * What `head` says of an object, and its bytes where they are no more than `bytesMax`: one request for both. Null as `head`.
   * For objects that are thought to be small: of a larger one the bytes that are on their way are thrown away.
   */
  headWithBytes(key: string, options: { versionId?: string; bytesMax: number }): Promise<ObjectWithBytes | null>
  versioning(): Promise<Versioning>
  /** Every version and every marker: by key (UTF-8 bytes), the newest first within a key. */
  listVersions(prefix?: string, options?: ListVersionsOptions): AsyncIterable<VersionInfo>
  /** The tags of an object or version. Null when it is not there. */
  tags(key: string, options?: { versionId?: string }): Promise<Record<string, string> | null>
}
