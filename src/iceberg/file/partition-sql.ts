/**
 * Partition values in SQL: as text columns, because COPY tells the partition of a file as text only.
 *
 * The text of a value is ours and exact: whole numbers for dates (days) and times (microseconds), hexadecimal for bytes,
 * DuckDB's own text for the rest. Null stays null.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import type { Value } from '../spec/manifest.ts'
import { uuidFromBytes, uuidToBytes } from '../spec/single-value.ts'
import type { PrimitiveType, Transform } from '../spec/table-metadata.ts'
import { parseTransform } from '../spec/transform.ts'
import { parsePrimitive } from '../spec/type.ts'
import { formatDecimal, parseDecimal } from '../spec/value-json.ts'

/** The text of a value of a column, as SQL over `column` (an expression of the type's DuckDB type). */
export function valueTextSql(type: PrimitiveType, column: string): string {
  switch (parsePrimitive(type).kind) {
    case 'date':
      return `date_diff('day', DATE '1970-01-01', ${column})::VARCHAR`
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return `epoch_us(${column})::VARCHAR`
    case 'timestamp_ns':
      return `epoch_ns(${column})::VARCHAR`
    case 'binary':
      return `hex(${column})`
    default:
      return `${column}::VARCHAR`
  }
}

/** Text → value. @throws Fault `invalid` */
export function valueFromText(type: PrimitiveType, text: string | null): Value {
  if (text === null) return null
  const primitive = parsePrimitive(type)
  switch (primitive.kind) {
    case 'boolean':
      return text === 'true'
    case 'int':
    case 'date':
      return Number(text)
    case 'float':
    case 'double':
      return text === 'nan' ? Number.NaN : text === 'inf' ? Infinity : text === '-inf' ? -Infinity : floatOf(type, text)
    case 'decimal':
      return parseDecimal(text, primitive.precision, primitive.scale)
    case 'string':
    case 'uuid':
      return text
    case 'fixed':
      return uuidToBytes(text)
    case 'binary':
      return Buffer.from(text, 'hex')
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
      return BigInt(text)
    default:
      throw new Fault('unsupported', `a partition column of type ${type} cannot be written`)
  }
}

function floatOf(type: PrimitiveType, text: string): number {
  return type === 'float' ? Math.fround(Number(text)) : Number(text)
}

/** Value → text, the inverse of `valueFromText`. */
export function textOfValue(type: PrimitiveType, value: Value): string | null {
  if (value === null) return null
  if (value instanceof Uint8Array) {
    return parsePrimitive(type).kind === 'fixed' ? uuidFromBytes(value) : Buffer.from(value).toString('hex')
  }
  const primitive = parsePrimitive(type)
  if (primitive.kind === 'decimal') return formatDecimal(value as bigint, primitive.scale)
  return String(value)
}

/** The text of the partition value as SQL over the source column, or null when SQL has no exact form of the transform. */
export function transformSql(transform: Transform, source: PrimitiveType, column: string): string | null {
  const parsed = parseTransform(transform)
  const { kind } = parsePrimitive(source)
  const utc = kind === 'timestamptz' ? `(${column} AT TIME ZONE 'UTC')` : column
  const sqlTime = kind === 'date' || kind === 'timestamp' || kind === 'timestamptz'
  switch (parsed.kind) {
    case 'identity':
      return valueTextSql(source, column)
    case 'void':
      return 'NULL::VARCHAR'
    case 'year':
      return sqlTime ? `(year(${utc}) - 1970)::VARCHAR` : null
    case 'month':
      return sqlTime ? `((year(${utc}) - 1970) * 12 + month(${utc}) - 1)::VARCHAR` : null
    case 'day':
      return sqlTime ? valueTextSql('date', `${utc}::DATE`) : null
    case 'hour':
      return sqlTime ? `date_diff('hour', TIMESTAMP '1970-01-01', ${utc})::VARCHAR` : null
    case 'truncate':
      return kind === 'string' ? `left(${column}, ${parsed.width})` : null
    case 'bucket':
      return null
    case 'unknown':
      throw new Fault('unsupported', `rows cannot be partitioned by the transform ${transform}: it is not known here`)
    default:
      return unreachable(parsed)
  }
}
