/**
 * The Avro schemas of manifests and manifest lists (Iceberg spec, "Manifests", "Manifest Lists" and Appendix A).
 * Fields are found by their ids; the names are the specification's.
 */
import { Fault } from '../../base/fault.ts'
import type { PartitionColumn } from '../spec/partition.ts'
import type { PrimitiveType } from '../spec/table-metadata.ts'
import { parsePrimitive } from '../spec/type.ts'
import { type AvroSchema, avroName } from './avro.ts'

const required = (id: number, name: string, type: AvroSchema): AvroSchema => ({ name, type, 'field-id': id })
const optional = (id: number, name: string, type: AvroSchema): AvroSchema => ({
  name,
  type: ['null', type],
  default: null,
  'field-id': id,
})
const list = (id: number, items: AvroSchema): AvroSchema => ({ type: 'array', items, 'element-id': id })
const map = (keyId: number, valueId: number, value: AvroSchema): AvroSchema => ({
  type: 'array',
  logicalType: 'map',
  items: {
    type: 'record',
    name: `k${keyId}_v${valueId}`,
    fields: [required(keyId, 'key', 'int'), required(valueId, 'value', value)],
  },
})

/** The schema of a manifest of format version 2 whose tuples have these columns. */
export function manifestSchema(columns: readonly PartitionColumn[]): AvroSchema {
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      required(0, 'status', 'int'),
      optional(1, 'snapshot_id', 'long'),
      optional(3, 'sequence_number', 'long'),
      optional(4, 'file_sequence_number', 'long'),
      required(2, 'data_file', {
        type: 'record',
        name: 'r2',
        fields: [
          required(134, 'content', 'int'),
          required(100, 'file_path', 'string'),
          required(101, 'file_format', 'string'),
          required(102, 'partition', partitionRecord(columns)),
          required(103, 'record_count', 'long'),
          required(104, 'file_size_in_bytes', 'long'),
          optional(108, 'column_sizes', map(117, 118, 'long')),
          optional(109, 'value_counts', map(119, 120, 'long')),
          optional(110, 'null_value_counts', map(121, 122, 'long')),
          optional(137, 'nan_value_counts', map(138, 139, 'long')),
          optional(125, 'lower_bounds', map(126, 127, 'bytes')),
          optional(128, 'upper_bounds', map(129, 130, 'bytes')),
          optional(131, 'key_metadata', 'bytes'),
          optional(132, 'split_offsets', list(133, 'long')),
          optional(135, 'equality_ids', list(136, 'int')),
          optional(140, 'sort_order_id', 'int'),
          optional(143, 'referenced_data_file', 'string'),
        ],
      }),
    ],
  }
}

/** The name under which a partition column stands in our records, whatever its name in the file. */
export function partitionKey(column: { fieldId: number }): string {
  return `p${column.fieldId}`
}

/** The names of a tuple's fields in the file: Avro's form of the columns' own, made different from each other. */
export function partitionNames(columns: readonly PartitionColumn[]): string[] {
  const used = new Set<string>()
  return columns.map((column) => {
    let name = avroName(column.name)
    while (used.has(name)) name = `${name}_`
    used.add(name)
    return name
  })
}

function partitionRecord(columns: readonly PartitionColumn[]): AvroSchema {
  const named = new Set<string>()
  const names = partitionNames(columns)
  const fields = columns.map((column, at) => {
    const type = partitionAvroType(column.type)
    const typeName = typeof type === 'object' && 'name' in type ? String(type['name']) : undefined
    const again = typeName !== undefined && named.has(typeName)
    if (typeName !== undefined) named.add(typeName)
    return optional(column.fieldId, names[at]!, again ? typeName : type)
  })
  return { type: 'record', name: 'r102', fields }
}

/** @throws Fault `unsupported` for a type that no transform gives */
function partitionAvroType(type: PrimitiveType): AvroSchema {
  const primitive = parsePrimitive(type)
  switch (primitive.kind) {
    case 'decimal': {
      const { precision, scale } = primitive
      const name = `decimal_${precision}_${scale}`
      return { type: 'fixed', name, size: decimalBytes(precision), logicalType: 'decimal', precision, scale }
    }
    case 'fixed':
      return { type: 'fixed', name: `fixed_${primitive.length}`, size: primitive.length }
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return primitive.kind
    case 'binary':
      return 'bytes'
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': primitive.kind === 'timestamptz' }
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return { type: 'long', logicalType: 'timestamp-nanos', 'adjust-to-utc': primitive.kind === 'timestamptz_ns' }
    case 'uuid':
      return { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' }
    default:
      throw new Fault('unsupported', `a partition value of type ${type} cannot be written to a manifest`)
  }
}

/** The least bytes that hold every decimal of a precision, two's complement (Appendix A). */
export function decimalBytes(precision: number): number {
  let bytes = 1
  while (2n ** BigInt(8 * bytes - 1) < 10n ** BigInt(precision)) bytes += 1
  return bytes
}

/** Ids whose names differ between writers or versions → the specification's name, for reading. */
export const MANIFEST_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'status'],
  [1, 'snapshot_id'],
  [2, 'data_file'],
  [3, 'sequence_number'],
  [4, 'file_sequence_number'],
  [134, 'content'],
  [100, 'file_path'],
  [101, 'file_format'],
  [102, 'partition'],
  [103, 'record_count'],
  [104, 'file_size_in_bytes'],
  [108, 'column_sizes'],
  [109, 'value_counts'],
  [110, 'null_value_counts'],
  [137, 'nan_value_counts'],
  [125, 'lower_bounds'],
  [128, 'upper_bounds'],
  [132, 'split_offsets'],
  [135, 'equality_ids'],
  [140, 'sort_order_id'],
  [143, 'referenced_data_file'],
  [144, 'content_offset'],
  [145, 'content_size_in_bytes'],
])

/** The schema of a manifest list of format version 2. */
export const MANIFEST_LIST_SCHEMA: AvroSchema = {
  type: 'record',
  name: 'manifest_file',
  fields: [
    required(500, 'manifest_path', 'string'),
    required(501, 'manifest_length', 'long'),
    required(502, 'partition_spec_id', 'int'),
    required(517, 'content', 'int'),
    required(515, 'sequence_number', 'long'),
    required(516, 'min_sequence_number', 'long'),
    required(503, 'added_snapshot_id', 'long'),
    required(504, 'added_files_count', 'int'),
    required(505, 'existing_files_count', 'int'),
    required(506, 'deleted_files_count', 'int'),
    required(512, 'added_rows_count', 'long'),
    required(513, 'existing_rows_count', 'long'),
    required(514, 'deleted_rows_count', 'long'),
    optional(
      507,
      'partitions',
      list(508, {
        type: 'record',
        name: 'r508',
        fields: [
          required(509, 'contains_null', 'boolean'),
          optional(518, 'contains_nan', 'boolean'),
          optional(510, 'lower_bound', 'bytes'),
          optional(511, 'upper_bound', 'bytes'),
        ],
      }),
    ),
    optional(519, 'key_metadata', 'bytes'),
  ],
}

export const MANIFEST_LIST_NAMES: ReadonlyMap<number, string> = new Map([
  [500, 'manifest_path'],
  [501, 'manifest_length'],
  [502, 'partition_spec_id'],
  [517, 'content'],
  [515, 'sequence_number'],
  [516, 'min_sequence_number'],
  [503, 'added_snapshot_id'],
  [504, 'added_files_count'],
  [505, 'existing_files_count'],
  [506, 'deleted_files_count'],
  [512, 'added_rows_count'],
  [513, 'existing_rows_count'],
  [514, 'deleted_rows_count'],
  [507, 'partitions'],
  [509, 'contains_null'],
  [518, 'contains_nan'],
  [510, 'lower_bound'],
  [511, 'upper_bound'],
])
