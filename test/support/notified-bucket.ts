/**
 * A bucket in memory that tells of its changes as S3 or as MinIO does: the document of each notification, in the order of the
 * changes. What a change is called, what it carries and what not is what was recorded of them (`test/golden/payloads`).
 *
 * - S3 tells of tags that they changed, never which they are; neither tells encryption or checksums.
 * - MinIO sends tags under `ObjectCreated` with the sequencer of the object; leaves the size of empty objects out; makes no
 *   second delete marker but tells of the first again; tells the removal of a marker as its creation, with a newer sequencer.
 *   Its times are when it told, a little after the change.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import { type MemoryBucket, type ObjectExtra, openMemoryBucket } from '../../src/store/memory-bucket.ts'
import type { Versioning } from '../../src/store/store.ts'

export type Dialect = 'aws' | 'minio'

export const DIALECTS: readonly Dialect[] = ['aws', 'minio']

export interface NotifiedOptions {
  name: string
  dialect: Dialect
  versioning: Versioning
  /** Of the first change, ms since 1970. */
  startMs: number
}

interface Told {
  versionId: string | undefined
  etag?: string
  sizeBytes?: number
  userMetadata?: Record<string, string>
  contentType?: string
  /** In place of the sequencer of now. */
  sequencer?: string
  more?: Record<string, unknown>
}

export class NotifiedBucket {
  readonly name: string
  readonly store: MemoryBucket
  /** Notifications, oldest first. */
  readonly documents: string[] = []
  readonly #dialect: Dialect
  /** Sequencer of each version and marker that was made, by `key@version`. */
  readonly #sequencers = new Map<string, string>()
  #nowMs: number
  #changes = 0
  #versioning: Versioning

  constructor({ name, dialect, versioning, startMs }: NotifiedOptions) {
    this.name = name
    this.#dialect = dialect
    this.#versioning = versioning
    this.#nowMs = startMs
    const clock: Clock = { nowMs: () => this.#nowMs, sleep: async () => undefined }
    this.store = openMemoryBucket({ name: `memory:${name}`, versioning, clock })
  }

  passTime(ms: number): void {
    this.#nowMs += ms
  }

  setVersioning(versioning: 'enabled' | 'suspended'): void {
    this.#versioning = versioning
    this.store.setVersioning(versioning)
  }

  /** @returns the version that was made */
  async put(key: string, bytes: Uint8Array | string, extra: ObjectExtra = {}): Promise<string> {
    const whole = { contentType: 'binary/octet-stream', userMetadata: {}, ...extra }
    const { versionId, etag, sizeBytes } = await this.store.putObject(key, Buffer.from(bytes), whole)
    const { userMetadata, contentType } = whole
    this.#tell('ObjectCreated:Put', key, { versionId, etag, sizeBytes, userMetadata, contentType })
    return versionId ?? 'null'
  }

  async delete(key: string): Promise<void> {
    const top = await this.#top(key)
    if (this.#versioning === 'never') {
      await this.store.delete([key])
      if (top !== undefined) this.#tell('ObjectRemoved:Delete', key, { versionId: undefined })
      return
    }
    if (this.#dialect === 'minio' && top?.isDeleteMarker) {
      const sequencer = this.#sequencers.get(`${key}@${top.versionId}`)
      this.#tell('ObjectRemoved:DeleteMarkerCreated', key, {
        versionId: top.versionId,
        ...(sequencer && { sequencer }),
      })
      return
    }
    await this.store.delete([key])
    this.#tell('ObjectRemoved:DeleteMarkerCreated', key, { versionId: (await this.#top(key))!.versionId })
  }

  /** Removes a version or a delete marker for good. */
  async deleteVersion(key: string, versionId: string): Promise<void> {
    const isMarker = (await this.#versions(key)).find((one) => one.versionId === versionId)?.isDeleteMarker
    this.store.deleteVersion(key, versionId)
    const asMarker = this.#dialect === 'minio' && isMarker && versionId !== 'null'
    this.#tell(asMarker ? 'ObjectRemoved:DeleteMarkerCreated' : 'ObjectRemoved:Delete', key, { versionId })
  }

  async tag(key: string, tags: Record<string, string>, versionId?: string): Promise<void> {
    const pin = versionId === undefined ? {} : { versionId }
    this.store.setTags(key, tags, pin)
    const info = await this.store.head(key, pin)
    const action = Object.keys(tags).length === 0 ? 'Delete' : 'Put'
    if (this.#dialect === 'aws') {
      this.#tell(`ObjectTagging:${action}`, key, { versionId: info!.versionId, etag: info!.etag })
      return
    }
    const sequencer = this.#sequencers.get(`${key}@${info!.versionId ?? 'null'}`)!
    this.#tell(`ObjectCreated:${action}Tagging`, key, { ...info!, versionId: info!.versionId, sequencer })
  }

  /** A rule of the bucket moves a version to another class. S3 only. */
  async transition(key: string, storageClass: string, versionId?: string): Promise<void> {
    const pin = versionId === undefined ? {} : { versionId }
    this.store.describe(key, { storageClass }, pin)
    const info = await this.store.head(key, pin)
    const more = { lifecycleEventData: { transitionEventData: { destinationStorageClass: storageClass } } }
    this.#tell('LifecycleTransition', key, { versionId: info!.versionId, etag: info!.etag, more })
  }

  async #versions(key: string) {
    const all = await Array.fromAsync(this.store.listVersions(key))
    return all.filter((version) => version.key === key)
  }

  async #top(key: string) {
    return (await this.#versions(key))[0]
  }

  #tell(name: string, key: string, told: Told): void {
    this.#changes++
    this.documents.push(JSON.stringify({ Records: [this.#record(name, key, told)] }))
  }

  #record(name: string, key: string, told: Told): unknown {
    const isMinio = this.#dialect === 'minio'
    const { versionId, etag, sizeBytes, sequencer = this.#sequencer(name), more } = told
    if (/^Object(?:Created:Put$|Removed:DeleteMarkerCreated)/.test(name)) {
      const id = `${key}@${versionId ?? 'null'}`
      if (told.sequencer === undefined) this.#sequencers.set(id, sequencer!)
    }
    // MinIO tells a little later.
    const at = new Date(this.#nowMs + (isMinio ? 2 : 0)).toISOString()
    const requestId = createHash('sha256')
      .update(`${this.name}${this.#changes}`)
      .digest('hex')
      .slice(0, 16)
      .toUpperCase()
    const isKeptSize = sizeBytes !== undefined && !(isMinio && sizeBytes === 0)
    return {
      eventVersion: isMinio ? '2.0' : '2.3',
      eventSource: isMinio ? 'minio:s3' : 'aws:s3',
      awsRegion: 'us-east-1',
      eventTime: at,
      eventName: isMinio ? `s3:${name}` : name,
      userIdentity: { principalId: 'someone' },
      requestParameters: { sourceIPAddress: '127.0.0.1' },
      responseElements: { 'x-amz-request-id': requestId },
      s3: {
        s3SchemaVersion: '1.0',
        configurationId: 'Config',
        bucket: { name: this.name, arn: `arn:aws:s3:::${this.name}` },
        object: {
          key: encodeURIComponent(key).replaceAll('%20', '+'),
          ...(isKeptSize && { size: sizeBytes }),
          ...(etag !== undefined && { eTag: etag }),
          ...(versionId !== undefined && { versionId }),
          ...(sequencer !== undefined && { sequencer }),
          ...(isMinio && etag !== undefined && this.#minioHeaders(told)),
        },
      },
      ...more,
    }
  }

  #minioHeaders({ contentType, userMetadata = {} }: Told) {
    const own = Object.entries(userMetadata).map(([name, value]) => [`X-Amz-Meta-${name}`, value])
    return { contentType, userMetadata: { ...Object.fromEntries(own), 'content-type': contentType } }
  }

  /** S3's sequencers order; changes of tags and classes have none. MinIO's are nanoseconds. */
  #sequencer(name: string): string | undefined {
    const isOrdered = name.startsWith('ObjectCreated:') || name.startsWith('ObjectRemoved:')
    if (this.#dialect === 'aws' && !isOrdered) return undefined
    if (this.#dialect === 'minio') {
      return (BigInt(this.#nowMs) * 1_000_000n + BigInt(this.#changes) * 1_000n).toString(16).toUpperCase()
    }
    const seconds = Math.floor(this.#nowMs / 1000).toString(16)
    return `00${seconds}${this.#changes.toString(16).padStart(8, '0')}`.toUpperCase()
  }
}
