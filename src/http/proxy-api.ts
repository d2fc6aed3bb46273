/**
 * The routes of a REST proxy on delivery streams, in its shapes: `GET /v1/streams`, `GET /v1/streams/{name}`,
 * `PUT /v1/streams/{name}/record`, `PUT /v1/streams/{name}/records`.
 *
 * As there, what the service refuses is 400 with the service's own document, and records that were not taken are counted in an
 * answer of 200, unless none was. What such a proxy leaves out is added beside it: `error` as in the other routes, and headers.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Fault } from '../base/fault.ts'
import type { Identity, Stream } from '../service/streams/streams.ts'
import { AwsProblem, awsFailure } from './aws-problem.ts'
import {
  type Context,
  committedBy,
  identityOf,
  type Named,
  senderOf,
  type WaitQuery,
  waitOf,
  withBody,
} from './context.ts'
import { batchText, describe, listNames, offsetHeaders, recordResponse } from './delivery.ts'
import { type Group, recordList, singleRecord } from './pieces.ts'
import { failureOf } from './status.ts'
import { type GroupResult, takeGroups } from './taking.ts'

const ROUTES = [
  'GET /v1/streams',
  'GET /v1/streams/:name',
  'PUT /v1/streams/:name/record',
  'PUT /v1/streams/:name/records',
]

export function isProxyRoute(request: FastifyRequest): boolean {
  return ROUTES.includes(`${request.method === 'HEAD' ? 'GET' : request.method} ${request.routeOptions.url ?? ''}`)
}

export function addProxyApi(context: Context): void {
  const { app, gate, options } = context
  const { streams } = options
  app.get<{ Querystring: { limit?: string; after?: string } }>(
    '/v1/streams',
    { onRequest: gate.enter('read', 'some') },
    async (request) => {
      const { limit = '10000', after } = request.query
      if (!/^[1-9]\d{0,4}$/.test(limit)) throw new Fault('invalid', 'limit: expected a whole number from 1')
      const key = gate.keyOf(request)
      return listNames(
        streams.names().filter((name) => gate.may(key, 'read', name)),
        after,
        Number(limit),
      )
    },
  )
  app.get<Named>('/v1/streams/:name', { onRequest: gate.enter('read', 'stream') }, async ({ params }) =>
    describe(streams.get(params.name), null),
  )
  const write = { onRequest: gate.enter('write', 'stream') }
  app.put<Named & { Querystring: WaitQuery }>('/v1/streams/:name/record', write, async (request, reply) => {
    const { results } = await put(context, request, reply, (body, several) => [singleRecord(body, several)])
    const [result] = results
    if (result?.kind === 'refused') throw new AwsProblem('InvalidArgumentException', result.message)
    return reply.send({ ...recordResponse(result!), Encrypted: false })
  })
  app.put<Named & { Querystring: WaitQuery }>('/v1/streams/:name/records', write, async (request, reply) => {
    const { results } = await put(context, request, reply, recordList)
    const order = results.find((result) => result.kind === 'refused' && result.code !== 'MalformedRecord')
    // Not one was taken: a client that looks at the status alone must not pass over it.
    if (order?.kind === 'refused' && results.every(({ kind }) => kind === 'refused'))
      throw new AwsProblem('InvalidArgumentException', order.message)
    return reply.type('application/json; charset=utf-8').send(batchText(results))
  })
}

async function put(
  context: Context,
  request: FastifyRequest<Named & { Querystring: WaitQuery }>,
  reply: FastifyReply,
  read: (body: Buffer, several: boolean) => Group[],
): Promise<{ stream: Stream; results: GroupResult[] }> {
  const stream = context.options.streams.get(request.params.name)
  const waitMs = waitOf(request.query, stream)
  const identity: Identity = identityOf(request)
  return withBody(context, request, async (body) => {
    const groups = read(body, identity.producer === undefined)
    const { results, end } = await takeGroups(stream, groups, identity, senderOf(context, request))
    const committed = await committedBy(stream, end, waitMs)
    offsetHeaders(reply, end, committed)
    if (committed === false) reply.code(202)
    return { stream, results }
  })
}

/** A failure as the proxy tells it. */
export function proxyFailure(error: unknown): { status: number; body: object } {
  const { status, kind, message } = error instanceof AwsProblem ? awsFailure(error).failure : failureOf(error)
  const { body } = awsFailure(error)
  // What is about the sender or the moment, and not about what is asked, is told by its own status.
  const kept = status >= 500 || [401, 403, 408, 413, 429].includes(status)
  return {
    status: kept ? status : 400,
    body: {
      ...body,
      error: { kind: error instanceof AwsProblem ? 'invalid' : kind, message: body.message || message },
    },
  }
}
