/**
 * One column of a table out of a Parquet file of any older schema: how it is read, and how it becomes today's value.
 *
 * DuckDB finds top-level columns by field id but members of structs by name: a renamed member would silently be NULL, one
 * dropped and added again under its name would show the old values. So where the names or ids of members differ, the column
 * is read under the file's own names and rebuilt by an expression. A filter on a rebuilt column is not pushed into the
 * file; on all others it is.
 */
import { Fault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { ident, literal } from '../../duck/duck.ts'
import { duckNames, duckType } from '../file/parquet-types.ts'
import { membersOf } from '../spec/schema.ts'
import type { NestedField, StructType, Type } from '../spec/table-metadata.ts'
import { isPrimitive, parsePrimitive } from '../spec/type.ts'
import { nodeType, type ParquetNode } from './parquet-tree.ts'

/**
 * The DuckDB type of a column in a scan's relation: as when writing, but BLOB for every fixed.
 * @throws Fault `unsupported` naming the column
 */
export function relationType(type: Type, where: string): string {
  if (isPrimitive(type)) {
    const { kind } = parsePrimitive(type)
    if (kind === 'fixed') return 'BLOB'
    // Every value is null; some type must be named.
    if (kind === 'unknown') return 'INTEGER'
    if (UNREADABLE.has(kind)) {
      throw new Fault(
        'unsupported',
        `column "${where}" is of type ${type}, which cannot be read here (or not without loss): select other columns`,
        { column: where },
      )
    }
    return duckType(type, where)
  }
  const members = membersOf(type)
  const [first, second] = members.map((member) => () => relationType(member.type, `${where}.${member.name}`))
  if (type.type === 'list') return `${first!()}[]`
  if (type.type === 'map') return `MAP(${first!()}, ${second!()})`
  const names = duckNames(type)
  const fields = type.fields.map(
    (field, at) => `${ident(names[at]!)} ${relationType(field.type, `${where}.${field.name}`)}`,
  )
  return `STRUCT(${fields.join(', ')})`
}

/** Nanoseconds with a zone would be cut to microseconds without a word. */
const UNREADABLE = new Set(['timestamptz_ns', 'variant', 'geometry', 'geography'])

export interface ColumnRead {
  /** Type for DuckDB's schema map. */
  type: string
  /** Text of the value when the file lacks the column; null for NULL. */
  defaultText: string | null
  /** The column's value out of `column` as read. */
  sql(column: string): string
}

/** How `field` is read from a file in which it is `node` (undefined: the file lacks it). */
export function columnRead(field: NestedField, node: ParquetNode | undefined): ColumnRead {
  const type = relationType(field.type, field.name)
  const direct = { type, defaultText: defaultText(field), sql: (column: string) => column }
  if (node === undefined || isUnknown(field.type) || readsDirectly(field.type, node)) return direct
  return { type: nodeType(node), defaultText: null, sql: (column) => rebuilt(column, field, node, 0) }
}

function isUnknown(type: Type): boolean {
  return isPrimitive(type) && parsePrimitive(type).kind === 'unknown'
}

/** Does matching by name give the same as matching by id, at every level? */
function readsDirectly(type: Type, node: ParquetNode): boolean {
  if (isPrimitive(type)) return node.kind === 'leaf'
  switch (type.type) {
    case 'list':
      return node.kind === 'list' && readsDirectly(type.element, node.element)
    case 'map':
      return node.kind === 'map' && readsDirectly(type.key, node.key) && readsDirectly(type.value, node.value)
    case 'struct':
      return node.kind === 'struct' && structReadsDirectly(type, node.fields)
  }
}

function structReadsDirectly(type: StructType, nodes: readonly ParquetNode[]): boolean {
  const names = duckNames(type)
  let shared = 0
  const same = type.fields.every((field, at) => {
    const byId = nodes.find((node) => node.id === field.id)
    const byName = nodes.find((node) => node.name.toLowerCase() === names[at]!.toLowerCase())
    if (byId !== byName) return false
    if (byId === undefined) return defaultText(field) === null
    shared += 1
    return !isUnknown(field.type) && readsDirectly(field.type, byId)
  })
  return same && shared > 0
}

/** `value`, which is as in the file, as a value of the field's type of today. */
function rebuilt(value: string, field: NestedField, node: ParquetNode, depth: number): string {
  const { type } = field
  const wanted = relationType(type, field.name)
  if (isUnknown(type)) return `NULL::${wanted}`
  if (isPrimitive(type)) return `${value}::${wanted}`
  const item = `x${depth}`
  const [first, second] = membersOf(type)
  if (type.type === 'list' && node.kind === 'list') {
    return `list_transform(${value}, lambda ${item}: ${rebuilt(item, first!, node.element, depth + 1)})`
  }
  if (type.type === 'map' && node.kind === 'map') {
    const key = rebuilt(`${item}.key`, first!, node.key, depth + 1)
    const member = rebuilt(`${item}.value`, second!, node.value, depth + 1)
    return `map_from_entries(list_transform(map_entries(${value}), lambda ${item}: struct_pack(k := ${key}, v := ${member})))`
  }
  if (type.type === 'struct' && node.kind === 'struct') {
    const names = duckNames(type)
    const members = type.fields.map((member, at) => {
      const found = node.fields.find((known) => known.id === member.id)
      const sql =
        found === undefined
          ? defaultSql(member)
          : rebuilt(`struct_extract(${value}, ${literal(found.name)})`, member, found, depth)
      return `${ident(names[at]!)} := ${sql}`
    })
    return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${members.join(', ')}) END`
  }
  throw new Fault(
    'corrupt',
    `column "${field.name}" is a ${type.type} in the table and a ${node.kind} in a data file, which no change of the schema allows`,
    { column: field.name },
  )
}

function defaultSql(field: NestedField): string {
  const text = defaultText(field)
  const type = relationType(field.type, field.name)
  return text === null ? `NULL::${type}` : `${literal(text)}::${type}`
}

/**
 * The initial default (spec, "Default Values") as text that DuckDB casts to the type; null without one.
 * @throws Fault `unsupported` for a default of a list, map or struct
 */
function defaultText(field: NestedField): string | null {
  const value = field['initial-default']
  if (value === undefined || value === null) return null
  if (!isPrimitive(field.type)) {
    throw new Fault('unsupported', `column "${field.name}" has a nested initial default, which is not read here`, {
      column: field.name,
    })
  }
  return scalarText(parsePrimitive(field.type).kind, value)
}

/** Default values are JSON single values (spec, Appendix D): texts that DuckDB takes, but for bytes. */
function scalarText(kind: string, value: Json): string {
  if (kind === 'binary' || kind === 'fixed')
    return String(value).replaceAll(/../g, (pair) => `\\x${pair.toUpperCase()}`)
  return String(value)
}
