/**
 * Runs extractors in worker threads, so that a hostile or broken file can neither block nor kill the process.
 *
 * Each worker runs one object at a time, with a few more already handed over so that it never waits for this thread. An
 * extractor that passes its time, memory or crashes takes its worker down; the object gets a fault for that extractor and
 * goes on with the next one in a fresh worker, and the objects behind it are handed out again. So every object that was
 * taken gets exactly one answer, after at most (extractors that run alone + 3) attempts. What an extractor left behind for
 * another object must not cost this one anything: a failure of it is told under the call that caused it (`worker.ts`), and
 * when those that run together die in a worker that has run others, they are tried again in a fresh one.
 */
import { availableParallelism } from 'node:os'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type BoundedThread, type ThreadDeath, ThreadPool } from '../threads/threads.ts'
import type { Extraction, ExtractPool, ExtractTask, RangeReader } from './extract.ts'
import type { ExtractorModule, FromWorker, ToWorker } from './protocol.ts'
import { toWire } from './protocol.ts'
import { chosenExtractors, failed, mergeOutcomes, type Outcome } from './registry.ts'
import { defaultBounds, type SourceBounds } from './source.ts'

export type { ExtractPool, ExtractTask, LocalFile } from './extract.ts'
export type { ExtractorModule } from './protocol.ts'
export { storeReader } from './source.ts'

export interface ExtractPoolOptions {
  /** Which built-in extractors run: a list, or single ones turned on or off. */
  builtin?: readonly string[] | { readonly [name: string]: boolean | undefined }
  /** Extractors of the operator's own, run after the built-in ones, in this order. */
  extractors?: readonly ExtractorModule[]
  /** Threads; by default as many as cores. */
  workers?: number
  /** Begin with one thread; the others come with demand. */
  startsWithOne?: boolean
  /** Told once per extractor of the operator's that fails after its object has been answered. */
  onWarning?: (message: string) => void
  limits?: Partial<ExtractLimits>
}

export interface ExtractLimits extends SourceBounds {
  /** What one extractor (or those built-in ones that run together) may take for one object, waiting for bytes not counted. */
  timeMs: number
  /** What one read of a store may take. */
  readMs: number
  /** JavaScript heap of a worker, and as much again outside it (buffers). */
  heapMiB: number
  /** Objects taken and not yet answered. */
  window: number
}

export const defaultLimits: ExtractLimits = {
  ...defaultBounds,
  timeMs: limits.extractTimeMs,
  readMs: limits.extractReadMs,
  heapMiB: limits.extractHeapMiB,
  window: limits.extractWindow,
}

/** One object in the pool. */
interface Job {
  id: number
  task: ExtractTask
  head: Uint8Array | null
  from: number
  /** Index of the extractor that runs alone, or -1 while those run that run together. */
  running: number
  outcomes: Outcome[]
  bytesRead: number
  /** Deaths before anything was reported. */
  silentDeaths: number
  /** Those that run together have been given a second try. */
  isRetried: boolean
  resolve: (extraction: Extraction) => void
  reject: (error: Error) => void
}

type ExtractThread = BoundedThread<Job, ToWorker, FromWorker>

/** Objects handed to one worker at a time: one runs, the others are at hand. */
const HANDED_MAX = 4

/** Starts the workers and loads the modules. @throws Fault `invalid` when a module cannot be used */
export async function openExtractPool(options: ExtractPoolOptions = {}): Promise<ExtractPool> {
  const pool = new Pool(options)
  await pool.start()
  return pool
}

class Pool implements ExtractPool {
  extractors: readonly { name: string; version: number }[] = []
  readonly #limits: ExtractLimits
  readonly #threads: ThreadPool<Job, ToWorker, FromWorker>
  readonly #queue: Job[] = []
  readonly #jobs = new Map<number, Job>()
  readonly #onWarning: (message: string) => void
  readonly #warned = new Set<string>()
  /** Workers in which an extractor of the operator's own has run, and may have left something behind. */
  readonly #ranModules = new WeakSet<ExtractThread>()
  #together = 0
  #nextId = 1
  #broken: Fault | null = null
  #started: { resolve: () => void; reject: (error: Error) => void } | null = null

  constructor(options: ExtractPoolOptions) {
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#onWarning = options.onWarning ?? (() => undefined)
    const { bytesMax, readsMax, headBytes, timeMs, heapMiB } = this.#limits
    const size = Math.max(1, options.workers ?? availableParallelism())
    this.#threads = new ThreadPool({
      file: new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url),
      data: {
        builtin: chosenExtractors(options.builtin).map(({ name }) => name),
        modules: options.extractors ?? [],
        bounds: { bytesMax, readsMax, headBytes },
      },
      threads: { min: options.startsWithOne === true ? 1 : size, max: size },
      depth: HANDED_MAX,
      timeMs,
      part: 'one object',
      heapMiB,
      what: 'extractor',
      next: () => this.#next(),
      hasMore: () => this.#queue.length > 0,
      onMessage: (worker, message) => this.#onMessage(worker, message),
      onDeath: (death, current, rest, worker) => this.#onDeath(death, current, rest, worker),
      onBroken: (fault) => this.#onBroken(fault),
    })
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#started = { resolve, reject }
      this.#threads.start()
    })
  }

  extract(task: ExtractTask, signal?: AbortSignal): Promise<Extraction> {
    if (this.#broken !== null) return Promise.reject(this.#broken)
    if (signal?.aborted) return Promise.reject(cancelled('its caller'))
    if (this.#jobs.size >= this.#limits.window) {
      return Promise.reject(
        new Fault(
          'limit',
          `At most ${this.#limits.window} objects may be in extraction at a time: wait for one to finish.`,
        ),
      )
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      const job: Job = {
        id,
        task,
        head: null,
        from: 0,
        running: -1,
        outcomes: [],
        bytesRead: 0,
        silentDeaths: 0,
        isRetried: false,
        resolve,
        reject,
      }
      this.#jobs.set(id, job)
      if (signal !== undefined) this.#listen(job, signal)
      if ('file' in task || task.sizeBytes === 0) this.#enqueue(job)
      else void this.#fetchHead(job, task.read)
    })
  }

  async close(): Promise<void> {
    this.#giveUp(cancelled('close'))
    await this.#threads.close()
  }

  #listen(job: Job, signal: AbortSignal): void {
    const onAbort = () => this.#reject(job, cancelled('its caller'))
    signal.addEventListener('abort', onAbort, { once: true })
    const { resolve, reject } = job
    job.resolve = (extraction) => {
      signal.removeEventListener('abort', onAbort)
      resolve(extraction)
    }
    job.reject = (error) => {
      signal.removeEventListener('abort', onAbort)
      reject(error)
    }
  }

  #enqueue(job: Job): void {
    this.#queue.push(job)
    this.#threads.wake()
  }

  /** Fetches the head of a remote object ahead, so that the worker need not wait for it. */
  async #fetchHead(job: Job, read: RangeReader): Promise<void> {
    try {
      job.head = await inTime(read(0, Math.min(job.task.sizeBytes, this.#limits.headBytes)), this.#limits.readMs)
    } catch (error) {
      job.outcomes.push(failed('read', readFault(error)))
      this.#finish(job)
      return
    }
    this.#enqueue(job)
  }

  /** The next job that is still wanted, as its worker is told. */
  #next(): { job: Job; message: ToWorker } | undefined {
    for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) {
      if (!this.#jobs.has(job.id)) continue
      job.running = -1
      const { id, task, head, from } = job
      const { bucket, key, versionId, etag, sizeBytes } = task
      const fields = { bucket, key, versionId, sizeBytes, ...(etag === undefined ? {} : { etag }) }
      return { job, message: { kind: 'task', id, fields, file: 'file' in task ? task.file : null, head, from } }
    }
    return undefined
  }

  #onMessage(worker: ExtractThread, message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        this.extractors = message.extractors
        this.#together = message.together
        this.#started?.resolve()
        this.#started = null
        this.#threads.wake()
        return
      case 'unfit':
        this.#threads.break(new Fault('invalid', message.message))
        return
      case 'progress': {
        const job = worker.current(message.id)
        if (job === undefined) return
        job.outcomes.push(...message.outcomes)
        job.bytesRead += message.bytesRead
        job.running = message.next
        job.silentDeaths = 0
        this.#ranModules.add(worker)
        worker.restartTimer()
        return
      }
      case 'read': {
        const job = worker.current(message.id)
        if (job !== undefined) void this.#serve(worker, job, message)
        return
      }
      case 'stray':
        this.#onStray(worker, message)
        return
      case 'done': {
        const job = worker.take(message.id)
        if (job !== undefined) {
          job.outcomes.push(...message.outcomes)
          job.bytesRead += message.bytesRead
          this.#finish(job)
        }
        this.#threads.wake()
        return
      }
    }
  }

  #onStray(worker: ExtractThread, { id, extractor, isRunning, message }: Extract<FromWorker, { kind: 'stray' }>): void {
    const job = worker.current(id)
    if (job !== undefined && isRunning) worker.kill(message)
    else if (job !== undefined) job.outcomes.push(crashed(extractor, 'crash', message))
    else if (!this.#warned.has(extractor)) {
      this.#warned.add(extractor)
      this.#onWarning(
        `the extractor ${extractor} left something behind that failed after its object was done: ${message}; ` +
          'await what it starts, so that a failure stands in the row of its object',
      )
    }
  }

  async #serve(
    worker: ExtractThread,
    job: Job,
    { read, start, end }: { read: number; start: number; end: number },
  ): Promise<void> {
    worker.pauseTimer()
    try {
      if ('file' in job.task) throw new Fault('unavailable', 'A task with a file is read by its worker.')
      const bytes = await inTime(job.task.read(start, end), this.#limits.readMs)
      worker.answer({ kind: 'bytes', read, bytes, fault: null })
    } catch (error) {
      worker.answer({ kind: 'bytes', read, bytes: null, fault: toWire(error) })
    }
    worker.resumeTimer()
  }

  /** A worker is gone: its current object gets the fault, the others go to the front of the queue. */
  #onDeath(
    { kind, message }: ThreadDeath,
    current: Job | undefined,
    rest: readonly Job[],
    worker: ExtractThread,
  ): void {
    this.#queue.unshift(...rest)
    if (current === undefined || !this.#jobs.has(current.id)) return
    if (current.running < 0 && this.#ranModules.has(worker) && !current.isRetried) {
      current.isRetried = true
      this.#queue.unshift(current)
    } else this.#blame(current, kind, message)
  }

  /** Records the fault for the extractors that were running, and lets the object go on with the next. */
  #blame(job: Job, kind: 'timeout' | 'crash', message: string): void {
    const first = job.running >= 0 ? job.running : job.from
    const end = job.running >= 0 ? first + 1 : Math.max(this.#together, first + 1)
    const isHopeless = job.running < 0 && ++job.silentDeaths > 1
    const names = isHopeless ? ['read'] : this.extractors.slice(first, end).map(({ name }) => name)
    for (const extractor of names) job.outcomes.push(crashed(extractor, kind, message))
    job.from = end
    if (isHopeless || job.from >= this.extractors.length) this.#finish(job)
    else this.#queue.unshift(job)
  }

  #finish(job: Job): void {
    if (!this.#jobs.delete(job.id)) return
    job.resolve(mergeOutcomes(job.outcomes, job.bytesRead, this.extractors))
  }

  #reject(job: Job, fault: Fault): void {
    if (this.#jobs.delete(job.id)) job.reject(fault)
  }

  #onBroken(fault: Fault): void {
    this.#giveUp(fault)
    this.#started?.reject(fault)
    this.#started = null
  }

  #giveUp(fault: Fault): void {
    this.#broken ??= fault
    for (const job of [...this.#jobs.values()]) this.#reject(job, this.#broken)
    this.#queue.length = 0
  }
}

function crashed(extractor: string, kind: 'timeout' | 'crash', message: string): Outcome {
  return { extractor, facts: {}, bytesAtMost: 2, faults: [{ extractor, kind, message }] }
}

function cancelled(by: string): Fault {
  return new Fault('cancelled', `The extraction was stopped by ${by} before it was finished.`)
}

/** What a store threw, as a fault. */
function readFault(error: unknown): Fault {
  return error instanceof Fault
    ? error
    : new Fault('unavailable', `The object's bytes could not be read: ${messageOf(error)}`, {}, error)
}

async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Fault('unavailable', `A read of the store took longer than ${ms} ms.`)), ms)
    })
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
