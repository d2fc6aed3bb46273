/**
 * A bucket compared with what is known of it, by its listing or by a report of S3 Inventory, and mended by events like any other:
 * they go through the objects log, in order with everything that comes meanwhile (`service/objects/drift.ts` says why nothing
 * newer is undone).
 *
 * Crash story: a difference is mended by an event that is durable, or found again by the next comparison.
 */
import { createWriteStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { DRIFT_KINDS, type Drift, type DriftKind } from '../service/objects/drift.ts'
import { hasVersions, inventoryListing } from '../service/objects/inventory-listing.ts'
import { type ComparedPage, type CompareParts, compareListing } from '../service/objects/reconcile.ts'
import {
  type InventoryFile,
  type InventoryManifest,
  ListingParts,
  lookAtKey,
  type PartRange,
  readManifest,
} from '../source/source.ts'
import type { BucketStore, Store } from '../store/store.ts'
import type { Engine } from './engine.ts'
import { warehouseUri } from './warehouse.ts'
import { watchedObjects } from './watched.ts'

/** A bucket to compare. */
export interface ReconcileBucket {
  bucket: string
  store: BucketStore
  prefix: string
  /** List versions and markers; default: as the bucket has them. */
  versions?: boolean
}

export interface ReconcileOptions {
  /** Find only. */
  dryRun?: boolean
  pace: Pace
  signal?: AbortSignal
  onProgress?: (counts: DriftCounts) => void
  onDrift?: (drifts: readonly Drift[]) => void
  /** What is left of an earlier listing. */
  left?: readonly PartRange[]
  /** Told what is left after each page that is done with, durably. */
  onLeft?: (left: PartRange[], counts: DriftCounts) => Promise<void>
}

export interface DriftCounts {
  /** Keys and versions that the listing or report shows. */
  keys: number
  versions: number
  drift: Record<DriftKind, number>
  /** Versions known by events that may be newer than the listing: the next comparison judges them. */
  unsettled: number
  /** Keys with more versions than are compared. */
  tooMany: number
  /** Events that were made durable. */
  mended: number
}

/** How mending goes along with the stage that merges events. */
export interface Pace {
  /** Resolves when everything told before is known. */
  begin(): Promise<void>
  /** Resolves when there is room for more events. */
  room(): Promise<void>
}

export function totalDrift({ drift }: Pick<DriftCounts, 'drift'>): number {
  return Object.values(drift).reduce((sum, count) => sum + count, 0)
}

export function noDrift(): DriftCounts {
  const drift = Object.fromEntries(DRIFT_KINDS.map((kind) => [kind, 0])) as Record<DriftKind, number>
  return { keys: 0, versions: 0, drift, unsettled: 0, tooMany: 0, mended: 0 }
}

/** For a process that drains by itself: the engine is not started. */
export function drainingPace(engine: Engine): Pace {
  let draining: Promise<void> | null = null
  return {
    begin: () => engine.objects.drain(),
    room: async () => {
      while (engine.objects.accepted - engine.objects.position > limits.reconcileWaitingMax) {
        draining ??= engine.drain().finally(() => {
          draining = null
        })
        await draining
      }
    },
  }
}

/** For an engine that has been started. */
export function followingPace(engine: Engine, signal: AbortSignal): Pace {
  return {
    begin: () => engine.objects.passed(engine.objects.accepted, signal).then(() => undefined),
    room: () => engine.objects.passed(engine.objects.accepted - limits.reconcileWaitingMax, signal),
  }
}

/** Compares the bucket with its listing, several parts at once. @throws what the store throws; what was mended stays */
export async function reconcileListing(
  engine: Engine,
  target: ReconcileBucket,
  options: ReconcileOptions,
): Promise<DriftCounts> {
  const { store, prefix } = target
  const versions = target.versions ?? (await store.versioning()) !== 'never'
  const counts = noDrift()
  await options.pace.begin()
  const parts = new ListingParts({
    store,
    prefix,
    versions,
    ...(options.left === undefined ? {} : { left: options.left }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  await parts.run(async (part) => {
    const pages = compareListing({
      ...compareParts(engine, target, versions),
      listing: part.keys(),
      range: part,
      begunMs: engine.clock.nowMs(),
      kind: 'listing',
    })
    for await (const page of pages) {
      options.signal?.throwIfAborted()
      await take(engine, page, counts, options)
      part.done(page.upTo)
      await options.onLeft?.(parts.left(), counts)
    }
  })
  return counts
}

export interface ReportToCompare {
  manifest: InventoryManifest
  /** Where its files are. */
  fetch: (file: InventoryFile) => Promise<{ path: string; release: () => Promise<void> }>
  /** Look at the bucket itself before anything is judged. */
  look: boolean
  onFile?: (done: number, of: number) => void
}

/** Compares the bucket with a report. What is newer than the report is not judged by it. @throws as `reconcileListing`; Fault `corrupt` */
export async function reconcileReport(
  engine: Engine,
  target: ReconcileBucket,
  report: ReportToCompare,
  options: ReconcileOptions,
): Promise<DriftCounts> {
  const { manifest, look } = report
  const { bucket, prefix, store } = target
  if (manifest.sourceBucket !== bucket)
    throw new Fault('invalid', `expected a report of bucket ${bucket}, got one of ${manifest.sourceBucket}`)
  const versions = look ? (target.versions ?? (await store.versioning()) !== 'never') : hasVersions(manifest)
  const counts = noDrift()
  await options.pace.begin()
  const session = await engine.duck.connect()
  try {
    const { look: lookAt, ...parts } = compareParts(engine, target, versions)
    const pages = compareListing({
      ...parts,
      ...(look && lookAt !== undefined ? { look: lookAt } : {}),
      listing: inventoryListing({
        session,
        manifest,
        prefix,
        fetch: report.fetch,
        scratch: (extension) => engine.io.scratch(extension),
        ...(report.onFile === undefined ? {} : { onFile: report.onFile }),
      }),
      range: { prefix },
      begunMs: manifest.createdMs,
      kind: 'inventory',
      currentOnly: versions && !hasVersions(manifest),
    })
    for await (const page of pages) {
      options.signal?.throwIfAborted()
      await take(engine, page, counts, options)
    }
  } finally {
    session.close()
  }
  return counts
}

function compareParts(engine: Engine, { bucket, store }: ReconcileBucket, versions: boolean): CompareParts {
  const watches = watchedObjects(engine.config, [warehouseUri(engine.home, engine.config)])
  return {
    bucket,
    versions: engine.versions,
    clock: engine.clock,
    look: (key) => lookAtKey(store, key, versions),
    isExcluded: (key) => !watches({ bucket, key }),
  }
}

async function take(engine: Engine, page: ComparedPage, counts: DriftCounts, options: ReconcileOptions): Promise<void> {
  const { drifts } = page
  counts.keys += page.keys
  counts.versions += page.versions
  counts.unsettled += page.unsettled
  counts.tooMany += page.tooMany.length
  for (const { kind } of drifts) counts.drift[kind]++
  options.onDrift?.(drifts)
  if (drifts.length > 0 && options.dryRun !== true) {
    await options.pace.room()
    await engine.objects.accept(drifts.map(({ event }) => event))
    counts.mended += drifts.length
  }
  options.onProgress?.(counts)
}

/** A report on this machine: `manifest.json`, and its files where they are in a bucket or beside it. @throws Fault */
export async function localReport(file: string): Promise<Pick<ReportToCompare, 'manifest' | 'fetch'>> {
  const folder = path.dirname(file)
  const read = async (name: string) => readFile(name).catch((error: unknown) => notRead(name, error))
  const bytes = await read(file)
  const checksum = await readFile(path.join(folder, 'manifest.checksum'), 'utf8').catch(() => null)
  return {
    manifest: readManifest(bytes, checksum, file),
    fetch: async ({ key }) => {
      const name = key.split('/').at(-1) ?? ''
      const places = [path.join(folder, name), path.join(folder, 'data', name), path.join(folder, '..', 'data', name)]
      for (const place of places) {
        const isThere = await readable(place)
        if (isThere) return { path: place, release: async () => undefined }
      }
      throw new Fault('not-found', `the report's file ${key} is in none of ${places.join(', ')}; copy it there`)
    },
  }
}

async function readable(file: string): Promise<boolean> {
  const { access } = await import('node:fs/promises')
  return access(file).then(
    () => true,
    () => false,
  )
}

function notRead(name: string, error: unknown): never {
  throw new Fault('not-found', `the report ${name} cannot be read: ${messageOf(error)}`, {}, error)
}

/** A report in a bucket. @param key of its `manifest.json` @throws Fault */
export async function remoteReport(
  engine: Engine,
  store: Store,
  key: string,
): Promise<Pick<ReportToCompare, 'manifest' | 'fetch'>> {
  const bytes = await store.get(key)
  const checksumKey = key.replace(/manifest\.json$/, 'manifest.checksum')
  const hasChecksum = checksumKey !== key && (await store.head(checksumKey)) !== null
  const checksum = hasChecksum ? Buffer.from(await store.get(checksumKey)).toString('utf8') : null
  return {
    manifest: readManifest(bytes, checksum, `${store.name}/${key}`),
    fetch: async (file) => {
      const local = await engine.io.scratch(file.key.endsWith('.gz') ? '.csv.gz' : '')
      const release = () => rm(local, { force: true })
      try {
        await pipeline(Readable.from(piecesOf(store, file)), createWriteStream(local))
      } catch (error) {
        await release()
        throw error
      }
      return { path: local, release }
    },
  }
}

async function* piecesOf(store: Store, { key, sizeBytes }: InventoryFile): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < sizeBytes; start += limits.inventoryReadBytes) {
    yield await store.get(key, { range: { start, end: Math.min(sizeBytes, start + limits.inventoryReadBytes) } })
  }
}
