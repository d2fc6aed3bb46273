/** What the routes of every API share. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Identity, Stream } from '../service/streams/streams.ts'
import { type BodyTimes, readBody } from './body.ts'
import { type Gate, headerOf } from './gate.ts'
import type { Hold, InFlight } from './in-flight.ts'
import type { Metrics } from './metrics.ts'
import type { ServerOptions } from './server.ts'
import type { Sender } from './taking.ts'

export interface Context {
  app: FastifyInstance
  options: ServerOptions
  gate: Gate
  inFlight: InFlight
  metrics: Metrics
  times: BodyTimes
}

export type Named = { Params: { name: string } }

/** Does `work` with the body, which counts as held until then. */
export async function withBody<T>(
  { inFlight, times }: Context,
  request: FastifyRequest,
  work: (body: Buffer, hold: Hold) => Promise<T> | T,
): Promise<T> {
  return withHold(inFlight, async (hold) => work(await readBody(request.raw, hold, times), hold))
}

export async function withHold<T>(inFlight: InFlight, work: (hold: Hold) => Promise<T>): Promise<T> {
  const hold = inFlight.hold()
  try {
    return await work(hold)
  } finally {
    hold.release()
  }
}

export function senderOf({ gate, options, metrics }: Context, request: FastifyRequest): Sender {
  return {
    key: gate.keyOf(request),
    origin: gate.originOf(request),
    rates: gate.rates,
    clock: options.clock,
    onTaken: metrics.taken,
  }
}

/** Who sends, by headers. @throws Fault `invalid` when a producer is told by halves */
export function identityOf(request: FastifyRequest): Identity {
  const header = headerOf(request)
  const idempotencyKey = header('idempotency-key')
  const id = header('producer-id')
  const epoch = header('producer-epoch')
  const sequence = header('producer-sequence')
  if (id === undefined && (epoch !== undefined || sequence !== undefined))
    throw new Fault('invalid', 'Producer-Epoch and Producer-Sequence need a Producer-Id')
  if (id === undefined) return idempotencyKey === undefined ? {} : { idempotencyKey }
  if (sequence === undefined)
    throw new Fault('invalid', 'Producer-Id needs a Producer-Sequence: the number of the first record')
  return {
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    producer: { id, epoch: whole(epoch ?? '0', 'Producer-Epoch'), sequence: whole(sequence, 'Producer-Sequence') },
  }
}

function whole(text: string, what: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw new Fault('invalid', `${what}: expected a whole number from 0, got "${text.slice(0, 40)}"`)
  return Number(text)
}

export interface WaitQuery {
  /** `committed`: answer when the records are in snapshots. */
  wait?: string
  /** Seconds to wait for that. */
  timeout?: string
}

/** Milliseconds to wait for the commit; null: not at all. @throws Fault `invalid` */
export function waitOf({ wait, timeout }: WaitQuery, stream: Stream): number | null {
  if (timeout !== undefined && wait === undefined) throw new Fault('invalid', 'timeout: needs wait=committed')
  if (wait === undefined) return null
  if (wait !== 'committed') throw new Fault('invalid', `wait: expected committed, got "${wait.slice(0, 40)}"`)
  return timeout === undefined ? usualWaitMs(stream) : timeoutMs(timeout)
}

/** As long as a commit takes when nothing is wrong, and then some. */
export function usualWaitMs({ definition }: Stream): number {
  return Math.min(definition.buffer.seconds * 1000 + limits.httpCommitWaitMs, limits.httpCommitWaitMaxMs)
}

/** @throws Fault `invalid` */
export function timeoutMs(text: string): number {
  const maxSeconds = limits.httpCommitWaitMaxMs / 1000
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(text) || Number(text) > maxSeconds)
    throw new Fault('invalid', `timeout: expected seconds, at most ${maxSeconds}, got "${text.slice(0, 40)}"`)
  return Number(text) * 1000
}

/** Is everything before `end` in snapshots, at the latest after so long? Null when nobody asked. */
export async function committedBy(stream: Stream, end: number, waitMs: number | null): Promise<boolean | null> {
  if (waitMs === null) return null
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), waitMs)
  try {
    await stream.whenCommitted(end, late.signal)
    return true
  } catch (error) {
    if (late.signal.aborted) return false
    throw error
  } finally {
    clearTimeout(timer)
  }
}
