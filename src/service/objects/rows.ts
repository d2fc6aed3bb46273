/**
 * Events and states as rows of the journal, the inventory and the content table. Pure.
 */
import { type Json, stringifyJson } from '../../base/json.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { sequenceNumber } from '../../change/sequence.ts'
import type { Extraction } from '../../extract/extract.ts'
import type { MappedRow } from './mapping.ts'
import { tagsSetBy, type VisibleVersion } from './version-state.ts'

export type Row = { [column: string]: Json }

/** ISO 8601 UTC → the text of a timestamp without zone that the segments carry. */
export function timestamp(iso: string): string {
  return iso.replace('T', ' ').replace(/Z$/, '')
}

const RECORD_TYPE = { create: 'CREATE', update: 'UPDATE_METADATA', delete: 'DELETE', marker: 'DELETE' } as const

/**
 * The journal row of one event: a function of the event alone, so that repeated and reordered events give the same
 * journal. A permanent delete has nothing but its identity; a delete marker is a DELETE whose `is_delete_marker` is true.
 */
export function journalRow(event: ObjectEvent): Row {
  const identity: Row = {
    bucket: event.bucket,
    key: event.key,
    sequence_number: sequenceNumber(event),
    record_type: RECORD_TYPE[event.kind],
    record_timestamp: timestamp(event.time),
    version_id: event.versionId,
  }
  if (event.kind === 'delete') return identity
  return {
    ...identity,
    ...objectColumns(event, event.kind === 'marker'),
    object_tags: tagsSetBy(event) ?? (event.kind === 'create' ? {} : null),
    user_metadata: event.userMetadata ?? (event.kind === 'create' ? {} : null),
    last_modified_date: event.kind === 'update' ? null : timestamp(event.time),
    requester: event.requester ?? null,
    source_ip_address: event.sourceIpAddress ?? null,
    request_id: event.requestId ?? null,
  }
}

/** The inventory row of a version that is there. */
export function inventoryRow(version: VisibleVersion): Row {
  const { event } = version
  return {
    bucket: event.bucket,
    key: event.key,
    sequence_number: version.sequenceNumber,
    version_id: event.versionId,
    ...objectColumns(event, version.isDeleteMarker),
    storage_class: version.storageClass ?? event.storageClass ?? null,
    object_tags: version.isDeleteMarker ? null : (version.tags ?? event.tags ?? {}),
    user_metadata: version.isDeleteMarker ? null : (event.userMetadata ?? {}),
    last_modified_date: timestamp(event.time),
  }
}

function objectColumns(event: ObjectEvent, isDeleteMarker: boolean): Row {
  return {
    is_delete_marker: isDeleteMarker,
    size: event.sizeBytes ?? null,
    e_tag: event.etag ?? null,
    storage_class: event.storageClass ?? null,
    is_multipart: event.isMultipart ?? null,
    encryption_status: event.encryptionStatus ?? null,
    is_bucket_key_enabled: event.isBucketKeyEnabled ?? null,
    kms_key_arn: event.kmsKeyArn ?? null,
    checksum_algorithm: event.checksumAlgorithm ?? null,
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
