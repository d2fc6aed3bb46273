import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compareKeyOrder } from '../../base/key-order.ts'
import type { ObjectEvent } from '../../change/object-event.ts'
import { knownKeys } from './known-keys.ts'
import { openVersionStore } from './version-store.ts'

/** Units around the places where the two orders part. */
const unit = fc.constantFrom('a', 'b', '/', '\uD7FF', '\uE000', '\uF900', '\uFFFD', '\u{10000}', '\u{1F600}')
const key = fc.array(unit, { minLength: 1, maxLength: 5 }).map((units) => units.join(''))

function made(key: string, versionId = 'null', kind: ObjectEvent['kind'] = 'create'): ObjectEvent {
  const time = '2024-05-01T10:00:00.000Z'
  return { v: 1, kind, source: 'aws:s3', name: 'ObjectCreated:Put', bucket: 'b', key, versionId, time }
}

describe('the order of a listing', () => {
  it('is that of the bytes of UTF-8', () => {
    fc.assert(
      fc.property(key, key, (one, other) => {
        const bytes = Buffer.compare(Buffer.from(one), Buffer.from(other))
        assert.equal(Math.sign(compareKeyOrder(one, other)), bytes)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('what is known, walked as a bucket is listed', () => {
  it('gives every key of a range once, in that order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { minLength: 1, maxLength: 60 }),
        fc.option(key),
        fc.option(key),
        fc.oneof(fc.constant(''), unit, key),
        (keys, after, upTo, prefix) => {
          const store = openVersionStore({ path: ':memory:' })
          try {
            store.applyBatch(keys.map((one, offset) => ({ offset, event: made(one) })))
            const range = { prefix, ...(after === null ? {} : { after }), ...(upTo === null ? {} : { upTo }) }
            const expected = keys
              .filter((one) => one.startsWith(prefix))
              .filter((one) => after === null || compareKeyOrder(one, after) > 0)
              .filter((one) => upTo === null || compareKeyOrder(one, upTo) <= 0)
              .sort(compareKeyOrder)
            assert.deepEqual(
              [...knownKeys(store, 'b', range)].map((known) => known.key),
              expected,
            )
          } finally {
            store.close()
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('has all versions of a key together, over the ends of pages, and none that are gone', () => {
    const store = openVersionStore({ path: ':memory:' })
    const events = ['a', 'hot', 'z'].flatMap((one) =>
      Array.from({ length: one === 'hot' ? 500 : 1 }, (_, n) => made(one, `v${n}`)),
    )
    store.applyBatch(events.map((event, offset) => ({ offset, event })))
    store.applyBatch([{ offset: 1000, event: { ...made('hot', 'v7', 'delete'), time: '2024-05-02T00:00:00Z' } }])
    const counts = [...knownKeys(store, 'b', { prefix: '' })].map(({ key: one, versions }) => [one, versions.length])
    assert.deepEqual(counts, [
      ['a', 1],
      ['hot', 499],
      ['z', 1],
    ])
    store.close()
  })
})
