/**
 * What is known of a bucket in the order of its listing: keys by code point, each with its versions that are there.
 *
 * The file of versions is in the order of UTF-16 code units. The two differ only among keys that agree up to a character of U+E000
 * or more: those of U+E000 to U+FFFF are walked before those beyond. Memory: one page, and the versions of one key, of which no more
 * than `limits.reconcileVersionsPerKeyMax` are given (and then one more, so that the rest can be told).
 */

import { compareKeyOrder, firstUnordered } from '../../base/key-order.ts'
import { limits } from '../../base/limits.ts'
import type { VersionState } from './version-state.ts'
import type { VersionCursor, VersionStore } from './version-store.ts'

export interface KnownKey {
  key: string
  /** Of versions that are there, objects and markers, by version id. */
  versions: { versionId: string; state: VersionState }[]
}

/** Where a walk goes: keys with this prefix, after one key and up to another. */
export interface KeyRange {
  prefix: string
  /** Exclusive. */
  after?: string
  /** Inclusive. */
  upTo?: string
}

/** What is merged during the walk shows if it lies ahead of the page read last. */
export function* knownKeys(store: VersionStore, bucket: string, range: KeyRange): Generator<KnownKey> {
  const { prefix, after } = range
  // Up to the first place where the orders may differ, what comes after `after` in one order does so in the other.
  const unordered = after === undefined ? -1 : firstUnordered(after, prefix.length)
  const isBefore = after === undefined || !after.startsWith(prefix)
  if (isBefore && after !== undefined && compareKeyOrder(after, prefix) > 0) return
  const start = isBefore ? prefix : unordered < 0 ? after : after.slice(0, unordered)
  for (const known of walk(store, bucket, start, prefix.length, (key) => key.startsWith(prefix))) {
    if (after !== undefined && compareKeyOrder(known.key, after) <= 0) continue
    // The end may come nearer during the walk.
    if (range.upTo !== undefined && compareKeyOrder(known.key, range.upTo) > 0) return
    yield known
  }
}

/** Keys from `start` for as long as `isInside`, which agree in the order of code points up to `depth`. */
function* walk(
  store: VersionStore,
  bucket: string,
  start: string,
  depth: number,
  isInside: (key: string) => boolean,
): Generator<KnownKey> {
  let done: string | null = null
  for (const known of grouped(store, bucket, { key: start, versionId: '' })) {
    if (!isInside(known.key)) return
    const at = firstUnordered(known.key, depth)
    if (at < 0) {
      yield known
      continue
    }
    const stem = known.key.slice(0, at)
    // The rest of a stem that was walked already.
    if (stem === done) continue
    done = stem
    const within = (key: string): boolean => key.startsWith(stem) && key.length > at && isInside(key)
    yield* walk(store, bucket, `${stem}\uE000`, at + 1, within)
    yield* walk(store, bucket, `${stem}\u{10000}`, at + 2, (key) => within(key) && key.charCodeAt(at) < 0xe000)
  }
}

const PAGE_FIRST = 64

function* grouped(store: VersionStore, bucket: string, start: VersionCursor): Generator<KnownKey> {
  let cursor = start
  let open = null as KnownKey | null
  for (let limit = PAGE_FIRST; ; limit = Math.min(limit * 4, limits.scanPageFiles)) {
    const page = store.listShown(bucket, cursor, limit)
    for (const { key, versionId, state } of page) {
      if (open?.key !== key) {
        if (open !== null) yield open
        open = { key, versions: [] }
      }
      if (open.versions.length <= limits.reconcileVersionsPerKeyMax) open.versions.push({ versionId, state })
    }
    const last = page.at(-1)
    if (last === undefined || page.length < limit) break
    cursor = { key: last.key, versionId: last.versionId }
  }
  if (open !== null) yield open
}
