/**
 * Worker threads for code that may hang, crash or take all memory: it takes down its own thread, never the process.
 *
 * A pool hands jobs to its threads, watches how long each part of a job runs and how much memory its thread holds, ends a
 * thread that passes its bounds, and starts another. It does not know what a job is: its owner keeps the queue, gives the next
 * job when a thread has room, and decides what becomes of the jobs of a thread that died.
 *
 * Invariant: every job given to a thread comes back, by a message that its owner takes or by `onDeath`, unless the pool is closed.
 *
 * What this does not hold back: the code may do what the process may do. It is the operator's own; the bounds are against
 * accidents and hostile input, not against hostile modules.
 */
import { Fault } from '../base/fault.ts'
import { BoundedThread } from './bounded-thread.ts'

export type { BoundedThread } from './bounded-thread.ts'

/** A piece of work in a thread. */
export interface Job {
  readonly id: number
}

/** What threads tell. The first message of a thread is `ready`, or whatever its owner takes as unfit. */
export interface FromThread {
  kind: string
}

/** What a thread may write while it runs a job, so that the pool sees how far it is even when it never answers again. */
export class Progress {
  readonly #cells: Int32Array

  constructor(cells: Int32Array) {
    this.#cells = cells
  }

  /** Part `index` of the running job begins: its time counts from now. */
  begin(index: number): void {
    Atomics.store(this.#cells, 1, index)
    Atomics.add(this.#cells, 0, 1)
  }
}

export interface ThreadDeath {
  kind: 'timeout' | 'crash'
  message: string
  /** Index of the part that ran. */
  part: number
}

export interface PoolOptions<J extends Job, To, From extends FromThread> {
  file: URL
  data: object
  /** Threads started at once, and those that come with demand. */
  threads: { min: number; max: number }
  /** Jobs handed to one thread at a time: one runs, the others are at hand. */
  depth: number
  /** What one part of a job may take, and what the part is called in messages. */
  timeMs: number
  part: string
  /** JavaScript heap of a thread, and as much again outside it (buffers). */
  heapMiB: number
  /** What the threads run, for messages. */
  what: string
  /** The next job for a thread with room, if any. */
  next(): { job: J; message: To; transfer?: readonly ArrayBuffer[] } | undefined
  /** Does a job wait for which there was no room? Then another thread is started, up to the most. */
  hasMore(): boolean
  onMessage(thread: BoundedThread<J, To, From>, message: From): void
  /** A thread is gone: the job that ran, and those behind it. Another thread comes. */
  onDeath(death: ThreadDeath, current: J | undefined, rest: readonly J[], thread: BoundedThread<J, To, From>): void
  /** No thread starts any more: the pool is closed. */
  onBroken(fault: Fault): void
}

/** Threads in a row that died before they were ready: then the pool gives up instead of starting more. */
const FALSE_STARTS_MAX = 3

export class ThreadPool<J extends Job, To, From extends FromThread> {
  readonly #options: PoolOptions<J, To, From>
  readonly #threads = new Set<BoundedThread<J, To, From>>()
  #falseStarts = 0
  #isClosed = false
  #watch: NodeJS.Timeout | undefined

  constructor(options: PoolOptions<J, To, From>) {
    this.#options = options
  }

  start(): void {
    for (let i = 0; i < this.#options.threads.min; i++) this.#spawn()
  }

  /** There may be jobs: hands them out while threads have room. */
  wake(): void {
    if (this.#isClosed) return
    const { depth: depthMax, next, hasMore, threads } = this.#options
    // First one for each idle thread, then more for all.
    for (let depth = 1; depth <= depthMax; depth++) {
      for (const thread of this.#threads) {
        if (!thread.isReady || thread.jobs.length >= depth) continue
        const found = next()
        if (found === undefined) return
        thread.give(found.job, found.message, found.transfer ?? [])
        this.#startWatch()
      }
    }
    const isStarting = [...this.#threads].some((thread) => !thread.isReady)
    if (!isStarting && this.#threads.size < threads.max && hasMore()) this.#spawn()
  }

  /** Ends the threads. Their jobs do not come back. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#watch)
    await Promise.all([...this.#threads].map((thread) => thread.terminate()))
    this.#threads.clear()
  }

  /** Gives up. */
  break(fault: Fault): void {
    if (this.#isClosed) return
    void this.close()
    this.#options.onBroken(fault)
  }

  #spawn(): void {
    const { file, data, heapMiB } = this.#options
    const thread = new BoundedThread<J, To, From>(
      { file, data, heapMiB },
      {
        message: (message) => {
          if (message.kind === 'ready') this.#falseStarts = 0
          this.#options.onMessage(thread, message)
        },
        death: (death) => this.#onDeath(thread, death),
      },
    )
    this.#threads.add(thread)
  }

  #startWatch(): void {
    if (this.#watch !== undefined) return
    const { timeMs, heapMiB, part } = this.#options
    this.#watch = setInterval(
      () => {
        const busy = [...this.#threads].filter((thread) => thread.jobs.length > 0)
        for (const thread of busy) thread.check(timeMs, heapMiB, part)
        if (busy.length > 0) return
        clearInterval(this.#watch)
        this.#watch = undefined
      },
      Math.max(10, Math.min(100, timeMs / 8)),
    )
    this.#watch.unref()
  }

  #onDeath(thread: BoundedThread<J, To, From>, death: ThreadDeath): void {
    if (!this.#threads.delete(thread) || this.#isClosed) return
    const [current, ...rest] = thread.jobs
    this.#options.onDeath(death, current, rest, thread)
    if (!thread.isReady && ++this.#falseStarts >= FALSE_STARTS_MAX) {
      this.break(new Fault('unavailable', `No ${this.#options.what} worker starts: ${death.message}`))
      return
    }
    this.#spawn()
    this.wake()
  }
}
