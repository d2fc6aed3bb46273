/**
 * Columns for members that a table does not have: their types as the first record that has them shows. Whole numbers become
 * long, others double, everything with a text form stays text. What shows no one type (null, an empty or mixed array, an empty
 * object) gives no column. Pure.
 */
import type { NestedField, Type } from '../../iceberg/spec/table-metadata.ts'
import { NumberText, type RecordValue } from './record.ts'
import { isLong } from './sibling.ts'

/** Ids of what is nested are given when the column is added. */
const ANY_ID = 0

/** Null: the value shows no type. */
export function inferType(value: RecordValue): Type | null {
  if (value === null) return null
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (value instanceof NumberText) return isLong(value.text) ? 'long' : 'double'
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
