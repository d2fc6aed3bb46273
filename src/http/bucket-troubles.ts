/**
 * Buckets that do not do as they should: requests that failed one after another, and comparisons with listings that failed. What is told
 * as it turns is bounded: of one bucket at most once in `limits.bucketToldEveryMs`, and that it is over only where that it began was told.
 */
import type { ReconcileEvent } from '../app/reconcile-schedule.ts'
import type { SentRequest } from '../app/warehouse.ts'
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'

export interface BucketTurn {
  kind: 'degraded' | 'recovered'
  bucket: string
  /** Requests that failed one after another. */
  failures: number
  /** How the last of them ended. */
  outcome: SentRequest['outcome']
  /** What the last of them said that said anything; null: none did. */
  error: string | null
}

interface Failing extends Omit<BucketTurn, 'kind' | 'bucket'> {
  told: boolean
}

export class BucketTroubles {
  readonly #nowMs: Clock['nowMs']
  readonly #onTurn: (turn: BucketTurn) => void
  /** Requests that failed since one went well. */
  readonly #failing = new Map<string, Failing>()
  /** Buckets whose last comparison failed, and why. */
  readonly #uncompared = new Map<string, string>()
  readonly #toldMs = new Map<string, number>()

  /** @param onTurn must not throw */
  constructor(nowMs: Clock['nowMs'], onTurn: (turn: BucketTurn) => void) {
    this.#nowMs = nowMs
    this.#onTurn = onTurn
  }

  /** @param bucket bounded by the caller, as everything is kept by it */
  sent(bucket: string, { outcome, error }: Pick<SentRequest, 'outcome' | 'error'>): void {
    if (outcome === 'refused' || outcome === 'broken' || outcome === 'timeout') {
      const before = this.#failing.get(bucket)
      const failures = (before?.failures ?? 0) + 1
      const failing = { failures, outcome, error: error ?? before?.error ?? null, told: before?.told ?? false }
      this.#failing.set(bucket, failing)
      this.#tell(bucket, failing)
    }
    // That an object is missing is also what a HEAD says where there is no bucket.
    else if (outcome === 'ok' || outcome === 'condition') this.#recovered(bucket)
  }

  compared({ bucket, ...event }: ReconcileEvent): void {
    if (event.kind === 'failed') this.#uncompared.set(bucket, event.message)
    else this.#uncompared.delete(bucket)
  }

  /** In words. */
  get reasons(): string[] {
    const failing = [...this.#failing].filter(([, { failures }]) => failures >= limits.bucketFailuresTold)
    return [
      ...failing.map(([bucket, each]) => failingLine(bucket, each)),
      ...[...this.#uncompared].map(
        ([bucket, message]) => `bucket ${bucket} is not compared with its listing: ${message}`,
      ),
    ]
  }

  #tell(bucket: string, failing: Failing): void {
    const nowMs = this.#nowMs()
    // A clock that was set back must not silence a bucket for long.
    const sinceMs = Math.abs(nowMs - (this.#toldMs.get(bucket) ?? Number.NEGATIVE_INFINITY))
    if (failing.told || failing.failures < limits.bucketFailuresTold || sinceMs < limits.bucketToldEveryMs) return
    failing.told = true
    this.#toldMs.set(bucket, nowMs)
    this.#onTurn({ kind: 'degraded', bucket, ...turnOf(failing) })
  }

  #recovered(bucket: string): void {
    const failing = this.#failing.get(bucket)
    if (failing === undefined) return
    this.#failing.delete(bucket)
    if (failing.told) this.#onTurn({ kind: 'recovered', bucket, ...turnOf(failing) })
  }
}

function turnOf({ failures, outcome, error }: Failing): Omit<BucketTurn, 'kind' | 'bucket'> {
  return { failures, outcome, error }
}

/** What a bucket is for: objects that events tell of, the tables, or both. */
export type BucketHolds = 'objects' | 'tables' | 'both'

/** What has to do without the bucket while it fails. */
const WITHOUT: Record<BucketHolds, string> = {
  objects: 'its objects are known by their events alone until it answers',
  tables: 'it holds the warehouse: what is to be committed waits until it answers',
  both: 'it holds the warehouse: what is to be committed waits until it answers, and its objects are known by their events alone',
}

/** A turn as a sentence. */
export function turnLine(turn: BucketTurn, holds: BucketHolds): string {
  switch (turn.kind) {
    case 'degraded':
      return `${failingLine(turn.bucket, turn)}; ${WITHOUT[holds]}`
    case 'recovered':
      return `bucket ${turn.bucket} answers again, after ${turn.failures} requests that failed`
  }
}

function failingLine(bucket: string, { failures, outcome, error }: Omit<BucketTurn, 'kind' | 'bucket'>): string {
  const said = error === null ? '' : `: ${error}`
  return `bucket ${bucket}: ${failures} requests failed one after another (${outcome}${said})`
}
