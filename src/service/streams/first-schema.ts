/** The columns of a table that is made when the first records for it come. Pure. */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import type { Schema, Type } from '../../iceberg/spec/table-metadata.ts'
import { neededColumns, type StreamSettings } from './definition.ts'
import { inferType } from './infer.ts'
import type { PipelineRecord } from './pipeline.ts'
import { type RecordObject, readRecord } from './record.ts'

/**
 * Columns of a table that is to be made, as its first records show them. Key columns are required.
 * @throws Fault `invalid` when they show none
 */
export function schemaOfRecords(records: readonly PipelineRecord[], settings: StreamSettings): Schema {
  const values = records.flatMap((record) => {
    if (record.value === null) {
      const read = readRecord(record.data)
      if (read.ok) record.value = read.value
    }
    return record.value === null ? [] : [record.value]
  })
  let lastId = 0
  const numbered = (type: Type): Type => {
    if (typeof type === 'string') return type
    switch (type.type) {
      case 'struct':
        return {
          ...type,
          fields: type.fields.map((field) => ({ ...field, id: ++lastId, type: numbered(field.type) })),
        }
      case 'list':
        return { ...type, 'element-id': ++lastId, element: numbered(type.element) }
      case 'map':
        return { ...type, 'key-id': ++lastId, 'value-id': ++lastId, value: numbered(type.value) }
      default:
        return unreachable(type)
    }
  }
  const fields = columnsOf(values, settings.operationField).map(({ name, type }) => ({
    id: ++lastId,
    name,
    required: neededColumns(settings).includes(name),
    type: numbered(type),
  }))
  if (fields.length === 0)
    throw new Fault('invalid', `there is no table ${settings.table}, and the records show no columns to make it with`)
  return { type: 'struct', 'schema-id': 0, fields }
}

interface NewColumn {
  name: string
  type: Type
}

/** The first type that a member shows is its column's; a whole number in one record and a fraction in another make a double. */
function columnsOf(values: readonly RecordObject[], operationField: string | undefined): NewColumn[] {
  const found = new Map<string, NewColumn>()
  for (const value of values) {
    for (const [name, member] of Object.entries(value)) {
      const type = name === '' || name === operationField ? null : inferType(member)
      if (type === null) continue
      const known = found.get(name.toLowerCase())
      if (known === undefined) {
        if (found.size < limits.streamColumnsMax) found.set(name.toLowerCase(), { name, type })
      } else if (known.type === 'long' && type === 'double') known.type = type
    }
  }
  return [...found.values()]
}
