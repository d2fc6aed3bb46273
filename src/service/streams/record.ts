/**
 * A record's bytes → a JSON object in which every number is still its text, so that decimals and long integers stay exact.
 * What cannot be read is told with a code that is stable and a sentence. Pure.
 *
 * The built-in parser gives the values, and a scan over its text the numbers as they stand there, in the order of the text. The
 * values are walked in that order too, unless a name comes twice or looks like an index; then the parser's slow way with a
 * reviver tells each number's text.
 */
import { limits } from '../../base/limits.ts'

/** A number as it stood in the record. */
export class NumberText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type RecordValue = null | boolean | string | NumberText | RecordValue[] | RecordObject
export type RecordObject = { [name: string]: RecordValue }

/** Why a record is refused. Stable: producers and dead letters are grouped by it. */
export type RecordProblemCode =
  | 'RecordTooLarge'
  | 'InvalidEncoding'
  | 'InvalidJson'
  | 'NotAnObject'
  | 'MissingField'
  | 'WrongType'
  | 'UnknownField'
  | 'InvalidOperation'
  // Of transform functions: what they threw, how their worker ended, and what they answered.
  | 'TransformThrew'
  | 'TransformTimedOut'
  | 'TransformCrashed'
  | 'TransformFailed'
  | 'TransformFanOut'
  | 'TransformMissingRecord'
  | 'TransformInvalidResult'
  | 'TransformInvalidData'
  | 'TransformTooLarge'
  // Of sources: a Kafka message without a value that names no row, a row of a file, a whole file.
  | 'InvalidTombstone'
  | 'InvalidRow'
  | 'InvalidFile'
  // Of destinations, by functions or by routing.
  | 'Unroutable'
  | 'InvalidDestination'
  | 'DestinationNotAllowed'
  | 'TooManyDestinations'
  | 'DestinationRefused'
  | 'SchemaViolation'

export interface RecordProblem {
  code: RecordProblemCode
  message: string
  /** How often it was tried, where that is more than once. */
  tries?: number
}

export type Read = { ok: true; value: RecordObject } | { ok: false; problem: RecordProblem }

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function readRecord(data: Uint8Array): Read {
  if (data.length > limits.streamRecordBytesMax) {
    return bad('RecordTooLarge', `expected at most ${limits.streamRecordBytesMax} bytes, got ${data.length}`)
  }
  let text: string
  try {
    text = utf8.decode(data)
  } catch {
    return bad('InvalidEncoding', 'expected JSON in UTF-8, got bytes that are no UTF-8')
  }
  const tokens = scan(text, limits.streamDepthMax)
  if (tokens === null) return bad('InvalidJson', `expected values nested at most ${limits.streamDepthMax} deep`)
  let value: unknown
  try {
    value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !new NumberKeeper(tokens).keep(value)) value = parseSlowly(text)
  } catch (error) {
    return bad('InvalidJson', `expected one JSON object, got ${excerpt(text)} (${(error as Error).message})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad('NotAnObject', `expected a JSON object, got ${excerpt(text)}`)
  }
  return { ok: true, value: value as RecordObject }
}

function parseSlowly(text: string): unknown {
  return JSON.parse(text, ((_name: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value) as (
    this: unknown,
    key: string,
    value: unknown,
  ) => unknown)
}

interface Tokens {
  /** Colons outside of strings: members, those that come twice too. */
  members: number
  /** Texts of the numbers, in their order. */
  numbers: string[]
}

/**
 * What stands outside of strings, before anything is parsed: a record of brackets alone costs nothing. The text may be no
 * JSON, and then what is told of it means nothing. Null: nested deeper than `depthMax`.
 */
function scan(text: string, depthMax: number): Tokens | null {
  const numbers: string[] = []
  let members = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at)
    if (sign === 0x22) at = stringEnd(text, at)
    else if (sign === 0x3a) members++
    else if (sign === 0x7b || sign === 0x5b) {
      if (++depth > depthMax) return null
    } else if (sign === 0x7d || sign === 0x5d) depth--
    else if (sign === 0x2d || (sign >= 0x30 && sign <= 0x39)) {
      const from = at
      while (isNumberSign(text.charCodeAt(at + 1))) at++
      numbers.push(text.slice(from, at + 1))
    }
  }
  return { members, numbers }
}

/** Position of the quote that closes the string which opens at `at`, or of the text's end. */
function stringEnd(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    const sign = text.charCodeAt(end)
    if (sign === 0x22) return end
    if (sign === 0x5c) end++
  }
  return text.length
}

function isNumberSign(sign: number): boolean {
  return (
    (sign >= 0x30 && sign <= 0x39) || sign === 0x2e || sign === 0x2b || sign === 0x2d || sign === 0x65 || sign === 0x45
  )
}

/** Puts numbers' texts in the place of the numbers, as far as the order of the text is that of the values. */
class NumberKeeper {
  readonly #tokens: Tokens
  #members = 0
  #numbers = 0

  constructor(tokens: Tokens) {
    this.#tokens = tokens
  }

  /** False: the order is another one, and `value` is of no use any more. */
  keep(value: object): boolean {
    return this.#walk(value) && this.#members === this.#tokens.members && this.#numbers === this.#tokens.numbers.length
  }

  #walk(value: object): boolean {
    if (Array.isArray(value)) return this.#items(value as unknown[])
    const record = value as Record<string, unknown>
    for (const name of Object.keys(record)) {
      this.#members++
      const first = name.charCodeAt(0)
      // Names that look like an index come first in an object, wherever they stood.
      if (first >= 0x30 && first <= 0x39) return false
      const member = record[name]
      if (typeof member === 'number') {
        // An assignment would set the prototype.
        if (name === '__proto__') return false
        const text = this.#tokens.numbers[this.#numbers++]
        if (text === undefined) return false
        record[name] = new NumberText(text)
      } else if (typeof member === 'object' && member !== null && !this.#walk(member)) return false
    }
    return true
  }

  #items(items: unknown[]): boolean {
    for (let at = 0; at < items.length; at++) {
      const item = items[at]
      if (typeof item === 'number') {
        const text = this.#tokens.numbers[this.#numbers++]
        if (text === undefined) return false
        items[at] = new NumberText(text)
      } else if (typeof item === 'object' && item !== null && !this.#walk(item)) return false
    }
    return true
  }
}

function bad(code: RecordProblemCode, message: string): Read {
  return { ok: false, problem: { code, message } }
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/** JSON text of a value, its numbers as they stood in the record. */
export function recordText(value: RecordValue): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    member instanceof NumberText ? rawJson(member.text) : member,
  )
}

/** The beginning of a value as JSON writes it, for messages: text in quotes, and nothing else. */
export function excerpt(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 60 ? `${JSON.stringify(value.slice(0, 60))} …` : JSON.stringify(value)
  const text = show(value)
  return text.length > 60 ? `${text.slice(0, 60)} …` : text
}

function show(value: unknown): string {
  if (value instanceof NumberText) return value.text
  return (
    JSON.stringify(value, (_name, member: unknown) => (member instanceof NumberText ? rawJson(member.text) : member)) ??
    'nothing'
  )
}
