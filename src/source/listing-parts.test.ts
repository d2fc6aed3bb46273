import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { compareKeyOrder } from '../base/key-order.ts'
import { limits } from '../base/limits.ts'
import type { BucketStore, ObjectInfo } from '../store/store.ts'
import { ListingParts, type PartRange } from './listing-parts.ts'

/** A bucket of these keys, in the order of S3. */
function bucketOf(keys: readonly string[], onList: () => void = () => undefined): BucketStore {
  const sorted = keys.toSorted(compareKeyOrder)
  const list = async function* (prefix = '', options: { after?: string } = {}): AsyncGenerator<ObjectInfo> {
    onList()
    const { after } = options
    const from = after === undefined ? 0 : sorted.findIndex((key) => compareKeyOrder(key, after) > 0)
    for (const [index, key] of (from < 0 ? [] : sorted.slice(from)).entries()) {
      if (index % 500 === 0) await new Promise((done) => setImmediate(done))
      if (key.startsWith(prefix)) yield { key, sizeBytes: 1, etag: 'e', lastModifiedMs: 0 }
    }
  }
  return { name: 's3://test', list } as unknown as BucketStore
}

async function read(
  parts: ListingParts,
  stopAt = Number.POSITIVE_INFINITY,
): Promise<{ keys: string[]; parts: number }> {
  const keys: string[] = []
  let count = 0
  await parts.run(async (part) => {
    count++
    for await (const { key } of part.keys()) {
      if (keys.length >= stopAt) throw new Error('stopped')
      keys.push(key)
      part.done(key)
    }
  })
  return { keys, parts: count }
}

const SHAPES: Record<string, (n: number) => string> = {
  'numbers behind a long prefix': (n) => `photos/archive/IMG_${String(n).padStart(7, '0')}.jpg`,
  'folders by day': (n) =>
    `logs/2024/${String((n % 12) + 1).padStart(2, '0')}/${String(n % 28).padStart(2, '0')}/${n}.gz`,
  hashes: (n) => `${((n * 2654435761) >>> 0).toString(16).padStart(8, '0')}.bin`,
  'one folder far behind': (n) => (n < 19_000 ? `a/${n}` : `zz/${n}`),
  'beyond ASCII': (n) => `写真/（${n % 50}）/😀${n}`,
}

describe('a listing in parts', () => {
  for (const [what, keyOf] of Object.entries(SHAPES)) {
    it(`gives every key once, split as it is read (${what})`, async () => {
      const keys = Array.from({ length: 20_000 }, (_, n) => keyOf(n))
      const parts = new ListingParts({ store: bucketOf(keys), prefix: '', versions: false })
      const { keys: got, parts: count } = await read(parts)
      assert.deepEqual(got.sort(compareKeyOrder), keys.toSorted(compareKeyOrder))
      assert.deepEqual(parts.left(), [])
      if (what !== 'beyond ASCII') assert.ok(count > 2, `${count} parts`)
    })
  }

  it('leaves a small bucket whole, and asks nothing more of it', async () => {
    let lists = 0
    const keys = Array.from({ length: limits.reconcileSplitKeys - 1 }, (_, n) => `k${n}`)
    const { parts } = await read(
      new ListingParts({ store: bucketOf(keys, () => lists++), prefix: '', versions: false }),
    )
    assert.equal(parts, 1)
    assert.equal(lists, 1)
  })

  it('goes on from what is left, wherever it was stopped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6_000 }), async (stopAt) => {
        const keys = Array.from({ length: 6_000 }, (_, n) => `k/${String(n).padStart(5, '0')}`)
        const store = bucketOf(keys)
        const first = new ListingParts({ store, prefix: 'k/', versions: false })
        const got: string[] = []
        await assert.rejects(
          first.run(async (part) => {
            for await (const { key } of part.keys()) {
              if (got.length >= stopAt - 1) throw new Error('stopped')
              got.push(key)
              part.done(key)
            }
          }),
          /stopped/,
        )
        const left = JSON.parse(JSON.stringify(first.left())) as PartRange[]
        const { keys: rest } = await read(new ListingParts({ store, prefix: 'k/', versions: false, left }))
        assert.deepEqual([...got, ...rest].sort(), keys)
      }),
      { numRuns: 4 },
    )
  })
})
