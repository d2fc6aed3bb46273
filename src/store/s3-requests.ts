/**
 * Requests to one bucket: each goes through the bucket's gate, has its time, is counted, and is tried again when that may help.
 *
 * A request whose answer was lost may have taken effect. `run` therefore says whether an earlier try ended so (`uncertain`), and
 * callers whose request is not the same done twice look before they believe the answer of a later try.
 */
import { backoffMs } from '../base/backoff.ts'
import type { Clock } from '../base/clock.ts'
import { Fault, type FaultFacts, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Recent } from '../base/recent.ts'
import { clientOf, type LoadedClient } from './s3-client.ts'
import type { S3Connection } from './s3-connection.ts'
import { failureOf, mayPass, type S3Failure, s3Fault, saidBy } from './s3-failure.ts'
import { Gate } from './s3-gate.ts'

/** How one try of a request ended. `condition`: the etag or the absence that was asked for does not hold. */
export type RequestOutcome = 'ok' | 'missing' | 'condition' | 'throttled' | 'timeout' | 'broken' | 'refused'

/** One HTTP request that was sent, for counters. */
export interface SentRequest {
  /** S3's name of it: `GetObject`, `PutObject`, `ListObjectsV2`, … */
  readonly operation: string
  readonly outcome: RequestOutcome
  readonly bucket: string
  readonly durationMs: number
  /** What came back of a request that failed; null: nothing that says why. */
  readonly error?: string | null
}

export interface S3RequestsOptions {
  connection: S3Connection
  bucket: string
  clock: Clock
  random: () => number
  onRequest: (request: SentRequest) => void
  attemptsMax?: number
  requestMs?: number
}

export interface Work {
  /** S3's name of the request. */
  readonly operation: string
  /** In words, for messages: `read object "k"`. */
  readonly what: string
  readonly facts?: FaultFacts
  /** Bytes that travel, which give it more time. */
  readonly bytes?: number
  /** Who asks can ask again later: a bucket that has answered nothing for so long is not waited for. */
  readonly patienceMs?: number | undefined
}

export interface Done<T> {
  readonly value: T
  /** An earlier try was sent, and its answer never came. */
  readonly uncertain: boolean
}

/** An answer that says no, for callers who know what it means. */
export interface Refusal {
  readonly failure: S3Failure
  readonly uncertain: boolean
  /** The fault to throw for those who do not. */
  readonly fault: Error
}

/** Gates by endpoint and bucket, so that all stores of a process on one bucket slow down together. */
const gates = new Recent<string, Gate>(limits.s3BucketsKept)

export class S3Requests {
  readonly #options: S3RequestsOptions
  readonly #gate: Gate

  constructor(options: S3RequestsOptions) {
    this.#options = options
    const id = `${options.connection.endpoint ?? ''} ${options.bucket}`
    this.#gate = gates.get(id) ?? new Gate(options)
    gates.set(id, this.#gate)
  }

  /** @throws Fault */
  async run<T>(work: Work, send: (loaded: LoadedClient, signal: AbortSignal) => Promise<T>): Promise<Done<T>> {
    const done = await this.tryRun(work, send)
    if ('fault' in done) throw done.fault
    return done
  }

  /** As `run`, but an answer that says no comes back as one. Throws nothing but bugs. */
  async tryRun<T>(
    work: Work,
    send: (loaded: LoadedClient, signal: AbortSignal) => Promise<T>,
  ): Promise<Done<T> | Refusal> {
    const { attemptsMax = limits.s3AttemptsMax } = this.#options
    const { clock } = this.#options
    const { patienceMs } = work
    const begunMs = clock.nowMs()
    const facts = { bucket: this.#options.bucket, operation: work.operation, ...work.facts }
    let uncertain = false
    for (let attempt = 1; ; attempt++) {
      try {
        return { value: await this.#once(work, send), uncertain }
      } catch (error) {
        // Not even asked: the bucket has been throttled for long. An earlier try may have been done all the same.
        if (isFault(error, 'unavailable')) return { failure: { kind: 'throttled' }, uncertain, fault: error }
        if (error instanceof Fault || isBug(error)) throw error
        const failure = failureOf(error)
        if (!mayPass(failure) || attempt === attemptsMax) {
          return { failure, uncertain, fault: s3Fault(error, work.what, facts, attempt) }
        }
        if (failure.kind === 'unknown') uncertain = true
        // A throttled bucket waits at its gate, with all who use it.
        if (failure.kind === 'throttled') continue
        if (patienceMs !== undefined && clock.nowMs() - begunMs >= patienceMs)
          return { failure, uncertain, fault: s3Fault(error, work.what, facts, attempt) }
        await this.pause(
          backoffMs(attempt, limits.s3BackoffMs, Math.min(limits.s3BackoffMaxMs, patienceMs ?? Infinity)),
        )
      }
    }
  }

  /** Full jitter: anything up to `longestMs`. */
  async pause(longestMs: number): Promise<void> {
    const { clock, random } = this.#options
    await clock.sleep(Math.ceil(random() * longestMs))
  }

  async #once<T>(work: Work, send: (loaded: LoadedClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { connection, clock, bucket, onRequest, requestMs = limits.s3RequestMs } = this.#options
    const loaded = await clientOf(connection)
    const { patienceMs } = work
    const pass = await this.#gate.enter(patienceMs)
    const begunMs = clock.nowMs()
    const count = (outcome: RequestOutcome, error?: unknown) =>
      onRequest({
        operation: work.operation,
        outcome,
        bucket,
        durationMs: clock.nowMs() - begunMs,
        ...(error !== undefined && { error: saidBy(error) }),
      })
    const mostMs = pass.isProbe ? limits.s3ProbeMs : limits.s3ImpatientRequestMs
    const answerMs = patienceMs === undefined ? requestMs : Math.min(requestMs, mostMs)
    const limitMs = answerMs + ((work.bytes ?? 0) * 1000) / limits.s3BytesPerSecondMin
    try {
      const value = await withinTime(limitMs, (signal) => send(loaded, signal))
      pass.leave('answered')
      count('ok')
      return value
    } catch (error) {
      const failure = failureOf(error)
      if (failure.kind === 'throttled') pass.leave('throttled', failure.retryAfterMs)
      else pass.leave(failure.kind === 'unknown' ? 'failed' : 'answered')
      count(outcomeOf(failure), error)
      throw error
    }
  }
}

function outcomeOf(failure: S3Failure): RequestOutcome {
  switch (failure.kind) {
    case 'missing':
    case 'no-upload':
      return 'missing'
    case 'condition':
    case 'race':
      return 'condition'
    case 'throttled':
      return 'throttled'
    case 'unknown':
      return failure.timeout ? 'timeout' : 'broken'
    case 'not-implemented':
    case 'range':
    case 'no-bucket':
    case 'refused':
      return 'refused'
  }
}

/** Errors that no network makes: sending again would only hide them. */
function isBug(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
}

/** Runs `work`, which must heed the signal; rejects when its time is up even if it does not. */
async function withinTime<T>(limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const late = new Error(`no whole answer within ${Math.round(limitMs)} ms`)
    late.name = 'TimeoutError'
    controller.abort(late)
    reject(late)
  }, limitMs)
  try {
    return await Promise.race([work(controller.signal), promise])
  } finally {
    clearTimeout(timer)
  }
}
