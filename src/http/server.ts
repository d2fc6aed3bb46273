/**
 * The HTTP server: who may come in, bodies as bytes that are read on demand, one place that turns failures into answers. What is
 * asked is done by the file of each API.
 *
 * Browsers: a page of another origin is refused unless CORS names it, also where no preflight would ask. Without API keys the
 * server only listens on loopback and only answers to a loopback name, so that no page can reach it by a name of its own.
 *
 * Slow or many senders cost little: heads and bodies have their time (`body.ts`), connections and bytes in flight their bound.
 */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyRequest } from 'fastify'
import type { Reader } from '../app/reader.ts'
import type { ReextractPart, ReextractRequest } from '../app/reextract.ts'
import type { ReplayPart, ReplayRequest } from '../app/replay.ts'
import type { Clock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ObjectSources } from '../service/objects/objects.ts'
import type { Streams } from '../service/streams/streams.ts'
import { awsFailure } from './aws-problem.ts'
import { type BodyTimes, bodyTimes } from './body.ts'
import { addCommonApi } from './common-api.ts'
import type { Context } from './context.ts'
import { addFirehoseApi, awsReply } from './firehose-api.ts'
import { Gate, type Keys } from './gate.ts'
import { InFlight } from './in-flight.ts'
import { Metrics } from './metrics.ts'
import { addNotificationsApi } from './notifications-api.ts'
import { addOperationsApi } from './operations-api.ts'
import { addProxyApi, isProxyRoute, proxyFailure } from './proxy-api.ts'
import { addRecordsApi } from './records-api.ts'
import { addSqlApi } from './sql-api.ts'
import { failureOf, HttpProblem, ToldFailure } from './status.ts'
import { addStreamsApi } from './streams-api.ts'

export const PORT_DEFAULT = 8321

export interface ServerOptions {
  streams: Streams
  /** What tells of objects, and may come by HTTP. Default: nothing. */
  objectSources?: Pick<ObjectSources, 'webhook' | 'status' | 'full'>
  /** Objects that wait for their stores, by bucket. Default: none. */
  waitingObjects?: () => { bucket: string; waiting: number }[]
  clock: Clock
  /** The tables, for SQL. */
  reader: Pick<Reader, 'catalog' | 'io' | 'clock'>
  /** Sends a part of the open dead letters again. */
  replay: (request: ReplayRequest) => Promise<ReplayPart>
  /** Makes a part of the content rows anew. */
  reextract: (request: ReextractRequest) => Promise<ReextractPart>
  host: string
  /** 0: one that is free. */
  port: number
  /** Empty: everybody may do everything, on loopback only. */
  keys: Keys
  /** Origins that browsers may send from; `*` is all of them. */
  cors: readonly string[]
  /** Addresses or ranges of proxies whose word on a sender's address is taken. Default: none. */
  trustProxy?: readonly string[]
  /** Told of what is a bug. */
  onUnexpected: (error: unknown) => void
  /** Default: of this server alone. */
  metrics?: Metrics
  /** Default: `limits.httpBody…`, `limits.httpHeadersMs`. */
  times?: BodyTimes & { headersMs: number }
}

export interface Server {
  /** `http://host:port` without a slash at the end. */
  url: string
  /** Takes no more requests; resolves when those under way are answered. */
  close(): Promise<void>
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\]|::1)$/

/** @throws Fault `invalid` (open to others without keys), `conflict` (the port is taken), `unavailable` */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { host, port, clock } = options
  const gate = new Gate(options.keys, clock)
  if (gate.keys.length === 0 && !LOOPBACK.test(host)) {
    throw new Fault(
      'invalid',
      `listening on ${host} lets others in: give API keys (TIDEWATER_API_KEYS or http.keysFile), or listen on 127.0.0.1`,
    )
  }
  const times = options.times ?? { ...bodyTimes, headersMs: limits.httpHeadersMs }
  const app = Fastify({
    // Bodies have times of their own, by how much of them has come.
    requestTimeout: 0,
    keepAliveTimeout: limits.httpKeepAliveMs,
    http: { headersTimeout: times.headersMs, connectionsCheckingInterval: Math.min(1_000, times.headersMs) },
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 128 },
    trustProxy: options.trustProxy === undefined || options.trustProxy.length === 0 ? false : [...options.trustProxy],
    genReqId: () => randomUUID(),
  })
  app.server.maxConnections = limits.httpConnectionsMax
  app.removeAllContentTypeParsers()
  // Bodies are left in the socket until the route reads them.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  const metrics = options.metrics ?? new Metrics()
  const context: Context = { app, options, gate, inFlight: new InFlight(), metrics, times }
  addGuards(context)
  addCommonApi(context)
  addProxyApi(context)
  addStreamsApi(context)
  addOperationsApi(context)
  addNotificationsApi(context)
  addRecordsApi(context)
  addFirehoseApi(context)
  addSqlApi(context)
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

function addGuards({ app, gate, metrics, options }: Context): void {
  const { cors, onUnexpected } = options
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    const { origin, host = '' } = request.headers
    // As the sender wrote it: a proxy's word on it would be no protection.
    if (gate.keys.length === 0 && !LOOPBACK.test(host.replace(/:\d+$/, '')))
      throw new HttpProblem(403, 'forbidden', 'without API keys the server answers to localhost and 127.0.0.1 only')
    if (origin === undefined) return
    if (!cors.includes('*') && !cors.includes(origin))
      throw new HttpProblem(
        403,
        'forbidden',
        `pages of ${origin.slice(0, 200)} may not send here; name the origin in http.cors`,
      )
    reply.header('access-control-allow-origin', cors.includes('*') ? '*' : origin).header('vary', 'Origin')
    reply.header(
      'access-control-expose-headers',
      'x-request-id, x-amzn-requestid, retry-after, tidewater-end, tidewater-committed',
    )
  })
  app.addHook('onResponse', async (request, reply) => {
    metrics.answered(request, reply)
    linger(request)
  })
  app.options('/*', async (_request, reply) =>
    reply
      .code(204)
      .header('access-control-allow-methods', 'GET, PUT, POST, DELETE')
      .header(
        'access-control-allow-headers',
        'authorization, content-type, content-encoding, x-api-key, idempotency-key, producer-id, producer-epoch, producer-sequence, ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject, ce-dataschema, x-amz-target, x-amz-date, x-amz-content-sha256, x-amz-security-token, x-amz-user-agent, amz-sdk-invocation-id, amz-sdk-request',
      )
      .header('access-control-max-age', '600')
      .send(),
  )
  app.setErrorHandler((error, request, reply) => {
    const failure = failureOf(error)
    const aws = request.routeOptions.url === '/' ? awsFailure(error) : null
    if ((aws?.failure ?? failure).status >= 500 && failure.kind === 'unexpected') onUnexpected(error)
    if (failure.retryAfterSeconds !== undefined) reply.header('retry-after', String(failure.retryAfterSeconds))
    if (aws !== null) return awsReply(reply, request, aws.status, aws.body)
    if (isProxyRoute(request)) {
      const { status, body } = proxyFailure(error)
      return reply.code(status).send(body)
    }
    const { kind, message } = failure
    const told = error instanceof ToldFailure ? error.told : {}
    return reply.code(failure.status).send({ error: { kind, message }, ...told })
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

/** What is left of a body after its answer is let pass for a moment, so that the sender gets to read the answer. */
function linger({ raw }: FastifyRequest): void {
  if (raw.complete || raw.destroyed) return
  raw.resume()
  const timer = setTimeout(() => raw.socket.destroy(), limits.httpLingerMs).unref()
  raw.once('close', () => clearTimeout(timer)).once('end', () => clearTimeout(timer))
}
