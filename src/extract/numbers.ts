/** EXIF's rationals as plain numbers, for columns. A denominator of 0 means "unknown" and is null, never NaN or Infinity. */
import type { Json } from '../base/json.ts'
import type { Facts } from './exif.ts'

/** A rational or number as a number; null for anything else and for a denominator of 0. */
export function toNumber(value: Json | undefined): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (!isRational(value)) return null
  return value.denominator === 0 ? null : value.numerator / value.denominator
}

function isRational(value: Json | undefined): value is { numerator: number; denominator: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    value['type'] === 'IFDRational' &&
    typeof value['numerator'] === 'number' &&
    typeof value['denominator'] === 'number'
  )
}

/** 7 decimals; numbers below a thousandth keep 7 digits instead, so that short exposure times stay apart. */
function rounded(value: number | null): number | null {
  if (value === null) return null
  const result = Number(Math.abs(value) < 1e-3 ? value.toPrecision(7) : value.toFixed(7))
  return result === 0 ? 0 : result
}

/** Every rational tag (and list of rationals) at the top level, as numbers. Empty when there is none. */
export function numbersOf(exif: Facts): Facts {
  const numbers: Facts = {}
  for (const [name, value] of Object.entries(exif)) {
    if (isRational(value)) numbers[name] = rounded(toNumber(value))
    else if (Array.isArray(value) && value.length > 0 && value.length <= 16 && value.every(isRational)) {
      numbers[name] = value.map((item) => rounded(toNumber(item)))
    }
  }
  return numbers
}
