/**
 * A record → a row of its table: names match letter by letter, a value has its column's type or the record is refused, nothing is
 * rounded. The row is in the wire form of `change/table-change.ts`. Pure. What single values may be is in `scalar.ts`.
 *
 * With siblings, a value that does not fit its column goes into the column `<name>__<type>` beside it, if the table has one.
 */
import { unreachable } from '../../base/assert.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { NestedField, StructType, Type } from '../../iceberg/spec/table-metadata.ts'
import {
  excerpt,
  NumberText,
  type RecordObject,
  type RecordProblem,
  type RecordProblemCode,
  type RecordValue,
} from './record.ts'
import { convertScalar, Misfit, type ScalarRules } from './scalar.ts'
import { siblingOf } from './sibling.ts'

export interface ConvertOptions extends ScalarRules {
  /** Are members without a column an error, or left out? */
  unknown: 'refuse' | 'drop'
  /** Do values that do not fit go into sibling columns? Default: no, they are an error. */
  siblings?: boolean | undefined
}

export type Row = { [column: string]: Json }
export type Converted = { ok: true; row: Row } | { ok: false; problem: RecordProblem; all: readonly RecordProblem[] }

/** @param only columns to take (a delete names its key only); undefined: all of them */
export function convertRecord(
  record: RecordObject,
  schema: StructType,
  options: ConvertOptions,
  only?: ReadonlySet<string>,
): Converted {
  const fields = only === undefined ? schema.fields : schema.fields.filter((field) => only.has(field.name))
  const problems: RecordProblem[] = []
  const converter = new Converter(options, problems)
  const row = converter.members(record, fields, '')
  if (only === undefined) converter.refuseUnknown(record, schema.fields, '')
  const [first] = problems
  if (first === undefined) return { ok: true, row }
  return { ok: false, problem: { code: first.code, message: problemsText(problems) }, all: problems }
}

/** Several problems as one sentence, the first `streamProblemsMax` of them in full. */
export function problemsText(problems: readonly { message: string }[]): string {
  const told = problems.slice(0, limits.streamProblemsMax).map(({ message }) => message)
  const more = problems.length - told.length
  return `${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}

class Converter {
  readonly #options: ConvertOptions
  readonly #problems: RecordProblem[]

  constructor(options: ConvertOptions, problems: RecordProblem[]) {
    this.#options = options
    this.#problems = problems
  }

  members(record: RecordObject, fields: readonly NestedField[], path: string): Row {
    const row: Row = {}
    for (const field of fields) {
      const value = Object.hasOwn(record, field.name) ? record[field.name]! : null
      const where = path === '' ? field.name : `${path}.${field.name}`
      if (value !== null) this.#member(row, record, value, field, fields, where)
      else if (field.required) this.#fail('MissingField', `${where}: expected a value, got none`)
    }
    return row
  }

  #member(
    row: Row,
    record: RecordObject,
    value: RecordValue,
    field: NestedField,
    fields: readonly NestedField[],
    where: string,
  ): void {
    const before = this.#problems.length
    const wire = this.value(value, field.type, where)
    const problem = this.#problems[before]
    if (problem?.code === 'WrongType' && this.#options.siblings === true && !field.required) {
      const sibling = siblingOf(field.name, value)
      const taken = Object.hasOwn(record, sibling.name) && record[sibling.name] !== null
      if (!taken && fields.some(({ name, type }) => name === sibling.name && type === sibling.type)) {
        this.#problems.length = before
        put(row, sibling.name, this.value(sibling.value, sibling.type, `${where}__${sibling.suffix}`))
        return
      }
    }
    put(row, field.name, wire)
  }

  refuseUnknown(record: RecordObject, fields: readonly NestedField[], path: string): void {
    if (this.#options.unknown === 'drop') return
    const names = namesOf(fields)
    for (const name of Object.keys(record)) {
      // Of a member without a value nothing is lost.
      if (names.has(name) || record[name] === null) continue
      const near = fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
      const where = path === '' ? name : `${path}.${name}`
      const hint = near === undefined ? '' : `; there is "${near.name}", and names are case-sensitive`
      this.#fail('UnknownField', `${where}: the table has no such column${hint}`)
    }
  }

  value(value: RecordValue, type: Type, path: string): Json {
    if (typeof type === 'string') return this.#primitive(value, type, path)
    switch (type.type) {
      case 'list':
        if (!Array.isArray(value)) return this.#wrong(path, 'an array', value)
        return value.map((item, at) => this.#element(item, type.element, type['element-required'], `${path}[${at}]`))
      case 'map':
        if (!isObject(value)) return this.#wrong(path, 'an object', value)
        return Object.fromEntries(
          Object.entries(value).map(([key, item]) => [
            this.#primitive(key, 'string', path) as string,
            this.#element(item, type.value, type['value-required'], `${path}.${key}`),
          ]),
        )
      case 'struct':
        if (!isObject(value)) return this.#wrong(path, 'an object', value)
        this.refuseUnknown(value, type.fields, path)
        return this.members(value, type.fields, path)
      default:
        return unreachable(type)
    }
  }

  #element(value: RecordValue, type: Type, required: boolean, path: string): Json {
    if (value !== null) return this.value(value, type, path)
    if (required) this.#fail('MissingField', `${path}: expected a value, got none`)
    return null
  }

  #primitive(value: RecordValue, type: string, path: string): Json {
    const wire = convertScalar(value, type, this.#options)
    if (!(wire instanceof Misfit)) return wire
    this.#fail('WrongType', `${path}: ${wire.message}`)
    return null
  }

  #wrong(path: string, expected: string, value: RecordValue): null {
    this.#fail('WrongType', `${path}: expected ${expected}, got ${excerpt(value)}`)
    return null
  }

  #fail(code: RecordProblemCode, message: string): void {
    this.#problems.push({ code, message })
  }
}

const NAMES = new WeakMap<readonly NestedField[], ReadonlySet<string>>()

function namesOf(fields: readonly NestedField[]): ReadonlySet<string> {
  const known = NAMES.get(fields)
  if (known !== undefined) return known
  const names = new Set(fields.map(({ name }) => name))
  NAMES.set(fields, names)
  return names
}

/** An assignment to this one name would set the prototype. */
function put(row: Row, name: string, value: Json): void {
  if (name !== '__proto__') row[name] = value
  else Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
}

export function isObject(value: RecordValue): value is RecordObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof NumberText)
}
