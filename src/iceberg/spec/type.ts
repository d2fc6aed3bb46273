/**
 * Types of the format (Iceberg spec, "Schemas and Data Types"): texts to structure and back, what may be promoted to
 * what, and which format version brings which type.
 */
import { Fault } from '../../base/fault.ts'
import type { PrimitiveType, Type } from './table-metadata.ts'

const PLAIN = [
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'timestamp_ns',
  'timestamptz_ns',
  'string',
  'uuid',
  'binary',
  'unknown',
  'variant',
] as const

export type PlainKind = (typeof PLAIN)[number]

/** A primitive type taken apart. `variant` is here too: it has no members that the format tracks. */
export type Primitive =
  | { kind: PlainKind }
  | { kind: 'decimal'; precision: number; scale: number }
  | { kind: 'fixed'; length: number }
  | { kind: 'geometry' | 'geography'; parameters: string }

const plain = new Map<string, Primitive>(PLAIN.map((kind) => [kind, { kind }]))

/** Texts parsed lately: types are few, values are many. Emptied when it reaches its bound. */
const parsed = new Map<string, Primitive>()
const PARSED_MAX = 1_000

/** Type text → its parts, or null if the text is no primitive type. Blanks around parameters are allowed. */
export function tryParsePrimitive(text: string): Primitive | null {
  const known = plain.get(text) ?? parsed.get(text)
  if (known !== undefined) return known
  const primitive = parseWithParameters(text.trim())
  if (primitive === null) return null
  if (parsed.size >= PARSED_MAX) parsed.clear()
  parsed.set(text, primitive)
  return primitive
}

/** Type text → its parts. @throws Fault `invalid` when it is no primitive type */
export function parsePrimitive(text: PrimitiveType): Primitive {
  const primitive = tryParsePrimitive(text)
  if (primitive === null) {
    throw new Fault('invalid', `expected a primitive Iceberg type such as long or decimal(9,2), got "${text}"`, {
      type: text,
    })
  }
  return primitive
}

function parseWithParameters(text: string): Primitive | null {
  const trimmed = plain.get(text)
  if (trimmed !== undefined) return trimmed
  const decimal = /^decimal\s*\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$/.exec(text)
  if (decimal !== null) {
    const precision = Number(decimal[1])
    const scale = Number(decimal[2])
    return precision >= 1 && precision <= 38 && scale <= precision ? { kind: 'decimal', precision, scale } : null
  }
  const fixed = /^fixed\s*\[\s*(\d{1,9})\s*\]$/.exec(text)
  if (fixed !== null) {
    const length = Number(fixed[1])
    return length >= 1 ? { kind: 'fixed', length } : null
  }
  const geo = /^(geometry|geography)\s*(?:\(([^()]*)\))?$/.exec(text)
  if (geo !== null) return { kind: geo[1] as 'geometry' | 'geography', parameters: (geo[2] ?? '').trim() }
  return null
}

/** The canonical text of a primitive type (spec, Appendix C), e.g. `decimal(9,2)`. */
export function formatPrimitive(primitive: Primitive): PrimitiveType {
  switch (primitive.kind) {
    case 'decimal':
      return `decimal(${primitive.precision},${primitive.scale})`
    case 'fixed':
      return `fixed[${primitive.length}]`
    case 'geometry':
    case 'geography':
      return primitive.parameters === '' ? primitive.kind : `${primitive.kind}(${primitive.parameters})`
    default:
      return primitive.kind
  }
}

export function isPrimitive(type: Type): type is PrimitiveType {
  return typeof type === 'string'
}

/** A type as one line of text, names and types only: `struct<a: string, b: list<long>>`. */
export function formatType(type: Type): string {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'list':
      return `list<${formatType(type.element)}>`
    case 'map':
      return `map<${formatType(type.key)}, ${formatType(type.value)}>`
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}: ${formatType(field.type)}`).join(', ')}>`
  }
}

/**
 * May a column of type `from` become `to` without rewriting data (spec, "Schema Evolution")? Equal types count as yes.
 * int → long, float → double, decimal to more digits of the same scale; from v3 also unknown → any and
 * date → timestamp, timestamp_ns.
 */
export function isPromotable(from: Type, to: Type, formatVersion = 2): boolean {
  if (!isPrimitive(from)) return false
  const a = parsePrimitive(from)
  if (!isPrimitive(to)) return formatVersion >= 3 && a.kind === 'unknown'
  const b = parsePrimitive(to)
  if (formatPrimitive(a) === formatPrimitive(b)) return true
  switch (a.kind) {
    case 'int':
      return b.kind === 'long'
    case 'float':
      return b.kind === 'double'
    case 'decimal':
      return b.kind === 'decimal' && b.scale === a.scale && b.precision > a.precision
    case 'date':
      return formatVersion >= 3 && (b.kind === 'timestamp' || b.kind === 'timestamp_ns')
    case 'unknown':
      return formatVersion >= 3
    default:
      return false
  }
}

/** The first format version that allows the type: 1 or 3. */
export function minFormatVersion(primitive: Primitive): 1 | 3 {
  switch (primitive.kind) {
    case 'unknown':
    case 'variant':
    case 'timestamp_ns':
    case 'timestamptz_ns':
    case 'geometry':
    case 'geography':
      return 3
    default:
      return 1
  }
}
