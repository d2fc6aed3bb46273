/**
 * One thing that happened to one version of one object, whatever source told it.
 * This is the wire form in the `objects` log: changing it means raising `OBJECT_EVENT_VERSION` (a test freezes it).
 */

export const OBJECT_EVENT_VERSION = 1

/**
 * - `create`: the version's bytes came to be (put, copy, multipart, post, restore of a whole object)
 * - `delete`: the version is gone for good (in a bucket without versions: the object)
 * - `marker`: a delete marker became a version of its own
 * - `update`: tags, storage class or ACL changed; the bytes did not
 */
export type ObjectEventKind = 'create' | 'delete' | 'marker' | 'update'

/** The version id of objects in buckets without versioning, and of S3's null version. */
export const NULL_VERSION = 'null'

export interface ObjectEvent {
  v: typeof OBJECT_EVENT_VERSION
  kind: ObjectEventKind
  /** Who stamped it, e.g. `aws:s3`, `minio:s3`, `aws.s3`, `directory`. Sequencers of two sources never compare. */
  source: string
  /** The source's own name of it, e.g. `ObjectCreated:Put`. */
  name: string
  bucket: string
  /** Decoded. */
  key: string
  /** `NULL_VERSION` when the source names none. */
  versionId: string
  /** Event time, ISO 8601 UTC with microseconds at most, e.g. `2024-05-01T10:00:00.123Z`. */
  time: string
  /** As the source sent it; absent when it sent none or one that is known not to order. */
  sequencer?: string
  /**
   * Only of what was not told but seen, in a listing or a report: the time up to which this is the last word on the version.
   * Whatever happened to it until then is older than what was seen; what happened later is newer. `time` is when what was
   * seen came to be.
   */
  observed?: string
  /** Without quotes. */
  etag?: string
  sizeBytes?: number
  storageClass?: string
  tags?: Record<string, string>
  userMetadata?: Record<string, string>
  isMultipart?: boolean
  contentType?: string
  encryptionStatus?: string
  isBucketKeyEnabled?: boolean
  kmsKeyArn?: string
  checksumAlgorithm?: string
  requester?: string
  sourceIpAddress?: string
  requestId?: string
}

/** Event → the text that a log takes. */
export function objectEventText(event: ObjectEvent): string {
  return JSON.stringify(event)
}

/** The text of a log entry → the event, without the offset that the log put before it: an event is the same wherever it stands. */
export function readObjectEvent(text: string): ObjectEvent {
  const { offset: _offset, ...event } = JSON.parse(text) as ObjectEvent & { offset: number }
  return event
}
