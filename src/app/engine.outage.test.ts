/** A bucket that answers nothing for a while: afterwards the tables are what it holds, without any command. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, TABLES, withBuckets } from '../../test/support/engine-bench.ts'
import { NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { gifOf } from '../../test/support/photo-scenario.ts'
import { withMethods } from '../../test/support/store-methods.ts'
import { Fault } from '../base/fault.ts'
import type { BucketStore } from '../store/store.ts'
import { replayWhileServing } from './replay.ts'

const HEAL_MS = 60_000

/** A bucket of which every request fails while `fault` is there. */
class Outage {
  readonly bucket = new NotifiedBucket({
    name: 'photos',
    dialect: 'aws',
    versioning: 'enabled',
    startMs: Date.UTC(2024, 4, 1, 10),
  })
  readonly store: BucketStore
  fault: Fault | null = null

  constructor() {
    const { store } = this.bucket
    const ask = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.fault !== null) throw this.fault
      return work()
    }
    this.store = withMethods(store, {
      head: (key, options) => ask(() => store.head(key, options)),
      headWithBytes: (key, options) => ask(() => store.headWithBytes(key, options)),
      tags: (key, options) => ask(() => store.tags(key, options)),
      get: (key, options) => ask(() => store.get(key, options)),
    })
  }

  told(): string[] {
    this.bucket.passTime(1_000)
    return this.bucket.documents.splice(0)
  }

  async put(key: string, width: number): Promise<void> {
    await this.bucket.put(key, gifOf(width), { tags: { of: key }, userMetadata: { by: 'Grace' } })
  }
}

function withOutage(work: (outage: Outage, bench: EngineBench) => Promise<void>): Promise<void> {
  const outage = new Outage()
  return withBuckets(
    { objects: { buckets: { photos: {} } } },
    () => outage.store,
    (bench) => work(outage, bench),
  )
}

const openLetters = async (bench: EngineBench) =>
  Number((await bench.sql("SELECT count(*) AS open FROM tidewater.dead_letters WHERE status = 'open'"))[0]?.['open'])

async function healed(bench: EngineBench): Promise<void> {
  for (const until = Date.now() + HEAL_MS; ; await delay(200)) {
    await bench.engine.drain()
    if ((await openLetters(bench)) === 0) return
    assert.ok(Date.now() < until, `${await openLetters(bench)} letters are open`)
  }
}

async function assertEqualTables(bench: EngineBench, { bucket }: Outage): Promise<void> {
  await bench.engine.drain()
  assert.deepEqual(await tableRows(bench, bucket.name), await bucketRows(bucket.store))
  const rows = await bench.sql(
    `SELECT count(*)::INT AS objects, count(image_width)::INT AS measured FROM ${TABLES.content}`,
  )
  assert.equal(rows[0]?.['measured'], rows[0]?.['objects'])
}

it('rows and letters come right by themselves while newer events come, and over a restart in the middle of it', async () => {
  await withOutage(async (outage, bench) => {
    const count = 40
    await outage.put('before.gif', 9)
    await bench.ingest(...outage.told())
    outage.fault = new Fault('unavailable', 'nobody answers')
    for (let n = 0; n < count; n++) await outage.put(`${n}.gif`, n + 1)
    await outage.bucket.tag('before.gif', { of: 'the outage' })
    bench.engine.start((fault) => assert.fail(fault.message))
    await bench.ingest(...outage.told())
    assert.equal(await openLetters(bench), 2 * count + 1)
    assert.deepEqual(
      await bench.sql(`SELECT count(*)::INT AS objects, count(image_width)::INT AS measured FROM ${TABLES.content}`),
      [{ objects: count + 1, measured: 1 }],
    )
    // Some are replaced, some removed, while they wait.
    await outage.put('0.gif', 50)
    await outage.bucket.delete('1.gif')
    await outage.bucket.tag('2.gif', { of: 'a change' })
    await bench.restart()
    outage.fault = null
    bench.engine.start((fault) => assert.fail(fault.message))
    await bench.ingest(...outage.told())
    await healed(bench)
    await assertEqualTables(bench, outage)
    assert.deepEqual(bench.engine.objects.waiting(), [])
  })
})

it('letters of objects are sent again through a server, too, and say why they stay', async () => {
  await withOutage(async (outage, bench) => {
    outage.fault = new Fault('unavailable', 'AccessDenied', { code: 'AccessDenied' })
    await outage.put('a.gif', 3)
    bench.engine.start((fault) => assert.fail(fault.message))
    await bench.ingest(...outage.told())
    outage.fault = new Fault('unavailable', 'ExpiredToken', { code: 'ExpiredToken' })
    const stay = await replayWhileServing(bench.engine, { stage: 'extract' })
    assert.deepEqual(stay, { replayed: 0, failed: 2, cut: 0, next: null })
    assert.deepEqual(
      await bench.sql("SELECT DISTINCT reason LIKE '%ExpiredToken' AS named FROM tidewater.dead_letters"),
      [{ named: true }],
    )
    outage.fault = null
    const taken = await replayWhileServing(bench.engine, { stage: 'extract' })
    assert.deepEqual(taken, { replayed: 2, failed: 0, cut: 0, next: null })
    await assertEqualTables(bench, outage)
    assert.equal(await openLetters(bench), 0)
    await bench.engine.finish()
  })
})
