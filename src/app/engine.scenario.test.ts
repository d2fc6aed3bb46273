/**
 * Twenty-two changes of a bucket of photos, as S3 and as MinIO tell of them, which is without tags: they are asked. In every
 * order, repeated, in any batches: nineteen objects, and the soccer ball with the tags that it was given last.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Random } from '../../test/simulate/random.ts'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, TABLES, withBuckets, withEngine } from '../../test/support/engine-bench.ts'
import { DIALECTS, NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { FINAL_TAGS, gifOf, runScenario, SOCCER_TAGS } from '../../test/support/photo-scenario.ts'
import type { Versioning } from '../store/store.ts'
import type { OpenBucket } from './buckets.ts'

const CONFIG = { objects: { buckets: { '*': {} } } }
const START_MS = Date.UTC(2024, 10, 26, 19, 40)
const VERSIONINGS: readonly Versioning[] = ['never', 'enabled']

async function scenario(name: string, dialect: 'aws' | 'minio', versioning: Versioning): Promise<NotifiedBucket> {
  const bucket = new NotifiedBucket({ name, dialect, versioning, startMs: START_MS })
  await runScenario(
    bucket,
    (_key, upload) => gifOf(upload + 1),
    () => bucket.passTime(3_000),
  )
  return bucket
}

function opener(buckets: readonly NotifiedBucket[]): OpenBucket {
  const stores = new Map(buckets.map(({ name, store }) => [name, store]))
  return (name) => stores.get(name)!
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]))
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item)
}

/** What must hold of a bucket after the scenario, besides being what its store says. */
async function check(bench: EngineBench, bucket: NotifiedBucket, about: string): Promise<void> {
  const { name, store } = bucket
  const expected = await bucketRows(store)
  assert.deepEqual(await tableRows(bench, name), expected, about)
  assert.equal(expected.current.length, 19, about)
  const where = `WHERE "bucket" = '${name}'`
  const tags = await bench.sql(`SELECT key, object_tags FROM s3_metadata_coalesced ${where} AND is_current`)
  assert.deepEqual(new Map(tags.map((row) => [row['key'], row['object_tags']])), FINAL_TAGS, about)
  const [journal] = await bench.sql(`SELECT count(*) FILTER (record_type = 'CREATE') AS created,
    count(*) FILTER (record_type = 'DELETE') AS deleted, count(*) FILTER (record_type = 'UPDATE_METADATA') AS updated
    FROM ${TABLES.journal} ${where}`)
  assert.deepEqual(journal, { created: 20n, deleted: 1n, updated: 1n }, about)
  const soccer = await bench.sql(
    `SELECT record_type FROM ${TABLES.journal} ${where} AND key = 'soccer.jpg' ORDER BY sequence_number`,
  )
  const types = soccer.map((row) => row['record_type'])
  assert.deepEqual(types, ['CREATE', 'DELETE', 'CREATE', 'UPDATE_METADATA'], about)
}

describe('the scenario of twenty-two changes', () => {
  for (const dialect of DIALECTS) {
    for (const versioning of VERSIONINGS) {
      const kind = `${dialect}, versions ${versioning}`

      it(`told while it happens leaves each record of the journal with the tags of its moment (${kind})`, async () => {
        const bucket = new NotifiedBucket({ name: 'photos', dialect, versioning, startMs: START_MS })
        await withBuckets(CONFIG, opener([bucket]), async (bench) => {
          let told = 0
          const tellNew = async () => {
            bucket.passTime(3_000)
            // The uploads that nothing happens to come in batches; the soccer ball's changes one by one.
            const isBusy = bucket.documents.length > 18
            if (isBusy || bucket.documents.length === 18) {
              await bench.ingest(...bucket.documents.slice(told))
              told = bucket.documents.length
            }
          }
          await runScenario(bucket, (_key, upload) => gifOf(upload + 1), tellNew)
          await check(bench, bucket, kind)
          const rows = await bench.sql(
            `SELECT record_type, object_tags FROM ${TABLES.journal} WHERE key = 'soccer.jpg' ORDER BY sequence_number`,
          )
          assert.deepEqual(
            rows.map((row) => row['object_tags']),
            [{ Project: 'WrongProject' }, null, { Project: 'Africa' }, SOCCER_TAGS],
          )
          assert.equal((await bench.sql('SELECT * FROM tidewater.dead_letters')).length, 0)
        })
      })
    }
  }

  it("told after it happened, the soccer ball's changes in each of their 24 orders, ends the same", async () => {
    const orders = permutations([0, 1, 2, 3])
    const buckets: NotifiedBucket[] = []
    const batches: string[][] = [[], [], [], []]
    for (const dialect of DIALECTS) {
      for (const versioning of VERSIONINGS) {
        for (const [at, order] of orders.entries()) {
          const bucket = await scenario(`${dialect}-${versioning}-${at}`, dialect, versioning)
          buckets.push(bucket)
          batches[at % 4]!.push(...bucket.documents.slice(0, 18))
          for (const [turn, index] of order.entries()) batches[turn]!.push(bucket.documents.slice(18)[index]!)
        }
      }
    }
    await withBuckets(CONFIG, opener(buckets), async (bench) => {
      for (const [at, batch] of batches.entries()) {
        await bench.ingest(...batch)
        if (at === 1) await bench.restart()
      }
      for (const [at, bucket] of buckets.entries()) {
        if (at % 24 === 5) await check(bench, bucket, `${bucket.name}, order ${orders[at % 24]}`)
      }
      // The others by what they have in common: the same rows under other names.
      const [odd] = await bench.sql(`SELECT count(*) AS buckets FROM (
        SELECT "bucket" FROM s3_metadata_coalesced GROUP BY "bucket" HAVING count(*) FILTER (is_current) <> 19
          OR count(*) FILTER (is_current AND key = 'soccer.jpg' AND object_tags['Project'] = 'Africa'
            AND object_tags['ObjectInfo'] = 'Soccer Ball') <> 1)`)
      assert.equal(odd!['buckets'], 0n)
      const [journal] = await bench.sql(`SELECT count(*) AS records FROM ${TABLES.journal}`)
      assert.equal(journal!['records'], BigInt(22 * buckets.length))
    })
  })

  for (const seed of [1, 2]) {
    it(`told shuffled, repeated and in batches, with stops in between, ends the same (seed ${seed})`, async () => {
      const random = new Random(seed)
      const buckets = await Promise.all(
        DIALECTS.flatMap((dialect) =>
          VERSIONINGS.map((versioning) => scenario(`${dialect}-${versioning}`, dialect, versioning)),
        ),
      )
      const documents = buckets.flatMap((bucket) => bucket.documents)
      const told = shuffled([...documents, ...shuffled(documents, random).slice(0, 44)], random)
      await withBuckets(CONFIG, opener(buckets), async (bench) => {
        while (told.length > 0) {
          await bench.ingest(...told.splice(0, 10 + random.below(60)))
          if (random.chance(0.4)) await bench.restart()
        }
        for (const bucket of buckets) await check(bench, bucket, bucket.name)
      })
    })
  }
})

interface Recorded {
  case: string
  bucket: string
  body: string
}

describe('changes of a versioned bucket recorded from MinIO', () => {
  const recorded = readFileSync(new URL('../../test/golden/payloads/minio-webhook.jsonl', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded)
    .filter(({ case: name }) => name.startsWith('versions-'))

  it('leave the versions, the marker and the tags that they left in MinIO, in forty orders', async () => {
    assert.equal(recorded.length, 15)
    await withEngine({}, async (bench) => {
      const random = new Random(7)
      const orders = Array.from({ length: 40 }, (_, at) => {
        const order = at === 0 ? recorded : shuffled([...recorded, ...recorded.slice(0, at % 15)], random)
        return order.map(({ bucket, body }) => body.replaceAll(bucket, `order-${at}`))
      })
      const longest = Math.max(...orders.map((order) => order.length))
      for (let from = 0; from < longest; from += 5) {
        await bench.ingest(...orders.flatMap((order) => order.slice(from, from + 5)))
        if (from === 10) await bench.restart()
      }
      const rowsOf = async (statement: string) =>
        Map.groupBy(await bench.sql(statement), (row) => String(row['bucket']))
      const inventory = await rowsOf(
        `SELECT bucket, key, version_id, is_delete_marker FROM ${TABLES.inventory} ORDER BY bucket, key, version_id`,
      )
      const view = await rowsOf(
        'SELECT bucket, key, is_latest_version, is_current FROM s3_metadata_coalesced ORDER BY bucket, key',
      )
      for (const at of orders.keys()) {
        const bucket = `order-${at}`
        const about = `order ${at}`
        assert.deepEqual(
          inventory.get(bucket),
          [
            { bucket, key: 'big.bin', version_id: '37e4487c-2134-4903-ac33-8edd6fd68f0a', is_delete_marker: false },
            { bucket, key: 'big.bin', version_id: 'f1545fd2-36a7-4e63-a49e-39c14bb374ef', is_delete_marker: true },
            { bucket, key: 'doc v.txt', version_id: 'f8669d52-ee1d-4709-8109-43b4d0328bf0', is_delete_marker: false },
          ],
          about,
        )
        assert.deepEqual(
          view.get(bucket),
          [
            { bucket, key: 'big.bin', is_latest_version: false, is_current: false },
            { bucket, key: 'doc v.txt', is_latest_version: true, is_current: true },
          ],
          about,
        )
      }
    })
  })
})
