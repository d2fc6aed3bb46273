/**
 * Iceberg types as DuckDB types, names and field ids, so that COPY writes the Parquet types of the specification
 * (Appendix A, "Parquet").
 */
import { Fault } from '../../base/fault.ts'
import { ident, literal } from '../../duck/duck.ts'
import { membersOf } from '../spec/schema.ts'
import type { NestedField, StructType, Type } from '../spec/table-metadata.ts'
import { isPrimitive, parsePrimitive } from '../spec/type.ts'

/**
 * The names of a struct's fields in DuckDB, in order. They are the fields' own, except that DuckDB knows no empty name and
 * holds names equal that differ only in case: such a field, after the first, is called `c<id>`. Field ids decide in files.
 */
export function duckNames(struct: StructType): string[] {
  const used = new Set<string>()
  return struct.fields.map((field) => {
    let name = field.name
    if (name === '' || name.includes('\0') || used.has(name.toLowerCase())) name = `c${field.id}`
    while (used.has(name.toLowerCase())) name = `${name}_`
    used.add(name.toLowerCase())
    return name
  })
}

/**
 * The DuckDB type whose values a column holds, and to which it must be cast when written.
 * @param where the column's name, for messages
 * @throws Fault `unsupported` for types that DuckDB's Parquet writer cannot hold
 */
export function duckType(type: Type, where: string): string {
  if (!isPrimitive(type)) {
    switch (type.type) {
      case 'list':
        return `${duckType(type.element, `${where}.element`)}[]`
      case 'map':
        return `MAP(${duckType(type.key, `${where}.key`)}, ${duckType(type.value, `${where}.value`)})`
      case 'struct': {
        if (type.fields.length === 0) throw unsupported('struct<>', where, 'give it a field')
        const names = duckNames(type)
        const fields = type.fields.map(
          (field, at) => `${ident(names[at]!)} ${duckType(field.type, `${where}.${field.name}`)}`,
        )
        return `STRUCT(${fields.join(', ')})`
      }
    }
  }
  const primitive = parsePrimitive(type)
  switch (primitive.kind) {
    case 'boolean':
      return 'BOOLEAN'
    case 'int':
      return 'INTEGER'
    case 'long':
      return 'BIGINT'
    case 'float':
      return 'FLOAT'
    case 'double':
      return 'DOUBLE'
    case 'decimal':
      return `DECIMAL(${primitive.precision},${primitive.scale})`
    case 'date':
      return 'DATE'
    case 'time':
      return 'TIME'
    case 'timestamp':
      return 'TIMESTAMP'
    case 'timestamptz':
      return 'TIMESTAMPTZ'
    case 'timestamp_ns':
      return 'TIMESTAMP_NS'
    case 'string':
      return 'VARCHAR'
    case 'binary':
      return 'BLOB'
    case 'uuid':
      return 'UUID'
    case 'fixed':
      // FIXED_LEN_BYTE_ARRAY is written for UUID only: the one length that has a DuckDB type.
      if (primitive.length === 16) return 'UUID'
      throw unsupported(type, where, 'use binary, or fixed[16]')
    case 'timestamptz_ns':
      throw unsupported(type, where, 'use timestamptz (microseconds)')
    case 'unknown':
    case 'variant':
    case 'geometry':
    case 'geography':
      throw unsupported(type, where, 'leave the column out')
  }
}

function unsupported(type: string, where: string, instead: string): Fault {
  return new Fault(
    'unsupported',
    `column "${where}" is of type ${type}, which cannot be written as Parquet here: ${instead}`,
    {
      column: where,
      type,
    },
  )
}

/**
 * A column of a relation, cast outermost to its exact type, as COPY needs it: DuckDB would otherwise widen decimals or
 * write HUGEINT as DOUBLE without a word.
 * @param given the relation's DuckDB type of the column, undefined when it has no such column
 * @throws Fault `invalid` when it has not
 */
export function castColumn(field: NestedField, name: string, given: string | undefined): string {
  if (given === undefined) {
    throw new Fault(
      'invalid',
      `the rows to be written have no column "${name}"; select it, with NULL if there is no value`,
      {
        column: name,
      },
    )
  }
  const column = ident(name)
  // A BLOB of 16 bytes becomes the UUID of the same bytes.
  const source =
    given === 'BLOB' && isPrimitive(field.type) && field.type.startsWith('fixed') ? `hex(${column})` : column
  return `${source}::${duckType(field.type, field.name)} AS ${column}`
}

/** The FIELD_IDS option of COPY for a schema's columns, e.g. `{"id": 1, "tags": {__duckdb_field_id: 2, "element": 3}}`. */
export function fieldIds(struct: StructType): string {
  return `{${structIds(struct).join(', ')}}`
}

function structIds(struct: StructType): string[] {
  const names = duckNames(struct)
  return struct.fields.map((field, at) => `${literal(names[at]!)}: ${idsOf(field.id, field.type)}`)
}

function idsOf(id: number, type: Type): string {
  if (isPrimitive(type)) return String(id)
  const members =
    type.type === 'struct'
      ? structIds(type)
      : membersOf(type).map((member) => `${literal(member.name)}: ${idsOf(member.id, member.type)}`)
  return `{__duckdb_field_id: ${id}, ${members.join(', ')}}`
}

/** One leaf or group of a Parquet file as it should be, by its place. */
export interface ParquetLeaf {
  id: number
  /** Names in the file from the top, as in RETURN_STATS: `st`, `a`; `ls`, `element`; `m`, `key`. */
  path: string[]
  type: string
  /** Inside a list or map: its bounds mean nothing to a reader. */
  repeated: boolean
  /** Is the leaf null only when it is null itself: no optional struct, list or map around it? */
  alwaysThere: boolean
  required: boolean
}

/** The primitive leaves of a schema in file order. */
export function parquetLeaves(struct: StructType): ParquetLeaf[] {
  const leaves: ParquetLeaf[] = []
  const visit = (
    field: { id: number; required: boolean; type: Type },
    path: string[],
    repeated: boolean,
    alwaysThere: boolean,
  ): void => {
    const { id, required, type } = field
    if (isPrimitive(type)) {
      leaves.push({ id, path, type, repeated, alwaysThere, required })
      return
    }
    const names = type.type === 'struct' ? duckNames(type) : membersOf(type).map((member) => member.name)
    const inside = repeated || type.type !== 'struct'
    for (const [at, member] of membersOf(type).entries()) {
      visit(member, [...path, names[at]!], inside, alwaysThere && required && !inside)
    }
  }
  const names = duckNames(struct)
  for (const [at, field] of struct.fields.entries()) visit(field, [names[at]!], false, true)
  return leaves
}
