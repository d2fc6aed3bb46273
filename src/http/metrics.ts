/**
 * What the server counts, in the text format of Prometheus at `GET /metrics`.
 *
 * Labels are bounded: streams and tables that there are, routes by their pattern, and what became of records in six words. What
 * belonged to a stream that is gone is forgotten at the next look.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ReconcileEvent } from '../app/reconcile-schedule.ts'
import type { SentRequest } from '../app/warehouse.ts'
import { unreachable } from '../base/assert.ts'
import { limits } from '../base/limits.ts'
import type { AskedAgain, ObjectSourceStatus } from '../service/objects/objects.ts'
import type { Stream, Streams } from '../service/streams/streams.ts'
import type { FeedEvent } from '../table/table.ts'
import { BucketTroubles, type BucketTurn } from './bucket-troubles.ts'
import { ObjectSourceMetrics } from './object-source-metrics.ts'
import type { Result } from './taking.ts'

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** What is read off at each look. */
export interface Watched {
  streams: Streams
  objectSources: () => readonly ObjectSourceStatus[]
  waitingObjects: () => readonly { bucket: string; waiting: number }[]
  inFlightBytes: () => number
  connections: () => number
}

export interface MetricsOptions {
  /** Count memory, CPU and the event loop too; once in a process. */
  ofProcess?: boolean
  /** Told when requests to a bucket begin to fail one after another, and when that is over. Must not throw. */
  onBucket?: (turn: BucketTurn) => void
  nowMs?: () => number
}

export class Metrics {
  readonly #registry = new Registry()
  readonly #startedMs = performance.now()
  readonly #tables = new Set<string>()
  readonly #buckets = new Set<string>()
  readonly #records = this.#counter('stream_records', 'Records that came by HTTP, by what became of them.', [
    'stream',
    'outcome',
  ])
  readonly #bytes = this.#counter('stream_record_bytes', 'Bytes of records that came by HTTP.', ['stream'])
  readonly #commitSeconds = this.#histogram('commit_seconds', 'Time that commits took.', ['table'])
  readonly #commitRows = this.#counter('commit_rows', 'Rows written and removed by commits.', ['table', 'change'])
  readonly #stalls = this.#counter('commit_stalls', 'Commits that failed for the moment and are tried again.', [
    'table',
  ])
  readonly #stalled = this.#gauge('commit_stalled', '1 while the last commit of the table failed.', ['table'])
  readonly #upkeepFailures = this.#counter(
    'upkeep_failures',
    'Upkeep of a table that failed and comes again; commits go on.',
    ['table'],
  )
  readonly #stageStalls = this.#counter('log_stalls', 'Failures that held up passing on what logs hold.', [])
  readonly #requestSeconds = this.#histogram('http_request_seconds', 'Time from a request to its answer.', [
    'method',
    'route',
    'status',
  ])
  readonly #backlogEntries = this.#gauge('stream_backlog_entries', 'Entries that are not in a snapshot yet.', [
    'stream',
  ])
  readonly #backlogBytes = this.#gauge('stream_backlog_bytes', 'Their bytes.', ['stream'])
  readonly #lagSeconds = this.#gauge('stream_lag_seconds', 'Age of the oldest of them; 0 when none waits.', ['stream'])
  readonly #sinceCommit = this.#gauge(
    'stream_seconds_since_commit',
    'Since the last successful commit, or the start of the process. Alarm on it where stream_backlog_entries is above 0.',
    ['stream'],
  )
  readonly #committed = this.#gauge('stream_committed_offset', 'Offset up to which the table holds the log.', [
    'stream',
    'table',
  ])
  readonly #sourceWaiting = this.#gauge(
    'source_waiting',
    'Messages or files of a source that are there and not taken, as far as it knows.',
    ['stream', 'source'],
  )
  readonly #sourceTrouble = this.#gauge('source_trouble', '1 while a source cannot read or hand over.', [
    'stream',
    'source',
  ])
  readonly #objects = new ObjectSourceMetrics(this.#registry)
  /** Tables whose last commit failed, and why. */
  readonly stalledTables = new Map<string, string>()
  readonly #nowMs: () => number
  readonly #troubles: BucketTroubles
  readonly #paused = this.#gauge('stream_paused', '1 while commits are held back.', ['stream'])
  readonly #inFlight = this.#gauge('http_in_flight_bytes', 'Bytes of bodies that are held.', [])
  readonly #s3Requests = this.#counter('s3_requests', 'Requests to S3, each try for itself, by how they ended.', [
    'bucket',
    'operation',
    'outcome',
  ])
  readonly #s3Seconds = this.#histogram('s3_request_seconds', 'Time that requests to S3 took.', ['operation'])
  readonly #objectsWaiting = this.#gauge(
    'objects_waiting',
    'Objects whose store did not answer, which are asked about again by themselves.',
    ['bucket'],
  )
  readonly #objectsAsked = this.#counter('objects_asked_again', 'Objects asked about again, by how that went.', [
    'bucket',
    'outcome',
  ])
  readonly #connections = this.#gauge('http_connections', 'Open connections.', [])
  readonly #drift = this.#counter(
    'reconcile_drift',
    'Differences that comparing buckets with their listings found and mended.',
    ['bucket', 'kind'],
  )
  readonly #reconcileKeys = this.#gauge('reconcile_keys', 'Keys that the last comparison listed.', ['bucket'])
  readonly #reconcileSeconds = this.#gauge('reconcile_seconds', 'Time that the last comparison took.', ['bucket'])
  readonly #reconciledAt = this.#gauge(
    'reconcile_last_timestamp_seconds',
    'When a bucket was compared to its end the last time, in seconds since 1970.',
    ['bucket'],
  )
  readonly #reconcileTrouble = this.#gauge('reconcile_trouble', '1 while the last comparison failed.', ['bucket'])

  constructor({ ofProcess = false, onBucket = () => undefined, nowMs = () => Date.now() }: MetricsOptions = {}) {
    this.#nowMs = nowMs
    this.#troubles = new BucketTroubles(nowMs, onBucket)
    if (ofProcess) collectDefaultMetrics({ register: this.#registry })
  }

  /** What was taken of a request, or of a part of it. */
  readonly taken = (stream: Stream, bytes: number, results: readonly Result[], repeated: boolean): void => {
    const labels = { stream: stream.name }
    this.#bytes.inc(labels, bytes)
    const counts = new Map<string, number>()
    for (const { kind } of results) {
      const outcome = repeated && kind !== 'refused' ? 'repeated' : kind
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    }
    for (const [outcome, count] of counts) this.#records.inc({ ...labels, outcome }, count)
  }

  readonly feed = (event: FeedEvent): void => {
    switch (event.kind) {
      case 'committed': {
        const { rowsWritten, rowsRemoved, elapsedMs } = event.report
        const table = this.#tableOf(event.report.table)
        this.#commitSeconds.observe({ table }, elapsedMs / 1000)
        this.#commitRows.inc({ table, change: 'written' }, rowsWritten)
        this.#commitRows.inc({ table, change: 'removed' }, rowsRemoved)
        this.#stalled.set({ table }, 0)
        this.stalledTables.delete(table)
        return
      }
      case 'stalled': {
        const table = this.#tableOf(event.table)
        this.#stalls.inc({ table })
        this.#stalled.set({ table }, 1)
        this.stalledTables.set(table, event.fault.message)
        return
      }
      case 'unchanged':
        this.#stalled.set({ table: this.#tableOf(event.table) }, 0)
        this.stalledTables.delete(this.#tableOf(event.table))
        return
      case 'upkeep-failed':
        this.#upkeepFailures.inc({ table: this.#tableOf(event.table) })
        return
      case 'upkeep':
        return
      default:
        unreachable(event)
    }
  }

  readonly s3 = (request: SentRequest): void => {
    const { bucket, operation, outcome, durationMs } = request
    const label = this.#bucketOf(bucket)
    this.#s3Requests.inc({ bucket: label, operation, outcome })
    this.#s3Seconds.observe({ operation }, durationMs / 1000)
    this.#troubles.sent(label, request)
  }

  /** What buckets do not do as they should, in words. */
  get bucketTroubles(): string[] {
    return this.#troubles.reasons
  }

  /** Buckets are those of the configuration. */
  readonly reconciled = (event: ReconcileEvent): void => {
    const { bucket } = event
    this.#reconcileTrouble.set({ bucket }, event.kind === 'failed' ? 1 : 0)
    this.#troubles.compared(event)
    if (event.kind === 'failed') return
    for (const [kind, count] of Object.entries(event.counts.drift)) this.#drift.inc({ bucket, kind }, count)
    this.#reconcileKeys.set({ bucket }, event.counts.keys)
    this.#reconcileSeconds.set({ bucket }, event.elapsedMs / 1000)
    this.#reconciledAt.set({ bucket }, Math.round(this.#nowMs() / 1000))
  }

  readonly askedAgain = (event: AskedAgain): void => {
    if (event.kind !== 'asked') return
    const bucket = this.#bucketOf(event.bucket)
    for (const outcome of event.outcomes) this.#objectsAsked.inc({ bucket, outcome })
  }

  readonly logStalled = (): void => this.#stageStalls.inc()

  readonly answered = (request: FastifyRequest, reply: FastifyReply): void => {
    const route = request.routeOptions.url ?? 'none'
    const method = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'].includes(request.method)
      ? request.method
      : 'other'
    this.#requestSeconds.observe({ method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  async text({ streams, objectSources, waitingObjects, inFlightBytes, connections }: Watched): Promise<string> {
    const gauges = [
      this.#backlogEntries,
      this.#backlogBytes,
      this.#lagSeconds,
      this.#sinceCommit,
      this.#committed,
      this.#paused,
      this.#sourceWaiting,
      this.#sourceTrouble,
      this.#objectsWaiting,
    ]
    for (const gauge of gauges) gauge.reset()
    for (const stream of streams.list()) this.#look(stream)
    this.#objects.look(objectSources())
    for (const { bucket, waiting } of waitingObjects())
      this.#objectsWaiting.inc({ bucket: this.#bucketOf(bucket) }, waiting)
    this.#inFlight.set(inFlightBytes())
    this.#connections.set(connections())
    await this.#forget(new Set(streams.list().map(({ name }) => name)))
    return this.#registry.metrics()
  }

  #look(stream: Stream): void {
    const labels = { stream: stream.name }
    const freshness = stream.freshness()
    const { waitingEntries, waitingBytes, oldestWaitingMs, lastCommitMs, paused, destinations } = freshness
    this.#backlogEntries.set(labels, waitingEntries)
    this.#backlogBytes.set(labels, waitingBytes)
    this.#lagSeconds.set(labels, (oldestWaitingMs ?? 0) / 1000)
    const sinceMs =
      lastCommitMs === null ? performance.now() - this.#startedMs : stream.parts.clock.nowMs() - lastCommitMs
    this.#sinceCommit.set(labels, Math.max(0, sinceMs) / 1000)
    this.#paused.set(labels, paused ? 1 : 0)
    for (const { table, committed } of destinations)
      this.#committed.set({ ...labels, table: this.#tableOf(table) }, committed)
    for (const { source, waiting, trouble } of freshness.sources) {
      if (waiting !== null) this.#sourceWaiting.set({ ...labels, source }, waiting)
      this.#sourceTrouble.set({ ...labels, source }, trouble === null ? 0 : 1)
    }
  }

  async #forget(streams: ReadonlySet<string>): Promise<void> {
    for (const counter of [this.#records, this.#bytes]) {
      for (const { labels } of (await counter.get()).values)
        if (!streams.has(String(labels['stream']))) counter.remove(labels)
    }
  }

  #tableOf(table: string): string {
    return bounded(this.#tables, table, limits.metricTablesMax)
  }

  #bucketOf(bucket: string): string {
    return bounded(this.#buckets, bucket, limits.metricBucketsMax)
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name: `tidewater_${name}_total`, help, labelNames, registers: [this.#registry] })
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name: `tidewater_${name}`, help, labelNames, registers: [this.#registry] })
  }

  #histogram(name: string, help: string, labelNames: string[]): Histogram {
    return new Histogram({ name: `tidewater_${name}`, help, labelNames, buckets: SECONDS, registers: [this.#registry] })
  }
}

/** The name, or `other` for those that come when there are too many already. */
function bounded(known: Set<string>, name: string, most: number): string {
  if (known.has(name)) return name
  if (known.size >= most) return 'other'
  known.add(name)
  return name
}
