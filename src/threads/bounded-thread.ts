/** One worker thread as its pool sees it: the jobs handed to it, how long the current one has run, and its death. */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { FromThread, Job, ThreadDeath } from './threads.ts'

export interface ThreadSetup {
  file: URL
  /** What the thread is started with; it finds `progress` beside it. */
  data: object
  heapMiB: number
}

export interface ThreadEvents<From> {
  message(message: From): void
  /** Once, when the thread is gone or about to go for a reason of its own. */
  death(death: ThreadDeath): void
}

const MiB = 1024 * 1024
/** The young generation is part of what a thread may hold. */
const YOUNG_MIB = 32
/** Jobs that run longer than this have their thread's memory looked at. */
const LOOK_AFTER_MS = 50

export class BoundedThread<J extends Job, To, From extends FromThread> {
  /** Handed over and not answered, oldest first: the first one runs. */
  readonly jobs: J[] = []
  isReady = false
  readonly #thread: Worker
  readonly #events: ThreadEvents<From>
  /** Written by the thread: parts of jobs begun so far, and the index of the one that runs. It outlives the thread. */
  readonly #progress = new Int32Array(new SharedArrayBuffer(8))
  #isDead = false
  #lastError = ''
  /** Milliseconds that the current part has run, up to `#since`; `#since` is 0 while it waits for this thread. */
  #ranMs = 0
  #since = 0
  #waiting = 0
  #overdue = 0
  #begun = 0
  #isLooking = false

  constructor({ file, data, heapMiB }: ThreadSetup, events: ThreadEvents<From>) {
    this.#events = events
    this.#thread = new Worker(file, {
      workerData: { ...data, progress: this.#progress },
      resourceLimits: { maxOldGenerationSizeMb: heapMiB, maxYoungGenerationSizeMb: YOUNG_MIB },
      // What a module prints is for the operator: standard output belongs to the command.
      stdout: true,
    })
    this.#thread.stdout.on('data', (chunk: Uint8Array) => process.stderr.write(chunk))
    this.#thread.on('message', (message: From) => this.#onMessage(message))
    this.#thread.on('error', (error) => {
      this.#lastError = messageOf(error)
    })
    this.#thread.on('exit', (code) => {
      this.#die('crash', this.#lastError === '' ? `the worker ended by itself with code ${code}` : this.#lastError)
    })
  }

  give(job: J, message: To, transfer: readonly ArrayBuffer[]): void {
    this.jobs.push(job)
    if (this.jobs.length === 1) {
      this.restartTimer()
      Atomics.store(this.#progress, 1, 0)
    }
    this.#send(message, transfer)
  }

  /** The running job, if it is that one. */
  current(id: number): J | undefined {
    const job = this.jobs[0]
    return job?.id === id ? job : undefined
  }

  /** The running job, which is finished. */
  take(id: number): J | undefined {
    const job = this.current(id)
    if (job === undefined) return undefined
    this.jobs.shift()
    this.restartTimer()
    return job
  }

  /** Sends something else than a job. */
  answer(message: To): void {
    this.#send(message, [])
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

  /** Ends the thread when the current part of its job passes its time or memory. */
  check(timeMs: number, heapMiB: number, part: string): void {
    if (this.#isDead || this.jobs.length === 0) return
    const begun = Atomics.load(this.#progress, 0)
    if (begun !== this.#begun) {
      this.#begun = begun
      this.restartTimer()
    }
    const ranMs = this.#ranMs + (this.#since > 0 ? performance.now() - this.#since : 0)
    // Twice, so that an answer which waits in this thread's own queue is heard first.
    if (ranMs > timeMs && ++this.#overdue >= 2) {
      this.#die('timeout', `stopped after ${timeMs} ms, the time that ${part} may take`)
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

  /** Ends the thread as if it had died by itself. */
  kill(message: string): void {
    this.#die('crash', message)
    void this.terminate()
  }

  async terminate(): Promise<void> {
    this.#isDead = true
    await this.#thread.terminate()
  }

  #send(message: To, transfer: readonly ArrayBuffer[]): void {
    if (!this.#isDead) this.#thread.postMessage(message, transfer)
  }

  #onMessage(message: From): void {
    if (this.#isDead) return
    if (message.kind === 'ready') this.isReady = true
    this.#events.message(message)
  }

  #die(kind: ThreadDeath['kind'], message: string): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#events.death({
      kind,
      message: message.slice(0, limits.threadMessageMax),
      part: Atomics.load(this.#progress, 1),
    })
  }
}
