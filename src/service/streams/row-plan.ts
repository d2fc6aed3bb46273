/**
 * Column types → readers over a record's bytes (`row-scan.ts`), made once per schema. A value in wire form is passed over; one
 * that becomes it by conversion alone is noted as a patch; anything else is `NO`.
 */
import type { NestedField, Type } from '../../iceberg/spec/table-metadata.ts'
import { NumberText, type RecordValue } from './record.ts'
import {
  anything,
  boolean,
  date,
  decimal,
  double,
  gap,
  int,
  long,
  NO,
  nothing,
  number,
  type ReadValue,
  type RowScan,
  string,
  time,
  timestamp,
  uuid,
} from './row-scan.ts'
import { convertScalar, decimalOf, Misfit, type ScalarRules } from './scalar.ts'

export interface PlanRules extends ScalarRules {
  unknown: 'refuse' | 'drop'
  /** Deepest nesting of a record; 1 is a record without nested values. */
  depthMax: number
}

/**
 * Reads a record's members. At the top, the member `operationField` is not a column: its text is noted in the scan.
 * A name that comes twice, an unknown one with a value, and a required one without are `NO`.
 */
export function planMembers(
  fields: readonly NestedField[],
  rules: PlanRules,
  depth: number,
  operationField?: string,
): ReadValue {
  if (depth > rules.depthMax) return () => NO
  const columns = fields.filter(({ name }) => name !== operationField)
  const names = columns.map(({ name }) => Buffer.from(JSON.stringify(name)))
  const byName = new Map(names.map((name, at) => [name.toString('latin1'), at]))
  const readers = columns.map(({ type }) => planValue(type, rules, depth))
  const required = columns.map((column) => column.required)
  const requiredCount = columns.filter((column) => column.required).length
  const operation = operationField === undefined ? '' : Buffer.from(JSON.stringify(operationField)).toString('latin1')
  const members = new Members(names, byName)

  return (scan, from) => {
    const { bytes } = scan
    if (bytes[from] !== 0x7b) return NO
    members.begin()
    let missing = requiredCount
    let at = gap(scan, from + 1)
    if (bytes[at] === 0x7d) return missing === 0 ? at + 1 : NO
    for (;;) {
      const nameAt = at
      const column = members.find(bytes, at)
      at = column >= 0 ? at + names[column]!.length : string(scan, at)
      if (at === NO) return NO
      const nameEnd = at
      if (bytes[at] !== 0x3a) at = gap(scan, at)
      if (bytes[at] !== 0x3a) return NO
      at = gap(scan, at + 1)
      if (column >= 0) {
        if (!members.take(column)) return NO
        if (bytes[at] === 0x6e) {
          if (required[column]!) return NO
          at = nothing(scan, at)
        } else {
          at = readers[column]!(scan, at)
          if (required[column]!) missing--
        }
      } else {
        const isOperation = operation !== '' && bytes.toString('latin1', nameAt, nameEnd) === operation
        at = readOther(scan, nameAt, nameEnd, at, isOperation, rules, depth)
      }
      if (at === NO) return NO
      if (bytes[at] !== 0x2c) at = gap(scan, at)
      if (bytes[at] === 0x7d) return missing === 0 ? at + 1 : NO
      if (bytes[at] !== 0x2c) return NO
      at = gap(scan, at + 1)
    }
  }
}

/**
 * Which columns an object has had, and which is likely to come next: producers send their members in one order. One object is
 * read at a time, so one of these serves all.
 */
class Members {
  readonly #names: readonly Buffer[]
  readonly #byName: ReadonlyMap<string, number>
  /** Column → the one that followed it last time; the last place is for the first of an object. */
  readonly #next: Int32Array
  /** Number of the object that had the column last. */
  readonly #taken: Uint32Array
  #object = 0
  #last: number

  constructor(names: readonly Buffer[], byName: ReadonlyMap<string, number>) {
    this.#names = names
    this.#byName = byName
    this.#next = Int32Array.from({ length: names.length + 1 }, (_, at) => (at === names.length ? 0 : at + 1))
    this.#taken = new Uint32Array(names.length)
    this.#last = names.length
  }

  begin(): void {
    this.#last = this.#names.length
    if (++this.#object < 0xffff_ffff) return
    this.#object = 1
    this.#taken.fill(0)
  }

  /** The column whose name begins at `at`; NO when it has another. */
  find(bytes: Buffer, at: number): number {
    const likely = this.#next[this.#last]!
    if (likely < this.#names.length && startsWith(bytes, at, this.#names[likely]!)) {
      this.#last = likely
      return likely
    }
    const end = bytes[at] === 0x22 ? bytes.indexOf(0x22, at + 1) : NO
    const column = end === NO ? undefined : this.#byName.get(bytes.toString('latin1', at, end + 1))
    if (column === undefined) return NO
    this.#next[this.#last] = column
    this.#last = column
    return column
  }

  /** False when the object has had it. */
  take(column: number): boolean {
    if (this.#taken[column] === this.#object) return false
    this.#taken[column] = this.#object
    return true
  }
}

function startsWith(bytes: Buffer, at: number, name: Buffer): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false
  return true
}

/** A member that is no column: without a value it may stay, else it is left out if the stream drops such. */
function readOther(
  scan: RowScan,
  nameAt: number,
  nameEnd: number,
  at: number,
  isOperation: boolean,
  rules: PlanRules,
  depth: number,
): number {
  const { bytes } = scan
  // An escaped name may be that of a column.
  for (let i = nameAt; i < nameEnd; i++) if (bytes[i] === 0x5c) return NO
  if (bytes[at] === 0x6e) {
    if (isOperation) scan.operation = undefined
    return nothing(scan, at)
  }
  if (isOperation) {
    const end = string(scan, at)
    if (end === NO) return NO
    scan.operation = JSON.parse(bytes.toString('utf8', at, end)) as string
    scan.patches.push({ from: at, end, text: 'null' })
    return end
  }
  if (rules.unknown === 'refuse') return NO
  const end = anything(scan, at, rules.depthMax - depth)
  if (end !== NO) scan.patches.push({ from: at, end, text: 'null' })
  return end
}

function planValue(type: Type, rules: PlanRules, depth: number): ReadValue {
  if (typeof type === 'string') return planScalar(type, rules)
  switch (type.type) {
    case 'list':
      return planList(planValue(type.element, rules, depth + 1), type['element-required'], depth + 1 > rules.depthMax)
    case 'struct':
      return planMembers(type.fields, rules, depth + 1)
    case 'map':
      return planMap(planValue(type.value, rules, depth + 1), type['value-required'], depth + 1 > rules.depthMax)
  }
}

function planList(element: ReadValue, required: boolean, tooDeep: boolean): ReadValue {
  return (scan, from) => {
    const { bytes } = scan
    if (bytes[from] !== 0x5b || tooDeep) return NO
    let at = gap(scan, from + 1)
    if (bytes[at] === 0x5d) return at + 1
    for (;;) {
      if (bytes[at] !== 0x6e) at = element(scan, at)
      else at = required ? NO : nothing(scan, at)
      if (at === NO) return NO
      at = gap(scan, at)
      if (bytes[at] === 0x5d) return at + 1
      if (bytes[at] !== 0x2c) return NO
      at = gap(scan, at + 1)
    }
  }
}

function planMap(value: ReadValue, required: boolean, tooDeep: boolean): ReadValue {
  return (scan, from) => {
    const { bytes } = scan
    if (bytes[from] !== 0x7b || tooDeep) return NO
    const keys = new Set<string>()
    let at = gap(scan, from + 1)
    if (bytes[at] === 0x7d) return at + 1
    for (;;) {
      const end = string(scan, at)
      if (end === NO) return NO
      const key = bytes.toString('latin1', at, end)
      // An escaped key may be one that was there.
      if (keys.has(key) || key.includes('\\')) return NO
      keys.add(key)
      at = gap(scan, end)
      if (bytes[at] !== 0x3a) return NO
      at = gap(scan, at + 1)
      if (bytes[at] !== 0x6e) at = value(scan, at)
      else at = required ? NO : nothing(scan, at)
      if (at === NO) return NO
      at = gap(scan, at)
      if (bytes[at] === 0x7d) return at + 1
      if (bytes[at] !== 0x2c) return NO
      at = gap(scan, at + 1)
    }
  }
}

function planScalar(type: string, rules: ScalarRules): ReadValue {
  const inWireForm = wireReader(type, rules)
  return (scan, from) => {
    const end = inWireForm(scan, from)
    return end === NO ? convertToPatch(scan, from, type, rules) : end
  }
}

/** The reader of what travels as it stands; one that takes nothing where conversion always decides. */
function wireReader(type: string, { dateFormats = [] }: ScalarRules): ReadValue {
  // A text may be a date in two ways, and the configured ones come first.
  const formatted = dateFormats.length > 0
  switch (type) {
    case 'boolean':
      return boolean
    case 'string':
      return string
    case 'int':
      return int
    case 'long':
      return long
    case 'float':
    case 'double':
      return double
    case 'date':
      return formatted ? () => NO : date
    case 'time':
      return time
    case 'timestamp':
      return formatted ? () => NO : timestamp('optional')
    case 'timestamptz':
      return formatted ? () => NO : timestamp('required')
    case 'uuid':
      return uuid
    default: {
      const declared = decimalOf(type)
      return declared === null ? () => NO : decimal(declared.precision, declared.scale)
    }
  }
}

/** One value by the exact conversion, as a patch. What it refuses is `NO`, and told by the exact way. */
function convertToPatch(scan: RowScan, from: number, type: string, rules: ScalarRules): number {
  const { bytes } = scan
  let end: number
  let value: RecordValue
  switch (bytes[from]) {
    case 0x22:
      end = string(scan, from)
      if (end === NO) return NO
      value = JSON.parse(bytes.toString('utf8', from, end)) as string
      break
    case 0x74:
    case 0x66:
      end = boolean(scan, from)
      value = bytes[from] === 0x74
      break
    default:
      end = number(scan, from)
      if (end === NO) return NO
      value = new NumberText(bytes.toString('latin1', from, end))
  }
  if (end === NO) return NO
  const wire = convertScalar(value, type, rules)
  if (wire instanceof Misfit) return NO
  scan.patches.push({ from, end, text: typeof wire === 'string' ? JSON.stringify(wire) : String(wire) })
  return end
}
