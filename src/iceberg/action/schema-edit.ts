/** Replacing parts of a schema by field id; the input stays as it is. */
import { Fault } from '../../base/fault.ts'
import { findById } from '../spec/schema.ts'
import type { NestedField, Schema, StructType, Type } from '../spec/table-metadata.ts'
import { formatType, isPrimitive } from '../spec/type.ts'

/**
 * The fields of the struct that the field with this id is or holds (a list's element, a map's value); null: the top.
 * @throws Fault `invalid` when it holds no struct
 */
export function fieldsOf(schema: Schema, holderId: number | null): NestedField[] {
  if (holderId === null) return schema.fields
  const holder = findById(schema, holderId)
  const struct = holder === undefined ? null : structIn(holder.type)
  if (struct === null) {
    const got = holder === undefined ? `id ${holderId}` : `"${holder.name}", a ${formatType(holder.type)}`
    throw new Fault('invalid', `expected a struct, or a list or map of structs, got ${got}`)
  }
  return struct.fields
}

/** The schema with other fields in that struct. */
export function withFields(schema: Schema, holderId: number | null, fields: NestedField[]): Schema {
  if (holderId === null) return { ...schema, fields }
  return changeField(schema, holderId, (holder) => ({ ...holder, type: replaceStruct(holder.type, fields) }))
}

/** The schema with one field replaced, wherever it is; of list elements and map members only the type counts. */
export function changeField(schema: Schema, id: number, edit: (field: NestedField) => NestedField): Schema {
  return { ...schema, fields: editFields(schema.fields, id, edit) }
}

function editFields(fields: NestedField[], id: number, edit: (field: NestedField) => NestedField): NestedField[] {
  return fields.map((field) => {
    const inner = { ...field, type: editType(field.type, id, edit) }
    return field.id === id ? edit(inner) : inner
  })
}

function editType(type: Type, id: number, edit: (field: NestedField) => NestedField): Type {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'struct':
      return { ...type, fields: editFields(type.fields, id, edit) }
    case 'list': {
      const [element] = editFields(
        [{ id: type['element-id'], name: 'element', required: type['element-required'], type: type.element }],
        id,
        edit,
      )
      return { ...type, 'element-required': element!.required, element: element!.type }
    }
    case 'map': {
      const [key, value] = editFields(
        [
          { id: type['key-id'], name: 'key', required: true, type: type.key },
          { id: type['value-id'], name: 'value', required: type['value-required'], type: type.value },
        ],
        id,
        edit,
      )
      return { ...type, key: key!.type, 'value-required': value!.required, value: value!.type }
    }
  }
}

function structIn(type: Type): StructType | null {
  if (isPrimitive(type)) return null
  switch (type.type) {
    case 'struct':
      return type
    case 'list':
      return !isPrimitive(type.element) && type.element.type === 'struct' ? type.element : null
    case 'map':
      return !isPrimitive(type.value) && type.value.type === 'struct' ? type.value : null
  }
}

function replaceStruct(type: Type, fields: NestedField[]): Type {
  if (isPrimitive(type)) return type
  switch (type.type) {
    case 'struct':
      return { ...type, fields }
    case 'list':
      return { ...type, element: { type: 'struct', fields } }
    case 'map':
      return { ...type, value: { type: 'struct', fields } }
  }
}
