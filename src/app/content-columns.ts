/** Content columns as the configuration gives them → columns with types and paths, or what is wrong with each. Pure. */
import { messageOf } from '../base/fault.ts'
import { compilePath } from '../base/json-path.ts'
import type { Type } from '../iceberg/spec/table-metadata.ts'
import { parseTypeText } from '../iceberg/spec/type-text.ts'
import type { MappedColumn } from '../service/objects/mapping.ts'
import type { ObjectsSettings } from './settings/objects.ts'

/** Columns that the table has in any case. */
const FIXED_COLUMNS = ['bucket', 'key', 'versionId', 'sequencer', 'etag', 'metadata', 'lastModified']

/** What `castJson` can make of JSON, besides decimals, lists, maps and structs. */
const FILLABLE = ['boolean', 'int', 'long', 'float', 'double', 'string', 'date', 'timestamp', 'timestamptz']

export interface ContentColumns {
  columns: MappedColumn[]
  /** Sentences that begin with the path of the setting. */
  problems: string[]
}

/** The columns that are sound, and every problem of the others. */
export function contentColumns(objects: ObjectsSettings): ContentColumns {
  const columns: MappedColumn[] = []
  const problems: string[] = []
  const taken = new Map(FIXED_COLUMNS.map((name) => [name.toLowerCase(), 'the table has a column of that name anyway']))
  for (const [name, { type: typeText, jpath }] of Object.entries(objects.content.columns ?? {})) {
    const where = objects.schema === undefined ? `objects.content.columns.${name}` : `objects.schema.field.${name}`
    const because = taken.get(name.toLowerCase())
    // Engines tell columns apart without regard to case.
    if (because !== undefined) problems.push(`${where}: ${because}; choose another`)
    taken.set(name.toLowerCase(), `${name} and another column differ in case only`)
    const type = typeOf(typeText)
    if ('problem' in type) problems.push(`${where}.type: ${type.problem}`)
    const problem = pathProblem(jpath)
    if (problem !== null) problems.push(`${where}.jpath: ${problem}`)
    if ('type' in type) columns.push({ name, jpath, type: type.type })
  }
  return { columns, problems }
}

function typeOf(text: string): { type: Type } | { problem: string } {
  try {
    const type = parseTypeText(text, () => 0)
    const problem = typeProblem(type)
    return problem === null ? { type } : { problem }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/** Why metadata cannot fill a column of this type, or null when it can. */
function typeProblem(type: Type): string | null {
  if (typeof type === 'string') {
    if (FILLABLE.includes(type) || type.startsWith('decimal(')) return null
    return `expected a type that metadata can fill (BOOLEAN, INTEGER, LONG, FLOAT, DOUBLE, DECIMAL, STRING, DATE, TIMESTAMP, TIMESTAMPTZ, ARRAY, MAP, STRUCT), got ${type}`
  }
  const notNull = 'NOT NULL cannot be kept: a value that is missing or does not fit is null'
  switch (type.type) {
    case 'list':
      return type['element-required'] ? notNull : typeProblem(type.element)
    case 'map':
      if (type.key !== 'string') return 'expected a map of STRING to something: members of JSON are named by text'
      return type['value-required'] ? notNull : typeProblem(type.value)
    case 'struct': {
      const names = new Set(type.fields.map((field) => field.name.toLowerCase()))
      if (names.size < type.fields.length) return 'two fields of a STRUCT have the same name, but for case'
      if (type.fields.some((field) => field.required)) return notNull
      return type.fields.map((field) => typeProblem(field.type)).find((problem) => problem !== null) ?? null
    }
  }
}

function pathProblem(jpath: string): string | null {
  try {
    compilePath(jpath, '')
    return null
  } catch (error) {
    return messageOf(error).replace(/^: /, '')
  }
}
