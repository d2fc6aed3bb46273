/**
 * Events and states as rows of the journal, the inventory and the content table. Pure.
 */
import { type Json, stringifyJson } from '../../base/json.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { Description, ObjectFacts } from './description.ts'
import type { MappedRow } from './mapping.ts'
import { tagsSetBy, type VisibleVersion } from './version-state.ts'

export type Row = { [column: string]: Json }

/** ISO 8601 UTC → the text of a timestamp without zone that the segments carry. */
export function timestamp(iso: string): string {
  return iso.replace('T', ' ').replace(/Z$/, '')
}

const RECORD_TYPE = { create: 'CREATE', update: 'UPDATE_METADATA', delete: 'DELETE', marker: 'DELETE' } as const

/**
 * What is known of an object beside its event: an answer of its store; `unanswered` where the store can be asked and has not
 * answered (about this event); `unasked` where nobody can be asked, and the event is all there is.
 */
export type Known = Description | 'unanswered' | 'unasked'

/**
 * The journal row of one event: a function of the event and of what its store answered about it, so that repeated and
 * reordered events give the same journal. A permanent delete has nothing but its identity; a delete marker is a DELETE whose
 * `is_delete_marker` is true.
 */
export function journalRow(event: ObjectEvent, known: Known = 'unasked'): Row {
  const identity: Row = {
    bucket: event.bucket,
    key: event.key,
    sequence_number: sequenceNumber(event),
    record_type: RECORD_TYPE[event.kind],
    record_timestamp: timestamp(event.time),
    version_id: event.versionId,
  }
  if (event.kind === 'delete') return identity
  const isNew = event.kind === 'create'
  const none = isNew && known === 'unasked' ? {} : null
  const facts = isNew && typeof known === 'object' ? known.facts : undefined
  return {
    ...identity,
    ...objectColumns(event, facts, event.kind === 'marker'),
    object_tags: tagsSetBy(event) ?? tagsAnswered(event, known) ?? none,
    user_metadata: facts?.userMetadata ?? event.userMetadata ?? none,
    last_modified_date: event.kind === 'update' ? null : timestamp(event.time),
    requester: event.requester ?? null,
    source_ip_address: event.sourceIpAddress ?? null,
    request_id: event.requestId ?? null,
  }
}

/**
 * Tags that an answer has for the record of this event: for a creation, as long as nothing is known to have changed them before
 * it was asked; for a change of tags, if it is the newest that was known.
 */
function tagsAnswered(event: ObjectEvent, known: Known): ObjectFacts['tags'] {
  if (typeof known !== 'object') return undefined
  const isOfThis =
    event.kind === 'create' ? known.tagsChanged === undefined : known.tagsChanged === sequenceNumber(event)
  return isOfThis ? known.facts.tags : undefined
}

/** The inventory row of a version that is there. @param isAsked its store is asked: what is not known is null, not empty */
export function inventoryRow(version: VisibleVersion, isAsked = false): Row {
  const { event, facts } = version
  const none = isAsked ? null : {}
  return {
    bucket: event.bucket,
    key: event.key,
    sequence_number: version.sequenceNumber,
    version_id: event.versionId,
    ...objectColumns(event, facts, version.isDeleteMarker),
    storage_class: version.storageClass ?? event.storageClass ?? null,
    object_tags: version.isDeleteMarker ? null : (version.tags ?? event.tags ?? none),
    user_metadata: version.isDeleteMarker ? null : (facts?.userMetadata ?? event.userMetadata ?? none),
    last_modified_date: timestamp(event.time),
  }
}

function objectColumns(event: ObjectEvent, facts: ObjectFacts | undefined, isDeleteMarker: boolean): Row {
  return {
    is_delete_marker: isDeleteMarker,
    size: event.sizeBytes ?? facts?.sizeBytes ?? null,
    e_tag: event.etag ?? facts?.etag ?? null,
    storage_class: event.storageClass ?? facts?.storageClass ?? null,
    is_multipart: event.isMultipart ?? facts?.isMultipart ?? null,
    encryption_status: event.encryptionStatus ?? facts?.encryptionStatus ?? null,
    is_bucket_key_enabled: event.isBucketKeyEnabled ?? facts?.isBucketKeyEnabled ?? null,
    kms_key_arn: event.kmsKeyArn ?? facts?.kmsKeyArn ?? null,
    checksum_algorithm: event.checksumAlgorithm ?? facts?.checksumAlgorithm ?? null,
    content_type: event.contentType ?? facts?.contentType ?? null,
  }
}

/** The content row of a version's bytes. What failed stands in the metadata under `faults`. */
export function contentRow(event: ObjectEvent, metadata: Json, mapped: MappedRow, includeRawMetadata: boolean): Row {
  return {
    bucket: event.bucket,
    key: event.key,
    versionId: event.versionId,
    sequencer: event.sequencer ?? null,
    etag: event.etag ?? null,
    ...(includeRawMetadata ? { metadata: stringifyJson(metadata) } : {}),
    lastModified: timestamp(event.time),
    ...mapped.values,
  }
}

/** The member of the metadata that says which versions of which extractors made it. */
export const EXTRACTORS = '_extractors'

/** An extraction as the object's metadata document. */
export function metadataOf(extraction: Extraction): { [key: string]: Json } {
  const { extractors } = extraction
  const metadata =
    extractors === undefined ? extraction.metadata : { ...extraction.metadata, [EXTRACTORS]: { ...extractors } }
  if (extraction.faults.length === 0) return metadata
  return {
    ...metadata,
    faults: extraction.faults.map(({ extractor, kind, message }) => ({ extractor, kind, message })),
  }
}

/** The key columns of a version, for deleting its rows. */
export function versionKey(event: ObjectEvent, versionColumn: 'version_id' | 'versionId'): Row {
  return { bucket: event.bucket, key: event.key, [versionColumn]: event.versionId }
}
