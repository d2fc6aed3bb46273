/**
 * The step that runs a function of the operator's own over records, in worker threads, before they are acknowledged.
 *
 * Invariants
 * 1. Every record given to `run` has one answer when it resolves: it goes on (as it came or changed), is dropped, or has failed
 *    with a code. When `run` throws instead, nothing was decided, and the request may be sent again.
 * 2. What one record does to the function costs that record alone. Of contract `record` the worker tells which one ran; a batch
 *    that failed all its tries is halved until the records that fail it stand alone.
 * 3. A record whose answer was heard is never given to the function again.
 *
 * Crash story: nothing is kept here. A process that dies in the middle has acknowledged nothing of the request.
 */
import type { Clock } from '../../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../../base/fault.ts'
import { uuidv7 } from '../../../base/ids.ts'
import { limits } from '../../../base/limits.ts'
import { type ThreadDeath, ThreadPool } from '../../../threads/threads.ts'
import type { PipelineRecord, PipelineStep, RecordOrigin } from '../pipeline.ts'
import type { RecordProblemCode } from '../record.ts'
import { Item, type Request } from './items.ts'
import type { Answer, FromWorker, InvokeMessage } from './protocol.ts'
import { type Group, TransformQueue } from './queue.ts'
import type { TransformSettings } from './settings.ts'

export interface TransformOptions {
  /** Of the stream, as functions are told it. */
  stream: string
  settings: TransformSettings
  /** Absolute path of the function's file. */
  module: string
  clock: Clock
  /** What the operator should know, at most now and then. */
  notice?: (text: string) => void
}

/** How often things happened since the step was opened. */
export interface TransformCounts {
  invocations: number
  /** Invocations or records given to the function once more. */
  retries: number
  /** Workers that hung or crashed. */
  deaths: number
}

interface Job {
  id: number
  group: Group
  /** Answers heard. */
  heard: number
  /** Records to be given to the function again. */
  again: Item[]
}

type Pool = ThreadPool<Job, InvokeMessage, FromWorker>

const REGION = 'us-east-1'
const MiB = 1024 * 1024

export class TransformStep implements PipelineStep {
  readonly name = 'transform'
  readonly counts: TransformCounts = { invocations: 0, retries: 0, deaths: 0 }
  readonly #options: TransformOptions
  readonly #queue: TransformQueue
  readonly #requests = new Set<Request>()
  readonly #timers = new Set<NodeJS.Timeout>()
  /** Being opened, or open: then `#isOpen`. */
  #pool: Pool | null = null
  #isOpen = false
  #contract: 'record' | 'batch' = 'record'
  #opening: Promise<void> | null = null
  #started: { resolve: () => void; reject: (error: Error) => void } | null = null
  #broken: { fault: Fault; atMs: number } | null = null
  #isClosed = false
  #waitingBytes = 0
  readonly #openedMs: number
  #nextJob = 1
  #nextRecord = 0
  #noticedMs = Number.NEGATIVE_INFINITY

  private constructor(options: TransformOptions) {
    this.#options = options
    this.#openedMs = options.clock.nowMs()
    const { buffer, workers } = options.settings
    this.#queue = new TransformQueue({ bytesMax: buffer.mebibytes * MiB, workers })
  }

  /** Starts a worker and loads the function. @throws Fault `invalid` when it cannot be used, `unavailable` when no worker starts */
  static async open(options: TransformOptions): Promise<TransformStep> {
    const step = new TransformStep(options)
    await step.#start()
    return step
  }

  /** @throws Fault `unavailable`: too much waits, the function cannot be loaded any more, or the step is closed */
  async run(batch: readonly PipelineRecord[], origin: RecordOrigin): Promise<void> {
    if (batch.length === 0) return
    const { stream } = this.#options
    if (this.#isClosed) throw closedFault(stream)
    const bytes = batch.reduce((sum, { data }) => sum + data.length, 0)
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > limits.transformWaitingBytesMax) {
      throw new Fault(
        'unavailable',
        `stream ${stream}: ${this.#waitingBytes} bytes wait for its transform function, at most ${limits.transformWaitingBytesMax} may; send it again later`,
        { stream, waitingBytes: this.#waitingBytes },
      )
    }
    await this.#reopen()
    if (this.#isClosed) throw closedFault(stream)
    let request: Request | null = null
    try {
      await new Promise<void>((resolve, reject) => {
        request = { open: batch.length, bytes, isOver: false, resolve, reject }
        this.#requests.add(request)
        this.#waitingBytes += bytes
        for (const record of batch) this.#queue.add([new Item(record, request, this.#recordId(), origin)])
        this.#pool?.wake()
      })
    } finally {
      if (request !== null) this.#requests.delete(request)
      this.#waitingBytes -= bytes
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#giveUp(closedFault(this.#options.stream))
    this.#started?.reject(closedFault(this.#options.stream))
    this.#started = null
    await this.#pool?.close()
  }

  /** Opens the pool again, a while after it broke. @throws Fault `unavailable` */
  async #reopen(): Promise<void> {
    if (this.#isOpen) return
    const nowMs = performance.now()
    if (this.#broken !== null && nowMs - this.#broken.atMs < limits.transformReopenMs) throw this.#broken.fault
    this.#opening ??= this.#start().finally(() => {
      this.#opening = null
    })
    await this.#opening.catch((error: unknown) => {
      throw unavailable(error)
    })
  }

  #start(): Promise<void> {
    const { settings, stream, module } = this.#options
    const { timeMs, memoryMiB, workers, contract, input } = settings
    const pool: Pool = new ThreadPool({
      file: new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url),
      data: {
        module,
        function: settings.function,
        contract,
        input,
        stream,
        arn: `arn:aws:firehose:${REGION}:000000000000:deliverystream/${stream}`,
        region: REGION,
        timeMs,
        memoryMiB,
      },
      threads: { min: 1, max: workers },
      depth: 1,
      timeMs,
      part: 'one invocation',
      heapMiB: memoryMiB,
      what: 'transform',
      next: () => this.#next(),
      hasMore: () => !this.#queue.isEmpty,
      onMessage: (thread, message) => {
        switch (message.kind) {
          case 'ready':
            this.#contract = message.contract
            this.#broken = null
            this.#isOpen = true
            this.#started?.resolve()
            this.#started = null
            pool.wake()
            return
          case 'unfit':
            pool.break(new Fault('invalid', `stream ${stream}: ${message.message}`, { stream }))
            return
          case 'answers': {
            if (message.strays > 0) this.#noticeStrays(message.strays)
            const job = message.last ? thread.take(message.id) : thread.current(message.id)
            if (job !== undefined) {
              this.#onAnswers(job, message.answers, message.bytes)
              if (message.last) this.#onDone(job)
            }
            if (message.last) pool.wake()
            return
          }
          case 'broke': {
            const job = thread.take(message.id)
            if (job !== undefined) {
              this.#queue.over(job.group)
              this.#onFailedBatch(job.group, message.code, message.message)
            }
            pool.wake()
            return
          }
        }
      },
      onDeath: (death, current) => this.#onDeath(death, current),
      onBroken: (fault) => {
        this.#pool = null
        this.#isOpen = false
        this.#broken = { fault: unavailable(fault), atMs: performance.now() }
        this.#started?.reject(fault)
        this.#started = null
        this.#giveUp(this.#broken.fault)
      },
    })
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject }
      this.#pool = pool
      pool.start()
    })
  }

  #next(): { job: Job; message: InvokeMessage; transfer: ArrayBuffer[] } | undefined {
    const group = this.#queue.take()
    if (group === undefined) return undefined
    const { items } = group
    this.counts.invocations++
    const bytes = new Uint8Array(items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
    let at = 0
    const ends = items.map(({ record, sizeBytes }) => {
      bytes.set(record.data, at)
      at += sizeBytes
      return at
    })
    const job: Job = { id: this.#nextJob++, group, heard: 0, again: [] }
    const message: InvokeMessage = {
      kind: 'invoke',
      id: job.id,
      invocationId: uuidv7(this.#options.clock.nowMs()),
      records: items.map((item) => item.facts(group.tries)),
      bytes,
      ends,
    }
    return { job, message, transfer: [bytes.buffer] }
  }

  #onAnswers(job: Job, answers: readonly Answer[], bytes: Uint8Array): void {
    let at = 0
    for (const answer of answers) {
      const item = job.group.items[job.heard++]!
      if (answer.as === 'failed') {
        if (answer.again && ++item.failures <= this.#options.settings.numberOfRetries) job.again.push(item)
        else item.fail(answer.code, answer.message, item.failures)
        continue
      }
      const size = answer.as === 'changed' ? answer.size : 0
      item.settle(answer, bytes.subarray(at, at + size))
      at += size
    }
  }

  #onDone({ group, again }: Job): void {
    this.#queue.over(group)
    this.#retry({ items: again, tries: 0, isSuspect: false, untilMs: null }, again[0]?.failures ?? 0)
  }

  #onDeath({ kind, message, part }: ThreadDeath, job: Job | undefined): void {
    this.counts.deaths++
    if (job === undefined) return
    const { group, heard } = job
    this.#queue.over(group)
    const code = kind === 'timeout' ? 'TransformTimedOut' : 'TransformCrashed'
    if (this.#contract === 'batch') {
      this.#onFailedBatch({ ...group, isSuspect: true }, code, message)
      return
    }
    // The record that ran is to blame; those before it whose answers were lost, and those behind it, are not.
    const ran = Math.min(Math.max(part, heard), group.items.length - 1)
    const culprit = group.items[ran]!
    const others = [...job.again, ...group.items.slice(heard).filter((item) => item !== culprit)]
    this.#queue.addGroup({ items: others, tries: 0, isSuspect: false, untilMs: null })
    if (++culprit.failures > this.#options.settings.numberOfRetries) culprit.fail(code, message, culprit.failures)
    else this.#retry({ items: [culprit], tries: 0, isSuspect: true, untilMs: null }, culprit.failures)
  }

  /** A whole batch failed: it is tried again, and when its tries are used up, halved. */
  #onFailedBatch(group: Group, code: RecordProblemCode, message: string): void {
    const { items } = group
    const tries = group.tries + 1
    const requests = new Set(items.map(({ request }) => request))
    if (requests.size > 1) {
      // First of all, what came with other requests has nothing to do with it.
      for (const request of requests) {
        this.#retry({ ...group, tries, items: items.filter((item) => item.request === request) }, tries)
      }
      return
    }
    if (tries <= this.#options.settings.numberOfRetries) {
      this.#retry({ ...group, tries }, tries)
      return
    }
    const nowMs = performance.now()
    const untilMs = group.untilMs ?? nowMs + limits.transformHalvingMs
    if (items.length === 1 || nowMs > untilMs) {
      const why =
        items.length === 1 ? message : `${message} (in a batch of ${items.length} that could not be told apart)`
      for (const item of items) item.fail(code, why, tries)
      return
    }
    const half = Math.ceil(items.length / 2)
    for (const part of [items.slice(0, half), items.slice(half)])
      this.#retry({ ...group, tries, untilMs, items: part }, 0)
  }

  /** @param failures so far: the more, the longer the pause; 0: none */
  #retry(group: Group, failures: number): void {
    if (group.items.length === 0) return
    this.counts.retries++
    if (failures === 0) {
      this.#queue.addGroup(group)
      return
    }
    const pauseMs = Math.min(limits.transformPauseMaxMs, limits.transformPauseMs * 2 ** (failures - 1))
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#queue.addGroup(group)
      this.#pool?.wake()
    }, pauseMs)
    this.#timers.add(timer)
  }

  #giveUp(fault: Fault): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#queue.clear()
    for (const request of this.#requests) {
      request.isOver = true
      request.reject(fault)
    }
  }

  #noticeStrays(strays: number): void {
    const nowMs = performance.now()
    if (nowMs - this.#noticedMs < limits.transformNoticeMs) return
    this.#noticedMs = nowMs
    this.#options.notice?.(
      `stream ${this.#options.stream}: its transform function gave ${strays} results for records that nobody sent; they are lost. One record gives one result, under its own recordId`,
    )
  }

  /** Digits, as those of a delivery stream are, and the same for every try. */
  #recordId(): string {
    return `${this.#openedMs}${String(this.#nextRecord++).padStart(16, '0')}`
  }
}

/** A function that was fit once and cannot be loaded now: sending again may help. */
function unavailable(error: unknown): Fault {
  if (isFault(error, 'unavailable')) return error
  return new Fault('unavailable', messageOf(error), isFault(error) ? error.facts : {}, error)
}

function closedFault(stream: string): Fault {
  return new Fault('unavailable', `stream ${stream} takes no more records: it is being closed`)
}
