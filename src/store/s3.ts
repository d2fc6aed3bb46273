/**
 * A bucket of S3, or of a store that speaks its protocol, as a store: keys are the objects' keys behind `prefix`.
 *
 * Invariants: what `put`, `putIfAbsent`, `copy` and `putFile` acknowledged the store has acknowledged; a lost answer is never taken
 * for a no (`s3-upload.ts`); every request has its time and its tries (`s3-requests.ts`), and a store that throttles is asked more
 * slowly by all of the process (`s3-gate.ts`). A missing bucket never looks like an empty one.
 * Crash story: there is nothing to lose here but local copies (`local-cache.ts`) and unfinished uploads in parts (`s3-upload.ts`).
 */
import { unlink } from 'node:fs/promises'
import { type Clock, systemClock } from '../base/clock.ts'
import { eachAtOnce } from '../base/each-at-once.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Slots } from '../base/slots.ts'
import type { Fill, LocalCache } from './local-cache.ts'
import { clampRange } from './range.ts'
import type { S3Connection } from './s3-connection.ts'
import { deleteObjects } from './s3-delete.ts'
import { infoOfHead, unquoted } from './s3-info.ts'
import { listObjects, listVersions } from './s3-list.ts'
import { type ReadPart, readPart, readWhole } from './s3-read.ts'
import { type Refusal, S3Requests, type SentRequest } from './s3-requests.ts'
import { createObject, putBytes, putLocalFile, type Target, type Written } from './s3-upload.ts'
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

export interface S3StoreOptions {
  connection: S3Connection
  bucket: string
  /** In front of every key, as it is: usually with a `/` at its end. Default: none. */
  prefix?: string
  /** Where local copies are kept, which `localFile` needs. */
  cache?: LocalCache
  /** Objects never change once they are there, as the files of tables: a local copy is used without a question to the store. */
  immutable?: boolean
  clock?: Clock
  /** In [0, 1), for the pauses between tries. Default `Math.random`. */
  random?: () => number
  /** Told of every HTTP request, tries included. Must not throw. */
  onRequest?: (request: SentRequest) => void
  /** Looks and reads are of somebody who asks again later: a bucket that has answered nothing for so long is not waited for. */
  patienceMs?: number
  /** Default `limits.s3AttemptsMax`, `limits.s3RequestMs`. */
  attemptsMax?: number
  requestMs?: number
}

/** Opens without a request: the first one shows whether the bucket is there. */
export function openS3Store(options: S3StoreOptions): BucketStore {
  return new S3Store(options)
}

class S3Store implements BucketStore {
  readonly name: string
  readonly localBytesMax?: number
  readonly #bucket: string
  readonly #prefix: string
  readonly #requests: S3Requests
  readonly #clock: Clock
  readonly #cache: LocalCache | undefined
  readonly #immutable: boolean
  readonly #patienceMs: number | undefined
  readonly #bodies = new Slots(limits.s3BodiesAtOnce)
  readonly #reads = new Slots(limits.s3ReadsAtOnceInAll)
  /** The bucket has answered: what is missing is an object. */
  #bucketSeen = false

  constructor(options: S3StoreOptions) {
    const { connection, bucket, clock = systemClock, random = Math.random, onRequest = () => undefined } = options
    this.#bucket = bucket
    this.#prefix = options.prefix ?? ''
    this.name = `s3://${bucket}${this.#prefix === '' ? '' : `/${this.#prefix.replace(/\/$/, '')}`}`
    this.#clock = clock
    this.#cache = options.cache
    if (options.cache !== undefined) this.localBytesMax = options.cache.bytesMax
    this.#immutable = options.immutable ?? false
    this.#patienceMs = options.patienceMs
    this.#requests = new S3Requests({
      connection,
      bucket,
      clock,
      random,
      onRequest,
      ...(options.attemptsMax !== undefined && { attemptsMax: options.attemptsMax }),
      ...(options.requestMs !== undefined && { requestMs: options.requestMs }),
    })
  }

  async head(key: string, options: { versionId?: string } = {}): Promise<ObjectInfo | null> {
    const done = await this.#tryHead(key, options.versionId, true)
    if ('value' in done) {
      this.#bucketSeen = true
      return infoOfHead(key, done.value)
    }
    if (done.failure.kind === 'missing') {
      await this.#requireBucket()
      return null
    }
    if (done.failure.kind === 'refused') return this.#askedAloud(key, options.versionId)
    throw done.fault
  }

  /** @param checksum ask for it too: of an object encrypted by KMS that takes the right to decrypt */
  async #tryHead(key: string, versionId: string | undefined, checksum: boolean) {
    const { Bucket, Key } = this.#input(key)
    return this.#requests.tryRun(
      {
        operation: 'HeadObject',
        what: `look at ${this.#nameOf(key, versionId)}`,
        facts: { key },
        patienceMs: this.#patienceMs,
      },
      ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.HeadObjectCommand({
            Bucket,
            Key,
            ...(checksum && { ChecksumMode: 'ENABLED' as const }),
            ...(versionId !== undefined && { VersionId: versionId }),
          }),
          { abortSignal },
        ),
    )
  }

  /**
   * A look was refused, and answers to HEAD have no body that says why: the first byte, asked for, has. Null: the version is not
   * there. That may also have been the checksum, so it is left out then.
   */
  async #askedAloud(key: string, versionId: string | undefined): Promise<ObjectInfo | null> {
    const range = { start: 0, end: 1 }
    const read = await this.#tryRead(key, { range, ...(versionId !== undefined && { versionId }) })
    if ('fault' in read && isMissing(read, versionId)) return null
    const plain = await this.#tryHead(key, versionId, false)
    if ('value' in plain) return infoOfHead(key, plain.value)
    throw 'fault' in read && read.failure.kind === 'refused' ? read.fault : plain.fault
  }

  async headWithBytes(
    key: string,
    { versionId, bytesMax }: { versionId?: string; bytesMax: number },
  ): Promise<ObjectWithBytes | null> {
    const { Bucket, Key } = this.#input(key)
    const done = await this.#requests.tryRun(
      {
        operation: 'GetObject',
        what: `read ${this.#nameOf(key, versionId)}`,
        facts: { key, versionId },
        bytes: bytesMax,
        patienceMs: this.#patienceMs,
      },
      (loaded, signal) => readWhole(loaded, { bucket: Bucket, key: Key, versionId, bytesMax }, signal),
    )
    if ('value' in done) {
      this.#bucketSeen = true
      const { head, bytes } = done.value
      if (head !== null) return { info: infoOfHead(key, head), bytes }
    } else {
      if (isMissing(done, versionId)) return null
      // An archived object, or one whose key is another's, is not given, and may be told of all the same.
      if (done.failure.kind !== 'refused') throw done.fault
    }
    const info = await this.head(key, versionId === undefined ? {} : { versionId })
    return info === null ? null : { info, bytes: null }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const { range } = options
    if (range !== undefined) {
      clampRange(range, 0)
      // HTTP knows no empty range: what there is to learn, a look tells.
      if (range.start === range.end) return this.#readNothing(key, options)
    }
    const done = await this.#tryRead(key, options)
    if ('value' in done) return done.value.bytes
    const { failure } = done
    if (failure.kind === 'range') return this.#readNothing(key, options)
    if (isMissing(done, options.versionId)) throw this.#missing(key, options.versionId, done)
    if (failure.kind === 'condition') throw this.#superseded(key, options.ifMatch, done.fault)
    throw done.fault
  }

  async #readNothing(key: string, options: GetOptions): Promise<Uint8Array> {
    const info = await this.head(key, options.versionId === undefined ? {} : { versionId: options.versionId })
    if (info === null) throw this.#missing(key, options.versionId)
    if (options.ifMatch !== undefined && options.ifMatch !== info.etag) throw this.#superseded(key, options.ifMatch)
    return new Uint8Array()
  }

  async #tryRead(key: string, { range, versionId, ifMatch }: GetOptions) {
    const { Bucket, Key } = this.#input(key)
    return this.#requests.tryRun(
      {
        operation: 'GetObject',
        what: `read ${this.#nameOf(key, versionId)}`,
        facts: { key, versionId },
        patienceMs: this.#patienceMs,
        bytes: range === undefined ? limits.s3WholeReadBytes : range.end - range.start,
      },
      (loaded, signal) => readPart(loaded, { bucket: Bucket, key: Key, range, versionId, ifMatch }, signal),
    )
  }

  async put(key: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.#infoOf(key, await putBytes(this.#target(key), bytes))
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    return createObject(this.#target(key), bytes)
  }

  async copy(from: string, to: string): Promise<ObjectInfo> {
    const source = this.#input(from)
    const { Bucket, Key } = this.#input(to)
    // S3 refuses a copy onto itself that changes nothing.
    if (from === to) {
      const info = await this.head(from)
      if (info === null) throw this.#missing(from)
      return info
    }
    const done = await this.#requests.tryRun(
      { operation: 'CopyObject', what: `copy ${this.#nameOf(from)} to "${to}"`, facts: { from, to } },
      ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.CopyObjectCommand({
            Bucket,
            Key,
            CopySource: `${Bucket}/${source.Key.split('/').map(encodeURIComponent).join('/')}`,
          }),
          { abortSignal },
        ),
    )
    if ('fault' in done) throw isMissing(done) ? this.#missing(from, undefined, done) : done.fault
    const info = await this.head(to)
    if (info === null) throw this.#superseded(to, unquoted(done.value.CopyObjectResult?.ETag))
    return info
  }

  async *list(prefix = '', options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const after = options.after === undefined ? undefined : this.#prefix + options.after
    for await (const info of listObjects(this.#requests, this.#bucket, this.#prefix + prefix, after)) {
      yield { ...info, key: info.key.slice(this.#prefix.length) }
    }
  }

  async *listVersions(prefix = '', { after }: ListVersionsOptions = {}): AsyncGenerator<VersionInfo> {
    const marker = after && { ...after, key: this.#prefix + after.key }
    for await (const info of listVersions(this.#requests, this.#bucket, this.#prefix + prefix, marker)) {
      yield { ...info, key: info.key.slice(this.#prefix.length) }
    }
  }

  async versioning(): Promise<Versioning> {
    const { value } = await this.#requests.run(
      { operation: 'GetBucketVersioning', what: `ask whether ${this.name} keeps versions` },
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.GetBucketVersioningCommand({ Bucket: this.#bucket }), { abortSignal }),
    )
    return value.Status === 'Enabled' ? 'enabled' : value.Status === 'Suspended' ? 'suspended' : 'never'
  }

  async tags(key: string, options: { versionId?: string } = {}): Promise<Record<string, string> | null> {
    const { Bucket, Key } = this.#input(key)
    const { versionId } = options
    const done = await this.#requests.tryRun(
      {
        operation: 'GetObjectTagging',
        what: `read the tags of ${this.#nameOf(key, versionId)}`,
        facts: { key },
        patienceMs: this.#patienceMs,
      },
      ({ sdk, client }, abortSignal) =>
        client.send(
          new sdk.GetObjectTaggingCommand({ Bucket, Key, ...(versionId !== undefined && { VersionId: versionId }) }),
          { abortSignal },
        ),
    )
    if ('value' in done) {
      const tags = done.value.TagSet ?? []
      return Object.fromEntries(tags.map((tag) => [tag.Key ?? '', tag.Value ?? '']))
    }
    if (isMissing(done, versionId)) return null
    throw done.fault
  }

  async delete(keys: readonly string[]): Promise<void> {
    const whole = keys.map((key) => this.#input(key).Key)
    await deleteObjects(this.#requests, this.#bucket, whole)
    // Copies of what changes go by themselves, when nobody has asked for them for long.
    const cache = this.#immutable ? this.#cache : undefined
    if (cache !== undefined) for (const key of keys) await cache.drop(this.#copyOf(key, ''), key)
  }

  async putFile(key: string, localPath: string): Promise<ObjectInfo> {
    const written = await putLocalFile(this.#target(key), localPath)
    // What was just written is what is read next.
    if (this.#cache === undefined) await unlink(localPath)
    else await this.#cache.take(this.#copyOf(key, written.etag), key, localPath)
    return this.#infoOf(key, written)
  }

  async localFile(key: string): Promise<string> {
    this.#input(key)
    const cache = this.#cache
    if (cache === undefined) {
      throw new Fault(
        'unsupported',
        `cannot make a local copy of ${this.#nameOf(key)}: the store was opened without a cache`,
      )
    }
    if (this.#immutable) return cache.get(this.#copyOf(key, ''), key, this.#fill(key))
    const info = await this.head(key)
    if (info === null) throw this.#missing(key)
    return cache.get(this.#copyOf(key, info.etag), key, this.#fill(key, info.etag))
  }

  /** Ranges of one object, whichever it is when the first is read. */
  #fill(key: string, etag?: string): Fill {
    return async (file) => {
      const read = async (start: number, ifMatch: string | undefined): Promise<ReadPart> => {
        const end = start + limits.s3ReadBytes
        const done = await this.#tryRead(key, { range: { start, end }, ...(ifMatch !== undefined && { ifMatch }) })
        if ('value' in done) return done.value
        if (isMissing(done)) throw this.#missing(key, undefined, done)
        if (done.failure.kind === 'condition') throw this.#superseded(key, ifMatch, done.fault)
        // An empty object has no first byte.
        if (done.failure.kind === 'range') return { bytes: new Uint8Array(), etag: ifMatch ?? '', sizeBytes: 0 }
        throw done.fault
      }
      const first = await this.#reads.run(() => read(0, etag))
      await file.reserve(first.sizeBytes)
      await file.write(first.bytes, 0)
      const starts: number[] = []
      for (let at = first.bytes.length; at < first.sizeBytes; at += limits.s3ReadBytes) starts.push(at)
      await eachAtOnce(limits.s3ReadsAtOnce, starts, (start) =>
        this.#reads.run(async () => file.write((await read(start, first.etag)).bytes, start)),
      )
    }
  }

  #copyOf(key: string, etag: string): string {
    return JSON.stringify([this.name, key, this.#immutable ? '' : etag])
  }

  #input(key: string): { Bucket: string; Key: string } {
    if (key === '') throw new Fault('invalid', 'expected a key, got an empty one')
    return { Bucket: this.#bucket, Key: this.#prefix + key }
  }

  #target(key: string): Target {
    return { requests: this.#requests, bucket: this.#bucket, key: this.#input(key).Key, bodies: this.#bodies }
  }

  /** The time is this process's: S3 does not say it when it takes an object. */
  #infoOf(key: string, { etag, sizeBytes, versionId }: Written): ObjectInfo {
    this.#bucketSeen = true
    const lastModifiedMs = this.#clock.nowMs()
    return { key, sizeBytes, etag, lastModifiedMs, ...(versionId !== undefined && { versionId }) }
  }

  #nameOf(key: string, versionId?: string): string {
    return `object "${key}"${versionId === undefined ? '' : ` (version ${versionId})`} of ${this.name}`
  }

  /** HEAD says 404 for an object and for a bucket alike. @throws Fault `unavailable` when it was the bucket */
  async #requireBucket(): Promise<void> {
    if (this.#bucketSeen) return
    const done = await this.#requests.tryRun(
      { operation: 'HeadBucket', what: `look at ${this.name}`, patienceMs: this.#patienceMs },
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.HeadBucketCommand({ Bucket: this.#bucket }), { abortSignal }),
    )
    if ('fault' in done && done.failure.kind === 'missing') {
      throw new Fault(
        'unavailable',
        `expected the bucket ${this.#bucket}, but there is none; is its name right, and the endpoint?`,
        { bucket: this.#bucket },
        done.fault,
      )
    }
    // A key that may not ask for the bucket may still read objects.
    if ('fault' in done && done.failure.kind !== 'refused') throw done.fault
    this.#bucketSeen = true
  }

  #missing(key: string, versionId?: string, refusal?: Refusal): Fault {
    const marker = refusal?.failure.kind === 'missing' && refusal.failure.marker
    return new Fault(
      'not-found',
      `there is no ${this.#nameOf(key, versionId)}${marker ? ': a delete marker is in its place' : ''}`,
      { key, versionId, ...(marker && { deleteMarker: true }) },
      refusal?.fault,
    )
  }

  #superseded(key: string, expected?: string, cause?: unknown): Fault {
    return new Fault(
      'superseded',
      `expected ${this.#nameOf(key)} with etag ${expected}, but it has another`,
      { key, expected },
      cause,
    )
  }
}

/** Stores say of a version id that none of theirs could be that the argument is wrong. */
function isMissing({ failure }: Refusal, versionId?: string): boolean {
  if (failure.kind === 'missing') return true
  return (
    versionId !== undefined && failure.kind === 'refused' && ['InvalidArgument', 'NoSuchVersion'].includes(failure.code)
  )
}
