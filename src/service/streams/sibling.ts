/**
 * Sibling columns: where a value goes that does not fit its column, so that it is kept and can be queried. The name is the
 * column's with the type of the value: `price__string`. Five types at most, so a column has at most five siblings. Pure.
 */
import { NumberText, type RecordValue, recordText } from './record.ts'
import { exactNumber } from './scalar.ts'

export type SiblingSuffix = 'string' | 'boolean' | 'long' | 'double' | 'json'

export interface Sibling {
  /** Name of the column. */
  name: string
  suffix: SiblingSuffix
  /** Type of the column. What is nested is kept as JSON text. */
  type: 'string' | 'boolean' | 'long' | 'double'
  /** The value as that column takes it. */
  value: RecordValue
}

/** The sibling that takes `value`, which is not null, in place of column `name`. */
export function siblingOf(name: string, value: RecordValue): Sibling {
  const suffix = suffixOf(value)
  const type = suffix === 'json' ? 'string' : suffix
  return { name: `${name}__${suffix}`, suffix, type, value: suffix === 'json' ? recordText(value) : value }
}

function suffixOf(value: RecordValue): SiblingSuffix {
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'boolean'
  if (!(value instanceof NumberText)) return 'json'
  return isLong(value.text) ? 'long' : 'double'
}

/** Whether a number is written as a whole one and fits 64 bits. */
export function isLong(text: string): boolean {
  const parts = /[.eE]/.test(text) ? null : exactNumber(text)
  return parts !== null && parts.digits >= -(2n ** 63n) && parts.digits < 2n ** 63n
}
