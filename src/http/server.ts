/**
 * The HTTP server: who may come in, bodies as bytes, one place that turns failures into answers. What is asked is done by the file
 * of each API.
 *
 * Browsers: a page of another origin is refused unless CORS names it, also where no preflight would ask. Without API keys the
 * server only listens on loopback and only answers to a loopback name, so that no page can reach it by a name of its own.
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Streams } from '../service/streams/streams.ts'
import { type ApiKey, keyBySecret, type Scope } from './access.ts'
import { unpackBody } from './body.ts'
import { batchResponse, describe, listNames, recordResponse } from './delivery.ts'
import { AwsProblem, awsFailure, callFirehose, scopeOfTarget } from './firehose.ts'
import { openApi } from './openapi.ts'
import { checkSignature } from './sigv4.ts'
import { failureOf, HttpProblem } from './status.ts'
import { bulkAnswer, bulkRecords, identityOf, operationOf, recordList, singleRecord, statusOf } from './streams-api.ts'

export const PORT_DEFAULT = 8321

export interface ServerOptions {
  streams: Streams
  clock: Clock
  host: string
  /** 0: one that is free. */
  port: number
  /** Empty: everybody may do everything, on loopback only. */
  keys: readonly ApiKey[]
  /** Origins that browsers may send from; `*` is all of them. */
  cors: readonly string[]
  /** Told of what is a bug. */
  onUnexpected: (error: unknown) => void
}

export interface Server {
  /** `http://host:port` without a slash at the end. */
  url: string
  /** Takes no more requests; resolves when those under way are answered. */
  close(): Promise<void>
}

const REQUEST_MS = 60_000
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|::1)$/

/** @throws Fault `invalid` (open to others without keys), `conflict` (the port is taken), `unavailable` */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { host, port, keys } = options
  if (keys.length === 0 && !LOOPBACK.test(host)) {
    throw new Fault(
      'invalid',
      `listening on ${host} lets others in: give API keys (TIDEWATER_API_KEYS or http.keysFile), or listen on 127.0.0.1`,
    )
  }
  const app = Fastify({
    bodyLimit: limits.streamRequestBytesMax,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 128 },
    genReqId: () => randomUUID(),
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  addGuards(app, options)
  addRoutes(app, options)
  try {
    await app.listen({ host, port })
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    throw new Fault(
      taken ? 'conflict' : 'unavailable',
      taken
        ? `port ${port} of ${host} is taken; choose another with --port`
        : `cannot listen on ${host}:${port}: ${String(error)}`,
      { host, port },
      error,
    )
  }
  const address = app.server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return { url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`, close: () => app.close() }
}

function addGuards(app: FastifyInstance, { keys, cors, onUnexpected }: ServerOptions): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    const { origin } = request.headers
    if (keys.length === 0 && !LOOPBACK.test(request.hostname))
      throw new HttpProblem(403, 'forbidden', 'without API keys the server answers to localhost and 127.0.0.1 only')
    if (origin === undefined) return
    if (!cors.includes('*') && !cors.includes(origin))
      throw new HttpProblem(
        403,
        'forbidden',
        `pages of ${origin.slice(0, 200)} may not send here; name the origin in http.cors`,
      )
    reply.header('access-control-allow-origin', cors.includes('*') ? '*' : origin).header('vary', 'Origin')
    reply.header('access-control-expose-headers', 'x-request-id, x-amzn-requestid, retry-after')
  })
  app.options('/*', async (_request, reply) =>
    reply
      .code(204)
      .header('access-control-allow-methods', 'GET, PUT, POST, DELETE')
      .header(
        'access-control-allow-headers',
        'authorization, content-type, content-encoding, x-api-key, idempotency-key, producer-id, producer-epoch, producer-sequence, x-amz-target, x-amz-date, amz-sdk-invocation-id, amz-sdk-request',
      )
      .header('access-control-max-age', '600')
      .send(),
  )
  app.setErrorHandler((error, request, reply) => {
    const aws = request.routeOptions.url === '/' ? awsFailure(error) : null
    const failure = aws?.failure ?? failureOf(error)
    if (failure.kind === 'unexpected' && !(error instanceof AwsProblem)) onUnexpected(error)
    if (failure.retryAfterSeconds !== undefined) reply.header('retry-after', String(failure.retryAfterSeconds))
    if (aws === null)
      return reply.code(failure.status).send({ error: { kind: failure.kind, message: failure.message } })
    return awsReply(reply, request, aws.status, aws.body)
  })
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      error: {
        kind: 'not-found',
        message: `there is no ${request.method} ${request.url.slice(0, 200)}; /openapi.json lists what there is`,
      },
    }),
  )
}

function addRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { streams } = options
  const allow = (scope: Scope) => async (request: FastifyRequest) => authorize(request, options, scope)
  const read = { onRequest: allow('read') }
  const write = { onRequest: allow('write') }
  const admin = { onRequest: allow('admin') }
  type Named = { Params: { name: string } }

  app.get('/health', async () => ({ status: 'ok', streams: streams.list().length }))
  app.get('/openapi.json', async () => openApi())
  app.get<{ Querystring: { limit?: string; after?: string } }>('/v1/streams', read, async ({ query }) => {
    const { limit = '10000', after } = query
    if (!/^[1-9]\d{0,4}$/.test(limit)) throw new Fault('invalid', 'limit: expected a whole number from 1')
    return listNames(streams.names(), after, Number(limit))
  })
  app.get<Named>('/v1/streams/:name', read, async ({ params }) => describe(streams.get(params.name)))
  app.get<Named>('/v1/streams/:name/status', read, async ({ params }) => statusOf(streams.get(params.name)))
  app.put<Named>('/v1/streams/:name', admin, async (request, reply) => {
    const body = await bodyOf(request)
    const { stream, created } = await streams.create(request.params.name, JSON.parse(jsonText(body)))
    return reply.code(created ? 201 : 200).send(statusOf(stream))
  })
  app.delete<Named>('/v1/streams/:name', admin, async ({ params }, reply) => {
    await streams.remove(params.name)
    return reply.code(204).send()
  })
  app.put<Named>('/v1/streams/:name/record', write, async (request) => {
    const record = singleRecord(await bodyOf(request))
    const { results } = await streams.get(request.params.name).accept([record], identityOf(headerOf(request)))
    return { ...recordResponse(results[0]!), Encrypted: false }
  })
  app.put<Named>('/v1/streams/:name/records', write, async (request) => {
    const records = recordList(await bodyOf(request))
    const { results } = await streams.get(request.params.name).accept(records, identityOf(headerOf(request)))
    return batchResponse(results)
  })
  app.post<Named & { Querystring: { operation?: string } }>(
    '/v1/streams/:name/records',
    write,
    async (request, reply) => {
      const stream = streams.get(request.params.name)
      const records = bulkRecords(
        await bodyOf(request),
        request.headers['content-type'],
        operationOf(request.query.operation),
      )
      const { status, body } = bulkAnswer(await stream.accept(records, identityOf(headerOf(request))))
      return reply.code(status).send(body)
    },
  )
  app.post('/', async (request, reply) => {
    const header = headerOf(request)
    const target = header('x-amz-target')
    const packed = packedBody(request)
    authorizeAws(request, options, scopeOfTarget(target), packed)
    const body = await unpackBody(packed, request.headers['content-encoding'])
    const answer = await callFirehose({ target, body, invocationId: header('amz-sdk-invocation-id'), streams })
    return awsReply(reply, request, 200, answer)
  })
}

function awsReply(reply: FastifyReply, request: FastifyRequest, status: number, body: object): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/x-amz-json-1.1')
    .header('x-amzn-requestid', request.id)
    .serializer((value: unknown) => JSON.stringify(value))
    .send(body)
}

function headerOf(request: FastifyRequest): (name: string) => string | undefined {
  return (name) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value.join(',') : value
  }
}

function packedBody(request: FastifyRequest): Buffer {
  return Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
}

function bodyOf(request: FastifyRequest): Promise<Buffer> {
  return unpackBody(packedBody(request), request.headers['content-encoding'])
}

function jsonText(body: Buffer): string {
  const text = body.toString('utf8')
  try {
    JSON.parse(text)
    return text
  } catch (error) {
    throw new Fault('invalid', `the body: expected JSON (${(error as Error).message})`)
  }
}

function authorize(request: FastifyRequest, { keys }: ServerOptions, scope: Scope): void {
  if (keys.length === 0) return
  const header = headerOf(request)
  const secret = header('x-api-key') ?? /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1]
  const key = secret === undefined ? null : keyBySecret(keys, secret)
  if (key === null) {
    throw new HttpProblem(
      401,
      'unauthenticated',
      'expected an API key, as "Authorization: Bearer <secret>" or "X-Api-Key: <secret>"',
    )
  }
  requireScope(key, scope)
}

function requireScope(key: ApiKey, scope: Scope): void {
  if (!key.scopes.has(scope))
    throw new HttpProblem(403, 'forbidden', `the key "${key.id}" does not have the scope ${scope}`)
}

function authorizeAws(request: FastifyRequest, options: ServerOptions, scope: Scope, body: Buffer): void {
  const { keys, clock } = options
  const header = headerOf(request)
  if (keys.length === 0) return
  if (header('authorization')?.startsWith('AWS4') !== true) {
    const secret = header('x-api-key') ?? /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1]
    const key = secret === undefined ? null : keyBySecret(keys, secret)
    if (key === null) throw new AwsProblem('MissingAuthenticationTokenException', 'expected a signed request', 403)
    if (!key.scopes.has(scope))
      throw new AwsProblem('AccessDeniedException', `the key does not have the scope ${scope}`, 403)
    return
  }
  const { method, url } = request
  const found = checkSignature({ method, url, header, body, nowMs: clock.nowMs() }, keys)
  if (typeof found === 'string')
    throw new AwsProblem(found, 'the request is not signed by a key that is known here', 403)
  if (!found.scopes.has(scope))
    throw new AwsProblem('AccessDeniedException', `the key does not have the scope ${scope}`, 403)
}
