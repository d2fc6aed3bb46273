/**
 * The partition fields of a write: how each row's partition value is computed.
 */
import { Fault } from '../../base/fault.ts'
import { ident } from '../../duck/duck.ts'
import { findById } from '../spec/schema.ts'
import type { PartitionSpec, PrimitiveType, Schema } from '../spec/table-metadata.ts'
import { applyTransform, resultType } from '../spec/transform.ts'
import { isPrimitive } from '../spec/type.ts'
import { duckNames } from './parquet-types.ts'
import { textOfValue, transformSql, valueFromText, valueTextSql } from './partition-sql.ts'

export interface PartitionTerm {
  /** Reserved name of the text column that holds the value while writing. */
  column: string
  /** Type of the partition value. */
  type: PrimitiveType
  /** The value's text as SQL over a row `t`, or null when it is computed by `keyOf`. */
  sql: string | null
  /** The source column's text as SQL over a row `t`. */
  sourceText: string
  /** Text of a source value → text of the partition value. */
  keyOf(sourceText: string): string | null
}

/** @throws Fault `invalid` when a source column is missing or no primitive column, `unsupported` for unknown transforms */
export function partitionTerms(spec: PartitionSpec, schema: Schema): PartitionTerm[] {
  return spec.fields.map((field, at) => {
    const source = findById(schema, field['source-id'])
    if (source === undefined || source.repeated || !isPrimitive(source.type)) {
      throw new Fault(
        'invalid',
        `partition field "${field.name}" has no primitive source column with field id ${field['source-id']} in schema ${schema['schema-id']}`,
      )
    }
    const type = source.type
    const result = resultType(field.transform, type)
    const expression = `t.${columnSql(schema, source.id)}`
    return {
      column: `__tidewater_partition_${at}`,
      type: result,
      sql: transformSql(field.transform, type, expression),
      sourceText: valueTextSql(type, expression),
      keyOf: (text) => textOfValue(result, applyTransform(field.transform, type, valueFromText(type, text))),
    }
  })
}

/** A column, or a member of structs, as SQL: `"a"."b"`. */
function columnSql(schema: Schema, id: number): string {
  const chain: number[] = []
  for (let at: number | undefined = id; at !== undefined; at = findById(schema, at)?.parentId) chain.unshift(at)
  let struct = schema.fields
  return chain
    .map((step) => {
      const at = struct.findIndex((field) => field.id === step)
      const name = duckNames({ type: 'struct', fields: struct })[at]!
      const type = struct[at]!.type
      struct = isPrimitive(type) || type.type !== 'struct' ? [] : type.fields
      return ident(name)
    })
    .join('.')
}
