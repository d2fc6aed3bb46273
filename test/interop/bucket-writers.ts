/**
 * Writers that change buckets of a real store all at once, and what they know of it afterwards. Each has keys of its own, of which it
 * knows every state in its order; a few keys are written by all, whose order only the store knows.
 */
import { setTimeout as delay } from 'node:timers/promises'
import {
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { NULL_VERSION } from '../../src/change/object-event.ts'
import type { Random } from '../simulate/random.ts'
import { gifOf } from '../support/photo-scenario.ts'

const WRITERS = 4
const OWN_KEYS = ['plain.gif', 'a b/c+d.gif', '100% ü 漢字.gif', 'c%2Fd+e f.gif']
const SHARED_KEYS = ['shared/one.gif', 'shared/two.gif']
const PAUSE_MS = 250
/** Of one writer. */
const CHANGES_MAX = 2_000

export interface WatchedBucket {
  readonly name: string
  readonly isVersioned: boolean
  /** Nothing of what is told of it is lost. */
  readonly isToldWhole: boolean
}

/** A version or marker that the store answered with. */
export interface MadeVersion {
  readonly versionId: string
  /** Null: a delete marker. */
  readonly etag: string | null
  /** Its place among the versions of its key, in the order of their making. */
  readonly at: number
  /** When its deletion for good was begun; null: never. */
  goneFromMs: number | null
  /** When its making was asked for and when it was answered: the store's time of it is between them. */
  readonly beganMs: number
  readonly endedMs: number
}

/** What became of one key. */
export interface KeyHistory {
  readonly bucket: WatchedBucket
  readonly key: string
  readonly isShared: boolean
  readonly versions: MadeVersion[]
  /** Deletions for good, of versions or, in a bucket without versions, of the object; and changes of tags. */
  deletions: number
  tagChanges: number
}

export class BucketWriters {
  readonly histories = new Map<string, KeyHistory>()
  /** Width of the picture that the bytes of this etag are. */
  readonly widths = new Map<string, number>()
  readonly #client: S3Client
  readonly #ends: Promise<unknown>
  #stopped = false
  #pictures = 0
  lastChangeMs = 0

  constructor(client: S3Client, buckets: readonly WatchedBucket[], random: () => Random) {
    this.#client = client
    this.#ends = Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#write(writer, buckets, random())))
    this.#ends.catch(() => undefined)
  }

  /** Resolves when nothing more is written. @throws the first failure of a writer */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#ends
  }

  of(bucket: string): KeyHistory[] {
    return [...this.histories.values()].filter((history) => history.bucket.name === bucket)
  }

  async #write(writer: number, buckets: readonly WatchedBucket[], random: Random): Promise<void> {
    for (let change = 0; change < CHANGES_MAX && !this.#stopped; change++) {
      const bucket = random.pick(buckets)
      const isShared = random.chance(0.15)
      const key = isShared ? random.pick(SHARED_KEYS) : `${writer}/${random.pick(OWN_KEYS)}`
      const history = this.#historyOf(bucket, key, isShared)
      if (isShared) await this.#changeShared(history, random)
      else if (bucket.isVersioned) await this.#changeVersions(history, random)
      else await this.#changeObject(history, random)
      this.lastChangeMs = Date.now()
      await delay(random.below(PAUSE_MS))
    }
  }

  #historyOf(bucket: WatchedBucket, key: string, isShared: boolean): KeyHistory {
    const name = `${bucket.name}/${key}`
    const known = this.histories.get(name)
    if (known !== undefined) return known
    const history = { bucket, key, isShared, versions: [], deletions: 0, tagChanges: 0 }
    this.histories.set(name, history)
    return history
  }

  /** Nothing is deleted for good, so that the listing in the end has the order of all. */
  async #changeShared(history: KeyHistory, random: Random): Promise<void> {
    // MinIO lays no marker where there is nothing.
    if (history.versions.length === 0 || random.chance(0.8)) await this.#put(history, random)
    else if (history.bucket.isVersioned) await this.#mark(history)
    else await this.#delete(history)
  }

  async #changeVersions(history: KeyHistory, random: Random): Promise<void> {
    const there = history.versions.filter(({ goneFromMs }) => goneFromMs === null)
    const objects = there.filter(({ etag }) => etag !== null)
    const newest = there.at(-1)
    const what = random.next()
    if (what < 0.45 || newest === undefined || objects.length === 0) await this.#put(history, random)
    else if (what < 0.6) await this.#mark(history)
    else if (what < 0.75 && newest.etag === null) await this.#deleteVersion(history, newest)
    else if (what < 0.85) await this.#deleteVersion(history, random.pick(there))
    else await this.#tag(history, random.pick(objects), random)
  }

  async #changeObject(history: KeyHistory, random: Random): Promise<void> {
    const newest = history.versions.at(-1)
    const what = random.next()
    if (what < 0.6 || newest === undefined || newest.goneFromMs !== null) await this.#put(history, random)
    else if (what < 0.75) await this.#delete(history)
    else await this.#tag(history, newest, random)
  }

  async #put({ bucket, key, versions }: KeyHistory, random: Random): Promise<void> {
    const width = ++this.#pictures
    const beganMs = Date.now()
    const tags = random.chance(0.5) ? { Tagging: `n=${width}` } : {}
    const { VersionId = NULL_VERSION, ETag = '' } = await this.#client.send(
      new PutObjectCommand({
        Bucket: bucket.name,
        Key: key,
        Body: gifOf(width),
        ContentType: 'image/gif',
        Metadata: { n: String(width) },
        ...tags,
      }),
    )
    const etag = ETag.replaceAll('"', '')
    this.widths.set(etag, width)
    versions.push({ versionId: VersionId, etag, at: versions.length, goneFromMs: null, beganMs, endedMs: Date.now() })
  }

  async #mark({ bucket, key, versions }: KeyHistory): Promise<void> {
    const beganMs = Date.now()
    const { VersionId, DeleteMarker } = await this.#client.send(
      new DeleteObjectCommand({ Bucket: bucket.name, Key: key }),
    )
    if (DeleteMarker !== true || VersionId === undefined) throw new Error(`expected a marker of ${bucket.name}/${key}`)
    // MinIO answers with the marker that is there already.
    if (versions.some(({ versionId }) => versionId === VersionId)) return
    versions.push({
      versionId: VersionId,
      etag: null,
      at: versions.length,
      goneFromMs: null,
      beganMs,
      endedMs: Date.now(),
    })
  }

  async #deleteVersion(history: KeyHistory, version: MadeVersion): Promise<void> {
    const { bucket, key } = history
    version.goneFromMs = Date.now()
    history.deletions++
    await this.#client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key, VersionId: version.versionId }))
  }

  /** Of a bucket without versions. */
  async #delete(history: KeyHistory): Promise<void> {
    const { bucket, key, versions } = history
    const newest = versions.at(-1)
    if (newest !== undefined) newest.goneFromMs = Date.now()
    history.deletions++
    await this.#client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }))
  }

  async #tag(history: KeyHistory, { versionId }: MadeVersion, random: Random): Promise<void> {
    const { bucket, key } = history
    const pin = { Bucket: bucket.name, Key: key, ...(bucket.isVersioned ? { VersionId: versionId } : {}) }
    history.tagChanges++
    if (random.chance(0.25)) await this.#client.send(new DeleteObjectTaggingCommand(pin))
    else {
      const TagSet = [{ Key: 'turn', Value: String(random.below(1_000_000)) }]
      await this.#client.send(new PutObjectTaggingCommand({ ...pin, Tagging: { TagSet } }))
    }
  }
}
