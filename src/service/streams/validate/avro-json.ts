/**
 * A JSON record against an Avro schema. Pure.
 *
 * Records are taken as programs write them: a member of a union stands for itself (`"x"`), or as Avro's JSON encoding has it
 * (`{"string": "x"}`); a member that has a default or may be null may be left out. What is counted since 1970 by a logical type
 * becomes the text of that time, so that the unit is the schema's and no guess; bytes (code points up to 255) become base64.
 */
import { limits } from '../../../base/limits.ts'
import { isObject } from '../convert.ts'
import { excerpt, NumberText, type RecordObject, type RecordValue } from '../record.ts'
import { convertScalar, exactNumber, Misfit } from '../scalar.ts'
import { type AvroType, avroName } from './avro-schema.ts'
import { timeText } from './avro-value.ts'
import type { SchemaProblem } from './json-schema.ts'

export interface AvroChecked {
  problems: SchemaProblem[]
  /** The record with its logical types as text; the same object when nothing was to be changed. */
  value: RecordObject
}

/**
 * @param except a member that is not of the schema: the stream's operation
 * @param bytes how long the record is: the longer it is, the more steps its check may take
 */
export function checkAvroJson(
  record: RecordObject,
  type: AvroType,
  except: string | undefined,
  bytes: number,
): AvroChecked {
  const stepsMax = Math.min(limits.streamSchemaStepsMax, 1_000 + 20 * bytes)
  const checker = new Checker(stepsMax)
  const { value, rest } = without(record, except)
  try {
    const checked = checker.value(value, type, '') as RecordObject
    return { problems: checker.problems, value: checked === value ? record : { ...checked, ...rest } }
  } catch (error) {
    if (!(error instanceof TooManySteps)) throw error
    const message = `checking it takes more than ${stepsMax} steps`
    return { problems: [{ path: '', message }], value: record }
  }
}

function without(record: RecordObject, name: string | undefined): { value: RecordObject; rest: RecordObject } {
  if (name === undefined || !Object.hasOwn(record, name)) return { value: record, rest: {} }
  const { [name]: taken, ...value } = record
  return { value, rest: { [name]: taken! } }
}

class TooManySteps extends Error {}

class Checker {
  problems: SchemaProblem[] = []
  /** Unions of records that refer to each other could try every combination. */
  readonly #stepsMax: number
  #steps = 0

  constructor(stepsMax: number) {
    this.#stepsMax = stepsMax
  }

  value(value: RecordValue, type: AvroType, path: string): RecordValue {
    if (++this.#steps > this.#stepsMax) throw new TooManySteps()
    switch (type.kind) {
      case 'union':
        return this.#union(value, type, path)
      case 'null':
        return value === null ? value : this.#wrong(path, 'null', value)
      case 'boolean':
        return typeof value === 'boolean' ? value : this.#wrong(path, 'true or false', value)
      case 'int':
      case 'long':
      case 'float':
      case 'double':
      case 'string':
        return this.#scalar(value, type.kind, path)
      case 'uuid':
        return this.#scalar(value, 'uuid', path)
      case 'decimal':
        return this.#scalar(value, `decimal(${type.precision}, ${type.scale})`, path)
      case 'time':
        return this.#time(value, type, path)
      case 'bytes':
        return this.#bytes(value, 0, path)
      case 'fixed':
        return this.#bytes(value, type.size, path)
      case 'enum':
        return typeof value === 'string' && type.symbols.includes(value)
          ? value
          : this.#wrong(path, `one of ${type.symbols.join(', ').slice(0, 200)}`, value)
      case 'array':
        return this.#array(value, type.items, path)
      case 'map':
        return isObject(value)
          ? this.#members(value, Object.keys(value), () => type.values, path)
          : this.#wrong(path, 'an object', value)
      case 'record':
        return this.#record(value, type, path)
    }
  }

  #scalar(value: RecordValue, type: string, path: string): RecordValue {
    const wire = value === null ? new Misfit(`expected ${type}, got null`) : convertScalar(value, type, {})
    if (wire instanceof Misfit) this.#fail(path, wire.message)
    return value
  }

  #time(value: RecordValue, type: Extract<AvroType, { kind: 'time' }>, path: string): RecordValue {
    const parts = value instanceof NumberText ? exactNumber(value.text) : null
    if (parts === null || parts.scale > 0) return this.#wrong(path, `a whole number (${type.of})`, value)
    const text = timeText(parts.digits * 10n ** BigInt(-parts.scale), type)
    return text ?? this.#wrong(path, `a ${type.of} between the years 1 and 9999`, value)
  }

  #bytes(value: RecordValue, size: number, path: string): RecordValue {
    const fits = typeof value === 'string' && /^[\u0000-\u00ff]*$/.test(value) && (size === 0 || value.length === size)
    if (fits) return Buffer.from(value, 'latin1').toString('base64')
    return this.#wrong(
      path,
      size === 0 ? 'bytes, as characters up to U+00FF' : `${size} characters up to U+00FF`,
      value,
    )
  }

  #array(value: RecordValue, items: AvroType, path: string): RecordValue {
    if (!Array.isArray(value)) return this.#wrong(path, 'an array', value)
    const checked = value.map((item, at) => this.value(item, items, `${path}[${at}]`))
    return checked.some((item, at) => item !== value[at]) ? checked : value
  }

  #record(value: RecordValue, { fields }: Extract<AvroType, { kind: 'record' }>, path: string): RecordValue {
    if (!isObject(value)) return this.#wrong(path, 'an object', value)
    for (const name of Object.keys(value)) {
      if (!fields.some((field) => field.name === name)) this.#fail(join(path, name), 'the schema has no such field')
    }
    const there: string[] = []
    for (const { name, type, optional } of fields) {
      if (Object.hasOwn(value, name)) there.push(name)
      else if (!optional && !allowsNull(type)) this.#fail(join(path, name), `expected ${avroName(type)}, got none`)
    }
    return this.#members(value, there, (name) => fields.find((field) => field.name === name)!.type, path)
  }

  #members(
    value: RecordObject,
    names: readonly string[],
    typeOf: (name: string) => AvroType,
    path: string,
  ): RecordValue {
    const changed: [string, RecordValue][] = []
    for (const name of names) {
      const member = this.value(value[name]!, typeOf(name), join(path, name))
      if (member !== value[name]) changed.push([name, member])
    }
    return changed.length === 0 ? value : { ...value, ...Object.fromEntries(changed) }
  }

  #union(value: RecordValue, { branches }: Extract<AvroType, { kind: 'union' }>, path: string): RecordValue {
    const [only, more] = isObject(value) ? Object.keys(value) : []
    const tagged = more === undefined ? branches.find(({ name }) => name === only) : undefined
    if (tagged !== undefined && isObject(value)) {
      const inner = this.#attempt(() => this.value(value[only!]!, tagged.type, path))
      if (inner !== null) return inner.value
    }
    for (const { type } of branches) {
      const taken = this.#attempt(() => this.value(value, type, path))
      if (taken !== null) return taken.value
    }
    // With one branch beside null, its own problems say more.
    const [single, another] = branches.filter(({ type }) => type.kind !== 'null')
    if (single !== undefined && another === undefined && value !== null) return this.value(value, single.type, path)
    return this.#wrong(path, branches.map(({ name }) => name).join(' or '), value)
  }

  /** Null when there were problems, which are forgotten. */
  #attempt(check: () => RecordValue): { value: RecordValue } | null {
    const before = this.problems
    this.problems = []
    const value = check()
    const fits = this.problems.length === 0
    this.problems = before
    return fits ? { value } : null
  }

  #wrong(path: string, expected: string, value: RecordValue): RecordValue {
    this.#fail(path, `expected ${expected}, got ${excerpt(value)}`)
    return value
  }

  #fail(path: string, message: string): void {
    this.problems.push({ path, message })
  }
}

function allowsNull(type: AvroType): boolean {
  return type.kind === 'null' || (type.kind === 'union' && type.branches.some((branch) => branch.type.kind === 'null'))
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
