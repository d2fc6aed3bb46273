/** Whole histories of a bucket, told in disorder: what is known in the end is what is there. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { HABITS, type Habit, ModelBucket } from '../../../test/simulate/object-bucket.ts'
import { Random } from '../../../test/simulate/random.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { merge, type VersionState, visible } from './version-state.ts'
import { openVersionStore } from './version-store.ts'

/** Every event at least once, in an order of its own. */
function told(events: readonly ObjectEvent[], random: Random): ObjectEvent[] {
  const copies = [...events, ...events.filter(() => random.chance(0.3))]
  for (let at = copies.length - 1; at > 0; at--) {
    const other = random.below(at + 1)
    ;[copies[at], copies[other]] = [copies[other]!, copies[at]!]
  }
  return copies
}

function idOf({ key, versionId }: { key: string; versionId: string }): string {
  return `${key}@${versionId}`
}

function check(bucket: ModelBucket, states: ReadonlyMap<string, VersionState>): void {
  const there = new Map(bucket.versions.map((version) => [idOf(version), version]))
  for (const [id, state] of states) {
    const { present, isDeleteMarker, event, tags, storageClass } = visible(state)
    const model = there.get(id)
    assert.equal(present, model !== undefined, `${id} is ${present ? 'shown but gone' : 'there but not shown'}`)
    if (model === undefined) continue
    const shown = { isDeleteMarker, etag: event.etag, tags, storageClass }
    const { isDeleteMarker: isMarker, etag, tags: modelTags, storageClass: modelClass } = model
    const expected = { isDeleteMarker: isMarker, etag, tags: modelTags, storageClass: modelClass }
    assert.deepEqual(shown, expected, id)
  }
  for (const id of there.keys()) assert.ok(states.has(id), `${id} is unknown`)
}

function history(habit: Habit, seed: number, steps: number): { bucket: ModelBucket; random: Random } {
  const random = new Random(seed)
  const bucket = new ModelBucket(random, habit)
  for (let step = 0; step < steps; step++) bucket.step()
  return { bucket, random }
}

describe('histories of a bucket told in disorder and more than once', () => {
  for (const habit of HABITS) {
    it(`end as the bucket does (${habit})`, () => {
      fc.assert(
        fc.property(fc.nat(), fc.integer({ min: 1, max: 60 }), (seed, steps) => {
          const { bucket, random } = history(habit, seed, steps)
          const states = new Map<string, VersionState>()
          for (const event of told(bucket.events, random))
            states.set(idOf(event), merge(states.get(idOf(event)) ?? null, event).state)
          check(bucket, states)
        }),
        { numRuns: 300 },
      )
    })
  }

  it('end so in the store too, in batches of any size, with batches applied again after a restart', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidewater-histories-'))
    try {
      for (const [at, habit] of HABITS.entries()) {
        const path = join(folder, `${at}.db`)
        const { bucket, random } = history(habit, 7 + at, 200)
        const log = told(bucket.events, random).map((event, offset) => ({ offset, event }))
        let store = openVersionStore({ path })
        while (store.applied < log.length) {
          store.applyBatch(log.slice(store.applied, store.applied + 1 + random.below(20)))
          if (!random.chance(0.2)) continue
          store.close()
          store = openVersionStore({ path })
          const again = random.below(store.applied + 1)
          store.applyBatch(log.slice(again, again + random.below(20)))
        }
        const ids = [...new Set(bucket.events.map(idOf))]
        const known = ids.map((id): [string, VersionState] => {
          const { key, versionId } = bucket.events.find((event) => idOf(event) === id)!
          return [id, store.get('photos', key, versionId)!]
        })
        check(bucket, new Map(known))
        const objects = bucket.versions.filter(({ isDeleteMarker }) => !isDeleteMarker)
        assert.deepEqual([...store.present('photos')].map(idOf).sort(), objects.map(idOf).sort())
        store.close()
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
