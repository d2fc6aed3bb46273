/** Types of columns from samples of their values, under Iceberg's names. */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { cut } from './text.ts'

export interface Column {
  name: string
  type: string
  /** Some value was null or missing. */
  nullable: boolean
}

/** What has been seen in one place. */
interface Seen {
  kinds: Set<string>
  isNullable: boolean
  items: Seen | null
  members: Map<string, { seen: Seen; count: number }> | null
  objects: number
}

function nothing(): Seen {
  return { kinds: new Set(), isNullable: false, items: null, members: null, objects: 0 }
}

/** Columns of JSON rows: members of the objects, in the order in which they first came. Rows that are no objects have none. */
export function jsonColumns(rows: readonly Json[]): Column[] {
  const whole = nothing()
  for (const row of rows) look(whole, row, 0)
  return columnsOf(whole)
}

function columnsOf({ members, objects }: Seen): Column[] {
  return [...(members ?? [])].map(([name, { seen, count }]) => ({
    name: cut(name, limits.archiveNameMax),
    type: typeOf(seen),
    nullable: seen.isNullable || count < objects,
  }))
}

function look(seen: Seen, value: Json, depth: number): void {
  if (value === null) seen.isNullable = true
  else if (depth > limits.tableDepthMax) seen.kinds.add('…')
  else if (Array.isArray(value)) {
    seen.kinds.add('list')
    seen.items ??= nothing()
    for (const item of value) look(seen.items, item, depth + 1)
  } else if (typeof value === 'object') {
    seen.kinds.add('struct')
    seen.members ??= new Map()
    seen.objects++
    for (const [name, member] of Object.entries(value)) {
      const known = seen.members.get(name) ?? { seen: nothing(), count: 0 }
      // One more than are told, so that it can be said that there are more.
      if (known.count === 0 && seen.members.size > limits.tableColumnsMax) continue
      seen.members.set(name, { seen: known.seen, count: known.count + 1 })
      look(known.seen, member, depth + 1)
    }
  } else if (typeof value === 'string') seen.kinds.add(textKind(value))
  else if (typeof value === 'boolean') seen.kinds.add('boolean')
  else if (typeof value === 'bigint') seen.kinds.add(value > LONG_MAX || value < -LONG_MAX - 1n ? 'double' : 'long')
  else seen.kinds.add(Number.isInteger(value) ? 'long' : 'double')
}

const LONG_MAX = 2n ** 63n - 1n

/** In JSON a text is a text, unless it is written as a date or time. */
function textKind(text: string): string {
  return DATE.test(text) ? 'date' : TIMESTAMP.test(text) ? (ZONE.test(text) ? 'timestamptz' : 'timestamp') : 'string'
}

function typeOf(seen: Seen): string {
  const { kinds } = seen
  if (kinds.size === 1 && kinds.has('list')) return `list<${seen.items === null ? 'unknown' : typeOf(seen.items)}>`
  if (kinds.size === 1 && kinds.has('struct')) {
    return `struct<${columnsOf(seen)
      .map(({ name, type }) => `${name}: ${type}`)
      .join(', ')}>`
  }
  return commonKind(kinds)
}

/** The narrowest type that holds all; text holds everything, `unknown` has seen nothing but nulls. */
function commonKind(kinds: ReadonlySet<string>): string {
  if (kinds.size === 0) return 'unknown'
  if (kinds.size === 1) return [...kinds][0]!
  if ([...kinds].every((kind) => kind === 'long' || kind === 'double')) return 'double'
  return 'string'
}

const DATE = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/
const TIMESTAMP =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?$/
const ZONE = /(?:Z|[+-]\d{2}:?\d{2})$/

/** Kind of a field of separated values; null for an empty one. Digits with zeros in front are no number: they would be lost. */
function fieldKind(field: string): string | null {
  const text = field.trim()
  if (text === '') return null
  if (/^(?:true|false)$/i.test(text)) return 'boolean'
  if (/^[+-]?(?:0|[1-9]\d{0,17})$/.test(text)) return 'long'
  if (/^[+-]?(?:0|[1-9]\d*)?\.\d+(?:[eE][+-]?\d{1,3})?$|^[+-]?[1-9]\d*(?:\.\d*)?[eE][+-]?\d{1,3}$/.test(text))
    return 'double'
  return textKind(text)
}

/** Columns of separated values, and whether the first record names them. */
export function csvColumns(records: readonly string[][]): { columns: Column[]; header: boolean } {
  const first = records[0] ?? []
  const rest = records.slice(1)
  const below = first.map((_, at) => kindsAt(rest, at))
  const header = isHeader(
    first,
    rest,
    below.map(({ kinds }) => commonKind(kinds)),
  )
  const columns = first.map((name, at) => {
    const { kinds, isNullable } = header ? below[at]! : kindsAt(records, at)
    return {
      name: header ? cut(name.trim(), limits.archiveNameMax) : `column${at}`,
      type: commonKind(kinds),
      nullable: isNullable,
    }
  })
  return { columns, header }
}

function kindsAt(records: readonly string[][], at: number): { kinds: Set<string>; isNullable: boolean } {
  const kinds = new Set<string>()
  let isNullable = false
  for (const record of records) {
    const kind = fieldKind(record[at] ?? '')
    if (kind === null) isNullable = true
    else kinds.add(kind)
  }
  return { kinds, isNullable }
}

/**
 * The first record is a header when all its fields are different texts, and either a column below is of another type, or they look
 * like names and none of them comes again below.
 */
function isHeader(first: readonly string[], rest: readonly string[][], types: readonly string[]): boolean {
  if (first.some((field) => fieldKind(field) !== 'string') || new Set(first).size < first.length) return false
  if (types.some((type) => type !== 'string' && type !== 'unknown')) return true
  return first.every(
    (name, at) =>
      /^[\p{L}_][\p{L}\p{N}_ .()/%-]{0,63}$/u.test(name.trim()) && !rest.some((record) => record[at] === name),
  )
}
