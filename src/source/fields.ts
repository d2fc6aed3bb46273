/** Reads single fields of a notification: what is required is refused when missing, what is optional is left out. */

import { limits } from '../base/limits.ts'
import { NULL_VERSION } from '../change/object-event.ts'
import { refuse, shown } from './problem.ts'

/** A JSON object as `JSON.parse` gives it. */
export type Members = { [name: string]: unknown }

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object under `name`, or an empty one: for optional groups of fields. */
export function group(parent: Members, name: string): Members {
  const value = parent[name]
  return isMembers(value) ? value : {}
}

/** @throws Fault `invalid` when there is no object under `name` */
export function requiredGroup(parent: Members, name: string, where: string): Members {
  const value = parent[name]
  if (isMembers(value)) return value
  throw refuse('missing-field', `expected an object in ${where}, got ${shown(value)}`)
}

/** @throws Fault `invalid` when it is no text or empty */
export function requiredText(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '') return value.toWellFormed()
  throw refuse('missing-field', `expected text in ${where}, got ${shown(value)}`)
}

/** Text, or undefined when it is absent, empty or something else. Lone surrogates become U+FFFD. */
export function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.toWellFormed() : undefined
}

export type KeyForm = 'query-encoded' | 'as-is'

/**
 * The object's key. Query-encoded: `+` is a space, then `%XX` are bytes of UTF-8, once.
 * @throws Fault `invalid` (reason `key`) when it is empty, too long, wrongly encoded or not Unicode
 */
export function keyOf(value: unknown, form: KeyForm, where: string): string {
  if (typeof value !== 'string')
    throw refuse('missing-field', `expected a key as text in ${where}, got ${shown(value)}`)
  const key = form === 'query-encoded' ? decodeQuery(value, where) : value
  if (key === '') throw refuse('key', `expected a key in ${where}, got an empty one: which object changed is not known`)
  if (!key.isWellFormed()) throw refuse('key', `expected Unicode in ${where}, got a lone surrogate in ${shown(value)}`)
  const sizeBytes = Buffer.byteLength(key)
  if (sizeBytes > limits.objectKeyBytesMax) {
    throw refuse('key', `expected at most ${limits.objectKeyBytesMax} bytes in ${where}, got ${sizeBytes}`)
  }
  return key
}

function decodeQuery(text: string, where: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw refuse('key', `expected a query-encoded key in ${where}, got ${shown(text)}, which is not UTF-8 when decoded`)
  }
}

/** S3's null version is written in four ways; here it has one. @throws Fault `invalid` for anything but text */
export function versionIdOf(value: unknown, where: string): string {
  if (value === undefined || value === null || value === '') return NULL_VERSION
  if (typeof value === 'string') return value.toWellFormed()
  throw refuse('invalid-field', `expected a version id as text in ${where}, got ${shown(value)}`)
}

/** An etag without the quotes that HTTP puts around it. */
export function etagOf(value: unknown): string | undefined {
  return optionalText(typeof value === 'string' ? value.replace(/^(?:W\/)?"(.*)"$/, '$1') : undefined)
}

/** A size in bytes: a whole number, or its digits as text. Undefined when absent. @throws Fault `invalid` otherwise */
export function sizeOf(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const size = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size
  throw refuse('invalid-field', `expected a size in bytes in ${where}, got ${shown(value)}`)
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):?(\d\d))$/

/**
 * An ISO 8601 time as UTC with a `Z`, its fraction as sent but at most microseconds.
 * @throws Fault `invalid` when it is absent, no such time, or has no zone
 */
export function timeOf(value: unknown, where: string): string {
  const parts = typeof value === 'string' ? TIME.exec(value) : null
  const time = parts === null ? null : utcOf(parts)
  if (time !== null) return time
  const reason = value === undefined || value === null ? 'missing-field' : 'invalid-field'
  throw refuse(reason, `expected a time such as 2024-05-01T10:00:00.123Z in ${where}, got ${shown(value)}`)
}

function utcOf(parts: RegExpExecArray): string | null {
  const [, year, month, day, hour, minute, second, fraction, sign, zoneHour, zoneMinute] = parts
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`
  const localMs = Date.parse(`${local}Z`)
  // Date rolls 31 April over to May: what does not come back as it went in is no time.
  if (Number.isNaN(localMs) || new Date(localMs).toISOString().slice(0, 19) !== local) return null
  const offsetMinutes = sign === undefined ? 0 : Number(zoneHour) * 60 + Number(zoneMinute)
  if (offsetMinutes > 18 * 60) return null
  const utc = new Date(localMs - (sign === '-' ? -1 : 1) * offsetMinutes * 60_000).toISOString()
  if (utc.length !== 24) return null
  return `${utc.slice(0, 19)}${fraction === undefined ? '' : `.${fraction.slice(0, 6)}`}Z`
}

/** A map of text to text under `value`. Undefined when absent. @throws Fault `invalid` for anything else */
export function textMapOf(value: unknown, where: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined
  if (!isMembers(value))
    throw refuse('invalid-field', `expected a map of text to text in ${where}, got ${shown(value)}`)
  const map: [string, string][] = []
  for (const [name, member] of Object.entries(value)) {
    if (typeof member !== 'string') {
      throw refuse('invalid-field', `expected text in ${where}.${name}, got ${shown(member)}`)
    }
    map.push([name.toWellFormed(), member.toWellFormed()])
  }
  return map.length === 0 ? undefined : Object.fromEntries(map)
}
