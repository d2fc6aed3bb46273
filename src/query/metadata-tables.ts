/**
 * Metadata tables (`orders.snapshots`, `orders.files`, …): names, columns and order are those of Iceberg's Spark
 * integration, so that queries written for it run here; `properties` is Trino's.
 *
 * Rows are made in `metadata-rows.ts` as plain JSON; here each column says how DuckDB reads it from there and how the
 * table shows it. Columns that have no fields in this table (`partition` of a table without partitions) are left out.
 */

import { ident } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { flattenFields } from '../iceberg/spec/schema.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { isPrimitive } from '../iceberg/spec/type.ts'
import { partitionFields, valueColumnType } from './metadata-values.ts'

export const METADATA_TABLES = [
  'snapshots',
  'history',
  'refs',
  'files',
  'data_files',
  'delete_files',
  'manifests',
  'partitions',
  'entries',
  'properties',
  'metadata_log_entries',
] as const
export type MetadataTable = (typeof METADATA_TABLES)[number]

export interface MetadataColumn {
  name: string
  /** DuckDB type as which the member of the same name is read from JSON. */
  read: string
  /** Expression over the read columns; default the column itself. */
  show?: string
}

const column = (name: string, read: string): MetadataColumn => ({ name, read })
/** Milliseconds since 1970 in JSON. */
const instant = (name: string): MetadataColumn => ({
  name,
  read: 'BIGINT',
  show: `make_timestamp(${ident(name)} * 1000) AT TIME ZONE 'UTC'`,
})
/** Field id → count. */
const counts = (name: string): MetadataColumn => ({
  name,
  read: 'MAP(VARCHAR, BIGINT)',
  show: byFieldId(name, 'e.value'),
})
/** Field id → single-value bytes, as hex in JSON. */
const bounds = (name: string): MetadataColumn => ({
  name,
  read: 'MAP(VARCHAR, VARCHAR)',
  show: byFieldId(name, 'unhex(e.value)'),
})

function byFieldId(name: string, value: string): string {
  return `map_from_entries(list_transform(map_entries(${ident(name)}), lambda e: {'key': CAST(e.key AS INTEGER), 'value': ${value}}))`
}

export function metadataColumns(table: LoadedTable, name: MetadataTable, schema: Schema): MetadataColumn[] {
  switch (name) {
    case 'snapshots':
      return [
        instant('committed_at'),
        column('snapshot_id', 'BIGINT'),
        column('parent_id', 'BIGINT'),
        column('operation', 'VARCHAR'),
        column('manifest_list', 'VARCHAR'),
        column('summary', 'MAP(VARCHAR, VARCHAR)'),
      ]
    case 'history':
      return [
        instant('made_current_at'),
        column('snapshot_id', 'BIGINT'),
        column('parent_id', 'BIGINT'),
        column('is_current_ancestor', 'BOOLEAN'),
      ]
    case 'refs':
      return [
        column('name', 'VARCHAR'),
        column('type', 'VARCHAR'),
        column('snapshot_id', 'BIGINT'),
        column('max_reference_age_in_ms', 'BIGINT'),
        column('min_snapshots_to_keep', 'INTEGER'),
        column('max_snapshot_age_in_ms', 'BIGINT'),
      ]
    case 'manifests':
      return [
        column('content', 'INTEGER'),
        column('path', 'VARCHAR'),
        column('length', 'BIGINT'),
        column('partition_spec_id', 'INTEGER'),
        column('added_snapshot_id', 'BIGINT'),
        column('added_data_files_count', 'INTEGER'),
        column('existing_data_files_count', 'INTEGER'),
        column('deleted_data_files_count', 'INTEGER'),
        column('added_delete_files_count', 'INTEGER'),
        column('existing_delete_files_count', 'INTEGER'),
        column('deleted_delete_files_count', 'INTEGER'),
        column(
          'partition_summaries',
          'STRUCT(contains_null BOOLEAN, contains_nan BOOLEAN, lower_bound VARCHAR, upper_bound VARCHAR)[]',
        ),
      ]
    case 'partitions':
      return [
        ...partitionColumn(table),
        column('spec_id', 'INTEGER'),
        column('record_count', 'BIGINT'),
        column('file_count', 'INTEGER'),
        column('total_data_file_size_in_bytes', 'BIGINT'),
        column('position_delete_record_count', 'BIGINT'),
        column('position_delete_file_count', 'INTEGER'),
        column('equality_delete_record_count', 'BIGINT'),
        column('equality_delete_file_count', 'INTEGER'),
        instant('last_updated_at'),
        column('last_updated_snapshot_id', 'BIGINT'),
      ]
    case 'files':
    case 'data_files':
    case 'delete_files':
      return [...fileColumns(table), ...readableMetrics(schema)]
    case 'entries':
      return [
        column('status', 'INTEGER'),
        column('snapshot_id', 'BIGINT'),
        column('sequence_number', 'BIGINT'),
        column('file_sequence_number', 'BIGINT'),
        ...asOneStruct('data_file', fileColumns(table)),
        ...readableMetrics(schema),
      ]
    case 'properties':
      return [column('key', 'VARCHAR'), column('value', 'VARCHAR')]
    case 'metadata_log_entries':
      return [
        instant('timestamp'),
        column('file', 'VARCHAR'),
        column('latest_snapshot_id', 'BIGINT'),
        column('latest_schema_id', 'INTEGER'),
        column('latest_sequence_number', 'BIGINT'),
      ]
  }
}

function fileColumns(table: LoadedTable): MetadataColumn[] {
  return [
    column('content', 'INTEGER'),
    column('file_path', 'VARCHAR'),
    column('file_format', 'VARCHAR'),
    column('spec_id', 'INTEGER'),
    ...partitionColumn(table),
    column('record_count', 'BIGINT'),
    column('file_size_in_bytes', 'BIGINT'),
    counts('column_sizes'),
    counts('value_counts'),
    counts('null_value_counts'),
    counts('nan_value_counts'),
    bounds('lower_bounds'),
    bounds('upper_bounds'),
    { name: 'key_metadata', read: 'VARCHAR', show: 'unhex(key_metadata)' },
    column('split_offsets', 'BIGINT[]'),
    column('equality_ids', 'INTEGER[]'),
    column('sort_order_id', 'INTEGER'),
    column('referenced_data_file', 'VARCHAR'),
    column('content_offset', 'BIGINT'),
    column('content_size_in_bytes', 'BIGINT'),
  ]
}

function partitionColumn(table: LoadedTable): MetadataColumn[] {
  const fields = partitionFields(table)
  if (fields.length === 0) return []
  return [column('partition', struct(fields.map((field) => [field.name, valueColumnType(field.type)])))]
}

/** Per column with values of its own: its metrics, with bounds in the column's type. */
function readableMetrics(schema: Schema): MetadataColumn[] {
  const leaves = flattenFields(schema).filter((field) => isPrimitive(field.type))
  if (leaves.length === 0) return []
  const members = leaves.map((field): [string, string] => {
    const type = valueColumnType(isPrimitive(field.type) ? field.type : 'string')
    const metrics: [string, string][] = [
      ['column_size', 'BIGINT'],
      ['value_count', 'BIGINT'],
      ['null_value_count', 'BIGINT'],
      ['nan_value_count', 'BIGINT'],
      ['lower_bound', type],
      ['upper_bound', type],
    ]
    return [field.name, struct(metrics)]
  })
  return [column('readable_metrics', struct(members))]
}

function struct(members: readonly (readonly [string, string])[]): string {
  return `STRUCT(${members.map(([name, type]) => `${ident(name)} ${type}`).join(', ')})`
}

/** Columns that are read at the top and shown as members of one. */
function asOneStruct(name: string, columns: readonly MetadataColumn[]): MetadataColumn[] {
  const members = columns.map((each) => `${ident(each.name)} := ${each.show ?? ident(each.name)}`)
  const hidden = columns.map((each): MetadataColumn => ({ ...each, show: '' }))
  const [first, ...rest] = hidden
  return first === undefined ? [] : [first, ...rest, { name, read: '', show: `struct_pack(${members.join(', ')})` }]
}
