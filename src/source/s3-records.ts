/**
 * One record of the `Records` format: S3 itself, and the stores and emulators that send the same shape.
 *
 * What the senders do differently, and what is made of it here:
 * - MinIO: names carry `s3:`; `size` is left out when it is 0; `userMetadata` holds headers (`X-Amz-Meta-Author`) and
 *   repeats the content type. Taking away a delete marker is sent as one more `DeleteMarkerCreated` of that marker with
 *   a newer sequencer; it stays a `marker` here. Its event times are when it told, after the write; the sequencer is when the
 *   version came to be, in nanoseconds, by which it orders versions itself: a creation or marker happened then.
 * - versitygw: names carry `s3:` although the source is `aws:s3`, by which it is told from S3; keys are not encoded;
 *   copies and multipart uploads have size 0, which is left out; deletes never tell markers and versions. Its
 *   sequencers begin at 1 with each start: it has a source name of its own, so that they are not taken for S3's.
 * - moto: no sequencer, requester or version id; a put sends a tagging event besides.
 * - LocalStack: as S3, with a sequencer that never changes.
 */
import { OBJECT_EVENT_VERSION, type ObjectEvent, type ObjectEventKind } from '../change/object-event.ts'
import { kindOfName } from './event-name.ts'
import {
  etagOf,
  group,
  keyOf,
  type Members,
  optionalText,
  requiredGroup,
  requiredText,
  sizeOf,
  textMapOf,
  timeOf,
  versionIdOf,
} from './fields.ts'
import { refuse, shown } from './problem.ts'
import type { Ignored } from './source.ts'

/** The source name under which events of versitygw pass, which calls itself `aws:s3`. */
export const VERSITYGW = 'versitygw:s3'

/** @throws Fault `invalid` with a reason for `Problem` */
export function readS3Record(record: Members): ObjectEvent | Ignored {
  const sentName = requiredText(record['eventName'], 'eventName')
  const name = sentName.startsWith('s3:') ? sentName.slice(3) : sentName
  if (name === 'TestEvent') return { reason: 'test-event', name: sentName }
  checkVersion(record['eventVersion'])
  const kind = kindOfName(name)
  if (kind === null) return { reason: 'event-name', name }

  const source = sourceOf(requiredText(record['eventSource'], 'eventSource'), sentName)
  const s3 = requiredGroup(record, 's3', 's3')
  const object = requiredGroup(s3, 'object', 's3.object')
  const event: ObjectEvent = {
    v: OBJECT_EVENT_VERSION,
    kind,
    source,
    name,
    bucket: requiredText(requiredGroup(s3, 'bucket', 's3.bucket')['name'], 's3.bucket.name'),
    key: keyOf(object['key'], source === VERSITYGW ? 'as-is' : 'query-encoded', 's3.object.key'),
    versionId: versionIdOf(object['versionId'], 's3.object.versionId'),
    time: timeOf(record['eventTime'], 'eventTime'),
  }
  addObject(event, object)
  event.time = madeTime(event) ?? event.time
  addCircumstances(event, record)
  return event
}

/** Major versions differ in meaning, minor ones only add. */
function checkVersion(version: unknown): void {
  if (typeof version === 'string' && /^2(?:\.\d+)?$/.test(version)) return
  const reason = version === undefined ? 'missing-field' : 'event-version'
  throw refuse(reason, `expected eventVersion 2 with any minor version, got ${shown(version)}`)
}

function sourceOf(eventSource: string, sentName: string): string {
  return eventSource === 'aws:s3' && sentName.startsWith('s3:') ? VERSITYGW : eventSource
}

function addObject(event: ObjectEvent, object: Members): void {
  const sequencer = optionalText(object['sequencer'])
  if (sequencer !== undefined) event.sequencer = sequencer
  const etag = etagOf(object['eTag'] ?? object['etag'])
  if (etag !== undefined) event.etag = etag
  const sizeBytes = sizeBytesOf(event, object)
  if (sizeBytes !== undefined) event.sizeBytes = sizeBytes
  const tags = textMapOf(object['tags'], 's3.object.tags')
  if (tags !== undefined) event.tags = tags
  const userMetadata = userMetadataOf(object['userMetadata'])
  if (userMetadata !== undefined) event.userMetadata = userMetadata
  const isMultipart = isMultipartOf(event.kind, event.name.endsWith(':CompleteMultipartUpload'), etag)
  if (isMultipart !== undefined) event.isMultipart = isMultipart
  const contentType = optionalText(object['contentType'])
  if (contentType !== undefined) event.contentType = contentType
}

const NANOSECONDS = /^1[0-9A-F]{15}$/i

/**
 * When MinIO made a version or marker, to the microsecond. Two writers of one key may be told of in another order than they
 * wrote; what a plain read gives is the version that was made last.
 */
function madeTime({ source, kind, sequencer }: ObjectEvent): string | undefined {
  if (source !== 'minio:s3' || (kind !== 'create' && kind !== 'marker')) return undefined
  if (sequencer === undefined || !NANOSECONDS.test(sequencer)) return undefined
  const microseconds = BigInt(`0x${sequencer}`) / 1000n
  const seconds = new Date(Number(microseconds / 1000n)).toISOString().slice(0, 19)
  return `${seconds}.${String(microseconds % 1_000_000n).padStart(6, '0')}Z`
}

/** Sizes of what exists: a size sent with a removal is of what is gone. */
function sizeBytesOf(event: ObjectEvent, object: Members): number | undefined {
  const size = sizeOf(object['size'], 's3.object.size')
  switch (event.kind) {
    case 'delete':
    case 'marker':
      return undefined
    case 'update':
      return event.source === VERSITYGW ? undefined : size
    case 'create': {
      const unknown = event.source === VERSITYGW && size === 0 && !/:(?:Put|Post)$/.test(event.name)
      if (unknown) return undefined
      return size ?? (event.source === 'minio:s3' ? 0 : undefined)
    }
  }
}

/** A part count behind the etag tells a multipart upload, also where the name does not. Known for creations only. */
export function isMultipartOf(kind: ObjectEventKind, saysSo: boolean, etag: string | undefined): boolean | undefined {
  if (kind !== 'create') return undefined
  return saysSo || (etag !== undefined && /^[0-9a-f]{32}-\d+$/i.test(etag))
}

/** User metadata under its own names, in lower case as S3 keeps them. */
function userMetadataOf(value: unknown): Record<string, string> | undefined {
  const headers = textMapOf(value, 's3.object.userMetadata')
  if (headers === undefined) return undefined
  const own = Object.entries(headers)
    .filter(([name]) => name.toLowerCase() !== 'content-type')
    .map(([name, text]): [string, string] => [name.toLowerCase().replace(/^x-amz-meta-/, ''), text])
  return own.length === 0 ? undefined : Object.fromEntries(own)
}

function addCircumstances(event: ObjectEvent, record: Members): void {
  const storageClass = storageClassOf(event.name, record)
  if (storageClass !== undefined) event.storageClass = storageClass
  const identity = group(record, 'userIdentity')
  const requester = optionalText(identity['principalId'] ?? identity['PrincipalId'])
  if (requester !== undefined) event.requester = requester
  const sourceIpAddress = optionalText(group(record, 'requestParameters')['sourceIPAddress'])
  if (sourceIpAddress !== undefined) event.sourceIpAddress = sourceIpAddress
  const requestId = optionalText(group(record, 'responseElements')['x-amz-request-id'])
  if (requestId !== undefined) event.requestId = requestId
}

/** The class that the object has from now on: after a transition the new one, during a restore its archive class. */
function storageClassOf(name: string, record: Members): string | undefined {
  if (name === 'IntelligentTiering') return 'INTELLIGENT_TIERING'
  if (name === 'LifecycleTransition') {
    const transition = group(group(record, 'lifecycleEventData'), 'transitionEventData')
    return optionalText(transition['destinationStorageClass'])
  }
  if (!name.startsWith('ObjectRestore:')) return undefined
  return optionalText(group(group(record, 'glacierEventData'), 'restoreEventData')['lifecycleRestoreStorageClass'])
}
