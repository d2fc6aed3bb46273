/**
 * The ordering column of a keyed table: of two changes of a key, the one with the greater value there is the newer, however
 * they came. Its values are compared as whole numbers: of days, of microseconds, or as they are.
 */
import { Fault } from '../base/fault.ts'
import { formatIdent } from '../iceberg/catalog/catalog.ts'
import type { NestedField, Schema } from '../iceberg/spec/table-metadata.ts'
import { formatType } from '../iceberg/spec/type.ts'
import type { TableDefinition } from './table.ts'

const TYPES = ['int', 'long', 'date', 'timestamp', 'timestamptz']

/**
 * @param schema the definition's own, or the table's as it is
 * @throws Fault `invalid` when the ordering column is missing, optional, or of a type without such an order, or the mode has no use for it
 */
export function checkOrdering({ ident, mode, ordering }: TableDefinition, schema: Schema): void {
  if (ordering === undefined) return
  const table = formatIdent(ident)
  if (mode !== 'upsert') {
    throw new Fault(
      'invalid',
      `expected an ordering column in a table of mode upsert only, got ${ordering} in ${table} of mode ${mode}: leave it out`,
    )
  }
  const field = schema.fields.find((column) => column.name === ordering)
  if (field === undefined) {
    throw new Fault('invalid', `expected the ordering column of ${table} to be one of its columns, got ${ordering}`)
  }
  if (typeof field.type !== 'string' || !TYPES.includes(field.type)) {
    throw new Fault(
      'invalid',
      `expected the ordering column ${ordering} of ${table} to be of type ${TYPES.join(', ')}, got ${formatType(field.type)}`,
    )
  }
  if (!field.required) {
    throw new Fault(
      'invalid',
      `expected the ordering column ${ordering} of ${table} to be required, got an optional one: a row without a value there has no place in the order`,
    )
  }
}

/** The value of `expression`, of the ordering column's type, as BIGINT; null for null and for DuckDB's infinities. */
export function orderingValue(schema: Schema, column: string, expression: string): string {
  const field = schema.fields.find((known): known is NestedField => known.name === column)
  switch (field?.type) {
    case 'date':
      return `CASE WHEN isfinite(${expression}) THEN (${expression} - DATE '1970-01-01')::BIGINT END`
    case 'timestamp':
    case 'timestamptz':
      return `CASE WHEN isfinite(${expression}) THEN epoch_us(${expression}) END`
    default:
      return `${expression}::BIGINT`
  }
}
