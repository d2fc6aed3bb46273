/**
 * What a transform function of contract `record` is called with and may return.
 *
 *     export default (record, context) => {
 *       if (record.event === 'ping') return context.drop()
 *       record.host = record.uri.split('/')[2]
 *       return record
 *     }
 */
import { messageOf } from '../../../base/fault.ts'
import { stringifyJson } from '../../../base/json.ts'
import { limits } from '../../../base/limits.ts'
import type { Answer, RecordFacts, Target } from './protocol.ts'
import { readTarget } from './target.ts'

/** A record or a part of it. Whole numbers beyond 2^53 come as bigint; decimals that a number rounds are written back as they came. */
export type TransformValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | TransformValue[]
  | { [name: string]: TransformValue }
export type TransformRecord = { [name: string]: TransformValue }

/** Where a record goes instead: absent members stay as they are. */
export interface TransformTarget {
  /** Database (namespace) of the table. */
  database?: string | undefined
  table?: string | undefined
  operation?: 'insert' | 'update' | 'delete' | undefined
}

/** Made by the methods of a context only. */
export type TransformResult = TransformRecord | Result

export interface TransformContext {
  readonly stream: string
  /** Arrival, ms since 1970. */
  readonly receivedMs: number
  /** Of the sender; null when it is not known. */
  readonly ip: string | null
  readonly userAgent: string | null
  /** Table that the record goes to, `database.table`. */
  readonly destination: string
  /** That the sender gave beside the record. */
  readonly operation: 'insert' | 'update' | 'delete' | null
  /** 1 at first; more after an invocation that failed. */
  readonly attempt: number
  /** The record as it came. */
  readonly bytes: Uint8Array
  readonly text: string
  /** The record, changed or (without `record`) as it came, to another destination or with another operation. */
  ok(record?: TransformRecord, target?: TransformTarget): Result
  /** The record is left out: no row, no dead letter. */
  drop(): Result
  /** The record becomes a dead letter with its bytes and this message. It is not tried again; to be tried again, throw. */
  fail(message: string): Result
}

export type TransformFunction = (record: never, context: TransformContext) => TransformResult | Promise<TransformResult>

class Result {
  readonly kind: 'ok' | 'dropped' | 'failed'
  readonly record: unknown
  readonly target: TransformTarget
  readonly message: string

  constructor(kind: Result['kind'], record: unknown, target: TransformTarget, message: string) {
    this.kind = kind
    this.record = record
    this.target = target
    this.message = message
  }
}

class Context implements TransformContext {
  readonly stream: string
  readonly receivedMs: number
  readonly ip: string | null
  readonly userAgent: string | null
  readonly destination: string
  readonly operation: 'insert' | 'update' | 'delete' | null
  readonly attempt: number
  readonly #bytes: Uint8Array

  constructor(stream: string, facts: RecordFacts, bytes: Uint8Array) {
    this.stream = stream
    this.receivedMs = facts.receivedMs
    this.ip = facts.ip
    this.userAgent = facts.userAgent
    this.destination = facts.destination
    this.operation = facts.operation
    this.attempt = facts.attempt
    this.#bytes = bytes
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice()
  }

  get text(): string {
    return new TextDecoder().decode(this.#bytes)
  }

  ok(record?: TransformRecord, target: TransformTarget = {}): Result {
    return new Result('ok', record, target, '')
  }

  drop(): Result {
    return new Result('dropped', undefined, {}, '')
  }

  fail(message: string): Result {
    return new Result('failed', undefined, {}, String(message))
  }
}

/** An answer with the bytes that it announces, if it does. */
export interface Answered {
  answer: Answer
  bytes: Uint8Array | null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

/** One record through a function; a promise only when the function gives one. */
export function runRecord(
  call: (record: unknown, context: TransformContext) => unknown,
  { stream, input }: { stream: string; input: 'json' | 'text' | 'bytes' },
  facts: RecordFacts,
  bytes: Uint8Array,
): Answered | Promise<Answered> {
  const exact = new Map<number, string>()
  let record: unknown
  try {
    record = input === 'bytes' ? bytes.slice() : input === 'text' ? utf8.decode(bytes) : parse(bytes, exact)
  } catch {
    return { answer: { as: 'unreadable' }, bytes: null }
  }
  try {
    const returned = call(record, new Context(stream, facts, bytes))
    if (!isThenable(returned)) return answerOf(returned, exact)
    return Promise.resolve(returned).then((value) => answerOf(value, exact), threw)
  } catch (error) {
    return threw(error)
  }
}

/** @throws when the bytes are no JSON object */
function parse(bytes: Uint8Array, exact: Map<number, string>): unknown {
  const text = utf8.decode(bytes)
  // Shorter numbers lose nothing.
  const value: unknown = /\d[\d.]{15}/.test(text) ? JSON.parse(text, exactly(exact)) : JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('no object')
  return value
}

function exactly(exact: Map<number, string>): (this: unknown, key: string, value: unknown) => unknown {
  const reviver = (_name: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source
    if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value)) return value
    if (/^-?\d+$/.test(source)) return BigInt(source)
    if (String(value) !== source) exact.set(value, source)
    return value
  }
  return reviver as (this: unknown, key: string, value: unknown) => unknown
}

function answerOf(returned: unknown, exact: ReadonlyMap<number, string>): Answered {
  try {
    return read(returned, exact)
  } catch (error) {
    return failed('TransformInvalidResult', `the result cannot be written as JSON: ${messageOf(error)}`)
  }
}

function read(returned: unknown, exact: ReadonlyMap<number, string>): Answered {
  if (!(returned instanceof Result)) return changed(returned, null, exact)
  switch (returned.kind) {
    case 'dropped':
      return { answer: { as: 'dropped' }, bytes: null }
    case 'failed':
      return failed('TransformFailed', returned.message)
    case 'ok': {
      const said = readTarget(returned.target)
      if (!said.ok) return failed(said.code, said.message)
      if (returned.record !== undefined) return changed(returned.record, said.to, exact)
      return { answer: { as: 'same', to: said.to }, bytes: null }
    }
  }
}

function changed(record: unknown, to: Target | null, exact: ReadonlyMap<number, string>): Answered {
  if (Array.isArray(record)) {
    return failed('TransformFanOut', `one record gives one result, got a list of ${record.length}`)
  }
  if (typeof record !== 'object' || record === null || record instanceof Map || record instanceof Set) {
    const hint = record === undefined ? ' (is a return missing?)' : ''
    return failed(
      'TransformInvalidResult',
      `expected the record, context.ok(), context.drop() or context.fail(), got ${record === null ? 'null' : typeof record}${hint}`,
    )
  }
  const text = write(record, exact)
  if (text?.[0] !== '{') return failed('TransformInvalidResult', 'expected a record that is an object in JSON')
  const bytes = Buffer.from(text)
  if (bytes.length > limits.streamRecordBytesMax) return tooLarge(bytes.length)
  return { answer: { as: 'changed', size: bytes.length, to }, bytes }
}

function write(record: object, exact: ReadonlyMap<number, string>): string | undefined {
  if (exact.size > 0) {
    return JSON.stringify(record, (_name, value: unknown) => {
      if (typeof value === 'bigint') return rawJson(String(value))
      const source = typeof value === 'number' ? exact.get(value) : undefined
      return source === undefined ? value : rawJson(source)
    })
  }
  try {
    return JSON.stringify(record)
  } catch {
    // Perhaps for a bigint; what has another cause is told by this one.
    return stringifyJson(record)
  }
}

export function tooLarge(bytes: number): Answered {
  return failed('TransformTooLarge', `expected a result of at most ${limits.streamRecordBytesMax} bytes, got ${bytes}`)
}

export function failed(code: Extract<Answer, { as: 'failed' }>['code'], message: string, again = false): Answered {
  return { answer: { as: 'failed', code, message: brief(message), again }, bytes: null }
}

function threw(error: unknown): Answered {
  return failed('TransformThrew', `the function threw: ${messageOf(error)}`, true)
}

/** A message of a function's own, as it may stand in a dead letter. */
export function brief(message: string): string {
  return message.toWellFormed().replaceAll('\0', '\ufffd').slice(0, limits.threadMessageMax)
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
