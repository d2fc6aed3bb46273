/**
 * Where objects are: buckets by name, and the worker pool that extracts from their bytes. Workers read the bytes of object stores
 * by way of this thread, where the connections are (and their bounds on requests hold for all workers together).
 *
 * Bytes are only ever described under the etag that the event names: an object that was overwritten since is `superseded`,
 * one that is not there is `missing`; both get their row, with the fault in it.
 */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, type ObjectEvent } from '../change/object-event.ts'
import { type Extraction, isRefusal } from '../extract/extract.ts'
import { findModule } from '../extract/module-path.ts'
import { type ExtractPool, type ExtractTask, storeReader } from '../extract/pool.ts'
import { type OwnExtractor, openExtractPools } from '../extract/pools.ts'
import type { Answer, ObjectStores, ReadObject } from '../service/objects/ask.ts'
import type { Labels } from '../service/objects/labels/labels.ts'
import type { KeptFacts } from '../service/objects/redo.ts'
import { openFileStore } from '../store/file.ts'
import type { BucketStore, Store } from '../store/store.ts'
import type { Config } from './config.ts'
import type { KnownDirectories } from './known-directories.ts'
import { labelSubject, onnxExtractor } from './labels.ts'
import { askAbout, type Describing, faultOf, locate, readerOf, remoteReader } from './remote-bucket.ts'
import { bucketSettings } from './watched.ts'

type Bucket =
  /** A directory kept in step; its events carry the etags of this store. */
  | { kind: 'directory'; store: Store }
  /** Recorded objects, whose events carry the etags of the store that they were recorded from. */
  | { kind: 'recorded'; store: Store }
  /** A bucket of an object store. `live`: for the questions of events, which other buckets' events wait for. */
  | { kind: 'remote'; store: BucketStore; live: BucketStore; describing: Describing }

/**
 * Opens a bucket through the connection of that name. @throws Fault
 * @param patienceMs of who asks again later: see `store/s3.ts`
 */
export type OpenBucket = (bucket: string, connection: string, patienceMs?: number) => BucketStore | Promise<BucketStore>

/** The workers, with the extractors that the configuration names. @throws Fault `invalid` when one cannot be used */
export async function openExtractors(
  config: Config,
  configDir: string,
  onWarning: (message: string) => void,
): Promise<ExtractPool> {
  const { objects } = config
  const own = objects.extractors.map(({ module, name, options, workers, limits: bounds = {} }): OwnExtractor => {
    const found = findModule(module, configDir)
    const { timeMs, memoryMiB, bytesMax } = bounds
    return {
      module: found.file,
      ...(name === undefined ? {} : { name }),
      ...(found.package === undefined ? {} : { defaultName: found.package }),
      ...(options === undefined ? {} : { options }),
      ...(workers === undefined ? {} : { workers }),
      limits: {
        ...(timeMs === undefined ? {} : { timeMs }),
        ...(memoryMiB === undefined ? {} : { heapMiB: memoryMiB }),
        ...(bytesMax === undefined ? {} : { bytesMax }),
      },
    }
  })
  const labelling = onnxExtractor(config, configDir)
  return openExtractPools({
    builtin: objects.extract,
    own: labelling === null ? own : [...own, labelling],
    workers: objects.workers ?? availableParallelism(),
    onWarning,
    // A window of the stage, and what is made anew and read again beside it.
    limits: { window: limits.extractWindow + limits.reextractAtOnce + limits.askAgainReadsMax },
  })
}

export interface BucketsParts {
  pool: ExtractPool
  directories: KnownDirectories
  /** The service that labels pictures, and how it is told of them. */
  labels: { service: Labels; image: 's3' | 'bytes' | undefined } | null
  /** Of object stores. */
  configured: Config['objects']['buckets']
  open: OpenBucket
  /** What the operator should know, in a sentence. */
  notice: (text: string) => void
}

export class Buckets implements ObjectStores {
  readonly #parts: BucketsParts
  readonly #buckets = new Map<string, Bucket>()
  /** Names of events that nothing stands for, as far as they were told of. */
  readonly #unnamed = new Set<string>()
  #objectsRoot: string | null = null

  constructor(parts: BucketsParts) {
    this.#parts = parts
  }

  /** Names and versions of the extractors that objects of these buckets go through. */
  get extractors(): readonly { name: string; version: number }[] {
    const { pool, labels } = this.#parts
    return [...pool.extractors, ...(labels === null ? [] : [labels.service.extractor])]
  }

  /**
   * Makes a directory the bucket of that name, now and in later runs, and gives its store.
   * @param onSkip told in each listing of each entry that is no object, with its path in the directory
   */
  async attachDirectory(
    bucket: string,
    root: string,
    onSkip: (file: string, reason: string) => void = () => undefined,
  ): Promise<Store> {
    const store = await openFileStore({
      root,
      onSkip: (file, reason) => onSkip(path.relative(store.root, file), reason),
    })
    this.#buckets.set(bucket, { kind: 'directory', store })
    await this.#parts.directories.remember(bucket, root)
    return store
  }

  /** The directory that the bucket stood for until now, if it was one. */
  directoryOf(bucket: string): string | undefined {
    return this.#parts.directories.rootOf(bucket)
  }

  /** Recorded objects: bucket B's key K is the file `<root>/B/K`, or `<root>/B/K@<version>` for a version of its own. */
  attachObjects(root: string): void {
    this.#objectsRoot = path.resolve(root)
  }

  /** The bucket of an object store; null: the configuration names none. @throws Fault when it cannot be opened */
  async remote(name: string): Promise<BucketStore | null> {
    return (await this.#remote(name))?.store ?? null
  }

  async #remote(name: string): Promise<Extract<Bucket, { kind: 'remote' }> | null> {
    const settings = this.#remoteSettings(name)
    if (settings === undefined) return null
    const known = this.#buckets.get(name)
    if (known?.kind === 'remote') return known
    const { open } = this.#parts
    const store = await open(name, settings.s3)
    const live = await open(name, settings.s3, limits.askPatienceMs)
    const bucket = { kind: 'remote', store, live, describing: settings.describe } as const
    this.#remember(name, bucket)
    return bucket
  }

  asks(name: string): boolean {
    return (this.#remoteSettings(name)?.describe ?? 'none') !== 'none'
  }

  names(name: string): boolean {
    return this.#remoteSettings(name) !== undefined
  }

  async ask(creation: ObjectEvent, isRead: boolean): Promise<Answer> {
    try {
      const bucket = await this.#remote(creation.bucket)
      const describing = this.#remoteSettings(creation.bucket)?.describe ?? 'none'
      return bucket === null ? { kind: 'gone' } : await askAbout(bucket.live, creation, describing, isRead)
    } catch (error) {
      return { kind: 'failed', fault: faultOf(error) }
    }
  }

  /**
   * Facts of the object that a `create` event names. Never throws for what is wrong with the object.
   * @param event where it has size and etag, by itself or from what the store has said, the store is not asked for them again
   * @param kept of its row as it is: labels that hold are taken from there
   * @param read its bytes, where they are here already
   */
  async extract(event: ObjectEvent, kept?: KeptFacts, read?: ReadObject): Promise<Extraction> {
    let bucket: Bucket | null
    let found: Found | Extraction
    try {
      bucket = await this.#bucketOf(event)
      if (bucket === null) return this.#withoutBucket(event.bucket)
      found = await (bucket.kind === 'remote' ? remoteTask(bucket.live, event, read) : taskOf(bucket, event))
    } catch (error) {
      return unread('unavailable', messageOf(error), isRefusal(error))
    }
    if ('faults' in found) return found
    const { pool, labels } = this.#parts
    const extraction = await pool.extract(found.task)
    if (labels === null) return extraction
    const { store } = bucket
    const { sizeBytes } = found.task
    const subject = labelSubject({ event, store, etag: found.pin, sizeBytes, isInS3: labels.image === 's3' })
    return labels.service.added(subject, extraction, kept)
  }

  async #bucketOf({ bucket: name, source }: ObjectEvent): Promise<Bucket | null> {
    const attached = this.#buckets.get(name)
    if (attached !== undefined) return attached
    const directory = source === 'directory' ? this.#parts.directories.rootOf(name) : undefined
    if (directory !== undefined) return this.#openBucket(name, 'directory', directory)
    const remote = await this.#remote(name)
    if (remote !== null) return remote
    if (this.#objectsRoot === null) return null
    const root = path.join(this.#objectsRoot, name)
    // A bucket name is one part of a path; anything else would leave the folder.
    return path.dirname(root) === this.#objectsRoot ? this.#openBucket(name, 'recorded', root) : null
  }

  /** There are no bytes to read: because nobody said where they are, or because that folder is not there. */
  #withoutBucket(name: string): Extraction {
    const isNamed = this.#objectsRoot !== null || this.#parts.directories.rootOf(name) !== undefined
    if (isNamed) return unread('missing', `no bytes are attached for bucket ${name}`)
    if (!this.#unnamed.has(name) && this.#unnamed.size < limits.bucketsOpenMax) {
      this.#unnamed.add(name)
      this.#parts.notice(
        `events tell of objects of bucket ${name}, which objects.buckets does not name: they are not read. ${NAME_IT}`,
      )
    }
    const message = `bucket ${name} is not named in objects.buckets: name it (or "*") there, and its objects are read from the next start on`
    return { metadata: {}, faults: [{ extractor: 'read', kind: 'missing', message, isUnnamed: true }], bytesRead: 0 }
  }

  /** A directory that was made a bucket of that name stays it. */
  #remoteSettings(name: string) {
    const known = this.#buckets.get(name)
    const isLocal =
      known === undefined ? this.#parts.directories.rootOf(name) !== undefined : known.kind === 'directory'
    return isLocal ? undefined : bucketSettings(this.#parts.configured, name)
  }

  /** Names come from events: of buckets that nobody named, the oldest is forgotten. */
  #remember(name: string, bucket: Bucket): void {
    this.#buckets.set(name, bucket)
    if (this.#buckets.size <= limits.bucketsOpenMax) return
    const oldest = [...this.#buckets].find(([, { kind }]) => kind === 'remote')
    if (oldest !== undefined) this.#buckets.delete(oldest[0])
  }

  /** Null while the folder is not there: it may come, and is looked for again. */
  async #openBucket(name: string, kind: 'directory' | 'recorded', root: string): Promise<Bucket | null> {
    const options = kind === 'recorded' ? ({ root, etag: 'md5', versions: true } as const) : { root }
    const store = await openFileStore(options).catch(() => null)
    if (store === null) return null
    const bucket: Bucket = { kind, store }
    this.#buckets.set(name, bucket)
    return bucket
  }
}

const NAME_IT = 'Name it (or "*") there and start again, and they are; or let its events go elsewhere'

const MD5 = /^[0-9a-f]{32}$/

interface Found {
  task: ExtractTask
  /** The etag that the store has for the object. */
  pin: string
}

async function remoteTask(store: BucketStore, event: ObjectEvent, here?: ReadObject): Promise<Found | Extraction> {
  const { bucket, key, versionId } = event
  let { sizeBytes, etag } = event
  if (here !== undefined && here.etag === etag) {
    const subject = { bucket, key, versionId, sizeBytes: here.bytes.length, etag }
    return { pin: etag, task: { ...subject, read: readerOf(here) } }
  }
  if (sizeBytes === undefined || etag === undefined) {
    const found = await locate(store, event)
    if (found.kind === 'missing') return unread('missing', `${bucket}/${key} is not there`)
    if (found.kind === 'superseded') return unread('superseded', isAnother(event))
    sizeBytes = found.info.sizeBytes
    etag = found.info.etag
  }
  const read = remoteReader(store, event, { sizeBytes, etag })
  return { pin: etag, task: { bucket, key, versionId, sizeBytes, etag, read } }
}

function isAnother({ bucket, key }: ObjectEvent): string {
  return `${bucket}/${key} is no longer the object that the event tells of`
}

async function taskOf(
  { kind, store }: Exclude<Bucket, { kind: 'remote' }>,
  event: ObjectEvent,
): Promise<Found | Extraction> {
  const { bucket, key, versionId, etag } = event
  const version = versionId === NULL_VERSION ? {} : { versionId }
  const info = await store.head(key, version)
  if (info === null) return unread('missing', `${bucket}/${key} is not there`)
  // Only etags of one part are an MD5 of the bytes; of others the size must do.
  const comparable = kind === 'directory' || (etag !== undefined && MD5.test(etag))
  const differs =
    comparable && etag !== undefined
      ? info.etag !== etag
      : event.sizeBytes !== undefined && info.sizeBytes !== event.sizeBytes
  if (differs) return unread('superseded', isAnother(event))
  const subject = { bucket, key, versionId, sizeBytes: info.sizeBytes, ...(etag === undefined ? {} : { etag }) }
  const pin = info.etag
  if (kind === 'directory') return { pin, task: { ...subject, file: { path: await store.localFile(key), stamp: pin } } }
  return { pin, task: { ...subject, read: storeReader(store, key, { ...version, ifMatch: pin }) } }
}

function unread(kind: 'missing' | 'superseded' | 'unavailable', message: string, isRefused = false): Extraction {
  const fault = { extractor: 'read', kind, message, ...(isRefused && { isRefused }) }
  return { metadata: {}, faults: [fault], bytesRead: 0 }
}
