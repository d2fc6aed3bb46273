/** One worker thread as the pool sees it: the objects handed to it, how long the current one has run, and its death. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../base/fault.ts'
import type { Job } from './pool.ts'
import type { BytesMessage, FromWorker, ToWorker, WorkerSetup } from './protocol.ts'

export interface PoolWorkerEvents {
  message(message: FromWorker): void
  /** Once, when the thread is gone or about to go for a reason of its own. */
  death(kind: 'timeout' | 'crash', message: string): void
}

const MiB = 1024 * 1024
/** The young generation is part of what a worker may hold. */
const YOUNG_MIB = 32
/** Objects that run longer than this have their worker's memory looked at. */
const LOOK_AFTER_MS = 50

export class PoolWorker {
  /** Handed over and not answered, oldest first: the first one runs. */
  readonly jobs: Job[] = []
  isReady = false
  readonly #thread: Worker
  readonly #events: PoolWorkerEvents
  #isDead = false
  #lastError = ''
  /** Milliseconds that the current extractor has run, up to `#since`; `#since` is 0 while it waits for bytes. */
  #ranMs = 0
  #since = 0
  #waiting = 0
  #overdue = 0
  #isLooking = false

  constructor(setup: WorkerSetup, heapMiB: number, events: PoolWorkerEvents) {
    this.#events = events
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js'
    const { modules, bounds } = setup
    const { bytesMax, readsMax, headBytes } = bounds
    this.#thread = new Worker(new URL(file, import.meta.url), {
      workerData: { modules, bounds: { bytesMax, readsMax, headBytes } },
      resourceLimits: { maxOldGenerationSizeMb: heapMiB, maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    this.#thread.on('message', (message: FromWorker) => this.#onMessage(message))
    this.#thread.on('error', (error) => {
      this.#lastError = messageOf(error)
    })
    this.#thread.on('exit', (code) => {
      this.#die('crash', this.#lastError === '' ? `the worker ended by itself with code ${code}` : this.#lastError)
    })
  }

  give(job: Job): void {
    this.jobs.push(job)
    if (this.jobs.length === 1) this.restartTimer()
    const { id, task, head, from } = job
    const { bucket, key, versionId, etag, sizeBytes } = task
    const fields = { bucket, key, versionId, sizeBytes, ...(etag === undefined ? {} : { etag }) }
    this.#send({ kind: 'task', id, fields, file: 'file' in task ? task.file : null, head, from })
  }

  /** The running job, if it is that one. */
  current(id: number): Job | undefined {
    const job = this.jobs[0]
    return job?.id === id ? job : undefined
  }

  /** The running job, which is finished. */
  take(id: number): Job | undefined {
    const job = this.current(id)
    if (job === undefined) return undefined
    this.jobs.shift()
    this.restartTimer()
    return job
  }

  answer(message: BytesMessage): void {
    this.#send(message)
  }

  restartTimer(): void {
    this.#ranMs = 0
    this.#waiting = 0
    this.#overdue = 0
    this.#since = this.jobs.length > 0 ? performance.now() : 0
  }

  pauseTimer(): void {
    if (this.#waiting++ === 0 && this.#since > 0) {
      this.#ranMs += performance.now() - this.#since
      this.#since = 0
    }
  }

  resumeTimer(): void {
    if (this.#waiting > 0 && --this.#waiting === 0 && this.jobs.length > 0) this.#since = performance.now()
  }

  /** Ends the worker when its current extractor passes its time or memory. */
  check(timeMs: number, heapMiB: number): void {
    if (this.#isDead || this.jobs.length === 0) return
    const ranMs = this.#ranMs + (this.#since > 0 ? performance.now() - this.#since : 0)
    // Twice, so that an answer which waits in this thread's own queue is heard first.
    if (ranMs > timeMs && ++this.#overdue >= 2) {
      this.#die('timeout', `stopped after ${timeMs} ms, the time that one object may take`)
      void this.terminate()
    } else if (ranMs > LOOK_AFTER_MS) void this.#lookAtMemory(heapMiB)
  }

  /** Buffers lie outside the heap that the thread's resource limits bound. */
  async #lookAtMemory(heapMiB: number): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      const { external_memory: outside } = (await this.#thread.getHeapStatistics()) as { external_memory?: number }
      if (outside !== undefined && outside > heapMiB * MiB && !this.#isDead) {
        this.#die('crash', `stopped with ${Math.round(outside / MiB)} MiB of buffers; ${heapMiB} MiB are allowed`)
        void this.terminate()
      }
    } catch {
      // The thread is ending; its exit tells.
    } finally {
      this.#isLooking = false
    }
  }

  async terminate(): Promise<void> {
    this.#isDead = true
    await this.#thread.terminate()
  }

  #send(message: ToWorker): void {
    if (!this.#isDead) this.#thread.postMessage(message)
  }

  #onMessage(message: FromWorker): void {
    if (this.#isDead) return
    if (message.kind === 'ready') this.isReady = true
    this.#events.message(message)
  }

  #die(kind: 'timeout' | 'crash', message: string): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#events.death(kind, message)
  }
}
