/** A position and a time from EXIF's GPS tags: a place on the globe, or nothing at all. */
import type { Json } from '../base/json.ts'
import { toNumber } from './numbers.ts'
import { parseUtc } from './taken.ts'

export type Position = {
  /** Decimal degrees, 7 decimals; south and west are negative. */
  latitude: number
  longitude: number
  /** Metres; negative below the reference. Null when it is not told. */
  altitude_m: number | null
  /** GPS date and time, ISO 8601 in UTC. Absent when either is missing. */
  at?: string
}

/** The position in `GPSInfo`, or null when a reference is missing, a denominator is 0, or it is off the globe. */
export function positionOf(gpsInfo: Json | undefined): Position | null {
  if (typeof gpsInfo !== 'object' || gpsInfo === null || Array.isArray(gpsInfo)) return null
  const latitude = degrees(gpsInfo['GPSLatitude'], gpsInfo['GPSLatitudeRef'], 'N', 'S', 90)
  const longitude = degrees(gpsInfo['GPSLongitude'], gpsInfo['GPSLongitudeRef'], 'E', 'W', 180)
  if (latitude === null || longitude === null) return null
  const position: Position = {
    latitude,
    longitude,
    altitude_m: altitude(gpsInfo['GPSAltitude'], gpsInfo['GPSAltitudeRef']),
  }
  const at = momentOf(gpsInfo['GPSDateStamp'], gpsInfo['GPSTimeStamp'])
  if (at !== null) position.at = at
  return position
}

function degrees(
  parts: Json | undefined,
  reference: Json | undefined,
  plus: string,
  minus: string,
  max: number,
): number | null {
  if (!Array.isArray(parts) || parts.length === 0 || parts.length > 3 || typeof reference !== 'string') return null
  const letter = reference.trim().charAt(0).toUpperCase()
  if (letter !== plus && letter !== minus) return null
  let value = 0
  for (const [i, part] of parts.entries()) {
    const number = toNumber(part)
    if (number === null || number < 0) return null
    value += number / 60 ** i
  }
  if (value > max) return null
  return round(letter === minus ? -value : value)
}

/** 7 decimals (about a centimetre), and no negative zero. */
function round(value: number): number {
  const rounded = Number(value.toFixed(7))
  return rounded === 0 ? 0 : rounded
}

/** References 1 and 3 are below (EXIF 3.0: 0 and 1 the ellipsoid, 2 and 3 the sea); a missing one counts as above. */
function altitude(value: Json | undefined, reference: Json | undefined): number | null {
  const metres = toNumber(value)
  if (metres === null) return null
  return round(reference === 1 || reference === 3 ? -metres : metres)
}

function momentOf(date: Json | undefined, time: Json | undefined): string | null {
  if (typeof date !== 'string' || !Array.isArray(time) || time.length !== 3) return null
  const [hours, minutes, seconds] = time.map(toNumber)
  if (hours == null || minutes == null || seconds == null) return null
  if (!Number.isInteger(hours) || !Number.isInteger(minutes) || seconds < 0) return null
  return parseUtc(date.trim(), hours, minutes, seconds)
}
