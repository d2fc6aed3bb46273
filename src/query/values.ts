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
import { unreachable } from '../base/assert.ts'
import { stringifyJson } from '../base/json.ts'
import { type DuckValue, decodeValue } from '../duck/value.ts'
import { formatDate, formatTime, formatTimestamp } from '../iceberg/spec/time-text.ts'
import { formatDecimal } from '../iceberg/spec/value-json.ts'

export type Cell = null | boolean | number | bigint | string | Cell[] | { [key: string]: Cell }

export function cellOf(value: DuckValue): Cell {
  const decoded = decodeValue(value)
  switch (decoded.kind) {
    case 'scalar':
      return typeof decoded.value === 'number' && !Number.isFinite(decoded.value)
        ? String(decoded.value)
        : decoded.value
    case 'list':
      return decoded.items.map(cellOf)
    case 'struct':
      return Object.fromEntries(decoded.members.map(([name, member]) => [name, cellOf(member)]))
    case 'map':
      return Object.fromEntries(decoded.entries.map(([key, member]) => [keyText(cellOf(key)), cellOf(member)]))
    case 'decimal':
      return formatDecimal(decoded.unscaled, decoded.scale)
    case 'date':
      return decoded.infinite === 0 ? formatDate(decoded.days) : infinity(decoded.infinite)
    case 'time':
      return formatTime(decoded.micros)
    case 'timestamp': {
      if (decoded.infinite !== 0) return infinity(decoded.infinite)
      return formatTimestamp(decoded.value, decoded.unit) + (decoded.zoned ? 'Z' : '')
    }
    case 'bytes':
      return Buffer.from(decoded.bytes).toString('hex')
    case 'union':
      return { [decoded.tag]: cellOf(decoded.value) }
    case 'text':
      return decoded.text
    default:
      return unreachable(decoded)
  }
}

function infinity(sign: -1 | 1): string {
  return sign > 0 ? 'infinity' : '-infinity'
}

/** A map's key as the name of a member. */
function keyText(key: Cell): string {
  if (typeof key === 'string') return key
  return typeof key === 'object' && key !== null ? stringifyJson(key) : String(key)
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
