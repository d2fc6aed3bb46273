/**
 * How the server is: whether it has room for more, and what does not go as it should. What a source or a table says of its trouble may
 * name queues and addresses: that is for keys that may read, where there are keys.
 */
import type { FastifyRequest } from 'fastify'
import { limits } from '../base/limits.ts'
import type { ObjectSourceStatus } from '../service/objects/objects.ts'
import type { SourceStatus } from '../service/streams/streams.ts'
import type { Context } from './context.ts'

/** Why requests should go elsewhere for the moment; none: they may come. */
export async function unreadyReasons({ inFlight, options }: Context): Promise<string[]> {
  const reasons: string[] = []
  if (inFlight.bytes > limits.httpInFlightBytesMax - limits.streamRequestBytesMax)
    reasons.push(`${inFlight.bytes} bytes of bodies are worked on, at most ${limits.httpInFlightBytesMax} may be`)
  const full = (await options.objectSources?.full()) ?? null
  if (full !== null) reasons.push(`notifications have to wait: ${full}`)
  return reasons
}

export async function healthOf(context: Context, request: FastifyRequest): Promise<object> {
  const { options, metrics, gate } = context
  const { streams } = options
  const sources = [
    ...(options.objectSources?.status() ?? []).map(objectSource),
    ...streams.list().flatMap((stream) => stream.freshness().sources.map((each) => streamSource(stream.name, each))),
  ]
  const reasons = [
    ...(await unreadyReasons(context)),
    ...sources.flatMap(({ source, trouble }) => (trouble === null ? [] : [`source ${source}: ${trouble}`])),
    ...[...metrics.stalledTables].map(([table, message]) => `${table} is not committed: ${message}`),
    ...metrics.bucketTroubles,
  ]
  const status = reasons.length === 0 ? 'ok' : 'degraded'
  if (!gate.mayLook(request)) return { status, streams: streams.list().length }
  const waitingObjects = options.waitingObjects?.() ?? []
  return { status, streams: streams.list().length, reasons, sources, waitingObjects }
}

function objectSource({ source, type, taken, ...status }: ObjectSourceStatus) {
  const ignored = Object.values(taken.ignored).reduce((sum, count) => sum + count, 0)
  return { source, type, stream: null, ...status, accepted: taken.accepted, ignored, deadLetters: taken.problems }
}

function streamSource(stream: string, { source, kind, trouble, waiting }: SourceStatus) {
  return { source, type: kind, stream, trouble, waiting }
}
