/**
 * `POST /sql`: statements over the tables, read-only, in a session of their own; rows as they come, as JSON lines, JSON or CSV.
 *
 * A statement may wait for a record of a stream before it looks (`wait`), so that a program reads its own writes. As many statements
 * run at once as fit the machine; the others wait for their turn, and too many are sent away. When a statement fails after its first
 * rows went out, the connection is broken off: a result that ends in order is complete.
 */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { openSql } from '../app/sql.ts'
import { unreachable } from '../base/assert.ts'
import { inOurWords, problemTexts } from '../base/expected.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { formatCsv, formatJsonLines } from '../query/format.ts'
import type { Cell, Column, QuerySession, ResultStream } from '../query/query.ts'
import type { Streams } from '../service/streams/streams.ts'
import { type Context, timeoutMs, usualWaitMs, withBody } from './context.ts'
import { HttpProblem } from './status.ts'

const FORMATS = ['ndjson', 'json', 'csv'] as const
type Format = (typeof FORMATS)[number]

const TYPE: Record<Format, string> = {
  ndjson: 'application/x-ndjson',
  json: 'application/json',
  csv: 'text/csv; charset=utf-8; header=present',
}

const waitSchema = z.strictObject({
  stream: z.string(),
  /** Of a record, as an answer told it, or an answer's `end`. */
  offset: z.int().min(0),
})

const asked = z.strictObject({
  sql: z.string().min(1).max(limits.queryTextBytesMax),
  format: z.enum(FORMATS).optional(),
  /** More rows than this are an error, or with `cut` left out. */
  rowsMax: z.int().min(1).max(limits.queryRowsMax).optional(),
  cut: z.boolean().default(false),
  wait: z.union([waitSchema, z.array(waitSchema).max(limits.queryTablesMax)]).default([]),
  /** Seconds to wait for that. */
  timeout: z.number().min(0).optional(),
})
type Asked = z.output<typeof asked>

export function addSqlApi(context: Context): void {
  const { app, gate, options } = context
  const turns = new StatementTurns()
  app.post('/sql', { onRequest: gate.enter('read', 'all') }, async (request, reply) => {
    const ask = await withBody(context, request, parseAsk)
    const format = ask.format ?? formatFor(request.headers.accept)
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    await waitForWrites(options.streams, ask, gone.signal)
    const done = await turns.take(gone.signal)
    let session: QuerySession | null = null
    const end = async () => {
      done()
      await session?.close()
    }
    try {
      session = await openSql(options.reader)
      const result = await session.stream(ask.sql, {
        ...(ask.rowsMax === undefined ? {} : { rowsMax: ask.rowsMax }),
        overflow: ask.cut ? 'cut' : 'fault',
        signal: gone.signal,
      })
      return await send(reply, result, format, end)
    } catch (error) {
      await end()
      throw error
    }
  })
}

/** The first rows are there before the answer begins: most failures still have a status. */
async function send(
  reply: FastifyReply,
  result: ResultStream,
  format: Format,
  end: () => Promise<void>,
): Promise<FastifyReply> {
  const pages = result.pages[Symbol.asyncIterator]()
  const first = await pages.next()
  const text = async function* (): AsyncGenerator<string> {
    try {
      yield opening(format, result.columns)
      let before = false
      for (let page = first; page.done !== true; page = await pages.next()) {
        yield rowsText(format, result.columns, page.value, before)
        before ||= page.value.length > 0
      }
      yield closing(format, result.truncated())
    } finally {
      await pages.return?.()
      await end()
    }
  }
  return reply.header('content-type', TYPE[format]).send(Readable.from(text(), { objectMode: false }))
}

function opening(format: Format, columns: readonly Column[]): string {
  switch (format) {
    case 'ndjson':
      return ''
    case 'csv':
      return formatCsv({ columns, rows: [] })
    case 'json':
      return `{"columns":${JSON.stringify(columns)},"rows":[`
    default:
      return unreachable(format)
  }
}

function rowsText(format: Format, columns: readonly Column[], rows: readonly Cell[][], before: boolean): string {
  switch (format) {
    case 'ndjson':
      return formatJsonLines({ columns, rows })
    case 'csv':
      return formatCsv({ columns, rows }).slice(formatCsv({ columns, rows: [] }).length)
    case 'json': {
      const lines = formatJsonLines({ columns, rows }).trimEnd().replaceAll('\n', ',')
      return before && lines !== '' ? `,${lines}` : lines
    }
    default:
      return unreachable(format)
  }
}

function closing(format: Format, truncated: boolean): string {
  return format === 'json' ? `],"truncated":${truncated}}\n` : ''
}

/** A JSON document, which no statement looks like, or the statements themselves. @throws Fault `invalid` */
function parseAsk(body: Buffer): Asked {
  const text = body.toString('utf8')
  if (text.trim() === '')
    throw new Fault('invalid', 'the body is empty: expected a statement as text, e.g. SELECT 1, or {"sql": text, …}')
  const input = text.trimStart().startsWith('{') ? json(text) : { sql: text }
  const result = asked.safeParse(input, inOurWords)
  if (result.success) return result.data
  const problems = result.error.issues.flatMap((issue) => problemTexts(issue))
  throw new Fault('invalid', `expected {"sql": text, …}: ${problems.join('; ')}`)
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Fault('invalid', `the body: expected JSON (${(error as Error).message})`)
  }
}

function formatFor(accept: FastifyRequest['headers']['accept']): Format {
  if (accept?.includes('text/csv') === true) return 'csv'
  return accept?.includes('application/json') === true ? 'json' : 'ndjson'
}

/** @throws Fault `not-found`, `invalid` (no such offset yet), `unavailable` (not committed in time) */
async function waitForWrites(streams: Streams, ask: Asked, signal: AbortSignal): Promise<void> {
  for (const { stream: name, offset } of Array.isArray(ask.wait) ? ask.wait : [ask.wait]) {
    const stream = streams.get(name)
    const { end } = stream.offsets
    if (offset > end)
      throw new Fault('invalid', `wait: stream ${name} ends at offset ${end}, and has none of ${offset} yet`)
    const waitMs = ask.timeout === undefined ? usualWaitMs(stream) : timeoutMs(String(ask.timeout))
    const late = AbortSignal.timeout(waitMs)
    try {
      // The record itself has to be in; of an answer's `end` there may be none yet.
      await stream.whenCommitted(Math.min(offset + 1, end), AbortSignal.any([signal, late]))
    } catch (error) {
      if (!late.aborted) throw error
      throw new Fault(
        'unavailable',
        `stream ${name}: offset ${offset} was not committed within ${waitMs} ms; ask again, or with a longer timeout`,
        { stream: name, offset },
      )
    }
  }
}

/** So many statements run at once, so many wait. */
class StatementTurns {
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** @returns to be called when the statement is done. @throws HttpProblem 503 when too many wait */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.#running >= limits.httpStatementsMax) {
      if (this.#waiting.length >= limits.httpStatementsWaiting)
        throw new Fault('unavailable', `${this.#waiting.length} statements wait for their turn; ask again later`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running += 1
    let done = false
    const end = () => {
      if (done) return
      done = true
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
    if (signal.aborted) {
      end()
      throw new HttpProblem(503, 'cancelled', 'the caller has gone')
    }
    return end
  }
}
