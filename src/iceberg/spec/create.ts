/**
 * Metadata of a new table (CREATE TABLE, REST `createTable`).
 */
import { Fault } from '../../base/fault.ts'
import { PARTITION_ID_BEFORE_FIRST, UNSORTED, withoutTrailingSlash } from './metadata-json.ts'
import { checkSpec, UNPARTITIONED } from './partition.ts'
import { flattenFields, freshSchema } from './schema.ts'
import { checkSchema } from './schema-rules.ts'
import { checkOrder } from './sort.ts'
import type { PartitionSpec, Schema, SortOrder, TableMetadata } from './table-metadata.ts'

export interface NewTable {
  /** Field ids may be any that differ; they are assigned anew from 1. */
  schema: Schema
  /** Sources by the ids in `schema`; field ids are assigned anew from 1000. */
  spec?: PartitionSpec
  /** Sources by the ids in `schema`. */
  sortOrder?: SortOrder
  location: string
  properties?: Record<string, string>
  /** Default 2. */
  formatVersion?: 1 | 2 | 3
  uuid: string
  /** Now, milliseconds since 1970. */
  nowMs: number
}

/** @throws Fault `invalid` with what is wrong in the schema, spec or order */
export function newTableMetadata(table: NewTable): TableMetadata {
  const formatVersion = table.formatVersion ?? 2
  checkSchema(table.schema, formatVersion)
  const { schema, lastColumnId } = freshSchema(table.schema, 0)
  const newIds = idMap(table.schema, schema)
  const spec = freshSpec(table.spec ?? UNPARTITIONED, newIds)
  checkSpec(spec, schema)
  const order = freshOrder(table.sortOrder ?? UNSORTED, newIds)
  checkOrder(order, schema)
  return {
    'format-version': formatVersion,
    'table-uuid': table.uuid,
    location: withoutTrailingSlash(table.location),
    'last-sequence-number': 0,
    'last-updated-ms': table.nowMs,
    'last-column-id': lastColumnId,
    schemas: [schema],
    'current-schema-id': 0,
    'partition-specs': [spec],
    'default-spec-id': 0,
    'last-partition-id': PARTITION_ID_BEFORE_FIRST + spec.fields.length,
    'sort-orders': [order],
    'default-sort-order-id': order['order-id'],
    properties: { ...table.properties },
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    refs: {},
    statistics: [],
    'partition-statistics': [],
    ...(formatVersion >= 3 ? { 'next-row-id': 0 } : {}),
  }
}

/** Both schemas have the same shape, so their fields correspond one to one. */
function idMap(from: Schema, to: Schema): Map<number, number> {
  const fresh = flattenFields(to)
  return new Map(flattenFields(from).map((field, at) => [field.id, fresh[at]!.id]))
}

function freshSpec(spec: PartitionSpec, ids: ReadonlyMap<number, number>): PartitionSpec {
  const fields = spec.fields.map((field, at) => ({
    'source-id': newId(ids, field['source-id'], `partition field "${field.name}"`),
    'field-id': PARTITION_ID_BEFORE_FIRST + 1 + at,
    name: field.name,
    transform: field.transform,
  }))
  return { 'spec-id': 0, fields }
}

function freshOrder(order: SortOrder, ids: ReadonlyMap<number, number>): SortOrder {
  if (order.fields.length === 0) return UNSORTED
  const fields = order.fields.map((field, at) => ({
    ...field,
    'source-id': newId(ids, field['source-id'], `sort field ${at + 1}`),
  }))
  return { 'order-id': 1, fields }
}

function newId(ids: ReadonlyMap<number, number>, id: number, subject: string): number {
  const found = ids.get(id)
  if (found === undefined)
    throw new Fault('invalid', `expected ${subject} to be made from a column of the schema, got id ${id}`)
  return found
}
