/**
 * Rows as canonical JSON: the same text from every engine, so that rows read here can be compared with rows read there.
 *
 * One row is one JSON object, keys in column order. Longs are plain digits; floats as JavaScript prints them (a float: the
 * shortest text that is the same float) or "NaN", "Infinity", "-Infinity", "-0"; decimals texts with their scale; dates
 * and times ISO text with six (or nine) digits, zoned ones in UTC with Z; bytes hexadecimal; maps lists of pairs, sorted
 * by the key's text. Rows are sorted by their text, by code point.
 */
import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  DuckDBUUIDValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { stringifyJson } from '../../src/base/json.ts'
import type { DuckRow } from '../../src/duck/duck.ts'
import { duckNames } from '../../src/iceberg/file/parquet-types.ts'
import type { Schema, StructType, Type } from '../../src/iceberg/spec/table-metadata.ts'
import { formatDate, formatTime, formatTimestamp } from '../../src/iceberg/spec/time-text.ts'
import { formatDecimal } from '../../src/iceberg/spec/value-json.ts'

export function canonicalLines(rows: readonly DuckRow[], schema: Schema): string[] {
  const names = duckNames(schema)
  return rows
    .map((row) => stringifyJson(objectOf(schema, (at) => row[names[at]!] ?? null)))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

function objectOf(struct: StructType, value: (at: number) => DuckDBValue): unknown {
  // A Map keeps the order of names that are numbers, an object would not; names of tests are none.
  return Object.fromEntries(struct.fields.map((field, at) => [field.name, canonical(value(at), field.type)]))
}

function canonical(value: DuckDBValue, type: Type): unknown {
  if (value === null) return null
  if (typeof value === 'number') return numberOf(type === 'float' ? shortest(value) : value)
  if (typeof value === 'boolean' || typeof value === 'bigint' || typeof value === 'string') return value
  if (value instanceof DuckDBDecimalValue) return formatDecimal(value.value, value.scale)
  if (value instanceof DuckDBDateValue) return formatDate(value.days)
  if (value instanceof DuckDBTimeValue) return sixDigits(formatTime(value.micros))
  if (value instanceof DuckDBTimestampTZValue) return `${sixDigits(formatTimestamp(value.micros))}Z`
  if (value instanceof DuckDBTimestampValue) return sixDigits(formatTimestamp(value.micros))
  if (value instanceof DuckDBTimestampNanosecondsValue) return digits(formatTimestamp(value.nanos, 'ns'), 9)
  if (value instanceof DuckDBUUIDValue) return value.toString()
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex')
  if (typeof type === 'string') throw new Error(`no canonical form of ${value.constructor.name} as ${type}`)
  if (value instanceof DuckDBListValue && type.type === 'list') {
    return value.items.map((item) => canonical(item, type.element))
  }
  if (value instanceof DuckDBMapValue && type.type === 'map') {
    const pairs = value.entries.map((entry) => [canonical(entry.key, type.key), canonical(entry.value, type.value)])
    const text = (pair: unknown[]) => stringifyJson(pair[0])
    return pairs.sort((a, b) => Buffer.compare(Buffer.from(text(a)), Buffer.from(text(b))))
  }
  if (value instanceof DuckDBStructValue && type.type === 'struct') {
    const names = duckNames(type)
    return objectOf(type, (at) => value.entries[names[at]!] ?? null)
  }
  throw new Error(`no canonical form of ${value.constructor.name}`)
}

function numberOf(value: number): number | string {
  if (Object.is(value, -0)) return '-0'
  return Number.isFinite(value) ? value : String(value)
}

function shortest(float: number): number {
  if (float === 0) return float
  for (let precision = 1; precision <= 9; precision++) {
    const short = Number(float.toPrecision(precision))
    if (Math.fround(short) === float) return short
  }
  return float
}

function sixDigits(text: string): string {
  return digits(text, 6)
}

function digits(text: string, count: number): string {
  const [whole, fraction = ''] = text.split('.')
  return `${whole}.${fraction.padEnd(count, '0')}`
}
