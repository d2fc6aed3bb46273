/**
 * A directory as a bucket: compares what is there with what the table holds, and turns the difference into events.
 *
 * `scanDirectory` compares everything, by walking two ordered streams side by side; it is the truth, and finds what any
 * watcher missed. `compareKeys` compares a few keys, for what a watcher saw. Both only read; they may run again at any
 * time, and a second run with an up-to-date inventory finds nothing.
 *
 * Whoever calls holds the inventory against which is compared. What has been told but has not reached the table yet
 * should be in it: otherwise it is told again, which costs work but changes nothing.
 *
 * A folder that cannot be listed stops the scan with a fault, and a root that is gone is such a folder: an unmounted
 * disk must not look like a directory whose files were all deleted.
 *
 * A file that was written within the last `limits.watchQuietMs` may be half-written: it must look the same twice, that
 * far apart, before it is taken. One that keeps changing is taken after `limits.settleMaxMs` as it is; its next state
 * comes as another event.
 */
import { must } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { NULL_VERSION, OBJECT_EVENT_VERSION, type ObjectEvent } from '../change/object-event.ts'
import type { ObjectInfo, Store } from '../store/store.ts'
import type { HybridClock } from './hybrid-clock.ts'

/** What the table holds of one object. */
export interface InventoryEntry {
  key: string
  /** As the same store gave it. Absent: taken for another one, so the object is told again. */
  etag?: string
  sizeBytes?: number
  /** The row's own sequencer: what is told now gets a greater one. */
  sequencer?: string
}

export interface CompareOptions {
  /** Name of the bucket that the directory stands for. */
  bucket: string
  clock: Clock
  sequencers: HybridClock
  /** Folders (`state/`) whose files are no objects, such as the one that Tidewater writes into. */
  excluded?: readonly string[]
}

export interface ScanOptions extends CompareOptions {
  /** The bucket's objects in the order of `Store.list`: by UTF-16 code unit, each key once. */
  inventory: AsyncIterable<InventoryEntry>
  /** Events handed over at once. */
  pageFiles?: number
  signal?: AbortSignal
}

/** Files told from the inventory and not yet quiet, to be looked at again. */
type Unsettled = Map<string, { etag: string; entry: InventoryEntry | undefined }>

/**
 * Events for every difference between the directory and the inventory, in pages of at most `pageFiles`; none when there
 * is no difference. Memory: one page.
 *
 * @param store a file store whose etags change with each write of a file (`stat`)
 * @throws Fault `unavailable` when a folder cannot be listed, `invalid` when the inventory is out of order: what was
 * yielded before is right all the same
 */
export async function* scanDirectory(store: Store, options: ScanOptions): AsyncGenerator<ObjectEvent[]> {
  const pageFiles = options.pageFiles ?? limits.scanPageFiles
  let page: ObjectEvent[] = []
  let unsettled: Unsettled = new Map()
  for await (const pair of pairs(included(store, options), inOrder(options.inventory))) {
    options.signal?.throwIfAborted()
    const { entry, object } = pair
    if (entry?.sequencer !== undefined) options.sequencers.observe(entry.sequencer)
    if (object !== undefined && isSame(object, entry)) continue
    if (object !== undefined && isFresh(object, options.clock)) unsettled.set(object.key, { etag: object.etag, entry })
    else page.push(difference(object, entry, options))
    if (unsettled.size >= pageFiles) {
      yield* settle(store, unsettled, options)
      unsettled = new Map()
    }
    if (page.length >= pageFiles) {
      yield page
      page = []
    }
  }
  if (page.length > 0) yield page
  yield* settle(store, unsettled, options)
}

/**
 * Events for those of `keys` whose file differs from the inventory.
 *
 * @param known what the inventory holds of these keys; a key that is not in it is new
 */
export async function compareKeys(
  store: Store,
  keys: readonly string[],
  known: ReadonlyMap<string, InventoryEntry>,
  options: CompareOptions,
): Promise<ObjectEvent[]> {
  const events: ObjectEvent[] = []
  for (let start = 0; start < keys.length; start += limits.storeStatsAtOnce) {
    const some = keys.slice(start, start + limits.storeStatsAtOnce)
    const objects = await Promise.all(some.map((key) => headOrNull(store, key, options)))
    for (const [index, key] of some.entries()) {
      const object = objects[index] ?? undefined
      const entry = known.get(key)
      if (entry?.sequencer !== undefined) options.sequencers.observe(entry.sequencer)
      if (object === undefined ? entry === undefined : isSame(object, entry)) continue
      events.push(difference(object, entry, options))
    }
  }
  return events
}

/** A key that cannot be a file in this store (a name that it keeps for itself, say) has none. */
async function headOrNull(store: Store, key: string, options: CompareOptions): Promise<ObjectInfo | null> {
  if (isExcluded(key, options.excluded)) return null
  try {
    return await store.head(key)
  } catch (error) {
    if (isFault(error, 'invalid')) return null
    throw error
  }
}

/** True for a key in one of these folders, given with or without "/" at their end. */
export function isExcluded(key: string, folders: readonly string[] = []): boolean {
  return folders.some((folder) => {
    const bare = folder.endsWith('/') ? folder.slice(0, -1) : folder
    return key.startsWith(bare) && (key.length === bare.length || key[bare.length] === '/')
  })
}

async function* included(store: Store, options: ScanOptions): AsyncGenerator<ObjectInfo> {
  for await (const object of store.list()) {
    if (!isExcluded(object.key, options.excluded)) yield object
  }
}

/** Passes the inventory on, and refuses one that is out of order: it would make deletes of objects that are there. */
async function* inOrder(inventory: AsyncIterable<InventoryEntry>): AsyncGenerator<InventoryEntry> {
  let last: string | undefined
  for await (const entry of inventory) {
    if (last !== undefined && entry.key <= last) {
      const got = `${JSON.stringify(entry.key)} after ${JSON.stringify(last)}`
      throw new Fault('invalid', `expected the inventory in order of UTF-16 code units, each key once, got ${got}`)
    }
    last = entry.key
    yield entry
  }
}

/** Two streams in key order → one stream of what each has under a key. */
async function* pairs(
  objects: AsyncGenerator<ObjectInfo>,
  entries: AsyncGenerator<InventoryEntry>,
): AsyncGenerator<{ object: ObjectInfo | undefined; entry: InventoryEntry | undefined }> {
  const take = async <T>(from: AsyncGenerator<T>): Promise<T | undefined> => (await from.next()).value as T | undefined
  try {
    let object = await take(objects)
    let entry = await take(entries)
    while (object !== undefined || entry !== undefined) {
      const hasObject = object !== undefined && (entry === undefined || object.key <= entry.key)
      const hasEntry = entry !== undefined && (object === undefined || entry.key <= object.key)
      yield { object: hasObject ? object : undefined, entry: hasEntry ? entry : undefined }
      if (hasObject) object = await take(objects)
      if (hasEntry) entry = await take(entries)
    }
  } finally {
    await Promise.all([objects.return(undefined), entries.return(undefined)])
  }
}

function isSame(object: ObjectInfo, entry: InventoryEntry | undefined): boolean {
  return entry !== undefined && entry.etag === object.etag && (entry.sizeBytes ?? object.sizeBytes) === object.sizeBytes
}

function isFresh(object: ObjectInfo, clock: Clock): boolean {
  return Math.abs(clock.nowMs() - object.lastModifiedMs) < limits.watchQuietMs
}

/** Looks again until each file was the same twice, and gives events for what still differs. */
async function* settle(store: Store, unsettled: Unsettled, options: ScanOptions): AsyncGenerator<ObjectEvent[]> {
  const roundsMax = Math.ceil(limits.settleMaxMs / limits.watchQuietMs)
  for (let round = 1; unsettled.size > 0; round++) {
    await options.clock.sleep(limits.watchQuietMs, options.signal)
    const page: ObjectEvent[] = []
    for (const [key, before] of unsettled) {
      const object = (await headOrNull(store, key, options)) ?? undefined
      if (object !== undefined && object.etag !== before.etag && round < roundsMax) {
        before.etag = object.etag
        continue
      }
      unsettled.delete(key)
      const { entry } = before
      if (object === undefined ? entry === undefined : isSame(object, entry)) continue
      page.push(difference(object, entry, options))
    }
    if (page.length > 0) yield page
  }
}

function difference(
  object: ObjectInfo | undefined,
  entry: InventoryEntry | undefined,
  options: CompareOptions,
): ObjectEvent {
  const common = {
    v: OBJECT_EVENT_VERSION,
    source: 'directory',
    bucket: options.bucket,
    versionId: NULL_VERSION,
    time: new Date(options.clock.nowMs()).toISOString(),
    sequencer: options.sequencers.next(),
  } as const
  if (object === undefined) {
    const { key } = must(entry, 'the inventory entry of an object that is gone')
    return { ...common, kind: 'delete', name: 'ObjectRemoved:Delete', key }
  }
  const { key, etag, sizeBytes } = object
  const name = 'ObjectCreated:Put'
  return { ...common, kind: 'create', name, key, etag, sizeBytes, storageClass: 'STANDARD', isMultipart: false }
}
