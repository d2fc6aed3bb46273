/** Lengths of time in settings and options: `90s`, `15m`, `6h`, `1d`. */
import { Fault } from '../base/fault.ts'

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @throws Fault `invalid` */
export function durationMs(text: string): number {
  const ms = durationMsOrNull(text)
  if (ms === null)
    throw new Fault('invalid', `expected a length of time such as 90s, 15m, 6h or 1d, got ${JSON.stringify(text)}`)
  return ms
}

/** Null when the text is no length of time. */
export function durationMsOrNull(text: string): number | null {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  return count === undefined || unit === undefined ? null : Number(count) * UNIT_MS[unit]!
}
