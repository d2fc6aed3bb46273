/**
 * Table metadata as types, in the specification's own words (Iceberg spec, "Table Metadata", and the REST catalog's
 * OpenAPI for updates and requirements). Field names are those of the JSON, so that a value is what the file says.
 * Snapshot ids are bigint (random 63-bit numbers); sequence numbers, timestamps (ms) and counts are safe integers.
 */
import type { Json } from '../../base/json.ts'

/** Primitive types by their spec text, e.g. `long`, `decimal(9,2)`, `fixed[16]`, `timestamptz`. */
export type PrimitiveType = string
export interface ListType {
  type: 'list'
  'element-id': number
  'element-required': boolean
  element: Type
}
export interface MapType {
  type: 'map'
  'key-id': number
  key: Type
  'value-id': number
  'value-required': boolean
  value: Type
}
export interface StructType {
  type: 'struct'
  fields: NestedField[]
}
export type Type = PrimitiveType | ListType | MapType | StructType

export interface NestedField {
  id: number
  name: string
  required: boolean
  type: Type
  doc?: string
  'initial-default'?: Json
  'write-default'?: Json
}

export interface Schema extends StructType {
  'schema-id': number
  'identifier-field-ids'?: number[]
}

/** `identity`, `bucket[N]`, `truncate[W]`, `year`, `month`, `day`, `hour`, `void`. */
export type Transform = string

export interface PartitionField {
  'source-id': number
  /** From 1000; -1 in an `add-spec` update: to be assigned. */
  'field-id': number
  name: string
  transform: Transform
  /** v3, transforms of several columns: all of them; `source-id` is the first. */
  'source-ids'?: number[]
}
export interface PartitionSpec {
  'spec-id': number
  fields: PartitionField[]
}

export interface SortField {
  transform: Transform
  'source-id': number
  direction: 'asc' | 'desc'
  'null-order': 'nulls-first' | 'nulls-last'
  /** v3, transforms of several columns: all of them; `source-id` is the first. */
  'source-ids'?: number[]
}
export interface SortOrder {
  'order-id': number
  fields: SortField[]
}

export type Operation = 'append' | 'replace' | 'overwrite' | 'delete'

export interface Snapshot {
  'snapshot-id': bigint
  'parent-snapshot-id'?: bigint
  'sequence-number': number
  'timestamp-ms': number
  'manifest-list': string
  /** `operation` and text values only. */
  summary: { operation: Operation } & Record<string, string>
  'schema-id'?: number
  /** v3, row lineage: the first row id of this snapshot, and how many it assigns. */
  'first-row-id'?: number
  'added-rows'?: number
  /** v3: the key that encrypts the manifest list. */
  'key-id'?: string
}

export interface SnapshotRef {
  'snapshot-id': bigint
  type: 'branch' | 'tag'
  'min-snapshots-to-keep'?: number
  'max-snapshot-age-ms'?: number
  'max-ref-age-ms'?: number
}

export interface TableMetadata {
  'format-version': 1 | 2 | 3
  'table-uuid': string
  location: string
  'last-sequence-number': number
  'last-updated-ms': number
  'last-column-id': number
  schemas: Schema[]
  'current-schema-id': number
  'partition-specs': PartitionSpec[]
  'default-spec-id': number
  'last-partition-id': number
  'sort-orders': SortOrder[]
  'default-sort-order-id': number
  properties: Record<string, string>
  /** Absent: no snapshot (null and -1 in files). */
  'current-snapshot-id'?: bigint
  snapshots: Snapshot[]
  'snapshot-log': { 'snapshot-id': bigint; 'timestamp-ms': number }[]
  'metadata-log': { 'metadata-file': string; 'timestamp-ms': number }[]
  refs: Record<string, SnapshotRef>
  statistics?: Json[]
  'partition-statistics'?: Json[]
  /** v3 only. */
  'next-row-id'?: number
  /** v3 only. */
  'encryption-keys'?: Json[]
}

/** REST catalog OpenAPI, `TableUpdate`: what a commit changes. */
export type TableUpdate =
  | { action: 'assign-uuid'; uuid: string }
  | { action: 'upgrade-format-version'; 'format-version': number }
  | { action: 'add-schema'; schema: Schema; 'last-column-id'?: number }
  | { action: 'set-current-schema'; 'schema-id': number }
  | { action: 'add-spec'; spec: PartitionSpec }
  | { action: 'set-default-spec'; 'spec-id': number }
  | { action: 'add-sort-order'; 'sort-order': SortOrder }
  | { action: 'set-default-sort-order'; 'sort-order-id': number }
  | { action: 'add-snapshot'; snapshot: Snapshot }
  | ({ action: 'set-snapshot-ref'; 'ref-name': string } & SnapshotRef)
  | { action: 'remove-snapshots'; 'snapshot-ids': bigint[] }
  | { action: 'remove-snapshot-ref'; 'ref-name': string }
  | { action: 'set-location'; location: string }
  | { action: 'set-properties'; updates: Record<string, string> }
  | { action: 'remove-properties'; removals: string[] }
  | { action: 'set-statistics'; statistics: Json }
  | { action: 'remove-statistics'; 'snapshot-id': bigint }
  | { action: 'set-partition-statistics'; 'partition-statistics': Json }
  | { action: 'remove-partition-statistics'; 'snapshot-id': bigint }
  | { action: 'remove-partition-specs'; 'spec-ids': number[] }
  | { action: 'remove-schemas'; 'schema-ids': number[] }
  | { action: 'add-encryption-key'; 'encryption-key': Json }
  | { action: 'remove-encryption-key'; 'key-id': string }

/** REST catalog OpenAPI, `TableRequirement`: what must hold for a commit to be applied. */
export type TableRequirement =
  | { type: 'assert-create' }
  | { type: 'assert-table-uuid'; uuid: string }
  | { type: 'assert-ref-snapshot-id'; ref: string; 'snapshot-id': bigint | null }
  | { type: 'assert-last-assigned-field-id'; 'last-assigned-field-id': number }
  | { type: 'assert-current-schema-id'; 'current-schema-id': number }
  | { type: 'assert-last-assigned-partition-id'; 'last-assigned-partition-id': number }
  | { type: 'assert-default-spec-id'; 'default-spec-id': number }
  | { type: 'assert-default-sort-order-id'; 'default-sort-order-id': number }

/** What an action plans: the catalog applies `updates` if every requirement holds, all or nothing. */
export interface TableChange {
  requirements: TableRequirement[]
  updates: TableUpdate[]
}
