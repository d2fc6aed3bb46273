/**
 * One event of S3 on EventBridge. Unlike `Records`, keys are not encoded, times are whole seconds and there is no
 * version of the format to check. The event's name here is `detail-type`, with the reason behind a colon if it has one:
 * `Object Created:PutObject`.
 *
 * LocalStack encodes keys here too; it is known by the sequencer and requester that it puts into every event.
 * moto writes `eTag` for `etag`, leaves out `deletion-type` and sends one sequencer for all events.
 */
import { OBJECT_EVENT_VERSION, type ObjectEvent, type ObjectEventKind } from '../change/object-event.ts'
import { kindOfDetailType } from './event-name.ts'
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
import { isMultipartOf } from './s3-records.ts'
import type { Ignored } from './source.ts'

const LOCALSTACK_SEQUENCER = '0062E99A88DC407460'
const LOCALSTACK_REQUESTER = '074255357339'

/** @throws Fault `invalid` with a reason for `Problem` */
export function readEventBridge(document: Members): ObjectEvent | Ignored {
  const source = requiredText(document['source'], 'source')
  if (source !== 'aws.s3') return { reason: 'event-source', name: source }
  const type = requiredText(document['detail-type'], 'detail-type')
  const typeKind = kindOfDetailType(type)
  if (typeKind === null) return { reason: 'event-name', name: type }

  const detail = requiredGroup(document, 'detail', 'detail')
  const object = requiredGroup(detail, 'object', 'detail.object')
  const reason = optionalText(detail['reason'])
  const kind = typeKind === 'deleted' ? deletionKind(detail['deletion-type']) : typeKind
  const event: ObjectEvent = {
    v: OBJECT_EVENT_VERSION,
    kind,
    source,
    name: reason === undefined ? type : `${type}:${reason}`,
    bucket: requiredText(group(detail, 'bucket')['name'], 'detail.bucket.name'),
    key: keyOf(object['key'], isLocalStack(detail, object) ? 'query-encoded' : 'as-is', 'detail.object.key'),
    versionId: versionIdOf(object['version-id'], 'detail.object.version-id'),
    time: timeOf(document['time'], 'time'),
  }
  addObject(event, object, reason)
  addCircumstances(event, detail, type)
  return event
}

function deletionKind(deletionType: unknown): ObjectEventKind {
  if (deletionType === 'Delete Marker Created') return 'marker'
  if (deletionType === 'Permanently Deleted' || deletionType === undefined || deletionType === null) return 'delete'
  const expected = '"Permanently Deleted" or "Delete Marker Created"'
  throw refuse('invalid-field', `expected ${expected} in detail.deletion-type, got ${shown(deletionType)}`)
}

function isLocalStack(detail: Members, object: Members): boolean {
  return object['sequencer'] === LOCALSTACK_SEQUENCER && detail['requester'] === LOCALSTACK_REQUESTER
}

function addObject(event: ObjectEvent, object: Members, reason: string | undefined): void {
  const sequencer = optionalText(object['sequencer'])
  if (sequencer !== undefined) event.sequencer = sequencer
  const etag = etagOf(object['etag'] ?? object['eTag'])
  if (etag !== undefined) event.etag = etag
  const sizeBytes = sizeOf(object['size'], 'detail.object.size')
  const exists = event.kind === 'create' || event.kind === 'update'
  if (sizeBytes !== undefined && exists) event.sizeBytes = sizeBytes
  const tags = textMapOf(object['tags'], 'detail.object.tags')
  if (tags !== undefined) event.tags = tags
  const isMultipart = isMultipartOf(event.kind, reason === 'CompleteMultipartUpload', etag)
  if (isMultipart !== undefined) event.isMultipart = isMultipart
}

function addCircumstances(event: ObjectEvent, detail: Members, type: string): void {
  const storageClass = storageClassOf(type, detail)
  if (storageClass !== undefined) event.storageClass = storageClass
  const requester = optionalText(detail['requester'])
  if (requester !== undefined) event.requester = requester
  const sourceIpAddress = optionalText(detail['source-ip-address'])
  if (sourceIpAddress !== undefined) event.sourceIpAddress = sourceIpAddress
  const requestId = optionalText(detail['request-id'])
  if (requestId !== undefined) event.requestId = requestId
}

/** The class that the object has from now on; a restored copy leaves the object in its archive class. */
function storageClassOf(type: string, detail: Members): string | undefined {
  if (type === 'Object Access Tier Changed') return 'INTELLIGENT_TIERING'
  if (type === 'Object Storage Class Changed') return optionalText(detail['destination-storage-class'])
  if (type.startsWith('Object Restore ')) return optionalText(detail['source-storage-class'])
  return undefined
}
