/**
 * Reading JSON of a known shape: each reader takes a value and where it stands, and gives the typed value or a fault that
 * names the place.
 */
import { Fault, type FaultKind } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'

export type JsonObject = { [key: string]: Json }

/** Where a value stands, for messages, and which fault says that it is wrong: a file's content or a caller's input. */
export interface Place {
  path: string
  kind: FaultKind
}

/** The place of a member or element. */
export function inside(place: Place, key: string | number): Place {
  const step = typeof key === 'number' ? `[${key}]` : place.path === '' ? key : `.${key}`
  return { ...place, path: place.path + step }
}

export function wrong(place: Place, expected: string, got: Json | undefined): Fault {
  return new Fault(place.kind, `expected ${expected} at ${place.path || 'the top'}, got ${show(got)}`, {
    at: place.path,
  })
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'string' ? `"${value.slice(0, 80)}"` : String(value)
}

export function asObject(value: Json | undefined, place: Place): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, 'an object', value)
  return value
}

export function asArray(value: Json | undefined, place: Place): Json[] {
  if (!Array.isArray(value)) throw wrong(place, 'an array', value)
  return value
}

export function asText(value: Json | undefined, place: Place): string {
  if (typeof value !== 'string') throw wrong(place, 'text', value)
  return value
}

export function asBoolean(value: Json | undefined, place: Place): boolean {
  if (typeof value !== 'boolean') throw wrong(place, 'true or false', value)
  return value
}

/** A whole number within ±(2^53-1). */
export function asWhole(value: Json | undefined, place: Place): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw wrong(place, 'a whole number', value)
  return value
}

/** A whole number of 64 bits: ids of snapshots. */
export function asId(value: Json | undefined, place: Place): bigint {
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw wrong(place, 'a whole number of 64 bits', value)
}

export function asOneOf<T extends string>(value: Json | undefined, options: readonly T[], place: Place): T {
  const found = options.find((option) => option === value)
  if (found === undefined) throw wrong(place, `one of ${options.join(', ')}`, value)
  return found
}

/** Text values by name; numbers and booleans become text, as lenient readers take them. */
export function asTextMap(value: Json | undefined, place: Place): Record<string, string> {
  const texts = Object.entries(asObject(value, place)).map(([key, member]) => {
    if (member === null || typeof member === 'object') throw wrong(inside(place, key), 'text', member)
    return [key, String(member)] as const
  })
  return Object.fromEntries(texts)
}

export function listOf<T>(value: Json | undefined, place: Place, read: (element: Json, place: Place) => T): T[] {
  return asArray(value, place).map((element, at) => read(element, inside(place, at)))
}

/** A member that may be missing or null. */
export function optional<T>(
  object: JsonObject,
  key: string,
  place: Place,
  read: (value: Json, place: Place) => T,
): T | undefined {
  const value = object[key]
  return value === undefined || value === null ? undefined : read(value, inside(place, key))
}

/** A member that must be there. */
export function required<T>(
  object: JsonObject,
  key: string,
  place: Place,
  read: (value: Json | undefined, place: Place) => T,
): T {
  return read(object[key], inside(place, key))
}
