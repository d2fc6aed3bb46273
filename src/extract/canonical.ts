/**
 * Makes what an extractor returned safe to store as JSON, whatever it is: no NaN or Infinity (null), bytes as base64, no
 * U+0000 and no lone surrogate (U+FFFD), keys such as `__proto__` as plain data, depth and number of values bounded, and the
 * whole no longer than a cap. What had to go is named, as paths, in the member `_truncated`.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'

export type Facts = { [key: string]: Json }

/** The member that lists what was left out. */
export const TRUNCATED = '_truncated'

/** Paths that are listed before the rest is only counted. */
const PATHS_MAX = 64
/** Keys are cut at this length. */
const KEY_MAX = 256

export interface CanonicalBounds {
  bytesMax: number
  nodesMax: number
  depthMax: number
}

export const canonicalBounds: CanonicalBounds = {
  bytesMax: limits.extractOutputBytesMax,
  nodesMax: limits.extractOutputNodesMax,
  depthMax: limits.extractOutputDepthMax,
}

export interface Canonical {
  facts: Facts
  /** No fewer than the bytes of the facts as JSON: cheap to know, so that the exact length is counted only near the cap. */
  bytesAtMost: number
}

/** Any value as facts. A value that is no plain object has no facts. */
export function canonical(value: unknown, bounds: CanonicalBounds = canonicalBounds): Canonical {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { facts: {}, bytesAtMost: 2 }
  const walk: Walk = {
    nodes: bounds.nodesMax,
    characters: bounds.bytesMax * 4,
    bytesAtMost: 2,
    bounds,
    truncated: new Set(),
  }
  const facts = objectOf(value, walk, '', 0)
  const isSure = walk.bytesAtMost <= bounds.bytesMax
  if (isSure && walk.truncated.size === 0) return { facts, bytesAtMost: walk.bytesAtMost }
  const fitting = fitted(facts, walk.truncated, isSure ? Number.POSITIVE_INFINITY : bounds.bytesMax)
  return { facts: fitting, bytesAtMost: bounds.bytesMax }
}

/** As `canonical`, the facts alone. */
export function canonicalFacts(value: unknown, bounds: CanonicalBounds = canonicalBounds): Facts {
  return canonical(value, bounds).facts
}

interface Walk {
  nodes: number
  /** Text that may still be copied: a little more than may stay, so that the fitting can choose. */
  characters: number
  bytesAtMost: number
  bounds: CanonicalBounds
  truncated: Set<string>
}

function jsonOf(value: unknown, walk: Walk, path: string, depth: number): Json | undefined {
  if (--walk.nodes < 0) return leaveOut(walk, path)
  // A number, a word, or brackets; and the comma. Text adds its own.
  walk.bytesAtMost += 48
  switch (typeof value) {
    case 'string':
      return textOf(value, walk, path)
    case 'number':
      return Number.isFinite(value) ? (value === 0 ? 0 : value) : null
    case 'bigint':
      return bigintOf(value, walk, path)
    case 'boolean':
      return value
    case 'object':
      break
    default:
      return undefined
  }
  if (value === null) return null
  if (depth >= walk.bounds.depthMax) return leaveOut(walk, path)
  if (Array.isArray(value)) return listOf(value, walk, path, depth)
  if (value instanceof Uint8Array || value instanceof DataView) {
    return bytesOf(Buffer.from(value.buffer, value.byteOffset, value.byteLength), walk, path)
  }
  // Other typed arrays hold numbers: an embedding, say.
  if (ArrayBuffer.isView(value)) return listOf(value as unknown as ArrayLike<unknown>, walk, path, depth)
  if (value instanceof ArrayBuffer) return bytesOf(Buffer.from(value), walk, path)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Map) return objectOf(entriesOf(value), walk, path, depth)
  if (value instanceof Set) return listOf([...value], walk, path, depth)
  return objectOf(value, walk, path, depth)
}

/** A map's entries under text and number keys; others have no name in JSON. */
function entriesOf(map: ReadonlyMap<unknown, unknown>): object {
  return Object.fromEntries([...map].filter(([key]) => typeof key === 'string' || typeof key === 'number'))
}

function leaveOut(walk: Walk, path: string): undefined {
  if (walk.truncated.size < PATHS_MAX) walk.truncated.add(path)
  return undefined
}

function listOf(list: ArrayLike<unknown>, walk: Walk, path: string, depth: number): Json[] {
  const out: Json[] = []
  for (let i = 0; i < list.length; i++) {
    if (walk.nodes <= 0) {
      leaveOut(walk, path)
      break
    }
    out.push(jsonOf(list[i], walk, `${path}[]`, depth + 1) ?? null)
  }
  return out
}

function objectOf(object: object, walk: Walk, path: string, depth: number): Facts {
  const out: Facts = {}
  for (const key of Object.keys(object)) {
    if (walk.nodes <= 0) {
      leaveOut(walk, path)
      break
    }
    const name = cleanText(key.length > KEY_MAX ? key.slice(0, KEY_MAX) : key)
    walk.bytesAtMost += name.length * 6 + 4
    const at = path === '' ? name : `${path}.${name}`
    const value = jsonOf((object as { [key: string]: unknown })[key], walk, at, depth + 1)
    if (value === undefined) continue
    if (name === '__proto__')
      Object.defineProperty(out, name, { value, enumerable: true, configurable: true, writable: true })
    else out[name] = value
  }
  return out
}

function bytesOf(bytes: Buffer, walk: Walk, path: string): string | undefined {
  if (bytes.length * 2 > walk.characters) return leaveOut(walk, path)
  walk.characters -= bytes.length * 2
  walk.bytesAtMost += bytes.length * 1.5
  return bytes.toString('base64')
}

/** Digits that any reader of ours takes as a number; longer ones are text. */
const DIGITS_MAX = 40

function bigintOf(value: bigint, walk: Walk, path: string): bigint | string | undefined {
  const digits = value.toString()
  return digits.length <= DIGITS_MAX ? value : textOf(digits, walk, path)
}

function textOf(text: string, walk: Walk, path: string): string | undefined {
  if (text.length > walk.characters) return leaveOut(walk, path)
  walk.characters -= text.length
  // The worst are control characters: six characters each.
  walk.bytesAtMost += text.length * 6
  return cleanText(text)
}

/** U+0000 and lone surrogates become U+FFFD: no store of text takes the one, no encoder the other. */
function cleanText(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole
}

/** UTF-8 bytes of a value as JSON. */
export function jsonBytes(value: Json): number {
  return (
    Buffer.byteLength(
      JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? 0 : member)) ?? '',
    ) +
    40 * countBigints(value)
  )
}

function countBigints(value: Json): number {
  if (typeof value === 'bigint') return 1
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  for (const member of Object.values(value)) count += countBigints(member)
  return count
}

/** Drops the largest members, two levels deep, until the whole fits; then the largest at the top. */
function fitted(facts: Facts, truncated: Set<string>, bytesMax: number): Facts {
  const before = facts[TRUNCATED]
  if (Array.isArray(before)) for (const path of before) if (typeof path === 'string') truncated.add(path)
  delete facts[TRUNCATED]
  // Room for the list of what was left out, which has its own bound.
  const room = bytesMax - PATHS_MAX * 300
  let total = Number.isFinite(room) ? jsonBytes(facts) : 0
  if (total > room) {
    for (const member of members(facts)) {
      if (total <= room) break
      total -= member.bytes
      member.drop()
      truncated.add(member.path)
    }
    // What is left are many small or empty members.
    total = jsonBytes(facts)
    for (const [key, value] of Object.entries(facts)) {
      if (total <= room) break
      total -= jsonBytes(key) + jsonBytes(value) + 2
      delete facts[key]
      truncated.add(key)
    }
  }
  if (truncated.size > 0) facts[TRUNCATED] = listed(truncated)
  return facts
}

function listed(truncated: ReadonlySet<string>): Json[] {
  const paths: Json[] = [...truncated].slice(0, PATHS_MAX).map((path) => cleanText(path.slice(0, 80)))
  if (truncated.size > PATHS_MAX) paths.push(`and ${truncated.size - PATHS_MAX} more`)
  return paths
}

/** Members that may be dropped one by one, largest first: those of the objects at the top, and what else is at the top. */
function members(facts: Facts): { path: string; bytes: number; drop: () => void }[] {
  const found: { path: string; bytes: number; drop: () => void }[] = []
  for (const [key, value] of Object.entries(facts)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [inner, member] of Object.entries(value)) {
        found.push({
          path: `${key}.${inner}`,
          bytes: inner.length + 4 + jsonBytes(member),
          drop: () => delete value[inner],
        })
      }
    } else found.push({ path: key, bytes: key.length + 4 + jsonBytes(value), drop: () => delete facts[key] })
  }
  return found.sort((a, b) => b.bytes - a.bytes)
}
