/**
 * One run of a bucket that changes while it is listed, its notifications late, lost, repeated and out of order, against what is
 * known of it. Everything is drawn from one seed.
 *
 * What is checked, after each thing that is merged: of no version is shown what it was before the newest event that came, nor what
 * it was before the time until which the newest observation is the last word. In the end, when what was not lost has come and one
 * more comparison has run, what is known is what is there, and another comparison finds nothing.
 */
import assert from 'node:assert/strict'
import { compareKeyOrder } from '../../src/base/key-order.ts'
import { limits } from '../../src/base/limits.ts'
import type { ObjectEvent } from '../../src/change/object-event.ts'
import { microsecondsOf, sequenceNumber } from '../../src/change/sequence.ts'
import type { Drift } from '../../src/service/objects/drift.ts'
import { compareListing } from '../../src/service/objects/reconcile.ts'
import { visible } from '../../src/service/objects/version-state.ts'
import { openVersionStore } from '../../src/service/objects/version-store.ts'
import type { ListedKey, ListedVersion } from '../../src/source/source.ts'
import { type Habit, ModelBucket, type ModelVersion } from './object-bucket.ts'
import { Random } from './random.ts'

export interface RunCounts {
  changes: number
  lost: number
  drifts: number
  /** Differences mended while the bucket went on changing. */
  mendedLive: number
}

/** What one version was, from a change on. */
interface Was {
  change: number
  atUs: bigint
  text: string
}

const GONE = 'gone'

/** @throws AssertionError naming what went wrong */
export async function runReconcile(seed: number, habit: Habit, steps: number): Promise<RunCounts> {
  const random = new Random(seed)
  const bucket = new ModelBucket(random, habit)
  const store = openVersionStore({ path: ':memory:' })
  const history = new Map<string, Was[]>()
  const floors = new Map<string, number>()
  const waiting: ObjectEvent[] = []
  const changeOf = new Map<ObjectEvent, number>()
  const wholeSeconds = habit === 'aws, whole seconds' || (habit !== 'minio' && random.chance(0.5))
  // As far apart as clocks may be, less the second that some times are cut to.
  const skewMs = random.below(2 * (limits.reconcileClockSkewMs - 2000)) - (limits.reconcileClockSkewMs - 2000)
  const clock = { nowMs: () => bucket.nowMs + skewMs, sleep: async () => undefined }
  const counts: RunCounts = { changes: 0, lost: 0, drifts: 0, mendedLive: 0 }
  let offset = 0

  const step = () => {
    if (random.chance(0.2)) bucket.pass(random.below(20_000))
    const before = bucket.events.length
    bucket.step()
    for (const event of bucket.events.slice(before)) {
      const change = counts.changes++
      changeOf.set(event, change)
      for (const [id, text] of textsOf(bucket)) note(id, text, change)
      for (const id of history.keys()) if (!textsOf(bucket).has(id)) note(id, GONE, change)
      if (random.chance(0.25)) counts.lost++
      else waiting.push(event)
    }
  }
  const note = (id: string, text: string, change: number) => {
    const was = history.get(id) ?? [{ change: -1, atUs: 0n, text: GONE }]
    history.set(id, was)
    if (was.at(-1)?.text !== text) was.push({ change, atUs: BigInt(bucket.nowMs) * 1000n, text })
  }
  const shownOf = (event: ObjectEvent): string => {
    const state = store.get('photos', event.key, event.versionId)
    if (state === null) return GONE
    const { present, isDeleteMarker, event: tip } = visible(state)
    return present ? textOf(isDeleteMarker, tip.etag) : GONE
  }
  const merge = (event: ObjectEvent) => {
    store.applyBatch([{ offset: offset++, event }])
    const id = `${event.key}@${event.versionId}`
    const was = history.get(id) ?? []
    const known = floors.get(id) ?? -1
    let floor = known
    if (event.observed !== undefined) {
      const untilUs = microsecondsOf(event.observed)
      floor = Math.max(floor, was.findLast(({ atUs }) => atUs < untilUs - 1_000_000n)?.change ?? -1)
    } else if (event.kind !== 'update') floor = Math.max(floor, changeOf.get(event) ?? -1)
    floors.set(id, floor)
    // MinIO tells of a marker's removal as of its creation: without the first, the second cannot be told from it.
    if (habit === 'minio' && was.some(({ text }) => text === MARKER)) return
    const since = was.filter(({ change }, at) => change >= floor || (was[at + 1]?.change ?? Infinity) > floor)
    const shown = shownOf(event)
    const what = `${id} shows ${shown} after ${event.kind} of ${event.time} (${event.observed ?? 'told'})`
    assert.ok(
      since.length === 0 || since.some(({ text }) => text === shown),
      `seed ${seed}, ${habit}: ${what}, which is undone`,
    )
  }
  const deliver = () => {
    if (waiting.length === 0) return
    const [event] = waiting.splice(random.below(waiting.length), 1)
    merge(event!)
    // Once more, now or later.
    if (random.chance(0.2)) waiting.push(event!)
  }
  const meanwhile = () => {
    while (random.chance(0.5)) random.chance(0.5) ? step() : deliver()
  }
  const listing = async function* (live: boolean): AsyncGenerator<ListedKey> {
    const keys = ['a.jpg', 'b/c.txt'].sort(compareKeyOrder)
    for (const key of keys) {
      if (live) meanwhile()
      const listed = listedKey(bucket, key, wholeSeconds)
      if (live) meanwhile()
      if (listed.versions.length > 0) yield listed
    }
    if (live) meanwhile()
  }
  const reconcile = async (live: boolean): Promise<{ drifts: Drift[]; unsettled: number }> => {
    const found = { drifts: [] as Drift[], unsettled: 0 }
    const pages = compareListing({
      bucket: 'photos',
      versions: store,
      clock,
      look: async (key) => {
        if (live) meanwhile()
        const listed = listedKey(bucket, key, wholeSeconds)
        if (live) meanwhile()
        return listed
      },
      listing: listing(live),
      range: { prefix: '' },
      begunMs: clock.nowMs(),
      kind: random.chance(0.3) ? 'inventory' : 'listing',
    })
    for await (const page of pages) {
      if (live) meanwhile()
      found.drifts.push(...page.drifts)
      found.unsettled += page.unsettled
      for (const { event } of page.drifts) merge(event)
      for (const { event } of page.drifts) if (random.chance(0.2)) merge(event)
    }
    return found
  }

  try {
    for (let at = 0; at < steps; at++) {
      if (random.chance(0.6)) step()
      if (random.chance(0.5)) deliver()
      if (random.chance(0.08)) counts.mendedLive += (await reconcile(true)).drifts.length
    }
    while (waiting.length > 0) deliver()
    bucket.pass(limits.reconcileClockSkewMs * 3)
    counts.drifts = (await reconcile(false)).drifts.length
    requireSame(bucket, store, `seed ${seed}, ${habit}`)
    const again = await reconcile(false)
    const left = again.drifts.map(({ kind, event, detail }) => `${kind} ${event.key}@${event.versionId}: ${detail}`)
    assert.deepEqual(left, [], `seed ${seed}, ${habit}: a second comparison finds nothing`)
    assert.equal(again.unsettled, 0, `seed ${seed}, ${habit}: nothing is left unjudged`)
    return counts
  } finally {
    store.close()
  }
}

const MARKER = 'marker'

function textOf(isDeleteMarker: boolean, etag: string | undefined): string {
  return isDeleteMarker ? MARKER : `object ${etag}`
}

function textsOf(bucket: ModelBucket): Map<string, string> {
  return new Map(
    bucket.versions.map(({ key, versionId, isDeleteMarker, etag }) => [
      `${key}@${versionId}`,
      textOf(isDeleteMarker, etag),
    ]),
  )
}

function listedKey(bucket: ModelBucket, key: string, wholeSeconds: boolean): ListedKey {
  const stack = bucket.versions.filter((version) => version.key === key).reverse()
  const versions = stack.map((version, at): ListedVersion => {
    const ms = Date.parse(version.made.time)
    return {
      key,
      versionId: version.versionId,
      isLatest: at === 0,
      isDeleteMarker: version.isDeleteMarker,
      sizeBytes: 0,
      lastModifiedMs: wholeSeconds ? Math.floor(ms / 1000) * 1000 : ms,
      ...(version.etag === undefined ? {} : { etag: version.etag }),
      storageClass: version.storageClass ?? 'STANDARD',
    }
  })
  return { key, versions, isCut: false }
}

function requireSame(bucket: ModelBucket, store: ReturnType<typeof openVersionStore>, run: string): void {
  const known = [...store.all()].map(visible).filter(({ present }) => present)
  const line = (key: string, versionId: string, text: string, storageClass: string | undefined) =>
    `${key}@${versionId} ${text} ${text === MARKER ? '' : (storageClass ?? 'STANDARD')}`
  assert.deepEqual(
    known
      .map(({ event, isDeleteMarker, storageClass }) =>
        line(event.key, event.versionId, textOf(isDeleteMarker, event.etag), storageClass),
      )
      .sort(),
    bucket.versions
      .map(({ key, versionId, isDeleteMarker, etag, storageClass }) =>
        line(key, versionId, textOf(isDeleteMarker, etag), storageClass),
      )
      .sort(),
    `${run}: what is known is what is there`,
  )
  for (const key of ['a.jpg', 'b/c.txt']) {
    const order = known
      .filter(({ event }) => event.key === key)
      .map(({ event }) => ({ id: event.versionId, us: microsecondsOf(event.time), number: sequenceNumber(event) }))
      .sort((one, other) => (one.us !== other.us ? (one.us < other.us ? 1 : -1) : one.number < other.number ? 1 : -1))
      .map(({ id }) => id)
    const there = bucket.versions
      .filter((version: ModelVersion) => version.key === key)
      .map(({ versionId }) => versionId)
      .reverse()
    assert.deepEqual(order, there, `${run}: versions of ${key} show in the order in which they came to be`)
  }
}
