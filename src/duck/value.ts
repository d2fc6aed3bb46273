/**
 * DuckDB's values as tagged plain data, so that other rooms can name what a value is without DuckDB's classes.
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

export type DuckValue = DuckDBValue

/** `infinite`: DuckDB's `infinity` (1) and `-infinity` (-1); the number beside it then means nothing. */
export type Decoded =
  | { kind: 'scalar'; value: null | boolean | number | bigint | string }
  | { kind: 'list'; items: readonly DuckValue[] }
  | { kind: 'struct'; members: readonly (readonly [string, DuckValue])[] }
  | { kind: 'map'; entries: readonly (readonly [DuckValue, DuckValue])[] }
  | { kind: 'decimal'; unscaled: bigint; scale: number }
  /** Days since 1970-01-01. */
  | { kind: 'date'; days: number; infinite: -1 | 0 | 1 }
  /** Microseconds since midnight. */
  | { kind: 'time'; micros: bigint }
  /** Since 1970-01-01T00:00:00; `zoned`: in UTC. */
  | { kind: 'timestamp'; value: bigint; unit: 'us' | 'ns'; zoned: boolean; infinite: -1 | 0 | 1 }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'union'; tag: string; value: DuckValue }
  /** Any other type, as DuckDB writes it: interval, uuid, bit, time with zone, … */
  | { kind: 'text'; text: string }

/** Days that stand for the infinities: ±(2^31-1). */
const DATE_INFINITY = 2_147_483_647

export function decodeValue(value: DuckValue): Decoded {
  if (value === null || typeof value !== 'object') return { kind: 'scalar', value }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return { kind: 'list', items: value.items }
  if (value instanceof DuckDBStructValue) return { kind: 'struct', members: Object.entries(value.entries) }
  if (value instanceof DuckDBMapValue) {
    return { kind: 'map', entries: value.entries.map((entry) => [entry.key, entry.value] as const) }
  }
  if (value instanceof DuckDBDecimalValue) return { kind: 'decimal', unscaled: value.value, scale: value.scale }
  if (value instanceof DuckDBTimestampValue) return timestamp(value.micros, 1n, value.isFinite)
  if (value instanceof DuckDBTimestampTZValue) return { ...timestamp(value.micros, 1n, value.isFinite), zoned: true }
  if (value instanceof DuckDBTimestampMillisecondsValue) return timestamp(value.millis, 1_000n, value.isFinite)
  if (value instanceof DuckDBTimestampSecondsValue) return timestamp(value.seconds, 1_000_000n, value.isFinite)
  if (value instanceof DuckDBTimestampNanosecondsValue) {
    return { ...timestamp(value.nanos, 1n, value.isFinite), unit: 'ns' }
  }
  if (value instanceof DuckDBDateValue) {
    const infinite = Math.abs(value.days) >= DATE_INFINITY ? (value.days > 0 ? 1 : -1) : 0
    return { kind: 'date', days: value.days, infinite }
  }
  if (value instanceof DuckDBTimeValue) return { kind: 'time', micros: value.micros }
  if (value instanceof DuckDBBlobValue) return { kind: 'bytes', bytes: value.bytes }
  if (value instanceof DuckDBUnionValue) return { kind: 'union', tag: value.tag, value: value.value }
  return { kind: 'text', text: String(value) }
}

function timestamp(count: bigint, microsEach: bigint, finite: boolean): Extract<Decoded, { kind: 'timestamp' }> {
  const infinite = finite ? 0 : count > 0n ? 1 : -1
  return { kind: 'timestamp', value: finite ? count * microsEach : 0n, unit: 'us', zoned: false, infinite }
}
