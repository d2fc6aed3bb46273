/**
 * What a table lacks for records that it has no place for, as edits of its schema. Pure.
 *
 * Columns, and members of structs wherever they stand, are added where the stream evolves. Where a value does not fit its column,
 * the stream's policy decides; each includes the one before it:
 *   `dead-letter`  nothing is done
 *   `widen`        int to long, float to double, decimal to more digits, as far as the value needs it and the format allows it
 *   `sibling`      what is not to be widened gets a column of its own type beside it, see `sibling.ts`
 */
import { z } from 'zod'
import { limits } from '../../base/limits.ts'
import type { SchemaEdit } from '../../iceberg/action/evolve-schema.ts'
import type { NestedField, Schema, Type } from '../../iceberg/spec/table-metadata.ts'
import { isObject } from './convert.ts'
import { inferType } from './infer.ts'
import { NumberText, type RecordObject, type RecordValue } from './record.ts'
import { convertScalar, decimalOf, exactNumber, Misfit, type ScalarRules } from './scalar.ts'
import { siblingOf } from './sibling.ts'

export const evolutionSettings = {
  /** What becomes of a record's members without a column: left out, the record refused, or the table gets the column. */
  unknownFields: z.enum(['drop', 'dead-letter', 'evolve']).default('dead-letter'),
  /** What becomes of a value that does not fit its column: the record refused, the column widened, or a column beside it. */
  conflict: z.enum(['dead-letter', 'widen', 'sibling']).default('dead-letter'),
}

export interface EvolutionRules extends ScalarRules {
  unknownFields: 'drop' | 'dead-letter' | 'evolve'
  conflict: 'dead-letter' | 'widen' | 'sibling'
  operationField?: string | undefined
  /** Columns that the stream wants in every record, though the table may allow null: a sibling would not help there. */
  required?: ReadonlySet<string> | undefined
}

/** Whether records can change the table at all. */
export function evolves({ unknownFields, conflict }: Pick<EvolutionRules, 'unknownFields' | 'conflict'>): boolean {
  return unknownFields === 'evolve' || conflict !== 'dead-letter'
}

/** The edits that each record asks for, each seeing those of the records before it. At most `streamColumnsMax` fields are there then. */
export function planEdits(records: readonly RecordObject[], schema: Schema, rules: EvolutionRules): SchemaEdit[][] {
  const fields = structuredClone(schema.fields)
  const planner = new Planner(rules, limits.streamColumnsMax - countFields(fields))
  return records.map((record) => planner.record(record, fields))
}

class Planner {
  readonly #rules: EvolutionRules
  #room: number
  #edits: SchemaEdit[] = []

  constructor(rules: EvolutionRules, room: number) {
    this.#rules = rules
    this.#room = room
  }

  record(record: RecordObject, fields: NestedField[]): SchemaEdit[] {
    this.#edits = []
    this.#members(record, fields, undefined)
    return this.#edits
  }

  #members(record: RecordObject, fields: NestedField[], parent: string | undefined): void {
    for (const [name, value] of Object.entries(record)) {
      if (value === null || (parent === undefined && name === this.#rules.operationField)) continue
      const field = fields.find((known) => known.name === name)
      const path = parent === undefined ? name : `${parent}.${name}`
      if (field === undefined) {
        if (this.#rules.unknownFields === 'evolve') this.#add(fields, parent, name, inferType(value))
        continue
      }
      const type = this.#fit(value, field.type, path)
      if (type !== null) field.type = type
      else if (this.#rules.conflict === 'sibling' && !this.#isRequired(field, parent))
        this.#addSibling(record, fields, parent, name, value)
    }
  }

  #isRequired({ name, required }: NestedField, parent: string | undefined): boolean {
    return required || (parent === undefined && this.#rules.required?.has(name) === true)
  }

  #addSibling(
    record: RecordObject,
    fields: NestedField[],
    parent: string | undefined,
    name: string,
    value: RecordValue,
  ): void {
    const sibling = siblingOf(name, value)
    // The record says something of its own there.
    if (Object.hasOwn(record, sibling.name) && record[sibling.name] !== null) return
    this.#add(fields, parent, sibling.name, sibling.type)
  }

  /** No column is added whose name differs from another's in case alone: engines could not tell them apart. */
  #add(fields: NestedField[], parent: string | undefined, name: string, type: Type | null): void {
    const taken = fields.some((known) => known.name.toLowerCase() === name.toLowerCase())
    if (type === null || taken || name === '' || name.length > 255) return
    const count = countFields([{ id: 0, name, required: false, type }])
    if (count > this.#room) return
    this.#room -= count
    fields.push({ id: 0, name, required: false, type: structuredClone(type) })
    this.#edits.push({ edit: 'add', ...(parent === undefined ? {} : { parent }), name, type })
  }

  /** The type that takes the value too, the edits for it being noted; null when there is none. */
  #fit(value: RecordValue, type: Type, path: string): Type | null {
    if (value === null) return type
    if (typeof type === 'string') return this.#fitScalar(value, type, path)
    switch (type.type) {
      case 'struct':
        if (!isObject(value)) return null
        this.#members(value, type.fields, path)
        return type
      case 'list': {
        if (!Array.isArray(value)) return null
        const element = this.#fitAll(value, type.element, `${path}.element`)
        return element === null ? null : { ...type, element }
      }
      case 'map': {
        if (!isObject(value)) return null
        const values = this.#fitAll(Object.values(value), type.value, `${path}.value`)
        return values === null ? null : { ...type, value: values }
      }
    }
  }

  #fitAll(values: readonly RecordValue[], type: Type, path: string): Type | null {
    let fitting: Type | null = type
    for (const value of values) {
      fitting = fitting === null ? null : this.#fit(value, fitting, path)
    }
    return fitting
  }

  #fitScalar(value: RecordValue, type: string, path: string): Type | null {
    if (!(convertScalar(value, type, this.#rules) instanceof Misfit)) return type as Type
    if (this.#rules.conflict === 'dead-letter') return null
    const wider = widerType(value, type)
    if (wider === null || convertScalar(value, wider, this.#rules) instanceof Misfit) return null
    this.#edits.push({ edit: 'widen', column: path, to: wider as Type })
    return wider as Type
  }
}

const DECIMAL_PRECISION_MAX = 38

/** The next type that the format lets a column of `type` become, as wide as `value` needs it; null when there is none. */
function widerType(value: RecordValue, type: string): string | null {
  if (type === 'int') return 'long'
  if (type === 'float') return 'double'
  const declared = decimalOf(type)
  if (declared === null) return null
  const text = value instanceof NumberText ? value.text : typeof value === 'string' ? value : ''
  const parts = exactNumber(text)
  if (parts === null || parts.scale > declared.scale) return null
  const digits = String(parts.digits).replace('-', '').length + declared.scale - parts.scale
  return digits > DECIMAL_PRECISION_MAX || digits <= declared.precision ? null : `decimal(${digits}, ${declared.scale})`
}

/** Fields at every depth. */
function countFields(fields: readonly NestedField[]): number {
  return fields.reduce((sum, { type }) => sum + 1 + countNested(type), 0)
}

function countNested(type: Type): number {
  if (typeof type === 'string') return 0
  switch (type.type) {
    case 'struct':
      return countFields(type.fields)
    case 'list':
      return countNested(type.element)
    case 'map':
      return countNested(type.value)
  }
}
