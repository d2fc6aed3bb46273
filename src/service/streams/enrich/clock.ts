/** How far a producer's clock is from ours, as the time of an event and that of its arrival tell. Pure. */
import { formatTimestamp, parseTimestamp } from '../../../iceberg/spec/time-text.ts'
import type { RecordValue } from '../record.ts'
import { convertScalar, Misfit, type ScalarRules } from '../scalar.ts'

export interface ClockRules {
  /** Seconds that an event may be ahead of its arrival; and behind it, null: any. */
  aheadSeconds: number
  behindSeconds: number | null
}

export interface ClockFacts {
  /** Arrival less event, ms: negative when the producer's clock is ahead. */
  skewMs: number
  /** Beyond what the rules allow. */
  skewed: boolean
  /** The nearest time that the rules allow, ISO 8601 in UTC. */
  clamped: string
}

/** Null when the value is no time. */
export function clockFacts(
  value: RecordValue,
  receivedMs: number,
  { aheadSeconds, behindSeconds }: ClockRules,
  scalars: ScalarRules,
): ClockFacts | null {
  const text = value === null ? null : timeText(value, scalars)
  if (text === null) return null
  const eventMs = Number(parseTimestamp(text, 'us', 'none') / 1000n)
  const latest = receivedMs + aheadSeconds * 1000
  const earliest = behindSeconds === null ? Number.NEGATIVE_INFINITY : receivedMs - behindSeconds * 1000
  const skewed = eventMs > latest || eventMs < earliest
  const clampedMs = Math.min(Math.max(eventMs, earliest), latest)
  return {
    skewMs: receivedMs - eventMs,
    skewed,
    clamped: skewed ? isoText(clampedMs) : `${text}Z`,
  }
}

/** In UTC, without zone. A time without offset is UTC already. */
function timeText(value: RecordValue, scalars: ScalarRules): string | null {
  const wire = convertScalar(value, 'timestamp', scalars)
  return wire instanceof Misfit ? null : String(wire)
}

export function isoText(ms: number): string {
  return `${formatTimestamp(BigInt(Math.trunc(ms)) * 1000n)}Z`
}
