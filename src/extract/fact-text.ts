/** Texts and dates that people and programs wrote into documents and recordings, in one form. */
import { limits } from '../base/limits.ts'
import { cut } from './text.ts'

/** A text without blanks around it, cut; null when nothing is left, or when it is no text. */
export function writtenText(value: unknown, max: number = limits.factTextMax): string | null {
  if (typeof value !== 'string') return null
  const text = value.replaceAll('\0', '').trim()
  return text === '' ? null : cut(text, max)
}

/** A count that a file states: a whole number from 0; null for anything else. */
export function writtenCount(value: unknown): number | null {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value.trim()) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

const PDF_DATE = /^(?:D:)?(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:(Z)|([+-])(\d{2})'?(\d{2})?'?)?/

/** `D:20240506070809+02'00'` as `2024-05-06T07:08:09+02:00`; without a zone when none is written; null when it is no date. */
export function pdfDate(value: unknown): string | null {
  const found = typeof value === 'string' ? PDF_DATE.exec(value.trim()) : null
  if (found === null) return null
  const [, year, month = '01', day = '01', hour = '00', minute = '00', second = '00', z, sign, zoneHours, zoneMinutes] =
    found
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`
  const zone = sign !== undefined ? `${sign}${zoneHours}:${zoneMinutes ?? '00'}` : z === undefined ? '' : 'Z'
  return isoDate(local + zone)
}

const ISO_DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-](\d{2}):?(\d{2}))?$/

/** A date of ISO 8601 as it stands, with seconds; null when there is no such day, time or zone. */
export function isoDate(value: unknown): string | null {
  const found = typeof value === 'string' ? ISO_DATE.exec(value.trim()) : null
  if (found === null) return null
  const [, year, month, day, hour, minute, second = '00', fraction, zone, zoneHours, zoneMinutes] = found
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)))
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day) || Number(year) < 1) return null
  if (hour === undefined) return zone === undefined ? `${year}-${month}-${day}` : null
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null
  if (zoneHours !== undefined && (Number(zoneHours) > 14 || Number(zoneMinutes) > 59)) return null
  const offset = zone === undefined || zone === 'Z' ? (zone ?? '') : `${zone.slice(0, 3)}:${zoneMinutes}`
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${fraction === undefined ? '' : `.${fraction}`}${offset}`
}
