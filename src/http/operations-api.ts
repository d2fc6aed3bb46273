/**
 * What operators ask of streams while they live: hold commits back and let them go, commit now, other settings, what comes in; and dead
 * letters sent again, and content rows made anew.
 */
import { z } from 'zod'
import { inOurWords, problemTexts } from '../base/expected.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { readTableChange } from '../change/table-change.ts'
import type { Stream } from '../service/streams/streams.ts'
import { type Context, type Named, withBody } from './context.ts'
import { jsonOf, statusOf } from './streams-api.ts'

type EntriesRequest = Named & { Querystring: { from?: string; limit?: string; timeout?: string } }

const replayAsked = z.strictObject({
  ids: z.array(z.string()).max(1_000).optional(),
  stage: z.string().optional(),
  stream: z.string().optional(),
  after: z.string().max(400).optional(),
})

const reextractAsked = z.strictObject({
  where: z
    .string()
    .max(limits.queryTextBytesMax / 4)
    .optional(),
  extractor: z.string().max(64).optional(),
  dryRun: z.boolean().optional(),
  restart: z.boolean().optional(),
})

export function addOperationsApi(context: Context): void {
  const { app, gate, options } = context
  const { streams } = options
  const admin = { onRequest: gate.enter('admin', 'stream') }
  for (const [name, work] of Object.entries({
    pause: (stream: string) => streams.pause(stream),
    resume: (stream: string) => streams.resume(stream),
    drain: (stream: string) => streams.drain(stream),
  })) {
    app.post<Named>(`/v1/streams/:name/${name}`, admin, async ({ params }) => {
      await work(params.name)
      return statusOf(streams.get(params.name))
    })
  }
  app.post<Named>('/v1/streams/:name/update', admin, async (request) =>
    withBody(context, request, async (body) => statusOf(await streams.update(request.params.name, jsonOf(body)))),
  )
  app.get<EntriesRequest>(
    '/v1/streams/:name/entries',
    { onRequest: gate.enter('read', 'stream') },
    async ({ params, query }, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      return entriesOf(streams.get(params.name), query, gone.signal)
    },
  )
  app.post('/v1/deadletters/replay', { onRequest: gate.enter('admin', 'all') }, async (request) =>
    withBody(context, request, async (body) => {
      const asked = replayAsked.safeParse(body.length === 0 ? {} : jsonOf(body), inOurWords)
      if (asked.success) return options.replay(asked.data)
      const problems = asked.error.issues.flatMap((issue) => problemTexts(issue))
      throw new Fault('invalid', `expected {"ids", "stage", "stream", "after"}, each or none: ${problems.join('; ')}`)
    }),
  )
  app.post('/v1/reextract', { onRequest: gate.enter('admin', 'all') }, async (request) =>
    withBody(context, request, async (body) => {
      const asked = reextractAsked.safeParse(body.length === 0 ? {} : jsonOf(body), inOurWords)
      if (asked.success) return options.reextract(asked.data)
      const problems = asked.error.issues.flatMap((issue) => problemTexts(issue))
      throw new Fault(
        'invalid',
        `expected {"where", "extractor", "dryRun", "restart"}, each or none: ${problems.join('; ')}`,
      )
    }),
  )
}

/** What the log holds from an offset on: it forgets what is committed, a while after. Waits for something to come. */
async function entriesOf(stream: Stream, query: EntriesRequest['Querystring'], signal: AbortSignal): Promise<object> {
  const { log } = stream.parts
  const from = query.from === undefined || query.from === 'end' ? log.end : numberOf('from', query.from, log.end)
  const limit = numberOf('limit', query.limit ?? String(limits.httpEntriesMax), limits.httpEntriesMax)
  const waitMs = numberOf('timeout', query.timeout ?? '0', limits.httpEntriesWaitMs / 1000) * 1000
  if (from >= log.end && waitMs > 0) {
    const late = AbortSignal.timeout(waitMs)
    await log.waitFor(from, AbortSignal.any([signal, late])).catch((error: unknown) => {
      if (!late.aborted && !signal.aborted) throw error
    })
  }
  const first = Math.max(from, log.start)
  const found = first >= log.end ? [] : await log.read(first, limit)
  const entries = found.flatMap(({ offset, text }) => {
    const { to = stream.definition.table, op, row } = readTableChange(text)
    return op === 'none' ? [] : [{ offset, table: to, operation: op, row }]
  })
  return { entries, passedOver: first - from, next: first + found.length, committed: stream.offsets.committed }
}

function numberOf(what: string, text: string, max: number): number {
  const value = Number(text)
  if (/^\d{1,15}$/.test(text) && value <= max) return value
  throw new Fault('invalid', `${what}: expected a whole number from 0 to ${max}, got "${text.slice(0, 40)}"`)
}
