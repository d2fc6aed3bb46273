/** The contract of stores with versions and tags, beside that of every store: every adapter's test runs both. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import { compareKeyOrder } from '../../src/base/key-order.ts'
import type { BucketStore, ListVersionsOptions, VersionInfo } from '../../src/store/store.ts'
import { assertSame, keysOf, textOf, utf8 } from './store.ts'

/** An empty bucket that never had versions, and what only its owner may do. */
export interface BucketUnderTest {
  store: BucketStore
  setVersioning(versioning: 'enabled' | 'suspended'): Promise<void>
  setTags(key: string, tags: Record<string, string>, versionId?: string): Promise<void>
  deleteVersion(key: string, versionId: string): Promise<void>
  close(): Promise<void>
}

export async function versionsOf(
  store: BucketStore,
  prefix?: string,
  after?: NonNullable<ListVersionsOptions['after']>,
): Promise<VersionInfo[]> {
  const versions: VersionInfo[] = []
  for await (const each of store.listVersions(prefix, after === undefined ? {} : { after })) versions.push(each)
  return versions
}

/** `key version` with `*` for the latest and `x` for a marker, ids replaced by their names. */
function outline(versions: readonly VersionInfo[], names: Record<string, string> = {}): string[] {
  return versions.map(({ key, versionId, isLatest, isDeleteMarker }) => {
    const name = names[versionId] ?? (versionId === 'null' || isDeleteMarker ? '' : versionId)
    return `${key} ${versionId === 'null' ? 'null' : name}${isDeleteMarker ? 'x' : ''}${isLatest ? '*' : ''}`
  })
}

/** @param skip why none of it can run here */
export function bucketContract(
  title: string,
  open: () => Promise<BucketUnderTest>,
  skip: string | false = false,
): void {
  const withBucket = (name: string, body: (bucket: BucketUnderTest) => Promise<void>) =>
    test(name, async () => {
      const bucket = await open()
      try {
        await body(bucket)
      } finally {
        await bucket.close()
      }
    })

  describe(title, { skip }, () => {
    withBucket('a bucket without versions lists one version per object, named null', async ({ store }) => {
      assert.equal(await store.versioning(), 'never')
      await store.put('a', utf8('one'))
      const info = await store.put('a', utf8('two!'))
      await store.put('b', utf8('b'))
      await store.delete(['b'])
      const versions = await versionsOf(store)
      assert.deepEqual(outline(versions), ['a null*'])
      assertSame(versions[0], { ...info, versionId: 'null' })
    })

    withBucket('versions and markers are listed by key, the newest first', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      assert.equal(await store.versioning(), 'enabled')
      const one = await store.put('k', utf8('one'))
      await store.delete(['k'])
      const two = await store.put('k', utf8('two'))
      await store.delete(['k'])
      await store.put('a', utf8('a'))
      const names = { [one.versionId!]: 'one', [two.versionId!]: 'two' }
      const versions = await versionsOf(store, 'k')
      assert.deepEqual(outline(versions, names), ['k x*', 'k two', 'k x', 'k one'])
      assert.deepEqual(
        versions.map(({ sizeBytes }) => sizeBytes),
        [0, 3, 0, 3],
      )
      assertSame(versions[1], two)
      assert.equal(versions[0]?.etag, '')
      assert.equal((await versionsOf(store)).length, 5)
      assert.deepEqual(await keysOf(store), ['a'])
    })

    withBucket('what a marker hides is not there, and is told apart from what never was', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      await store.put('k', utf8('one'))
      await store.delete(['k'])
      const [marker, version] = await versionsOf(store)
      assert.ok(marker?.isDeleteMarker && version)
      assert.equal(await store.head('k'), null)
      assert.equal(await store.head('k', { versionId: marker.versionId }), null)
      assert.equal(await store.tags('k'), null)
      assert.equal(await store.tags('k', { versionId: marker.versionId }), null)
      const markerInItsPlace = (error: unknown) => isFault(error, 'not-found') && error.facts['deleteMarker'] === true
      await assert.rejects(store.get('k'), markerInItsPlace)
      await assert.rejects(store.get('k', { versionId: marker.versionId }), markerInItsPlace)
      await assert.rejects(store.get('none'), (error) => isFault(error, 'not-found') && !error.facts['deleteMarker'])
      await bucket.deleteVersion('k', marker.versionId)
      assert.equal(textOf(await store.get('k')), 'one')
      assert.deepEqual(outline(await versionsOf(store), { [version.versionId]: 'one' }), ['k one*'])
    })

    withBucket('putIfAbsent takes the place of a marker', async (bucket) => {
      await bucket.setVersioning('enabled')
      await bucket.store.put('k', utf8('one'))
      assert.equal(await bucket.store.putIfAbsent('k', utf8('two')), false)
      await bucket.store.delete(['k'])
      assert.equal(await bucket.store.putIfAbsent('k', utf8('two')), true)
      assert.equal((await versionsOf(bucket.store)).length, 3)
    })

    withBucket('suspended versioning keeps old versions and one version named null', async (bucket) => {
      const { store } = bucket
      await store.put('k', utf8('before'))
      await bucket.setVersioning('enabled')
      const one = await store.put('k', utf8('one'))
      const names = { [one.versionId!]: 'one' }
      assert.deepEqual(outline(await versionsOf(store), names), ['k one*', 'k null'])
      await bucket.setVersioning('suspended')
      assert.equal(await store.versioning(), 'suspended')
      await store.put('k', utf8('during'))
      assert.deepEqual(outline(await versionsOf(store), names), ['k null*', 'k one'])
      assert.equal(textOf(await store.get('k', { versionId: 'null' })), 'during')
      await store.put('k', utf8('again'))
      assert.deepEqual(outline(await versionsOf(store), names), ['k null*', 'k one'])
      await store.delete(['k'])
      assert.deepEqual(outline(await versionsOf(store), names), ['k nullx*', 'k one'])
      assert.equal(textOf(await store.get('k', { versionId: one.versionId! })), 'one')
    })

    withBucket('a listing of versions goes on behind any version and any key', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      for (const key of ['a b+c%', 'b', 'b-c/d', 'ü/😀']) {
        for (const text of ['1', '2']) await store.put(key, utf8(text))
      }
      await store.delete(['b'])
      const all = await versionsOf(store)
      assert.equal(all.length, 9)
      assert.deepEqual(
        all.map(({ key }) => key),
        all.map(({ key }) => key).toSorted(compareKeyOrder),
      )
      for (const [at, { key, versionId }] of all.entries()) {
        assert.deepEqual(
          await versionsOf(store, '', { key, versionId }),
          all.slice(at + 1),
          `after ${key} ${versionId}`,
        )
        const rest = all.filter((each) => compareKeyOrder(each.key, key) > 0)
        assert.deepEqual(await versionsOf(store, '', { key }), rest, `after all of ${key}`)
      }
    })

    withBucket('objects and versions have tags of their own', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      const one = await store.put('k', utf8('one'))
      await bucket.setTags('k', { project: 'a b+c=', 'a:b/c': 'x y@z' })
      const two = await store.put('k', utf8('two'))
      assert.deepEqual(await store.tags('k'), {})
      assert.deepEqual(await store.tags('k', { versionId: one.versionId! }), { project: 'a b+c=', 'a:b/c': 'x y@z' })
      await bucket.setTags('k', { stage: 'old' }, one.versionId!)
      assert.deepEqual(await store.tags('k', { versionId: one.versionId! }), { stage: 'old' })
      assert.deepEqual(await store.tags('k', { versionId: two.versionId! }), {})
      assert.equal(await store.tags('none'), null)
    })

    withBucket('a small object comes with what a look says of it, a larger one without its bytes', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      const one = await store.put('k', utf8('one'))
      await bucket.setTags('k', { a: 'b' })
      await store.put('k', utf8('second'))
      await store.put('empty', utf8(''))
      const same = async (key: string, options: { versionId?: string; bytesMax: number }, text: string | null) => {
        const { bytesMax: _, ...version } = options
        const seen = await store.headWithBytes(key, options)
        assert.deepEqual(seen?.info, await store.head(key, version))
        assert.equal(seen?.bytes === null ? null : textOf(seen!.bytes), text)
      }
      await same('k', { bytesMax: 6 }, 'second')
      await same('k', { bytesMax: 5 }, null)
      await same('k', { bytesMax: 6, versionId: one.versionId! }, 'one')
      await same('empty', { bytesMax: 6 }, '')
      assert.equal((await store.headWithBytes('k', { bytesMax: 6, versionId: one.versionId! }))?.info.tagCount, 1)
      await store.delete(['k'])
      assert.equal(await store.headWithBytes('k', { bytesMax: 6 }), null)
      assert.equal(await store.headWithBytes('none', { bytesMax: 6 }), null)
      await same('k', { bytesMax: 3, versionId: one.versionId! }, 'one')
      await bucket.deleteVersion('k', one.versionId!)
      assert.equal(await store.headWithBytes('k', { bytesMax: 6, versionId: one.versionId! }), null)
    })

    withBucket('an etag that is no more is superseded, a version that is no more is not found', async (bucket) => {
      const { store } = bucket
      await bucket.setVersioning('enabled')
      const one = await store.put('k', utf8('one'))
      await store.put('k', utf8('two'))
      await assert.rejects(store.get('k', { ifMatch: one.etag }), (error) => isFault(error, 'superseded'))
      assert.equal(textOf(await store.get('k', { versionId: one.versionId!, ifMatch: one.etag })), 'one')
      await bucket.deleteVersion('k', one.versionId!)
      assert.equal(await store.head('k', { versionId: one.versionId! }), null)
      await assert.rejects(store.get('k', { versionId: one.versionId! }), (error) => isFault(error, 'not-found'))
    })
  })
}
