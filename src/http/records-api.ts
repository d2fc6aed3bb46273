/**
 * `POST /v1/streams/{name}/records`: records as lines, as a JSON array, or as CloudEvents. Lines may be as many as there are: they are
 * read, taken and answered for in parts (`taking.ts`); everything else is one request of bounded size.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Identity, Operation, Stream } from '../service/streams/streams.ts'
import { streamBody } from './body.ts'
import { type EventMode, type EventPiece, eventModeOf, eventPieces } from './cloudevents.ts'
import {
  type Context,
  committedBy,
  identityOf,
  type Named,
  senderOf,
  type WaitQuery,
  waitOf,
  withBody,
  withHold,
} from './context.ts'
import { takeEvents } from './event-taking.ts'
import { headerOf } from './gate.ts'
import { jsonPart, lineParts, linesOf, operationOf, type Part } from './pieces.ts'
import { type Result, type Taken, takeParts, takeWhole } from './taking.ts'

type BulkRequest = Named & { Querystring: WaitQuery & { operation?: string; event?: string } }

export function addRecordsApi(context: Context): void {
  const { app, gate, options } = context
  const write = { onRequest: gate.enter('write', 'stream') }
  app.post<BulkRequest>('/v1/streams/:name/records', write, async (request, reply) => {
    const stream = options.streams.get(request.params.name)
    const waitMs = waitOf(request.query, stream)
    const identity = identityOf(request)
    const taken = await take(context, request, stream, identity)
    return answer(reply, taken, await committedBy(stream, taken.end, waitMs))
  })
}

async function take(
  context: Context,
  request: FastifyRequest<BulkRequest>,
  stream: Stream,
  identity: Identity,
): Promise<Taken> {
  const sender = senderOf(context, request)
  const { query } = request
  const operation = operationOf(query.operation)
  const mode = eventModeOf(headerOf(request))
  const kind = mode === null ? bodyKind(request.headers['content-type']) : null
  if (kind === 'lines') {
    return withHold(context.inFlight, async (hold) => {
      // The line that is being read, beside the part that is being filled.
      const line = context.inFlight.hold()
      try {
        const length = request.headers['content-length']
        line.grow(Math.min(Number(length ?? Infinity), limits.streamRecordBytesMax))
        const parts = lineParts(streamBody(request.raw, context.times), Number(length ?? 0), hold, operation)
        return await takeParts(stream, parts, identity, sender, hold)
      } finally {
        line.release()
      }
    })
  }
  if (mode !== null) requireNoIdentity(identity)
  return withBody(context, request, async (body) => {
    if (mode !== null) {
      const events = eventsOf(body, mode, query.event ?? stream.definition.cloudEvents, request, operation)
      checkCount(events.length)
      return takeEvents(stream, events, sender)
    }
    const part = kind === 'form' ? formPart(body, operation) : jsonPart(body, operation)
    checkCount(part.records.length + part.refused.size)
    return takeWhole(stream, part, identity, sender)
  })
}

/** @throws Fault `limit` */
function checkCount(records: number): void {
  if (records > limits.streamRequestRecordsMax)
    throw new Fault(
      'limit',
      `a request has at most ${limits.streamRequestRecordsMax} records; send it in parts, or as lines`,
    )
}

function requireNoIdentity({ idempotencyKey, producer }: Identity): void {
  if (idempotencyKey !== undefined || producer !== undefined)
    throw new Fault(
      'invalid',
      'events have an identity of their own, source and id; leave out Idempotency-Key and Producer-Id',
    )
}

function eventsOf(
  body: Uint8Array,
  mode: EventMode,
  part: string,
  request: FastifyRequest,
  operation: Operation | undefined,
): EventPiece[] {
  if (part !== 'data' && part !== 'envelope')
    throw new Fault('invalid', `event: expected data or envelope, got "${part.slice(0, 40)}"`)
  return eventPieces(body, mode, part, request.headers).map(({ piece, key }) => ({
    piece: piece.kind === 'record' ? { ...piece, record: { ...piece.record, operation } } : piece,
    key,
  }))
}

const TYPES =
  'application/json, application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json, or an event with ce-… headers'

/** @throws Fault `unsupported` */
function bodyKind(contentType: string | undefined): 'lines' | 'json' | 'form' {
  const type = (contentType ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/json') return 'json'
  if (/^(application\/(x-)?ndjson|application\/(x-)?jsonl(ines)?|text\/plain)$/.test(type)) return 'lines'
  if (type === FORM) return 'form'
  throw new Fault('unsupported', `Content-Type: expected ${TYPES}, got "${type.slice(0, 80)}"`)
}

/** What curl says of every body that it is told nothing of. */
const FORM = 'application/x-www-form-urlencoded'

/**
 * A body that is called a form and is none: JSON, or lines of it. No form begins like either.
 * @throws Fault `unsupported`
 */
function formPart(body: Buffer, operation: Operation | undefined): Part {
  const text = body.toString('utf8').trimStart()
  if (text.startsWith('[') || isJson(text)) return jsonPart(body, operation)
  if (!text.startsWith('{'))
    throw new Fault(
      'unsupported',
      `Content-Type: expected ${TYPES}, got "${FORM}", and a body that begins neither like JSON nor like lines of it`,
    )
  return linesOf(body, operation)
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object'
  } catch {
    return false
  }
}

/** Counts, and every record in its order; of a request of several parts only those that are no rows. */
function answer(reply: FastifyReply, taken: Taken, committed: boolean | null): FastifyReply {
  const { counts, results, problems, problemsLeftOut, end } = taken
  const told =
    results === null
      ? `"problems":${JSON.stringify(problems.map(({ index, result }) => ({ index, ...shown(result) })))},"problemsLeftOut":${problemsLeftOut}`
      : `"results":[${resultsText(results)}]`
  const refused =
    counts.refused === 0
      ? []
      : [...(results ?? []), ...problems.map(({ result }) => result)].filter(({ kind }) => kind === 'refused')
  const counted = JSON.stringify({ ...counts, end, ...(committed === null ? {} : { committed }) })
  return reply
    .code(statusOf(counts.refused, refused, committed))
    .type('application/json; charset=utf-8')
    .send(`${counted.slice(0, -1)},${told}}`)
}

/** As one text: of thousands of records, most of it is the same again and again. */
function resultsText(results: readonly Result[]): string {
  let text = ''
  for (const result of results) {
    if (text !== '') text += ','
    text +=
      result.kind === 'accepted' ? `{"status":"accepted","offset":${result.offset}}` : JSON.stringify(shown(result))
  }
  return text
}

function shown({ kind, ...rest }: Result): object {
  return { status: kind, ...rest }
}

/** 409: an order is broken; 413, 400: records are none; 202: taken, but not committed in the time that was given. */
function statusOf(count: number, refused: readonly Result[], committed: boolean | null): number {
  const codes = new Set(refused.map((result) => (result.kind === 'refused' ? result.code : '')))
  if (codes.has('SequenceGap') || codes.has('ProducerFenced')) return 409
  if (codes.has('RecordTooLarge')) return 413
  if (count > 0) return 400
  return committed === false ? 202 : 200
}
