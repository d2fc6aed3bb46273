/**
 * When a picture was taken, as the camera wrote it: a local time, with an offset if there is one. A time without an offset
 * stays local; the host's zone is never consulted. Blank, zero and impossible dates are no dates.
 */
import type { Facts } from './exif.ts'

export type Taken = {
  /** `YYYY-MM-DDTHH:MM:SS` with the sub-seconds that were written. */
  local: string
  /** `+HH:MM` or `-HH:MM`. */
  offset: string | null
  /** ISO 8601 in UTC with milliseconds; null without an offset. */
  utc: string | null
}

const DATE_TIME = /^(\d{4})[:\-/.](\d{2})[:\-/.](\d{2})[ T](\d{2}):(\d{2}):(\d{2})/
const OFFSET = /^([+-])(\d{2}):?(\d{2})$/
const DATE = /^(\d{4})[:\-/.](\d{2})[:\-/.](\d{2})$/

/** From DateTimeOriginal, SubsecTimeOriginal and OffsetTimeOriginal. */
export function takenOf(exif: Facts): Taken | null {
  const original = exif['DateTimeOriginal']
  if (typeof original !== 'string') return null
  const found = DATE_TIME.exec(original.trim())
  if (found === null) return null
  const [, year, month, day, hour, minute, second] = found.map(Number)
  const atMs = utcMs(year!, month!, day!, hour!, minute!, second!)
  if (atMs === null) return null
  const fraction = digits(exif['SubsecTimeOriginal'])
  const local = `${found[1]}-${found[2]}-${found[3]}T${found[4]}:${found[5]}:${found[6]}${fraction === '' ? '' : `.${fraction}`}`
  const offset = offsetOf(exif['OffsetTimeOriginal'])
  if (offset === null) return { local, offset: null, utc: null }
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return { local, offset: offset.text, utc: isoOf(atMs - offset.minutes * 60_000 + ms) }
}

function digits(value: unknown): string {
  const text = typeof value === 'string' ? value.trim() : ''
  return /^\d{1,9}$/.test(text) ? text : ''
}

function offsetOf(value: unknown): { text: string; minutes: number } | null {
  if (typeof value !== 'string') return null
  const text = value.trim()
  if (text === 'Z') return { text: '+00:00', minutes: 0 }
  const found = OFFSET.exec(text)
  if (found === null) return null
  const hours = Number(found[2])
  const minutes = Number(found[3])
  if (hours > 14 || minutes > 59) return null
  return { text: `${found[1]}${found[2]}:${found[3]}`, minutes: (found[1] === '-' ? -1 : 1) * (hours * 60 + minutes) }
}

/** A date and a time of day in UTC as ISO 8601 with milliseconds, or null when there is no such moment. */
export function parseUtc(date: string, hours: number, minutes: number, seconds: number): string | null {
  const found = DATE.exec(date)
  if (found === null) return null
  const [, year, month, day] = found.map(Number)
  const atMs = utcMs(year!, month!, day!, hours, minutes, Math.floor(seconds))
  return atMs === null ? null : isoOf(atMs + Math.min(999, Math.round((seconds % 1) * 1000)))
}

/** Milliseconds since 1970 of a moment that exists in the calendar; null for 30 February, month 0, hour 24. */
function utcMs(year: number, month: number, day: number, hour: number, minute: number, second: number): number | null {
  if (
    year < 1 ||
    month < 1 ||
    month > 12 ||
    day < 1 ||
    hour > 23 ||
    minute > 59 ||
    second > 59 ||
    hour < 0 ||
    minute < 0
  )
    return null
  const at = new Date(0)
  at.setUTCFullYear(year, month - 1, day)
  if (at.getUTCMonth() !== month - 1) return null
  return at.setUTCHours(hour, minute, second, 0)
}

function isoOf(ms: number): string | null {
  const text = new Date(ms).toISOString()
  return /^\d{4}-/.test(text) ? text : null
}
