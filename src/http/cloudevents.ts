/**
 * CloudEvents 1.0 over HTTP: structured (`application/cloudevents+json`), batched (`application/cloudevents-batch+json`) and binary
 * (`ce-…` headers) content modes. https://github.com/cloudevents/spec, "JSON event format" and "HTTP protocol binding".
 *
 * Two events of one source and one id are the same event: the second is a repetition, in whatever request it comes.
 */
import { createHash } from 'node:crypto'
import { Fault } from '../base/fault.ts'
import { elementsOf, membersOf, recordBytes, type Slice, textOf } from './json-slices.ts'
import type { Piece } from './pieces.ts'
import { pieceOf } from './pieces.ts'

/** What becomes the record: the event's data, or the event with its attributes and `data` within. */
export type EventPart = 'data' | 'envelope'

/** An event as a record, and what it is recognised by; null: it is none. */
export interface EventPiece {
  piece: Piece
  key: string | null
}

export type EventMode = 'structured' | 'batched' | 'binary'

type Header = (name: string) => string | undefined

/** How the events of a request come; null: it has none. */
export function eventModeOf(header: Header): EventMode | null {
  const type = (header('content-type') ?? '').split(';')[0]?.trim().toLowerCase()
  if (type === 'application/cloudevents-batch+json') return 'batched'
  if (type === 'application/cloudevents+json') return 'structured'
  if (type?.startsWith('application/cloudevents') === true)
    throw new Fault('unsupported', `Content-Type: events are taken as JSON, got "${type.slice(0, 80)}"`)
  return header('ce-specversion') === undefined ? null : 'binary'
}

/**
 * The events of a body. An event that breaks the specification is refused by itself.
 * @throws Fault `invalid` when the body is no event, or no array of them
 */
export function eventPieces(
  body: Uint8Array,
  mode: EventMode,
  part: EventPart,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): EventPiece[] {
  switch (mode) {
    case 'binary':
      return [binaryEvent(body, part, headers)]
    case 'structured': {
      const event = jsonEvent(body, { from: 0, end: body.length }, part, 'the event')
      const { piece } = event
      if (piece.kind === 'refused' && piece.code === 'MalformedRecord') throw new Fault('invalid', piece.message)
      return [event]
    }
    case 'batched': {
      const elements = elementsOf(body)
      if (elements === null) throw new Fault('invalid', 'the body: expected a JSON array of events')
      return elements.map((element, at) => jsonEvent(body, element, part, `event ${at}`))
    }
  }
}

function jsonEvent(body: Uint8Array, within: Slice, part: EventPart, where: string): EventPiece {
  const members = membersOf(body, within)
  if (members === null) return refused(`${where}: expected a JSON object`)
  const attribute = (name: string): string => {
    const slice = members.get(name)
    return (slice === undefined ? null : textOf(body, slice)) ?? ''
  }
  const wrong = problemOf(attribute)
  if (wrong !== null) return refused(`${where}: ${wrong}`)
  const key = keyOf(attribute('source'), attribute('id'))
  if (part === 'envelope') return { piece: pieceOf({ data: body.subarray(within.from, within.end) }), key }
  const data = members.get('data')
  const base64 = members.get('data_base64')
  if (data !== undefined) return { piece: pieceOf({ data: recordBytes(body, data) }), key }
  const text = base64 === undefined ? null : textOf(body, base64)
  if (text === null) return refused(`${where}: expected data or data_base64; there is nothing to make a row of`)
  return { piece: pieceOf({ data: Buffer.from(text, 'base64') }), key }
}

function binaryEvent(
  body: Uint8Array,
  part: EventPart,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): EventPiece {
  const attributes = new Map<string, string>()
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('ce-') && typeof value === 'string') attributes.set(name.slice(3), percentDecoded(value))
  }
  const attribute = (name: string): string => attributes.get(name) ?? ''
  const wrong = problemOf(attribute)
  if (wrong !== null) throw new Fault('invalid', `the headers: ${wrong}`)
  const key = keyOf(attribute('source'), attribute('id'))
  if (part === 'data') return { piece: pieceOf({ data: body }), key }
  const type = headers['content-type']
  const members = [...attributes].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  if (typeof type === 'string') members.push(`"datacontenttype":${JSON.stringify(type)}`)
  if (body.length > 0) members.push(dataMember(body, typeof type === 'string' ? type : 'application/json'))
  return { piece: pieceOf({ data: Buffer.from(`{${members.join(',')}}`) }), key }
}

function dataMember(body: Uint8Array, type: string): string {
  const text = Buffer.from(body).toString('utf8')
  if (/^[^;]*[/+]json\b/i.test(type)) {
    try {
      JSON.parse(text)
      return `"data":${text}`
    } catch {
      // As text, so that the event is kept with what was sent.
    }
  }
  return /^text\/|[/+]json\b/i.test(type)
    ? `"data":${JSON.stringify(text)}`
    : `"data_base64":"${Buffer.from(body).toString('base64')}"`
}

function problemOf(attribute: (name: string) => string): string | null {
  if (!/^1\.\d+$/.test(attribute('specversion'))) return 'expected specversion 1.0'
  const missing = ['id', 'source', 'type'].filter((name) => attribute(name) === '')
  return missing.length === 0 ? null : `expected ${missing.join(', ')} as text that is not empty`
}

function keyOf(source: string, id: string): string {
  return `event-${createHash('sha256').update(`${source}\n${id}`).digest('hex')}`
}

function refused(message: string): EventPiece {
  return { piece: { kind: 'refused', code: 'MalformedRecord', message }, key: null }
}

/** Header values carry what is no visible ASCII as `%` and two hex digits. */
function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
