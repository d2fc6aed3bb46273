/**
 * The parts of table metadata as JSON: schemas, partition specs, sort orders, snapshots and references (Iceberg spec,
 * Appendix C). They are the same in metadata files and in the REST catalog's messages.
 */
import type { Json } from '../../base/json.ts'
import {
  asBoolean,
  asId,
  asObject,
  asOneOf,
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
import { NESTING_MAX } from './schema.ts'
import type {
  NestedField,
  Operation,
  PartitionField,
  PartitionSpec,
  Schema,
  Snapshot,
  SnapshotRef,
  SortField,
  SortOrder,
  StructType,
  Type,
} from './table-metadata.ts'
import { formatTransform, parseTransform } from './transform.ts'
import { formatPrimitive, tryParsePrimitive } from './type.ts'

/** A schema; `schema-id` is 0 where v1 leaves it out. Type texts become canonical. */
export function readSchema(json: Json | undefined, place: Place): Schema {
  const object = asObject(json, place)
  const struct = readStruct(object, place, 0)
  const identifiers = optional(object, 'identifier-field-ids', place, (value, at) => listOf(value, at, asWhole))
  return {
    type: 'struct',
    'schema-id': optional(object, 'schema-id', place, asWhole) ?? 0,
    ...(identifiers === undefined || identifiers.length === 0 ? {} : { 'identifier-field-ids': identifiers }),
    fields: struct.fields,
  }
}

function readStruct(object: JsonObject, place: Place, depth: number): StructType {
  const fields = required(object, 'fields', place, (value, at) =>
    listOf(value, at, (field, fieldAt) => readField(field, fieldAt, depth)),
  )
  return { type: 'struct', fields }
}

function readField(json: Json, place: Place, depth: number): NestedField {
  const object = asObject(json, place)
  const field: NestedField = {
    id: required(object, 'id', place, asWhole),
    name: required(object, 'name', place, asText),
    required: required(object, 'required', place, asBoolean),
    type: readType(object['type'], inside(place, 'type'), depth + 1),
  }
  const doc = optional(object, 'doc', place, asText)
  if (doc !== undefined) field.doc = doc
  const initial = object['initial-default']
  if (initial !== undefined && initial !== null) field['initial-default'] = initial
  const write = object['write-default']
  if (write !== undefined && write !== null) field['write-default'] = write
  return field
}

/** A type: text of a primitive, or an object. */
export function readType(json: Json | undefined, place: Place, depth = 0): Type {
  if (depth > NESTING_MAX) throw wrong(place, `types nested at most ${NESTING_MAX} deep`, json)
  if (typeof json === 'string') {
    const primitive = tryParsePrimitive(json)
    if (primitive === null) throw wrong(place, 'a type of the Iceberg format', json)
    return formatPrimitive(primitive)
  }
  const object = asObject(json, place)
  const kind = required(object, 'type', place, (value, at) => asOneOf(value, ['struct', 'list', 'map'] as const, at))
  switch (kind) {
    case 'struct':
      return readStruct(object, place, depth)
    case 'list':
      return {
        type: 'list',
        'element-id': required(object, 'element-id', place, asWhole),
        'element-required': required(object, 'element-required', place, asBoolean),
        element: readType(object['element'], inside(place, 'element'), depth + 1),
      }
    case 'map':
      return {
        type: 'map',
        'key-id': required(object, 'key-id', place, asWhole),
        key: readType(object['key'], inside(place, 'key'), depth + 1),
        'value-id': required(object, 'value-id', place, asWhole),
        'value-required': required(object, 'value-required', place, asBoolean),
        value: readType(object['value'], inside(place, 'value'), depth + 1),
      }
  }
}

/** A partition spec; fields without `field-id` get -1 (see `add-spec`). */
export function readSpec(json: Json | undefined, place: Place): PartitionSpec {
  const object = asObject(json, place)
  return {
    'spec-id': optional(object, 'spec-id', place, asWhole) ?? 0,
    fields: required(object, 'fields', place, (value, at) => listOf(value, at, readPartitionField)),
  }
}

export function readPartitionField(json: Json, place: Place): PartitionField {
  const object = asObject(json, place)
  return {
    ...readSources(object, place),
    'field-id': optional(object, 'field-id', place, asWhole) ?? -1,
    name: required(object, 'name', place, asText),
    transform: readTransform(object, place),
  }
}

/** `source-id`, or v3's `source-ids` for transforms of several columns. */
function readSources(object: JsonObject, place: Place): { 'source-id': number; 'source-ids'?: number[] } {
  const many = optional(object, 'source-ids', place, (value, at) => listOf(value, at, asWhole))
  const first = many?.[0]
  if (first === undefined) return { 'source-id': required(object, 'source-id', place, asWhole) }
  return many!.length === 1 ? { 'source-id': first } : { 'source-id': first, 'source-ids': many! }
}

function readTransform(object: JsonObject, place: Place): string {
  return formatTransform(parseTransform(required(object, 'transform', place, asText)))
}

export function readSortOrder(json: Json | undefined, place: Place): SortOrder {
  const object = asObject(json, place)
  return {
    'order-id': optional(object, 'order-id', place, asWhole) ?? 0,
    fields: required(object, 'fields', place, (value, at) => listOf(value, at, readSortField)),
  }
}

function readSortField(json: Json, place: Place): SortField {
  const object = asObject(json, place)
  return {
    transform: readTransform(object, place),
    ...readSources(object, place),
    direction: required(object, 'direction', place, (value, at) => asOneOf(value, ['asc', 'desc'], at)),
    'null-order': required(object, 'null-order', place, (value, at) =>
      asOneOf(value, ['nulls-first', 'nulls-last'], at),
    ),
  }
}

const OPERATIONS: readonly Operation[] = ['append', 'replace', 'overwrite', 'delete']

/**
 * A snapshot. Without summary or operation it counts as `overwrite`, the operation that promises least, as in Java's and
 * Python's libraries. The sequence number is 0 where v1 has none.
 * @throws Fault for v1 snapshots that list their manifests in the metadata: such tables need one commit by Java's library
 */
export function readSnapshot(json: Json | undefined, place: Place): Snapshot {
  const object = asObject(json, place)
  if (object['manifest-list'] === undefined && object['manifests'] !== undefined) {
    throw wrong(
      inside(place, 'manifest-list'),
      'a manifest list (manifests inside the metadata are not read)',
      undefined,
    )
  }
  const summary = optional(object, 'summary', place, asTextMap) ?? {}
  const snapshot: Snapshot = {
    'sequence-number': optional(object, 'sequence-number', place, asWhole) ?? 0,
    'snapshot-id': required(object, 'snapshot-id', place, asId),
    'timestamp-ms': required(object, 'timestamp-ms', place, asWhole),
    'manifest-list': required(object, 'manifest-list', place, asText),
    summary: { ...summary, operation: OPERATIONS.find((known) => known === summary['operation']) ?? 'overwrite' },
  }
  const parent = optional(object, 'parent-snapshot-id', place, asId)
  if (parent !== undefined && parent !== -1n) snapshot['parent-snapshot-id'] = parent
  const schemaId = optional(object, 'schema-id', place, asWhole)
  if (schemaId !== undefined) snapshot['schema-id'] = schemaId
  const firstRowId = optional(object, 'first-row-id', place, asWhole)
  if (firstRowId !== undefined) snapshot['first-row-id'] = firstRowId
  const addedRows = optional(object, 'added-rows', place, asWhole)
  if (addedRows !== undefined) snapshot['added-rows'] = addedRows
  const keyId = optional(object, 'key-id', place, asText)
  if (keyId !== undefined) snapshot['key-id'] = keyId
  return snapshot
}

export function readRef(json: Json | undefined, place: Place): SnapshotRef {
  const object = asObject(json, place)
  const ref: SnapshotRef = {
    'snapshot-id': required(object, 'snapshot-id', place, asId),
    type: required(object, 'type', place, (value, at) => asOneOf(value, ['branch', 'tag'], at)),
  }
  for (const key of ['min-snapshots-to-keep', 'max-snapshot-age-ms', 'max-ref-age-ms'] as const) {
    const value = optional(object, key, place, asWhole)
    if (value !== undefined) ref[key] = value
  }
  return ref
}

// Writing: the in-memory shape is the JSON shape but for what is left out or derived here.

export function writeSpec(spec: PartitionSpec): Json {
  return { 'spec-id': spec['spec-id'], fields: spec.fields.map(writePartitionField) }
}

export function writePartitionField(field: PartitionField): Json {
  return {
    ...writeSources(field),
    ...(field['field-id'] === -1 ? {} : { 'field-id': field['field-id'] }),
    name: field.name,
    transform: field.transform,
  }
}

export function writeSortOrder(order: SortOrder): Json {
  return {
    'order-id': order['order-id'],
    fields: order.fields.map((field) => ({
      transform: field.transform,
      ...writeSources(field),
      direction: field.direction,
      'null-order': field['null-order'],
    })),
  }
}

function writeSources(field: { 'source-id': number; 'source-ids'?: number[] }): { [key: string]: Json } {
  return field['source-ids'] === undefined ? { 'source-id': field['source-id'] } : { 'source-ids': field['source-ids'] }
}

/** v1 snapshots have no sequence number; engines take its absence for 0. */
export function writeSnapshot(snapshot: Snapshot): Json {
  const { 'sequence-number': sequenceNumber, ...others } = snapshot
  return { ...(sequenceNumber > 0 ? { 'sequence-number': sequenceNumber } : {}), ...others } as unknown as Json
}
