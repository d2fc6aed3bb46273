/** Streams made, shown and removed: `PUT`, `DELETE /v1/streams/{name}`, `GET /v1/streams/{name}/status`. */
import { Fault } from '../base/fault.ts'
import type { Stream } from '../service/streams/streams.ts'
import { type Context, type Named, withBody } from './context.ts'

export function addStreamsApi(context: Context): void {
  const { app, gate, options } = context
  const { streams } = options
  const admin = { onRequest: gate.enter('admin', 'stream') }
  app.get<Named>('/v1/streams/:name/status', { onRequest: gate.enter('read', 'stream') }, async ({ params }) =>
    statusOf(streams.get(params.name)),
  )
  app.put<Named>('/v1/streams/:name', admin, async (request, reply) =>
    withBody(context, request, async (body) => {
      const { stream, created } = await streams.create(request.params.name, jsonOf(body))
      return reply.code(created ? 201 : 200).send(statusOf(stream))
    }),
  )
  app.delete<Named>('/v1/streams/:name', admin, async ({ params }, reply) => {
    await streams.remove(params.name)
    return reply.code(204).send()
  })
}

/** @throws Fault `invalid` */
export function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new Fault('invalid', `the body: expected JSON (${(error as Error).message})`)
  }
}

/** What a stream is and how far it has come. */
export function statusOf(stream: Stream): object {
  const { name: _name, ...settings } = stream.definition
  const { end, committed } = stream.offsets
  return {
    name: stream.name,
    createdAt: new Date(stream.createdMs).toISOString(),
    version: stream.version,
    settings,
    /** Offsets: the next to be given, and the end of what the tables hold. */
    end,
    committed,
    waiting: end - committed,
    freshness: stream.freshness(),
  }
}
