/**
 * Field ids for files that have none: by names (Iceberg spec, "Name Mapping Serialization" and "Column Projection").
 */
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { type Json, parseJson } from '../../base/json.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import type { ParquetNode } from './parquet-tree.ts'

export const NAME_MAPPING_PROPERTY = 'schema.name-mapping.default'

export interface MappedField {
  id: number | undefined
  names: string[]
  fields: MappedField[]
}

/** The table's name mapping, undefined without one. @throws Fault `corrupt` when it is not of the form */
export function nameMappingOf(metadata: TableMetadata): MappedField[] | undefined {
  const text = metadata.properties[NAME_MAPPING_PROPERTY]
  if (text === undefined) return undefined
  try {
    return fieldsOf(parseJson(text))
  } catch (error) {
    const why = isFault(error) ? error.message : messageOf(error)
    throw new Fault('corrupt', `the table property ${NAME_MAPPING_PROPERTY} is no name mapping: ${why}`, {}, error)
  }
}

function fieldsOf(json: Json | undefined): MappedField[] {
  if (json === undefined) return []
  if (!Array.isArray(json)) throw new Fault('corrupt', 'expected a list of fields')
  return json.map((field) => {
    if (typeof field !== 'object' || field === null || Array.isArray(field))
      throw new Fault('corrupt', 'expected a field')
    const { names, 'field-id': id, fields } = field as { names?: Json; 'field-id'?: Json; fields?: Json }
    if (!Array.isArray(names)) throw new Fault('corrupt', 'expected the names of a field')
    return { id: typeof id === 'number' ? id : undefined, names: names.map(String), fields: fieldsOf(fields) }
  })
}

/** Has no column or member an id? Then the mapping counts, else the ids do. */
export function hasNoIds(nodes: readonly ParquetNode[]): boolean {
  return nodes.every((node) => node.id === undefined && hasNoIds(membersOf(node)))
}

function membersOf(node: ParquetNode): ParquetNode[] {
  switch (node.kind) {
    case 'leaf':
      return []
    case 'struct':
      return node.fields
    case 'list':
      return [node.element]
    case 'map':
      return [node.key, node.value]
  }
}

/** The nodes with ids by name; members of lists and maps are called `element`, `key` and `value`. */
export function withMappedIds(nodes: readonly ParquetNode[], mapping: readonly MappedField[]): ParquetNode[] {
  return nodes.map((node) => mapped(node, node.name, mapping))
}

function mapped(node: ParquetNode, name: string, mapping: readonly MappedField[]): ParquetNode {
  const entry = mapping.find((field) => field.names.includes(name))
  const inner = entry?.fields ?? []
  const id = entry?.id
  switch (node.kind) {
    case 'leaf':
      return { ...node, id }
    case 'struct':
      return { ...node, id, fields: withMappedIds(node.fields, inner) }
    case 'list':
      return { ...node, id, element: mapped(node.element, 'element', inner) }
    case 'map':
      return { ...node, id, key: mapped(node.key, 'key', inner), value: mapped(node.value, 'value', inner) }
  }
}
