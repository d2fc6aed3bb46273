/** `tidewater ingest s3://bucket/prefix`: brings the tables in step with a bucket. A run that was ended goes on where it was. */

import type { Config } from '../app/config.ts'
import type { Engine } from '../app/engine.ts'
import { type IngestCounts, stageCounts } from '../app/ingest.ts'
import { ListingProgress } from '../app/listing-progress.ts'
import { type DriftCounts, drainingPace, type ReconcileBucket, reconcileListing } from '../app/reconcile.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { warn } from './common.ts'
import type { Progress } from './progress.ts'

export interface BucketLocation {
  bucket: string
  prefix: string
}

export interface BucketIngestCounts extends IngestCounts {
  /** Keys and versions that the listing showed in this run. */
  keys: number
  versions: number
  unsettled: number
  tooMany: number
}

/** `s3://bucket/prefix` → its parts; undefined: it is no such location. @throws Fault `invalid` */
export function bucketLocation(text: string): BucketLocation | undefined {
  if (!/^s3a?:\/\//.test(text)) return undefined
  const [, bucket, prefix] = /^s3a?:\/\/([^/]+)\/?(.*)$/s.exec(text) ?? []
  if (bucket === undefined) throw new Fault('invalid', `expected s3://bucket or s3://bucket/prefix, got ${text}`)
  return { bucket, prefix: prefix ?? '' }
}

/** The configuration with the bucket in it: one that it does not name is reached by the connection `default`. */
export function withBucket(config: Config, bucket: string): Config {
  const { objects } = config
  if (Object.hasOwn(objects.buckets, bucket) || objects.buckets['*'] !== undefined) return config
  const settings = { s3: 'default', prefix: '', exclude: [], describe: 'all' as const }
  return { ...config, objects: { ...objects, buckets: { ...objects.buckets, [bucket]: settings } } }
}

/** What a server that holds the home does of this by itself is said with its refusal. @throws Fault as `work` */
export async function besideServer(bucket: string, work: Promise<void>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isFault(error, 'conflict') || error.facts['home'] === undefined) throw error
    throw new Fault(
      'conflict',
      `${error.message}. A server compares the bucket by itself, beside its events, with objects.buckets.${bucket}.reconcile.every in its configuration`,
      error.facts,
      error,
    )
  }
}

/** @throws Fault `conflict` when the bucket stands for a directory here */
export async function remoteBucket(engine: Engine, bucket: string): Promise<ReconcileBucket['store']> {
  const store = await engine.buckets.remote(bucket)
  if (store !== null) return store
  throw new Fault(
    'conflict',
    `bucket ${bucket} stands for the directory ${engine.buckets.directoryOf(bucket)} in this home: use another home for the bucket of that name`,
  )
}

export interface IngestBucketOptions {
  versions?: boolean
  /** Leave behind how far an earlier run came. */
  anew?: boolean
  signal: AbortSignal
  progress: Progress
}

export async function ingestBucket(
  engine: Engine,
  { bucket, prefix }: BucketLocation,
  options: IngestBucketOptions,
): Promise<BucketIngestCounts> {
  const { signal, progress } = options
  const store = await remoteBucket(engine, bucket)
  const kept = await ListingProgress.open(engine.home.stateDir, warn)
  const earlier = options.anew === true ? undefined : kept.unfinished(bucket, prefix)
  if (earlier !== undefined)
    warn(`going on with what was begun at ${earlier.begun}: ${earlier.keys} keys were compared (--anew begins anew)`)
  const begun = earlier?.begun ?? new Date(engine.clock.nowMs()).toISOString()
  const keysBefore = earlier?.keys ?? 0
  let keptMs = Number.NEGATIVE_INFINITY
  let writing = Promise.resolve()
  const counts = await reconcileListing(
    engine,
    { bucket, store, prefix, ...(options.versions === undefined ? {} : { versions: options.versions }) },
    {
      pace: drainingPace(engine),
      signal,
      ...(earlier === undefined ? {} : { left: earlier.left }),
      onLeft: async (left, { keys }) => {
        if (performance.now() - keptMs < limits.reconcileKeepMs) return
        keptMs = performance.now()
        writing = writing.then(() => kept.keep(bucket, prefix, { begun, keys: keysBefore + keys, left }))
        await writing
      },
      onProgress: ({ keys, mended }) => progress.show(`${keys} keys compared, ${mended} changes found`),
    },
  )
  await writing
  await engine.drain()
  await kept.keep(bucket, prefix, undefined)
  if (prefix === '') await kept.setCompared(bucket, engine.clock.nowMs())
  return { ...ingestCounts(counts), ...stageCounts(engine) }
}

function ingestCounts({ drift, keys, versions, unsettled, tooMany }: DriftCounts) {
  return {
    keys,
    versions,
    added: drift['missing-object'] + drift['missing-version'] + drift['missing-marker'],
    changed: drift['other-content'] + drift['other-class'] + drift['other-order'],
    removed: drift['extra-object'] + drift['extra-version'] + drift['extra-marker'],
    unsettled,
    tooMany,
    skipped: 0,
    ignored: 0,
    problems: 0,
  }
}
