/**
 * A model of a bucket: true changes in, the notifications that a store would send out, and what is there in the end.
 *
 * The store's habits are chosen: sequencers that order, one constant, none, or from two senders; times of milliseconds or
 * whole seconds; MinIO's way with delete markers.
 */
import { OBJECT_EVENT_VERSION, type ObjectEvent, type ObjectEventKind } from '../../src/change/object-event.ts'
import type { Random } from './random.ts'

export type Habit = 'aws' | 'aws, whole seconds' | 'minio' | 'constant sequencer' | 'no sequencer' | 'two senders'

export const HABITS: readonly Habit[] = [
  'aws',
  'aws, whole seconds',
  'minio',
  'constant sequencer',
  'no sequencer',
  'two senders',
]

export interface ModelVersion {
  key: string
  versionId: string
  isDeleteMarker: boolean
  etag: string | undefined
  tags: Record<string, string> | undefined
  storageClass: string | undefined
  /** The events that made it and that changed it last. */
  made: ObjectEvent
  last: ObjectEvent
}

/** What a put writes: its etag, and its size where events shall tell it. */
export interface ModelBytes {
  etag: string
  sizeBytes?: number
}

export interface ModelOptions {
  bucket?: string
  /** Told of each put of a key's version; gives what was written. */
  write?: (key: string, versionId: string, put: number) => ModelBytes
}

export class ModelBucket {
  readonly events: ObjectEvent[] = []
  readonly #random: Random
  readonly #habit: Habit
  readonly #tickMs: number
  readonly #bucket: string
  readonly #write: (key: string, versionId: string, put: number) => ModelBytes
  /** Newest last. */
  readonly #versions: ModelVersion[] = []
  readonly #lastOfVersion = new Map<string, ObjectEvent>()
  #versioning: 'off' | 'enabled' | 'suspended' = 'off'
  #nowMs = 1_714_557_600_000
  #counter = 0

  constructor(random: Random, habit: Habit, options: ModelOptions = {}) {
    this.#random = random
    this.#habit = habit
    this.#bucket = options.bucket ?? 'photos'
    this.#write = options.write ?? (() => ({ etag: this.#newId() }))
    this.#tickMs = habit === 'aws, whole seconds' ? 1000 : 1
  }

  /** What exists: objects and delete markers. */
  get versions(): readonly ModelVersion[] {
    return this.#versions
  }

  /** The store's clock. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Time goes by. */
  pass(ms: number): void {
    this.#nowMs += ms
  }

  /** One change, chosen at random. */
  step(): void {
    const key = this.#random.pick(['a.jpg', 'b/c.txt'])
    const chosen = this.#random.chance(0.8) ? this.#versions.filter((version) => version.key === key) : this.#versions
    const version = chosen.length > 0 ? this.#random.pick(chosen) : undefined
    if (this.#random.chance(0.5)) this.#nowMs += this.#random.below(3) * this.#tickMs
    const choice = this.#random.next()
    if (choice < 0.04) this.#versioning = this.#versioning === 'enabled' ? 'suspended' : 'enabled'
    else if (choice < 0.4) this.#put(key)
    else if (choice < 0.6) this.#delete(key)
    else if (version === undefined) return
    else if (choice < 0.75) this.#deleteVersion(version)
    else if (!version.isDeleteMarker) this.#update(version)
  }

  #put(key: string): void {
    const versionId = this.#versioning === 'enabled' ? this.#newId() : 'null'
    this.#remove(key, versionId)
    const bytes = this.#write(key, versionId, this.events.length)
    const storageClass = this.#random.pick(['STANDARD', undefined])
    const more = { ...bytes, ...(storageClass ? { storageClass } : {}) }
    const made = this.#tell('create', 'ObjectCreated:Put', key, versionId, more)
    const { etag } = bytes
    this.#versions.push({
      key,
      versionId,
      isDeleteMarker: false,
      etag,
      tags: undefined,
      storageClass,
      made,
      last: made,
    })
  }

  #delete(key: string): void {
    if (this.#versioning === 'off') {
      if (this.#remove(key, 'null')) this.#tell('delete', 'ObjectRemoved:Delete', key, 'null')
      return
    }
    const newest = this.#versions.findLast((version) => version.key === key)
    if (this.#habit === 'minio' && newest?.isDeleteMarker) {
      // MinIO makes no second marker: it tells of the first once more, with its old sequencer.
      const told = this.#lastOfVersion.get(`${key}@${newest.versionId}`)
      if (told?.kind !== 'marker') return
      newest.made = newest.last = { ...told, time: new Date(this.#nowMs).toISOString() }
      this.events.push(newest.made)
      return
    }
    const versionId = this.#versioning === 'enabled' ? this.#newId() : 'null'
    this.#remove(key, versionId)
    const made = this.#tell('marker', 'ObjectRemoved:DeleteMarkerCreated', key, versionId)
    this.#versions.push({
      key,
      versionId,
      isDeleteMarker: true,
      etag: undefined,
      tags: undefined,
      storageClass: undefined,
      made,
      last: made,
    })
  }

  #deleteVersion({ key, versionId, isDeleteMarker }: ModelVersion): void {
    this.#remove(key, versionId)
    if (this.#habit === 'minio' && isDeleteMarker && versionId !== 'null') {
      this.#tell('marker', 'ObjectRemoved:DeleteMarkerCreated', key, versionId)
    } else {
      this.#tell('delete', 'ObjectRemoved:Delete', key, versionId)
    }
  }

  #update(version: ModelVersion): void {
    const { key, versionId } = version
    const choice = this.#random.next()
    if (choice < 0.5) {
      version.tags = { n: this.#newId() }
      version.last = this.#tell('update', 'ObjectTagging:Put', key, versionId, { tags: version.tags })
    } else if (choice < 0.7) {
      version.tags = {}
      version.last = this.#tell('update', 'ObjectTagging:Delete', key, versionId)
    } else if (choice < 0.9) {
      const storageClass = this.#random.pick(['GLACIER', 'STANDARD_IA'])
      version.storageClass = storageClass
      version.last = this.#tell('update', 'LifecycleTransition', key, versionId, { storageClass })
    } else {
      version.last = this.#tell('update', 'ObjectAcl:Put', key, versionId)
    }
  }

  #remove(key: string, versionId: string): boolean {
    const at = this.#versions.findIndex((version) => version.key === key && version.versionId === versionId)
    if (at >= 0) this.#versions.splice(at, 1)
    return at >= 0
  }

  #tell(
    kind: ObjectEventKind,
    name: string,
    key: string,
    versionId: string,
    more: Partial<ObjectEvent> = {},
  ): ObjectEvent {
    const id = `${key}@${versionId}`
    const before = this.#lastOfVersion.get(id)
    // Where only time orders two events of a version, the store's clock must have moved between them.
    const ordersByTime = !['aws', 'aws, whole seconds', 'minio'].includes(this.#habit)
    if (before && (ordersByTime || before.kind === 'update' || this.#random.chance(0.5))) this.#nowMs += this.#tickMs
    const event: ObjectEvent = {
      v: OBJECT_EVENT_VERSION,
      kind,
      source: this.#source(),
      name,
      bucket: this.#bucket,
      key,
      versionId,
      time: new Date(Math.floor(this.#nowMs / this.#tickMs) * this.#tickMs).toISOString(),
      ...this.#sequencer(kind),
      ...more,
    }
    this.#lastOfVersion.set(id, event)
    this.events.push(event)
    return event
  }

  #source(): string {
    if (this.#habit === 'minio') return 'minio:s3'
    return this.#habit === 'two senders' ? this.#random.pick(['aws:s3', 'aws.s3']) : 'aws:s3'
  }

  #sequencer(kind: ObjectEventKind): { sequencer?: string } {
    if (this.#habit === 'constant sequencer') return { sequencer: '0055AED6DCD90281E5' }
    if (this.#habit === 'no sequencer') return {}
    if (kind === 'update' && this.#habit !== 'minio') return {}
    // Zeros on the right are dropped now and then, and letters are small now and then: both are the same sequencer.
    const text = `00663${(0x1000 + 7 * ++this.#counter).toString(16).padStart(8, '0')}`.replace(/0+$/, '')
    return { sequencer: this.#random.chance(0.5) ? text.toUpperCase().padEnd(16, '0') : text }
  }

  #newId(): string {
    return `id-${++this.#counter}`
  }
}
