/**
 * Partition values and bounds as JSON that DuckDB reads back without loss, and the DuckDB types to read them as.
 */
import { isFault } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { duckType } from '../iceberg/file/parquet-types.ts'
import type { Value } from '../iceberg/spec/manifest.ts'
import { type PartitionColumn, partitionColumnsOf } from '../iceberg/spec/partition.ts'
import { valueFromBytes } from '../iceberg/spec/single-value.ts'
import type { PrimitiveType } from '../iceberg/spec/table-metadata.ts'
import { valueToJson } from '../iceberg/spec/value-json.ts'

/** The columns of all partition specs as one tuple, by field id; a field's newest name counts. */
export function partitionFields(table: LoadedTable): PartitionColumn[] {
  const fields = new Map<number, PartitionColumn>()
  for (const spec of table.metadata['partition-specs'].toSorted((a, b) => a['spec-id'] - b['spec-id'])) {
    for (const field of partitionColumnsOf(table.metadata, spec)) {
      const known = fields.get(field.fieldId)
      // A source that was dropped leaves `void`, in v1; the values' type is the one it had.
      if (known === undefined || field.transform !== 'void') fields.set(field.fieldId, field)
    }
  }
  const used = new Set<string>()
  return [...fields.values()].map((field) => {
    const name = used.has(field.name.toLowerCase()) ? `${field.name}_${field.fieldId}` : field.name
    used.add(name.toLowerCase())
    return { ...field, name }
  })
}

/** The DuckDB type that shows values of the type: bytes as hex text, types that DuckDB does not have as text. */
export function valueColumnType(type: PrimitiveType): string {
  if (type === 'binary' || type.startsWith('fixed')) return 'VARCHAR'
  try {
    return duckType(type, '')
  } catch (error) {
    if (isFault(error, 'unsupported')) return 'VARCHAR'
    throw error
  }
}

/** A value as JSON text or number that a cast to `valueColumnType` reads. */
export function valueJson(type: PrimitiveType, value: Value): Json {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return valueToJson(type, value)
}

/** Bound → JSON; null when there is none, or when its bytes do not fit the type any more. */
export function boundJson(type: PrimitiveType, bytes: Uint8Array | undefined): Json {
  if (bytes === undefined) return null
  try {
    return valueJson(type, valueFromBytes(type, bytes))
  } catch (error) {
    if (isFault(error)) return null
    throw error
  }
}
