/**
 * Schemas (Iceberg spec, "Schemas and Data Types"): finding fields by id and by dotted name, and giving ids. List elements
 * and map members are fields too, with names `element`, `key` and `value`.
 */
import { Fault } from '../../base/fault.ts'
import type { NestedField, PartitionSpec, Schema, StructType, TableMetadata, Type } from './table-metadata.ts'
import { isPrimitive } from './type.ts'

/** Types nested deeper than this are refused: real schemas stay below ten. */
export const NESTING_MAX = 64

/** One field wherever it is in the schema. */
export interface SchemaField {
  id: number
  /** Names from the top, e.g. `['items', 'element', 'price']`. */
  path: readonly string[]
  /** The path joined with dots: how the format and its engines name nested fields. */
  name: string
  type: Type
  required: boolean
  /** Id of the field that holds this one; undefined at the top. */
  parentId?: number
  /** Is it, or is it inside, a list element, map key or map value? */
  repeated: boolean
  doc?: string
}

/** All fields, each before its members (pre-order), in schema order. */
export function flattenFields(schema: StructType): SchemaField[] {
  const fields: SchemaField[] = []
  const visit = (field: NestedField, parent: SchemaField | null, repeated: boolean): void => {
    const path = parent === null ? [field.name] : [...parent.path, field.name]
    if (path.length > NESTING_MAX) {
      throw new Fault('limit', `expected types nested at most ${NESTING_MAX} deep, got more at "${path.join('.')}"`)
    }
    const flat: SchemaField = {
      id: field.id,
      path,
      name: path.join('.'),
      type: field.type,
      required: field.required,
      repeated,
      ...(parent === null ? {} : { parentId: parent.id }),
      ...(field.doc === undefined ? {} : { doc: field.doc }),
    }
    fields.push(flat)
    const inside = !isPrimitive(field.type) && field.type.type !== 'struct'
    for (const member of membersOf(field.type)) visit(member, flat, repeated || inside)
  }
  for (const field of schema.fields) visit(field, null, false)
  return fields
}

/** The fields directly inside a type: struct fields, `element`, or `key` and `value`. */
export function membersOf(type: Type): NestedField[] {
  if (isPrimitive(type)) return []
  switch (type.type) {
    case 'struct':
      return type.fields
    case 'list':
      return [{ id: type['element-id'], name: 'element', required: type['element-required'], type: type.element }]
    case 'map':
      return [
        { id: type['key-id'], name: 'key', required: true, type: type.key },
        { id: type['value-id'], name: 'value', required: type['value-required'], type: type.value },
      ]
  }
}

/** Built once per schema value: schemas do not change in place. */
interface SchemaIndex {
  byId: Map<number, SchemaField>
  byName: Map<string, SchemaField>
  byLowerName: Map<string, SchemaField>
}
const indexes = new WeakMap<StructType, SchemaIndex>()

function indexOf(schema: StructType): SchemaIndex {
  const known = indexes.get(schema)
  if (known !== undefined) return known
  const index: SchemaIndex = { byId: new Map(), byName: new Map(), byLowerName: new Map() }
  for (const field of flattenFields(schema)) {
    index.byId.set(field.id, field)
    for (const name of namesOf(schema, field)) {
      if (!index.byName.has(name)) index.byName.set(name, field)
      const lower = name.toLowerCase()
      if (!index.byLowerName.has(lower)) index.byLowerName.set(lower, field)
    }
  }
  indexes.set(schema, index)
  return index
}

/** The dotted name, and the short one without `element` and `value` before a struct field (`items.price`). */
function namesOf(schema: StructType, field: SchemaField): string[] {
  const short = shortName(schema, field.path)
  return short === field.name ? [field.name] : [field.name, short]
}

function shortName(schema: StructType, path: readonly string[]): string {
  const kept: string[] = []
  let members: NestedField[] = schema.fields
  let holder: Type = schema
  for (const [at, name] of path.entries()) {
    const field = members.find((member) => member.name === name)
    if (field === undefined) break
    const ofStruct = !isPrimitive(field.type) && field.type.type === 'struct'
    const stepsOver = isStepOver(holder, name) && ofStruct && at < path.length - 1
    if (!stepsOver) kept.push(name)
    holder = field.type
    members = membersOf(field.type)
  }
  return kept.join('.')
}

function isStepOver(holder: Type, name: string): boolean {
  if (isPrimitive(holder)) return false
  return (holder.type === 'list' && name === 'element') || (holder.type === 'map' && name === 'value')
}

/** The field with this id, at any depth. */
export function findById(schema: StructType, id: number): SchemaField | undefined {
  return indexOf(schema).byId.get(id)
}

/** The field with this dotted name (`a.b`, `items.element.price` or `items.price`), letter by letter. */
export function findByName(schema: StructType, name: string): SchemaField | undefined {
  return indexOf(schema).byName.get(name)
}

/** The field with this dotted name. @throws Fault `not-found` naming the fields there are */
export function fieldNamed(schema: StructType, name: string): SchemaField {
  return found(findByName(schema, name), schema, name)
}

/** As `fieldNamed`, without regard to case when no field has the exact name. @throws Fault `not-found` */
export function fieldNamedAnyCase(schema: StructType, name: string): SchemaField {
  const index = indexOf(schema)
  return found(index.byName.get(name) ?? index.byLowerName.get(name.toLowerCase()), schema, name)
}

function found(field: SchemaField | undefined, schema: StructType, name: string): SchemaField {
  if (field !== undefined) return field
  const names = schema.fields.slice(0, 20).map((known) => known.name)
  throw new Fault('not-found', `expected a column of the table, got "${name}"; its columns are ${names.join(', ')}`, {
    column: name,
  })
}

/** The highest field id at any depth, 0 when there are no fields. */
export function highestFieldId(schema: StructType): number {
  return flattenFields(schema).reduce((highest, field) => Math.max(highest, field.id), 0)
}

/**
 * The type with new ids from `nextId`, in the order of Java's library: all fields of one struct first, then the members of
 * each field in turn; a map's key before its value.
 */
export function assignFreshIds<T extends Type>(type: T, nextId: () => number): T {
  const fresh = (inner: Type): Type => {
    if (isPrimitive(inner)) return inner
    switch (inner.type) {
      case 'struct': {
        const ids = inner.fields.map(() => nextId())
        return {
          type: 'struct',
          fields: inner.fields.map((field, at) => ({ ...field, id: ids[at]!, type: fresh(field.type) })),
        }
      }
      case 'list': {
        const elementId = nextId()
        return { ...inner, 'element-id': elementId, element: fresh(inner.element) }
      }
      case 'map': {
        const keyId = nextId()
        const valueId = nextId()
        return { ...inner, 'key-id': keyId, key: fresh(inner.key), 'value-id': valueId, value: fresh(inner.value) }
      }
    }
  }
  return fresh(type) as T
}

/** A schema with ids from 1 and its identifier fields carried over; the highest id beside it. */
export function freshSchema(schema: Schema, schemaId: number): { schema: Schema; lastColumnId: number } {
  let lastColumnId = 0
  const struct = assignFreshIds<StructType>({ type: 'struct', fields: schema.fields }, () => ++lastColumnId)
  const oldFields = flattenFields(schema)
  const newFields = flattenFields(struct)
  const newIds = new Map(oldFields.map((field, at) => [field.id, newFields[at]!.id]))
  const identifiers = (schema['identifier-field-ids'] ?? []).map((id) => newIds.get(id) ?? -1)
  return {
    schema: {
      type: 'struct',
      'schema-id': schemaId,
      ...(identifiers.length === 0 ? {} : { 'identifier-field-ids': identifiers }),
      fields: struct.fields,
    },
    lastColumnId,
  }
}

/** The schema that new data is written with. @throws Fault `corrupt` when the metadata names one it does not hold */
export function currentSchema(metadata: TableMetadata): Schema {
  return schemaById(metadata, metadata['current-schema-id'])
}

/** @throws Fault `corrupt` when the metadata has no such schema */
export function schemaById(metadata: TableMetadata, schemaId: number): Schema {
  const schema = metadata.schemas.find((known) => known['schema-id'] === schemaId)
  if (schema === undefined) {
    const ids = metadata.schemas.map((known) => known['schema-id']).join(', ')
    throw new Fault('corrupt', `expected schema ${schemaId} in the table's metadata, which has ${ids || 'none'}`)
  }
  return schema
}

/** The partition spec that new data is written with. @throws Fault `corrupt` when the metadata does not hold it */
export function currentSpec(metadata: TableMetadata): PartitionSpec {
  return specById(metadata, metadata['default-spec-id'])
}

/** @throws Fault `corrupt` when the metadata has no such partition spec */
export function specById(metadata: TableMetadata, specId: number): PartitionSpec {
  const spec = metadata['partition-specs'].find((known) => known['spec-id'] === specId)
  if (spec === undefined) {
    const ids = metadata['partition-specs'].map((known) => known['spec-id']).join(', ')
    throw new Fault('corrupt', `expected partition spec ${specId} in the table's metadata, which has ${ids || 'none'}`)
  }
  return spec
}
