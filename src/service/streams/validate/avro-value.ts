/** Values of Avro's logical types ↔ what a record holds for the columns that fit them: times as ISO 8601 text, decimals as text. Pure. */
import { formatDate, formatTime, formatTimestamp } from '../../../iceberg/spec/time-text.ts'
import type { AvroType } from './avro-schema.ts'

type TimeType = Extract<AvroType, { kind: 'time' }>

/** Days that the calendar of ISO 8601 writes with four digits: years 1 to 9999. */
const DAY_MIN = -719_162n
const DAY_MAX = 2_932_896n
const MICROS_PER_DAY = 86_400_000_000n

/** The text of a date, time or timestamp; null when it has none of four-digit years, or is no time of a day. */
export function timeText(count: bigint, { of, perSecond, local }: TimeType): string | null {
  if (of === 'date') return count < DAY_MIN || count > DAY_MAX ? null : formatDate(Number(count))
  // Columns hold microseconds: what is finer is cut, as `epochUnit: ns` cuts it.
  const micros = perSecond > 1_000_000n ? floorDiv(count, 1_000n) : count * (1_000_000n / perSecond)
  if (of === 'time') return micros < 0n || micros >= MICROS_PER_DAY ? null : formatTime(micros)
  if (micros < DAY_MIN * MICROS_PER_DAY || micros >= (DAY_MAX + 1n) * MICROS_PER_DAY) return null
  return `${formatTimestamp(micros)}${local ? '' : 'Z'}`
}

function floorDiv(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value % divisor < 0n ? quotient - 1n : quotient
}

/** unscaled × 10^-scale as text. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`
  return unscaled < 0n ? `-${text}` : text
}
