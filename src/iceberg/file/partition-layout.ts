/**
 * The columns of a partition spec's tuples, with their types, as manifests of that spec have them.
 */
import { Fault } from '../../base/fault.ts'
import { currentFirst, type PartitionColumn, partitionColumns } from '../spec/partition.ts'
import { findById } from '../spec/schema.ts'
import type { PartitionSpec, Schema, TableMetadata } from '../spec/table-metadata.ts'

/** What reading and writing manifests needs to know of a table. */
export type TableShape = Pick<TableMetadata, 'schemas' | 'current-schema-id' | 'partition-specs'>

export interface PartitionLayout {
  spec: PartitionSpec
  /** A schema that has every source column: the current one unless a column was dropped since. */
  schema: Schema
  columns: PartitionColumn[]
}

/** @throws Fault `corrupt` when the table has no such spec */
export function partitionLayout(table: TableShape, specId: number): PartitionLayout {
  const spec = table['partition-specs'].find((known) => known['spec-id'] === specId)
  if (spec === undefined) {
    const known = table['partition-specs'].map((each) => each['spec-id']).join(', ')
    throw new Fault('corrupt', `a file is of partition spec ${specId}, but the table's metadata has only ${known}`)
  }
  const schemas = currentFirst(table)
  const complete = schemas.find((schema) => spec.fields.every((field) => findById(schema, field['source-id'])))
  const schema = complete ?? schemas[0]
  if (schema === undefined) throw new Fault('corrupt', "the table's metadata has no schema")
  return { spec, schema, columns: partitionColumns(spec, ...schemas) }
}
