/**
 * Table metadata files: text to value and back (Iceberg spec, "Table Metadata", Appendix C, and Appendix E for what v1
 * leaves out). In memory every version has the shape of v2; v3's additions are carried along.
 *
 * Reading is as lenient as Java's and Python's libraries together. Writing states every field, since engines refuse
 * tables that leave out optional ones (sort orders, last-partition-id, snapshot log).
 */
import { Fault } from '../../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import {
  asArray,
  asId,
  asObject,
  asText,
  asTextMap,
  asWhole,
  inside,
  type JsonObject,
  listOf,
  optional,
  type Place,
  required,
  wrong,
} from './json-reader.ts'
import {
  readPartitionField,
  readRef,
  readSchema,
  readSnapshot,
  readSortOrder,
  readSpec,
  writePartitionField,
  writeSnapshot,
  writeSortOrder,
  writeSpec,
} from './parts-json.ts'
import { currentSchema, currentSpec, highestFieldId } from './schema.ts'
import type { PartitionSpec, Schema, SnapshotRef, SortOrder, TableMetadata } from './table-metadata.ts'

/** Partition field ids begin after this (spec, "Partition Evolution"). */
export const PARTITION_ID_BEFORE_FIRST = 999

/** The order of tables without one. */
export const UNSORTED: SortOrder = { 'order-id': 0, fields: [] }

/**
 * The text of a metadata file → metadata.
 * @param location where the text is from, for messages
 * @throws Fault `corrupt` (not JSON, or not table metadata), `unsupported` (a format version after 3)
 */
export function parseMetadata(text: string, location = 'table metadata'): TableMetadata {
  let json: Json
  try {
    json = parseJson(text)
  } catch (error) {
    throw new Fault(
      'corrupt',
      `expected JSON in ${location}, got ${text.length} characters that do not parse`,
      { location },
      error,
    )
  }
  return metadataFromJson(json, location)
}

/** As `parseMetadata`, from JSON already parsed by `parseJson` (long ids exact). */
export function metadataFromJson(json: Json, location = 'table metadata'): TableMetadata {
  const top: Place = { path: '', kind: 'corrupt' }
  try {
    return readMetadata(asObject(json, top), top)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    throw new Fault(error.kind, `${location}: ${error.message}`, { ...error.facts, location }, error)
  }
}

function readMetadata(object: JsonObject, top: Place): TableMetadata {
  const version = required(object, 'format-version', top, asWhole)
  if (version > 3) {
    throw new Fault(
      'unsupported',
      `expected table format version 1, 2 or 3, got ${version}; use an engine that reads it`,
    )
  }
  if (version !== 1 && version !== 2 && version !== 3) throw wrong(inside(top, 'format-version'), '1, 2 or 3', version)
  const schemas = readSchemas(object, top, version)
  const specs = readSpecs(object, top, version)
  const orders = optional(object, 'sort-orders', top, (value, at) => listOf(value, at, readSortOrder)) ?? []
  const snapshotId = optional(object, 'current-snapshot-id', top, asId)
  const metadata: TableMetadata = {
    'format-version': version,
    'table-uuid':
      version === 1 ? (optional(object, 'table-uuid', top, asText) ?? '') : required(object, 'table-uuid', top, asText),
    location: withoutTrailingSlash(required(object, 'location', top, asText)),
    'last-sequence-number': version === 1 ? 0 : required(object, 'last-sequence-number', top, asWhole),
    'last-updated-ms': required(object, 'last-updated-ms', top, asWhole),
    'last-column-id': Math.max(
      optional(object, 'last-column-id', top, asWhole) ?? 0,
      ...schemas.list.map((schema) => highestFieldId(schema)),
    ),
    schemas: schemas.list,
    'current-schema-id': schemas.current,
    'partition-specs': specs.list,
    'default-spec-id': specs.current,
    'last-partition-id': optional(object, 'last-partition-id', top, asWhole) ?? highestPartitionId(specs.list),
    'sort-orders': orders.length === 0 ? [UNSORTED] : orders,
    'default-sort-order-id': optional(object, 'default-sort-order-id', top, asWhole) ?? 0,
    properties: optional(object, 'properties', top, asTextMap) ?? {},
    ...(snapshotId === undefined || snapshotId === -1n ? {} : { 'current-snapshot-id': snapshotId }),
    snapshots: optional(object, 'snapshots', top, (value, at) => listOf(value, at, readSnapshot)) ?? [],
    'snapshot-log': optional(object, 'snapshot-log', top, (value, at) => listOf(value, at, readSnapshotLog)) ?? [],
    'metadata-log': optional(object, 'metadata-log', top, (value, at) => listOf(value, at, readMetadataLog)) ?? [],
    refs: {},
    statistics: optional(object, 'statistics', top, asArray) ?? [],
    'partition-statistics': optional(object, 'partition-statistics', top, asArray) ?? [],
  }
  metadata.refs = readRefs(object, top, metadata)
  if (version === 3) {
    metadata['next-row-id'] = required(object, 'next-row-id', top, asWhole)
    const keys = optional(object, 'encryption-keys', top, asArray)
    if (keys !== undefined) metadata['encryption-keys'] = keys
  }
  checkLinks(metadata, top)
  return metadata
}

interface Listed<T> {
  list: T[]
  current: number
}

/** v1 may have the one `schema` only. */
function readSchemas(object: JsonObject, top: Place, version: number): Listed<Schema> {
  const list = optional(object, 'schemas', top, (value, at) => listOf(value, at, readSchema))
  if (list !== undefined && list.length > 0) {
    return { list, current: required(object, 'current-schema-id', top, asWhole) }
  }
  if (version !== 1) throw wrong(inside(top, 'schemas'), 'at least one schema', object['schemas'])
  const schema = required(object, 'schema', top, readSchema)
  return { list: [schema], current: schema['schema-id'] }
}

/** v1 may have the fields of the one `partition-spec` only, and gives field ids by position in each spec. */
function readSpecs(object: JsonObject, top: Place, version: number): Listed<PartitionSpec> {
  const list = optional(object, 'partition-specs', top, (value, at) => listOf(value, at, readSpec))
  if (list !== undefined && list.length > 0) {
    return { list: list.map(withFieldIds), current: required(object, 'default-spec-id', top, asWhole) }
  }
  if (version !== 1)
    throw wrong(inside(top, 'partition-specs'), 'at least one partition spec', object['partition-specs'])
  const fields = optional(object, 'partition-spec', top, (value, at) => listOf(value, at, readPartitionField)) ?? []
  return { list: [withFieldIds({ 'spec-id': 0, fields })], current: 0 }
}

function withFieldIds(spec: PartitionSpec): PartitionSpec {
  const first = PARTITION_ID_BEFORE_FIRST + 1
  const fields = spec.fields.map((field, at) =>
    field['field-id'] === -1 ? { ...field, 'field-id': first + at } : field,
  )
  return { ...spec, fields }
}

/** The highest partition field id of all specs; 999 when there are no fields. */
export function highestPartitionId(specs: readonly PartitionSpec[]): number {
  return Math.max(PARTITION_ID_BEFORE_FIRST, ...specs.flatMap((spec) => spec.fields.map((field) => field['field-id'])))
}

function readSnapshotLog(json: Json, place: Place): TableMetadata['snapshot-log'][number] {
  const object = asObject(json, place)
  return {
    'snapshot-id': required(object, 'snapshot-id', place, asId),
    'timestamp-ms': required(object, 'timestamp-ms', place, asWhole),
  }
}

function readMetadataLog(json: Json, place: Place): TableMetadata['metadata-log'][number] {
  const object = asObject(json, place)
  return {
    'metadata-file': required(object, 'metadata-file', place, asText),
    'timestamp-ms': required(object, 'timestamp-ms', place, asWhole),
  }
}

/** There is always a `main` that points to the current snapshot, even where `refs` is left out. */
function readRefs(object: JsonObject, top: Place, metadata: TableMetadata): Record<string, SnapshotRef> {
  const place = inside(top, 'refs')
  const named = Object.entries(optional(object, 'refs', top, asObject) ?? {})
  const refs = Object.fromEntries(named.map(([name, ref]) => [name, readRef(ref, inside(place, name))]))
  const current = metadata['current-snapshot-id']
  if (current !== undefined && refs['main'] === undefined) refs['main'] = { 'snapshot-id': current, type: 'branch' }
  return refs
}

/** What points at something must find it. */
function checkLinks(metadata: TableMetadata, top: Place): void {
  currentSchema(metadata)
  currentSpec(metadata)
  const orderId = metadata['default-sort-order-id']
  if (!metadata['sort-orders'].some((order) => order['order-id'] === orderId)) {
    throw wrong(inside(top, 'default-sort-order-id'), 'the id of a sort order in the file', orderId)
  }
  const known = new Set(metadata.snapshots.map((snapshot) => snapshot['snapshot-id']))
  for (const [name, ref] of Object.entries(metadata.refs)) {
    if (!known.has(ref['snapshot-id'])) {
      throw wrong(inside(inside(top, 'refs'), name), 'the id of a snapshot in the file', ref['snapshot-id'])
    }
  }
  if (metadata.refs['main']?.['snapshot-id'] !== metadata['current-snapshot-id']) {
    throw wrong(inside(top, 'current-snapshot-id'), 'the snapshot of branch main', metadata['current-snapshot-id'])
  }
}

/** Locations are joined with `/`: a trailing one would double it. */
export function withoutTrailingSlash(location: string): string {
  return location.replace(/(?<=[^/:])\/+$/, '')
}

/** Metadata → the text of its file: compact JSON, ids exact, every field that engines ask for. */
export function serializeMetadata(metadata: TableMetadata): string {
  return stringifyJson(metadataToJson(metadata))
}

/** Metadata → JSON as in its file, for messages that hold it (REST `loadTable`). Write it with `stringifyJson`. */
export function metadataToJson(metadata: TableMetadata): JsonObject {
  const version = metadata['format-version']
  const noSnapshot = version >= 3 ? null : -1
  return {
    'format-version': version,
    ...(metadata['table-uuid'] === '' ? {} : { 'table-uuid': metadata['table-uuid'] }),
    location: metadata.location,
    ...(version === 1 ? {} : { 'last-sequence-number': metadata['last-sequence-number'] }),
    'last-updated-ms': metadata['last-updated-ms'],
    'last-column-id': metadata['last-column-id'],
    ...(version === 1 ? { schema: currentSchema(metadata) as unknown as Json } : {}),
    'current-schema-id': metadata['current-schema-id'],
    schemas: metadata.schemas as unknown as Json,
    ...(version === 1 ? { 'partition-spec': currentSpec(metadata).fields.map(writePartitionField) } : {}),
    'default-spec-id': metadata['default-spec-id'],
    'partition-specs': metadata['partition-specs'].map(writeSpec),
    'last-partition-id': metadata['last-partition-id'],
    'default-sort-order-id': metadata['default-sort-order-id'],
    'sort-orders': metadata['sort-orders'].map(writeSortOrder),
    properties: metadata.properties,
    'current-snapshot-id': metadata['current-snapshot-id'] ?? noSnapshot,
    ...(metadata['next-row-id'] === undefined ? {} : { 'next-row-id': metadata['next-row-id'] }),
    ...(metadata['encryption-keys'] === undefined ? {} : { 'encryption-keys': metadata['encryption-keys'] }),
    refs: metadata.refs as unknown as Json,
    snapshots: metadata.snapshots.map(writeSnapshot),
    statistics: metadata.statistics ?? [],
    'partition-statistics': metadata['partition-statistics'] ?? [],
    'snapshot-log': metadata['snapshot-log'],
    'metadata-log': metadata['metadata-log'],
  }
}
