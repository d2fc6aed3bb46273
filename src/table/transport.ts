/**
 * How rows travel from a log segment into a table: the columns that DuckDB's JSON reader is told to read, and the
 * expression that turns each into the table's own type. Pure text, no I/O.
 *
 * Decimals, timestamps and the like travel as text because numbers would pass through double; the reader itself
 * parses those that it parses exactly, and the rest is cast here. `change/table-change.ts` states the wire form.
 */
import { Fault } from '../base/fault.ts'
import { ident, listLiteral, literal } from '../duck/duck.ts'
import type { NestedField, Type } from '../iceberg/spec/table-metadata.ts'

/** The JSON reader's type for a value of `type` in a segment. @throws Fault `unsupported` */
export function transportType(type: Type): string {
  if (typeof type !== 'string') {
    switch (type.type) {
      case 'list':
        return `${transportType(type.element)}[]`
      case 'map':
        return `MAP(VARCHAR, ${transportType(type.value)})`
      case 'struct':
        return structType(type.fields)
    }
  }
  switch (type) {
    case 'boolean':
      return 'BOOLEAN'
    case 'int':
      return 'INTEGER'
    case 'long':
      return 'BIGINT'
    case 'float':
      return 'FLOAT'
    case 'double':
      return 'DOUBLE'
    case 'string':
      return 'VARCHAR'
    case 'date':
      return 'DATE'
    case 'time':
      return 'TIME'
    case 'timestamp':
      return 'TIMESTAMP'
    case 'timestamptz':
      return 'TIMESTAMPTZ'
    case 'uuid':
      return 'UUID'
    case 'binary':
      return 'VARCHAR'
    default:
      if (type.startsWith('decimal(')) return type.toUpperCase()
      throw new Fault(
        'unsupported',
        `a column of type ${type} cannot be written from a log; see docs/tables.md for the types`,
      )
  }
}

function structType(fields: readonly NestedField[]): string {
  return `STRUCT(${fields.map((field) => `${ident(field.name)} ${transportType(field.type)}`).join(', ')})`
}

/** The expression that gives a column's value from `row`, in the table's type (hex text becomes bytes). */
export function valueExpression(field: NestedField, row: string): string {
  const member = `${row}.${ident(field.name)}`
  return field.type === 'binary' ? `unhex(${member})` : member
}

/**
 * The relation of a segment list: `offset`, `op`, `row` for offsets in [from, end).
 * Segments are ours and sealed, so a line that cannot be read is damage and fails the statement.
 */
export function segmentRelation(
  paths: readonly string[],
  fields: readonly NestedField[],
  range: { from: number; end: number },
  objectBytesMax: number,
): string {
  const columns = `{'offset': 'BIGINT', 'op': 'VARCHAR', 'row': ${literal(structType(fields))}}`
  return `SELECT * FROM read_json(${listLiteral(paths)}, format = 'newline_delimited', columns = ${columns}, maximum_object_size = ${objectBytesMax}) WHERE "offset" >= ${range.from} AND "offset" < ${range.end}`
}

/**
 * The 128-bit identity of a key: MD5 of its columns, each with its length, so that no two keys share a text.
 * `column` gives the expression of a column; NULL comes only from
 * rows that others wrote into a table whose key may be null: their text has no length where that of an entry has one, so that
 * no entry ever replaces them.
 */
export function keyHash(key: readonly string[], column: (name: string) => string): string {
  const parts = key.map((name) => {
    const text = `CAST(${column(name)} AS VARCHAR)`
    return `length(${text}), ':', ${text}`
  })
  return `md5_number(concat(${parts.join(', ')}))`
}
