/**
 * DuckDB's values as plain ones that lose nothing: what a cell of a result is.
 *
 * | DuckDB | here |
 * |---|---|
 * | BOOLEAN, integers to 32 bits, FLOAT, DOUBLE | boolean, number; NaN and the infinities as text |
 * | BIGINT and wider | bigint |
 * | DECIMAL | text with all digits of its scale |
 * | DATE, TIME, TIMESTAMP | ISO 8601 text (`2024-02-29T01:02:03.000004`; `Z` after a time with zone, always UTC) |
 * | BLOB | lower-case hex |
 * | LIST, ARRAY; STRUCT, MAP | array; object (a map's keys as text) |
 * | anything else | DuckDB's own text |
 */
import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { formatDate, formatTime, formatTimestamp } from '../iceberg/spec/time-text.ts'
import { formatDecimal } from '../iceberg/spec/value-json.ts'

export type Cell = null | boolean | number | bigint | string | Cell[] | { [key: string]: Cell }

/** Days beyond the calendar's text: DuckDB's `infinity` and `-infinity`. */
const DATE_INFINITY = 2_147_483_647

export function cellOf(value: DuckDBValue): Cell {
  if (value === null || typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'string')
    return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map(cellOf)
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([name, member]) => [name, cellOf(member)]))
  }
  if (value instanceof DuckDBMapValue) {
    return Object.fromEntries(value.entries.map((entry) => [keyText(cellOf(entry.key)), cellOf(entry.value)]))
  }
  if (value instanceof DuckDBDecimalValue) return formatDecimal(value.value, value.scale)
  if (value instanceof DuckDBTimestampValue) return timestamp(value.micros, value.isFinite)
  if (value instanceof DuckDBTimestampTZValue) {
    const text = timestamp(value.micros, value.isFinite)
    return value.isFinite ? `${text}Z` : text
  }
  if (value instanceof DuckDBTimestampMillisecondsValue) return timestamp(value.millis * 1000n, value.isFinite)
  if (value instanceof DuckDBTimestampSecondsValue) return timestamp(value.seconds * 1_000_000n, value.isFinite)
  if (value instanceof DuckDBTimestampNanosecondsValue) {
    return value.isFinite ? formatTimestamp(value.nanos, 'ns') : infinity(value.nanos > 0n)
  }
  if (value instanceof DuckDBDateValue) {
    return Math.abs(value.days) >= DATE_INFINITY ? infinity(value.days > 0) : formatDate(value.days)
  }
  if (value instanceof DuckDBTimeValue) return formatTime(value.micros)
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex')
  if (value instanceof DuckDBUnionValue) return { [value.tag]: cellOf(value.value) }
  return String(value)
}

function timestamp(micros: bigint, finite: boolean): string {
  return finite ? formatTimestamp(micros) : infinity(micros > 0n)
}

function infinity(positive: boolean): string {
  return positive ? 'infinity' : '-infinity'
}

/** A map's key as the name of a member. */
function keyText(key: Cell): string {
  if (typeof key === 'string') return key
  return typeof key === 'object' && key !== null ? cellText(key) : String(key)
}

/** A cell as JSON text: bigint as plain digits. */
export function cellText(cell: Cell): string {
  return JSON.stringify(cell, (_key, member: unknown) => (typeof member === 'bigint' ? String(member) : member))
}

/** About how much memory the cell takes, in bytes. */
export function cellBytes(cell: Cell): number {
  if (typeof cell === 'string') return 16 + 2 * cell.length
  if (typeof cell === 'bigint') return 24
  if (typeof cell !== 'object' || cell === null) return 8
  let size = 32
  if (Array.isArray(cell)) for (const member of cell) size += cellBytes(member)
  else for (const [name, member] of Object.entries(cell)) size += 2 * name.length + cellBytes(member)
  return size
}
