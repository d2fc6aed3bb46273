/**
 * Buckets that are compared with their listing every so often, while events flow: `objects.buckets.NAME.reconcile.every`.
 *
 * One bucket at a time. When a bucket was compared last stands in the home, so that restarts neither bring a listing each nor put one
 * off for ever. A comparison that fails is told and tried again, the longer the more often it fails.
 */
import { backoffMs } from '../base/backoff.ts'
import { messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Config } from './config.ts'
import { durationMs } from './duration.ts'
import type { Engine } from './engine.ts'
import { ListingProgress } from './listing-progress.ts'
import { type DriftCounts, followingPace, reconcileListing, totalDrift } from './reconcile.ts'

export interface ScheduledBucket {
  bucket: string
  everyMs: number
  /** It is being compared. */
  isRunning: boolean
  /** When it was compared to its end the last time; null: not yet. */
  lastMs: number | null
  /** When it is due; in the past: as soon as no other is running. */
  nextMs: number
  /** Why the last try failed; null: it did not. */
  trouble: string | null
}

export type ReconcileEvent =
  | { kind: 'compared'; bucket: string; counts: DriftCounts; elapsedMs: number }
  | { kind: 'failed'; bucket: string; message: string; retryInMs: number }

export interface ReconcileScheduleOptions {
  onEvent?: (event: ReconcileEvent) => void
  onNotice?: (text: string) => void
}

interface Entry extends ScheduledBucket {
  prefix: string
  failures: number
}

export class ReconcileSchedule {
  readonly #engine: Engine
  readonly #options: ReconcileScheduleOptions
  readonly #progress: ListingProgress
  readonly #entries: Entry[]
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null

  private constructor(engine: Engine, options: ReconcileScheduleOptions, progress: ListingProgress, entries: Entry[]) {
    this.#engine = engine
    this.#options = options
    this.#progress = progress
    this.#entries = entries
  }

  /** What the configuration asks for. Nothing runs before `start`. */
  static async open(engine: Engine, options: ReconcileScheduleOptions = {}): Promise<ReconcileSchedule> {
    const progress = await ListingProgress.open(engine.home.stateDir, (text) => options.onNotice?.(text))
    return new ReconcileSchedule(engine, options, progress, entriesOf(engine.config, progress))
  }

  get buckets(): readonly ScheduledBucket[] {
    return this.#entries
  }

  /** The engine must have been started. */
  start(): void {
    if (this.#entries.length > 0) this.#running ??= this.#follow()
  }

  /** Ends after the page that is being compared. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #follow(): Promise<void> {
    const { clock } = this.#engine
    const { signal } = this.#stop
    while (!signal.aborted) {
      const next = this.#entries.reduce((first, entry) => (entry.nextMs < first.nextMs ? entry : first))
      const waitMs = next.nextMs - clock.nowMs()
      // A clock that is set is noticed within a while.
      if (waitMs > 0) await clock.sleep(Math.min(waitMs, limits.reconcileEveryMsMin), signal).catch(() => undefined)
      else await this.#compare(next)
    }
  }

  async #compare(entry: Entry): Promise<void> {
    const { clock, buckets } = this.#engine
    const { bucket, prefix, everyMs } = entry
    const { signal } = this.#stop
    const begunMs = clock.nowMs()
    entry.isRunning = true
    try {
      const store = await buckets.remote(bucket)
      if (store === null) throw new Error(`bucket ${bucket} stands for a directory, which is compared by ingest`)
      const pace = followingPace(this.#engine, signal)
      const counts = await reconcileListing(this.#engine, { bucket, store, prefix }, { pace, signal })
      entry.failures = 0
      entry.trouble = null
      entry.lastMs = begunMs
      entry.nextMs = begunMs + everyMs
      await this.#progress.setCompared(bucket, begunMs)
      this.#options.onEvent?.({ kind: 'compared', bucket, counts, elapsedMs: clock.nowMs() - begunMs })
    } catch (error) {
      if (signal.aborted) return
      const retryInMs = Math.min(
        everyMs,
        backoffMs(++entry.failures, limits.reconcileBackoffMs, limits.reconcileBackoffMaxMs),
      )
      entry.trouble = messageOf(error)
      entry.nextMs = clock.nowMs() + retryInMs
      this.#options.onEvent?.({ kind: 'failed', bucket, message: messageOf(error), retryInMs })
    } finally {
      entry.isRunning = false
    }
  }
}

/** A comparison in words, for the log. */
export function reconcileLine(event: ReconcileEvent): string {
  switch (event.kind) {
    case 'compared': {
      const { bucket, counts, elapsedMs } = event
      const kinds = Object.entries(counts.drift)
        .filter(([, count]) => count > 0)
        .map(([kind, count]) => `${count} ${kind}`)
      const found = totalDrift(counts) === 0 ? 'in step' : `mended ${kinds.join(', ')}`
      return `compared ${bucket} with its listing of ${counts.keys} keys in ${elapsedMs} ms: ${found}`
    }
    case 'failed':
      return `comparing ${event.bucket} with its listing waits ${event.retryInMs} ms: ${event.message}`
  }
}

function entriesOf({ objects }: Config, progress: ListingProgress): Entry[] {
  return Object.entries(objects.buckets).flatMap(([bucket, { prefix, reconcile }]) => {
    if (reconcile === undefined) return []
    const everyMs = durationMs(reconcile.every)
    const lastMs = progress.comparedMs(bucket) ?? null
    const nextMs = lastMs === null ? 0 : lastMs + everyMs
    return [{ bucket, prefix, everyMs, isRunning: false, lastMs, nextMs, trouble: null, failures: 0 }]
  })
}
