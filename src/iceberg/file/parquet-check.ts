/**
 * What a Parquet file just written must be: its types and field ids, no null where a value is required.
 */
import { Fault } from '../../base/fault.ts'
import { type DuckSession, ident, literal } from '../../duck/duck.ts'
import { membersOf } from '../spec/schema.ts'
import type { Schema, Type } from '../spec/table-metadata.ts'
import { isPrimitive, parsePrimitive } from '../spec/type.ts'
import { type CopiedFile, statsName } from './data-file.ts'
import { duckNames, duckType, type ParquetLeaf } from './parquet-types.ts'

/** One line per element of the file's schema: name, field id, type; groups have only their id. */
function wantedElements(schema: Schema): string[] {
  const lines: string[] = []
  const visit = (name: string, id: number | null, type: Type): void => {
    if (isPrimitive(type)) {
      lines.push(`${name} ${id} ${duckType(type, name)}`)
      return
    }
    lines.push(`${name} ${id}`)
    const names = type.type === 'struct' ? duckNames(type) : membersOf(type).map((member) => member.name)
    // Parquet puts a repeated group without an id between a list or map and its members.
    if (type.type === 'list') lines.push('list null')
    if (type.type === 'map') lines.push('key_value null')
    for (const [at, member] of membersOf(type).entries()) visit(names[at]!, member.id, member.type)
  }
  const names = duckNames(schema)
  for (const [at, field] of schema.fields.entries()) visit(names[at]!, field.id, field.type)
  return lines
}

/** Schemas found right before: columns are cast outermost, so the file's schema depends on nothing else. */
const checked = new WeakSet<Schema>()

/** @throws Fault `corrupt` naming the first element that is not as wanted */
export async function checkParquetSchema(session: DuckSession, localPath: string, schema: Schema): Promise<void> {
  if (checked.has(schema)) return
  const rows = await session.rows(
    `SELECT name, field_id, num_children, duckdb_type FROM parquet_schema(${literal(localPath)}) ORDER BY column_id`,
  )
  const got = rows.slice(1).map((row) => {
    const id = row['field_id'] === null ? 'null' : String(row['field_id'])
    return row['num_children'] === null ? `${row['name']} ${id} ${row['duckdb_type']}` : `${row['name']} ${id}`
  })
  const wanted = wantedElements(schema).map((line) => line.replace('TIMESTAMPTZ', 'TIMESTAMP WITH TIME ZONE'))
  for (let at = 0; at < Math.max(wanted.length, got.length); at++) {
    if (wanted[at] === got[at]) continue
    throw new Fault(
      'corrupt',
      `DuckDB wrote another Parquet schema than the table's: expected "${wanted[at] ?? 'nothing more'}" (name, field id, type), got "${got[at] ?? 'nothing more'}". Nothing was added to the table; report this with the table's schema.`,
    )
  }
  checked.add(schema)
}

/**
 * Looks for nulls where the schema requires a value: by the files' counts where they decide, else by reading the column.
 * @throws Fault `invalid` naming the column
 */
export async function checkRequired(
  session: DuckSession,
  copied: readonly CopiedFile[],
  schema: Schema,
  leaves: readonly ParquetLeaf[],
): Promise<void> {
  for (const leaf of leaves) {
    if (!leaf.required || !leaf.alwaysThere) continue
    const nulls = copied.reduce(
      (sum, file) => sum + Number(file.columns.get(statsName(leaf))?.get('null_count') ?? 0),
      0,
    )
    if (nulls > 0) throw nullFault(leaf.path.join('.'), nulls)
  }
  const names = duckNames(schema)
  for (const [at, field] of schema.fields.entries()) {
    if (isPrimitive(field.type)) continue
    const missing = missingSql(field.type, field.required, ident(names[at]!), 0)
    if (missing === null) continue
    for (const { localPath } of copied) {
      const rows = await session.value(`SELECT count(*) FROM read_parquet(${literal(localPath)}) WHERE ${missing}`)
      if (Number(rows) > 0) throw nullFault(field.name, Number(rows))
    }
  }
}

function nullFault(column: string, rows: number): Fault {
  return new Fault(
    'invalid',
    `column "${column}" is required, but ${rows} row(s) have null in it or in a required member of it: give a value, or make the column optional`,
    { column, rows },
  )
}

/** A condition that is true for a value with a null where one is not allowed; null when there is no such place. */
function missingSql(type: Type, required: boolean, value: string, depth: number): string | null {
  const conditions: string[] = []
  if (required) conditions.push(`${value} IS NULL`)
  if (!isPrimitive(type)) {
    const item = `x${depth}`
    const any = (list: string, member: Type, memberRequired: boolean): void => {
      const missing = missingSql(member, memberRequired, item, depth + 1)
      if (missing !== null)
        conditions.push(`coalesce(len(list_filter(${list}, lambda ${item}: ${missing})) > 0, false)`)
    }
    if (type.type === 'list') any(value, type.element, type['element-required'])
    else if (type.type === 'map') any(`map_values(${value})`, type.value, type['value-required'])
    else {
      const names = duckNames(type)
      for (const [at, field] of type.fields.entries()) {
        const missing = missingSql(
          field.type,
          field.required,
          `struct_extract(${value}, ${literal(names[at]!)})`,
          depth,
        )
        if (missing !== null) conditions.push(`(${value} IS NOT NULL AND (${missing}))`)
      }
    }
  }
  return conditions.length === 0 ? null : conditions.join(' OR ')
}

/** NaNs by field id, of the columns that have some (members of lists and maps are not counted). */
export async function countNans(
  session: DuckSession,
  copied: CopiedFile,
  leaves: readonly ParquetLeaf[],
): Promise<Map<number, number>> {
  const counts = new Map<number, number>()
  for (const leaf of leaves) {
    const { kind } = parsePrimitive(leaf.type)
    if (leaf.repeated || (kind !== 'float' && kind !== 'double')) continue
    if (copied.columns.get(statsName(leaf))?.get('has_nan') !== 'true') continue
    const column = leaf.path.map(ident).join('.')
    const sql = `SELECT count(*) FROM read_parquet(${literal(copied.localPath)}) WHERE isnan(${column})`
    counts.set(leaf.id, Number(await session.value(sql)))
  }
  return counts
}
