/** Buckets whose notifications were lost are brought in step with the tables by their listing or a report, and stay so. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Random } from '../../test/simulate/random.ts'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, type SqlRow, withBuckets } from '../../test/support/engine-bench.ts'
import { DIALECTS, NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { isFault } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import type { Versioning } from '../store/store.ts'
import {
  type DriftCounts,
  drainingPace,
  followingPace,
  localReport,
  reconcileListing,
  reconcileReport,
  remoteReport,
  totalDrift,
} from './reconcile.ts'
import { ReconcileSchedule } from './reconcile-schedule.ts'

const HOUR_MS = 3_600_000
const KEYS = ['a.jpg', 'b c/ü%+.txt', '（全角）/😀.txt', 'z/1', 'z/2']
const VERSIONINGS: readonly Versioning[] = ['never', 'enabled', 'suspended']

function bucketOf(dialect: (typeof DIALECTS)[number], versioning: Versioning): NotifiedBucket {
  const startMs = Math.floor((Date.now() - HOUR_MS) / 1000) * 1000
  return new NotifiedBucket({ name: `${dialect}-${versioning}`, dialect, versioning, startMs })
}

/** Changes of every kind that a listing shows. */
async function change(bucket: NotifiedBucket, random: Random, steps: number): Promise<void> {
  for (let step = 0; step < steps; step++) {
    // Several in one millisecond now and then; a minute is more than clocks may differ.
    if (random.chance(0.7)) bucket.passTime(1 + random.below(60_000))
    const key = random.pick(KEYS)
    const versions = (await Array.fromAsync(bucket.store.listVersions())).filter((one) => one.key === key)
    const version = versions.length > 0 ? random.pick(versions) : undefined
    const choice = random.next()
    if (choice < 0.5) await bucket.put(key, `bytes ${random.next()}`)
    else if (choice < 0.7) await bucket.delete(key)
    else if (version === undefined) continue
    else if (choice < 0.9) await bucket.deleteVersion(key, version.versionId)
    else if (!version.isDeleteMarker && bucket.name.startsWith('aws'))
      await bucket.transition(key, random.pick(['GLACIER', 'STANDARD_IA']), version.versionId)
  }
}

function opener(bucket: NotifiedBucket) {
  return () => bucket.store
}

const CONFIG = { objects: { buckets: { '*': {} } } }

async function reconcile(bench: EngineBench, bucket: NotifiedBucket, dryRun = false): Promise<DriftCounts> {
  const { engine } = bench
  const counts = await reconcileListing(
    engine,
    { bucket: bucket.name, store: bucket.store, prefix: '' },
    { pace: drainingPace(engine), dryRun },
  )
  await engine.drain()
  return counts
}

/** Versions that came to be at once are told apart by a little more time. */
function withoutTime({ last_modified_ms: _, ...row }: SqlRow): SqlRow {
  return row
}

async function requireSame(bench: EngineBench, bucket: NotifiedBucket): Promise<void> {
  const there = await bucketRows(bucket.store)
  const tables = await tableRows(bench, bucket.name)
  assert.deepEqual(tables.inventory.map(withoutTime), there.inventory.map(withoutTime), `inventory of ${bucket.name}`)
  assert.deepEqual(tables.current, there.current, `is_current of ${bucket.name}`)
  assert.deepEqual(tables.content, there.content, `content of ${bucket.name}`)
}

describe('a bucket compared with its listing', () => {
  for (const [at, dialect] of DIALECTS.entries()) {
    for (const versioning of VERSIONINGS) {
      const seed = 11 + at
      it(`is mended after lost notifications, and in step then (${dialect}, versions ${versioning}, seed ${seed})`, async () => {
        const random = new Random(seed)
        const bucket = bucketOf(dialect, versioning)
        await withBuckets(CONFIG, opener(bucket), async (bench) => {
          for (let round = 0; round < 2; round++) {
            const before = bucket.documents.length
            await change(bucket, random, 15)
            const told = bucket.documents.slice(before).filter(() => random.chance(0.5))
            if (told.length > 0) await bench.ingest(...told)
            const found = await reconcile(bench, bucket, true)
            assert.ok(totalDrift(found) > 0, 'something was lost')
            assert.equal(found.mended, 0)
            const mended = await reconcile(bench, bucket)
            assert.deepEqual(mended.drift, found.drift)
            await requireSame(bench, bucket)
            const again = await reconcile(bench, bucket)
            assert.equal(totalDrift(again), 0)
            assert.equal(again.unsettled, 0)
          }
          await bench.restart()
          assert.equal(totalDrift(await reconcile(bench, bucket)), 0)
        })
      })
    }
  }

  it('is brought in whole where nothing was ever told', async () => {
    const random = new Random(3)
    const bucket = bucketOf('aws', 'enabled')
    await change(bucket, random, 80)
    await withBuckets(CONFIG, opener(bucket), async (bench) => {
      await reconcile(bench, bucket)
      await requireSame(bench, bucket)
    })
  })

  it('keeps to its prefix and away from what is excluded', async () => {
    const bucket = bucketOf('aws', 'never')
    for (const key of ['in/1', 'in/tmp/2', 'out/3']) await bucket.put(key, key)
    const config = { objects: { buckets: { '*': { exclude: ['in/tmp/'] } } } }
    await withBuckets(config, opener(bucket), async (bench) => {
      const { engine } = bench
      const target = { bucket: bucket.name, store: bucket.store, prefix: 'in/' }
      await reconcileListing(engine, target, { pace: drainingPace(engine) })
      await engine.drain()
      const keys = await bench.sql('SELECT key FROM aws_s3_metadata.inventory')
      assert.deepEqual(keys, [{ key: 'in/1' }])
    })
  })
})

describe('a bucket compared with a report', () => {
  /** As S3 Inventory would write it: CSV, keys encoded, not in order. */
  async function report(bench: EngineBench, bucket: NotifiedBucket, { versions = true } = {}): Promise<string> {
    const all = (await Array.fromAsync(bucket.store.listVersions())).reverse()
    const rows = all
      .filter(({ isLatest, isDeleteMarker }) => versions || (isLatest && !isDeleteMarker))
      .map((version) => {
        const key = encodeURIComponent(version.key).replaceAll('%20', '+')
        const when = new Date(Math.floor(version.lastModifiedMs / 1000) * 1000).toISOString()
        const id = version.versionId === 'null' ? '' : version.versionId
        const bytes = version.isDeleteMarker ? ['', '', ''] : [version.sizeBytes, version.etag, version.storageClass]
        const ids = versions ? [id, version.isLatest, version.isDeleteMarker] : []
        return [bucket.name, key, ...ids, when, ...bytes].map((cell) => `"${cell}"`).join(',')
      })
    const csv = Buffer.from(`${rows.join('\n')}\n`)
    const ids = versions ? 'VersionId, IsLatest, IsDeleteMarker, ' : ''
    const manifest = {
      sourceBucket: bucket.name,
      destinationBucket: 'arn:aws:s3:::reports',
      creationTimestamp: String(Date.now() - 60_000),
      fileFormat: 'CSV',
      fileSchema: `Bucket, Key, ${ids}LastModifiedDate, Size, ETag, StorageClass`,
      files: [{ key: 'x/data/rows.csv', size: csv.length, MD5checksum: md5Hex(csv) }],
    }
    const dir = join(bench.engine.home.dir, 'report')
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, 'rows.csv'), csv)
    writeFileSync(join(dir, 'manifest.json'), JSON.stringify(manifest))
    return join(dir, 'manifest.json')
  }

  for (const versions of [true, false]) {
    const what = versions ? 'of all versions' : 'of current objects only'
    it(`${what} finds what was lost, and what happened since the report stays`, async () => {
      const random = new Random(5)
      const bucket = bucketOf('aws', 'enabled')
      await withBuckets(CONFIG, opener(bucket), async (bench) => {
        await change(bucket, random, 30)
        await bench.ingest(...bucket.documents.filter(() => random.chance(0.5)))
        const { engine } = bench
        const { manifest, fetch } = await localReport(await report(bench, bucket, { versions }))
        await bucket.put('since', 'the report')
        await bench.ingest(bucket.documents.at(-1)!)
        const target = { bucket: bucket.name, store: bucket.store, prefix: '' }
        const pace = drainingPace(engine)
        const counts = await reconcileReport(engine, target, { manifest, fetch, look: true }, { pace })
        assert.ok(totalDrift(counts) > 0)
        await engine.drain()
        const there = await bucketRows(bucket.store)
        assert.deepEqual((await tableRows(bench, bucket.name)).current, there.current)
        if (versions) await requireSame(bench, bucket)
      })
    })
  }

  it('is taken at its word where the bucket may not be asked', async () => {
    const bucket = bucketOf('aws', 'never')
    await withBuckets(CONFIG, opener(bucket), async (bench) => {
      for (const key of ['kept', 'lost', 'removed']) await bucket.put(key, key)
      await bucket.store.delete(['removed'])
      await bench.ingest(bucket.documents[0]!, bucket.documents[2]!)
      const { engine } = bench
      const { manifest, fetch } = await localReport(await report(bench, bucket))
      const asked: string[] = []
      const store = new Proxy(bucket.store, {
        get: (target, name) => {
          asked.push(String(name))
          return Reflect.get(target, name)
        },
      })
      const target = { bucket: bucket.name, store, prefix: '' }
      const counts = await reconcileReport(
        engine,
        target,
        { manifest, fetch, look: false },
        { pace: drainingPace(engine) },
      )
      assert.equal(counts.drift['missing-object'], 1)
      assert.equal(counts.drift['extra-object'], 1)
      assert.deepEqual(asked, [])
      await engine.drain()
      const keys = await bench.sql('SELECT key FROM aws_s3_metadata.inventory ORDER BY key')
      assert.deepEqual(keys, [{ key: 'kept' }, { key: 'lost' }])
    })
  })

  it('is read from the bucket that it was written to', async () => {
    const bucket = bucketOf('aws', 'never')
    await bucket.put('a', 'b')
    await withBuckets(CONFIG, opener(bucket), async (bench) => {
      const file = await report(bench, bucket)
      const reports = bucketOf('minio', 'never')
      const { readFileSync } = await import('node:fs')
      await reports.put('x/1/manifest.json', readFileSync(file))
      await reports.put('x/1/manifest.checksum', md5Hex(readFileSync(file)))
      await reports.put('x/data/rows.csv', readFileSync(join(file, '../rows.csv')))
      const { engine } = bench
      const fetched = await remoteReport(engine, reports.store, 'x/1/manifest.json')
      const target = { bucket: bucket.name, store: bucket.store, prefix: '' }
      const counts = await reconcileReport(engine, target, { ...fetched, look: true }, { pace: drainingPace(engine) })
      assert.equal(counts.drift['missing-object'], 1)
      const other = { ...target, bucket: 'other' }
      await assert.rejects(
        reconcileReport(engine, other, { ...fetched, look: true }, { pace: drainingPace(engine) }),
        (error) => isFault(error, 'invalid') && /got one of aws-never/.test(error.message),
      )
    })
  })
})

describe('a bucket that is compared every so often', () => {
  it('is mended while events flow, and the next time is kept over a restart', async () => {
    const random = new Random(9)
    const bucket = bucketOf('aws', 'enabled')
    await change(bucket, random, 20)
    const config = { objects: { buckets: { [bucket.name]: { reconcile: { every: '6h' } } } } }
    await withBuckets(config, opener(bucket), async (bench) => {
      const { engine } = bench
      engine.start(() => undefined)
      const compared = Promise.withResolvers<DriftCounts>()
      const schedule = await ReconcileSchedule.open(engine, {
        onEvent: (event) => {
          if (event.kind === 'compared') compared.resolve(event.counts)
          else compared.reject(new Error(event.message))
        },
      })
      schedule.start()
      assert.ok(totalDrift(await compared.promise) > 0)
      const pace = followingPace(engine, new AbortController().signal)
      await pace.begin()
      await schedule.stop()
      await engine.finish()
      await requireSame(bench, bucket)
      const [status] = schedule.buckets
      assert.equal(status?.trouble, null)
      await bench.restart()
      const next = await ReconcileSchedule.open(bench.engine)
      assert.equal(next.buckets[0]?.nextMs, status?.nextMs)
      assert.ok(next.buckets[0]!.nextMs > Date.now() + 5 * HOUR_MS)
    })
  })

  it('tells why it cannot be listed, and is tried again', async () => {
    const config = { objects: { buckets: { gone: { reconcile: { every: '6h' } } } } }
    const open = () => {
      throw new Error('no such bucket')
    }
    await withBuckets(config, open, async (bench) => {
      bench.engine.start(() => undefined)
      const failed = Promise.withResolvers<string>()
      const schedule = await ReconcileSchedule.open(bench.engine, {
        onEvent: (event) => {
          if (event.kind === 'failed') failed.resolve(event.message)
        },
      })
      schedule.start()
      assert.match(await failed.promise, /no such bucket/)
      assert.match(schedule.buckets[0]!.trouble!, /no such bucket/)
      await schedule.stop()
    })
  })
})
