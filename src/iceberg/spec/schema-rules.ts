/**
 * The rules that a schema must keep (Iceberg spec, "Schemas and Data Types"), all problems told at once.
 */
import { Fault } from '../../base/fault.ts'
import { findById, flattenFields, membersOf, type SchemaField } from './schema.ts'
import type { Schema, Type } from './table-metadata.ts'
import { formatPrimitive, formatType, isPrimitive, minFormatVersion, tryParsePrimitive } from './type.ts'

/**
 * Every rule that the schema breaks, as sentences; empty when it is sound. Checked: ids and names unique, types known and
 * allowed in the format version, decimal and fixed parameters, identifier fields, defaults (v3 only).
 */
export function schemaProblems(schema: Schema, formatVersion: 1 | 2 | 3 = 2): string[] {
  const problems: string[] = []
  const fields = flattenFields(schema)
  const ids = new Map<number, string>()
  const names = new Set<string>()
  for (const field of fields) {
    const other = ids.get(field.id)
    if (other !== undefined) problems.push(`field id ${field.id} is used by both "${other}" and "${field.name}"`)
    ids.set(field.id, field.name)
    if (!Number.isSafeInteger(field.id) || field.id < 0) problems.push(`"${field.name}" has the field id ${field.id}`)
    if (field.path.at(-1) === '') problems.push(`field id ${field.id} has no name`)
    // Also refuses a column "a.b" beside a struct a with a field b: engines could not tell them apart.
    if (names.has(field.name)) problems.push(`the name "${field.name}" is used twice`)
    names.add(field.name)
    problems.push(...typeProblems(field, formatVersion))
  }
  problems.push(...defaultProblems(schema, formatVersion))
  for (const id of schema['identifier-field-ids'] ?? []) problems.push(...identifierProblems(schema, id))
  return problems
}

/** @throws Fault `invalid` with every problem at once */
export function checkSchema(schema: Schema, formatVersion: 1 | 2 | 3 = 2): void {
  const problems = schemaProblems(schema, formatVersion)
  if (problems.length > 0) {
    throw new Fault('invalid', `expected a sound schema, got ${problems.length} problem(s): ${problems.join('; ')}`)
  }
}

function typeProblems(field: SchemaField, formatVersion: number): string[] {
  if (!isPrimitive(field.type)) {
    const known = field.type.type === 'struct' || field.type.type === 'list' || field.type.type === 'map'
    return known ? [] : [`"${field.name}" has an unknown nested type`]
  }
  const primitive = tryParsePrimitive(field.type)
  if (primitive === null) return [`"${field.name}" has the unknown type "${field.type}"`]
  const needed = minFormatVersion(primitive)
  const problems: string[] = []
  if (needed > formatVersion) {
    problems.push(`"${field.name}" is of type ${formatPrimitive(primitive)}, which needs format v${needed}`)
  }
  if (primitive.kind === 'unknown' && field.required)
    problems.push(`"${field.name}" is of type unknown, so not required`)
  return problems
}

function defaultProblems(type: Type, formatVersion: number): string[] {
  return membersOf(type).flatMap((field) => {
    const problems = defaultProblems(field.type, formatVersion)
    const initial = field['initial-default']
    if (formatVersion < 3 && initial !== undefined && initial !== null) {
      problems.push(`"${field.name}" has an initial default, which needs format v3`)
    }
    return problems
  })
}

/** Identifier fields (spec, "Identifier Field IDs"): required primitives, no floats, inside required structs only. */
function identifierProblems(schema: Schema, id: number): string[] {
  const field = findById(schema, id)
  if (field === undefined) return [`the identifier field id ${id} is no field of the schema`]
  const problems: string[] = []
  if (!isPrimitive(field.type)) problems.push(`identifier field "${field.name}" is a ${formatType(field.type)}`)
  else if (field.type === 'float' || field.type === 'double') {
    problems.push(`identifier field "${field.name}" is a ${field.type}, whose values do not compare reliably`)
  }
  if (!field.required) problems.push(`identifier field "${field.name}" is optional`)
  if (field.repeated) problems.push(`identifier field "${field.name}" is inside a list or map`)
  for (let at = field.parentId; at !== undefined; at = findById(schema, at)?.parentId) {
    const parent = findById(schema, at)
    if (parent !== undefined && !parent.required && !field.repeated) {
      problems.push(`identifier field "${field.name}" is inside the optional "${parent.name}"`)
    }
  }
  return problems
}
