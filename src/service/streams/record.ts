/**
 * A record's bytes → a JSON object in which every number is still its text, so that decimals and long integers stay exact.
 * What cannot be read is told with a code that is stable and a sentence. Pure.
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
  // Of destinations, by functions or by routing.
  | 'Unroutable'
  | 'InvalidDestination'
  | 'DestinationNotAllowed'
  | 'TooManyDestinations'
  | 'DestinationRefused'

export interface RecordProblem {
  code: RecordProblemCode
  message: string
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
  if (deeperThan(text, limits.streamDepthMax)) {
    return bad('InvalidJson', `expected values nested at most ${limits.streamDepthMax} deep`)
  }
  let value: unknown
  try {
    value = JSON.parse(text, keepNumber as (this: unknown, key: string, value: unknown) => unknown)
  } catch (error) {
    return bad('InvalidJson', `expected one JSON object, got ${excerpt(text)} (${(error as Error).message})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof NumberText) {
    return bad('NotAnObject', `expected a JSON object, got ${excerpt(text)}`)
  }
  return { ok: true, value: value as RecordObject }
}

function keepNumber(_name: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' ? new NumberText(context?.source ?? String(value)) : value
}

/** Counted outside of strings, before anything is parsed: a record of brackets alone costs nothing. */
function deeperThan(text: string, depthMax: number): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (quoted) {
      if (sign === '\\') at++
      else if (sign === '"') quoted = false
    } else if (sign === '"') quoted = true
    else if (sign === '{' || sign === '[') {
      if (++depth > depthMax) return true
    } else if (sign === '}' || sign === ']') depth--
  }
  return false
}

function bad(code: RecordProblemCode, message: string): Read {
  return { ok: false, problem: { code, message } }
}

/** The beginning of a text or value, for messages. */
export function excerpt(value: unknown): string {
  const text = typeof value === 'string' ? value : show(value)
  return text.length > 60 ? `${JSON.stringify(text.slice(0, 60))} …` : JSON.stringify(text)
}

function show(value: unknown): string {
  if (value instanceof NumberText) return value.text
  return JSON.stringify(value, (_name, member: unknown) =>
    member instanceof NumberText ? Number(member.text) : member,
  )
}
