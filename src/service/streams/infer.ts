/**
 * Columns for members that a table does not have: their types as the first record that has them shows. Whole numbers become
 * long, others double, everything with a text form stays text. What shows no one type (null, an empty or mixed array, an empty
 * object) gives no column. Pure.
 */
import type { NestedField, StructType, Type } from '../../iceberg/spec/table-metadata.ts'
import { exactNumber } from './convert.ts'
import { NumberText, type RecordObject, type RecordValue } from './record.ts'

export interface NewColumn {
  name: string
  type: Type
}

/** Ids of what is nested are given when the column is added. */
const ANY_ID = 0

/** Members of `record` that `schema` has no column for. Names that differ from a column's in case alone give none. */
export function newColumns(record: RecordObject, schema: StructType): NewColumn[] {
  const columns: NewColumn[] = []
  const known = new Set(schema.fields.map((field) => field.name.toLowerCase()))
  for (const [name, value] of Object.entries(record)) {
    if (name === '' || name.length > 255 || known.has(name.toLowerCase())) continue
    const type = inferType(value)
    if (type === null) continue
    known.add(name.toLowerCase())
    columns.push({ name, type })
  }
  return columns
}

export function inferType(value: RecordValue): Type | null {
  if (value === null) return null
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (value instanceof NumberText) return inferNumber(value.text)
  if (Array.isArray(value)) {
    const types = value.filter((item) => item !== null).map(inferType)
    const [element] = types
    if (element === undefined || element === null) return null
    if (types.some((type) => JSON.stringify(type) !== JSON.stringify(element))) return null
    return { type: 'list', 'element-id': ANY_ID, 'element-required': false, element }
  }
  const fields: NestedField[] = []
  for (const [name, member] of Object.entries(value)) {
    const type = inferType(member)
    const taken = fields.some((field) => field.name.toLowerCase() === name.toLowerCase())
    if (name !== '' && type !== null && !taken) fields.push({ id: ANY_ID, name, required: false, type })
  }
  return fields.length === 0 ? null : { type: 'struct', fields }
}

function inferNumber(text: string): Type {
  const parts = /[.eE]/.test(text) ? null : exactNumber(text)
  if (parts === null) return 'double'
  return parts.digits >= -(2n ** 63n) && parts.digits < 2n ** 63n ? 'long' : 'double'
}
