/** Events of a bucket that the configuration does not name: told, not asked about, and made good once it is named. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, eventOf, withBuckets, withEngine } from '../../test/support/engine-bench.ts'
import { NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { gifOf } from '../../test/support/photo-scenario.ts'
import { withMethods } from '../../test/support/store-methods.ts'
import { Fault } from '../base/fault.ts'
import type { Passing } from '../service/objects/unread.ts'

const HEAL_MS = 60_000
const OTHERS = { objects: { buckets: { others: {} } } }
const NAMED = { objects: { buckets: { photos: {} } } }

function photos() {
  const bucket = new NotifiedBucket({
    name: 'photos',
    dialect: 'aws',
    versioning: 'enabled',
    startMs: Date.UTC(2024, 4, 1, 10),
  })
  const state: { asked: number; fault: Fault | null } = { asked: 0, fault: null }
  const { store } = bucket
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    state.asked++
    if (state.fault !== null) throw state.fault
    return work()
  }
  const counted = withMethods(store, {
    head: (key, options) => ask(() => store.head(key, options)),
    tags: (key, options) => ask(() => store.tags(key, options)),
    get: (key, options) => ask(() => store.get(key, options)),
  })
  const put = (key: string, width: number) => bucket.put(key, gifOf(width), { tags: { of: key } })
  const told = () => {
    bucket.passTime(1_000)
    return bucket.documents.splice(0)
  }
  return { bucket, state, store: counted, put, told }
}

const lettersOf = (bench: EngineBench) =>
  bench.sql(
    "SELECT code, any_value(reason) AS reason, count(*)::INT AS open FROM tidewater.dead_letters WHERE status = 'open' GROUP BY code ORDER BY code",
  )

async function until(bench: EngineBench, codes: readonly string[]): Promise<void> {
  for (const end = Date.now() + HEAL_MS; ; await delay(200)) {
    await bench.engine.drain()
    const letters = await lettersOf(bench)
    if (JSON.stringify(letters.map(({ code }) => code)) === JSON.stringify(codes)) return
    assert.ok(Date.now() < end, JSON.stringify(letters))
  }
}

function start(bench: EngineBench): void {
  bench.engine.start((fault) => assert.fail(fault.message))
}

it('the bucket is told of once, its letters say what to do, and once it is named its objects are asked about and read', async () => {
  const { bucket, state, store, put, told } = photos()
  await withBuckets(
    OTHERS,
    () => store,
    async (bench) => {
      bench.hasObjects = false
      await bench.restart(OTHERS)
      start(bench)
      for (let n = 0; n < 3; n++) await put(`${n}.gif`, n + 1)
      await bench.ingest(...told())
      assert.deepEqual(await lettersOf(bench), [
        {
          code: 'missing',
          reason:
            'read: bucket photos is not named in objects.buckets: name it (or "*") there, and its objects are read from the next start on',
          open: 3,
        },
      ])
      assert.match(bench.notices.join('\n'), /^events tell of objects of bucket photos, which .* Name it [^\n]*$/)
      // Nothing waits for what nobody can be asked, over a restart neither.
      await bench.restart(OTHERS)
      start(bench)
      await delay(1_500)
      assert.deepEqual([bench.engine.objects.waiting(), state.asked], [[], 0])
      await bucket.delete('0.gif')
      await put('1.gif', 40)
      await bench.ingest(...told())

      state.fault = new Fault('unavailable', 'nobody answers')
      await bench.restart(NAMED)
      start(bench)
      await until(bench, ['unavailable', 'undescribed'])
      state.fault = null
      await until(bench, [])
      await bench.engine.drain()
      assert.deepEqual(await tableRows(bench, 'photos'), await bucketRows(bucket.store))
      assert.deepEqual(bench.engine.objects.waiting(), [])
      assert.deepEqual(bench.notices, [])
    },
  )
})

it('only letters that wait for a bucket to be named are asked for then, whatever objects are called', async () => {
  await withEngine({}, async ({ engine: { versions } }) => {
    const key = '","passing":"unnamed"'
    const waits = (versionId: string, passing: Passing) => {
      const version = { bucket: 'photos', key, versionId }
      const event = eventOf({ ...version, kind: 'create', time: '2024-05-01T10:00:00.000Z' })
      versions.unread.set(version, { event, letters: [{ code: 'missing', reason: key, passing }] })
    }
    waits('lost', 'never')
    waits('unnamed', 'unnamed')
    versions.unread.named((bucket) => bucket === 'others', 7)
    assert.deepEqual([...versions.unread.buckets()], [])
    versions.unread.named((bucket) => bucket === 'photos', 7)
    assert.deepEqual(
      versions.unread.due('photos', 7, 10).map(({ version }) => version.versionId),
      ['unnamed'],
    )
  })
})
