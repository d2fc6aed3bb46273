/**
 * Buckets with and without versions, their notifications told in any order, any number of times, in any batches: the tables are
 * what the bucket itself says in the end. The notifications are those of S3 and of MinIO; what they do not carry is asked.
 *
 * `TIDEWATER_ROUNDS` sets the rounds, `TIDEWATER_SEED` the first round's seed; each test's name tells its seed.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Random } from '../../test/simulate/random.ts'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, type TableLines, withBuckets } from '../../test/support/engine-bench.ts'
import { DIALECTS, type Dialect, NotifiedBucket } from '../../test/support/notified-bucket.ts'
import type { Versioning } from '../store/store.ts'

const ROUNDS = Number(process.env['TIDEWATER_ROUNDS'] ?? 1)
const FIRST_SEED = Number(process.env['TIDEWATER_SEED'] ?? 1)
const BUCKETS_OF_KIND = 2
const STEPS_MAX = 30
const VERSIONINGS: readonly Versioning[] = ['never', 'enabled', 'suspended']
/** The store's clock, against ours. */
const SKEWS_MS = [-86_400_000, -1_000, 3_600_000]

const KEYS = ['a.jpg', 'b+c d/é%.txt']
const EMPTY_ETAG = 'd41d8cd98f00b204e9800998ecf8427e'
const CLASSES = ['GLACIER', 'STANDARD_IA']

function bucketsOf(random: Random): NotifiedBucket[] {
  return DIALECTS.flatMap((dialect) =>
    VERSIONINGS.flatMap((versioning) =>
      Array.from({ length: BUCKETS_OF_KIND }, (_, at) => {
        const startMs = Date.now() + random.pick(SKEWS_MS)
        return new NotifiedBucket({ name: `${dialect}-${versioning}-${at}`, dialect, versioning, startMs })
      }),
    ),
  )
}

async function step(bucket: NotifiedBucket, dialect: Dialect, random: Random): Promise<void> {
  if (random.chance(0.6)) bucket.passTime(random.below(3))
  const key = random.pick(KEYS)
  const versions = (await Array.fromAsync(bucket.store.listVersions())).filter((one) => one.key === key)
  const version = versions.length > 0 ? random.pick(versions) : undefined
  const choice = random.next()
  if (choice < 0.04 && (await bucket.store.versioning()) !== 'never') {
    bucket.setVersioning(random.pick(['enabled', 'suspended'] as const))
  } else if (choice < 0.4) {
    // Once per bucket: of two objects with the same bytes in one place, nobody can tell which of them was asked about.
    const isEmpty = random.chance(0.1) && !bucket.documents.some((document) => document.includes(EMPTY_ETAG))
    const bytes = isEmpty ? '' : `bytes ${random.next()}`
    const tags: Record<string, string> = random.chance(0.5) ? { first: String(random.below(9)) } : {}
    const userMetadata: Record<string, string> = random.chance(0.5) ? { author: 'Grace' } : {}
    await bucket.put(key, bytes, { tags, userMetadata, contentType: 'text/plain', encryptionStatus: 'SSE-S3' })
  } else if (choice < 0.55) await bucket.delete(key)
  else if (version === undefined) return
  else if (choice < 0.75) await bucket.deleteVersion(key, version.versionId)
  else if (version.isDeleteMarker) return
  else if (choice < 0.9 || dialect === 'minio') {
    await bucket.tag(key, random.chance(0.3) ? {} : { n: String(random.below(99)) }, version.versionId)
  } else await bucket.transition(key, random.pick(CLASSES), version.versionId)
}

/** Every document at least once: shuffled as a whole, or each moved only a little from its place. */
function inDisorder(documents: readonly string[], random: Random): string[] {
  const reach = random.chance(0.5) ? documents.length : 10
  const copies = [...documents, ...documents.filter(() => random.chance(0.3))]
  return copies
    .map((document, at) => ({ document, at: (at % documents.length) + random.next() * reach }))
    .sort((one, other) => one.at - other.at)
    .map(({ document }) => document)
}

async function tell(bench: EngineBench, told: string[], random: Random): Promise<void> {
  const batchMax = Math.ceil(told.length / 3)
  while (told.length > 0) {
    await bench.ingest(...told.splice(0, 1 + random.below(batchMax)))
    const then = random.below(4)
    if (then === 0) await bench.restart()
    if (then === 1) {
      // As after a power failure: the note of how far events were passed on is an older one.
      bench.engine.versions.setEmitted(random.below(bench.engine.versions.emitted + 1))
      await bench.restart()
    }
  }
}

const CONFIG = { objects: { buckets: { '*': {} } } }

function openerOf(buckets: readonly NotifiedBucket[]) {
  const stores = new Map(buckets.map(({ name, store }) => [name, store]))
  return (name: string) => stores.get(name)!
}

/** Tags are as they are found: a creation that is heard of together with a change of its tags does not say what they were. */
function withoutTags(line: string): string {
  return line.replace(/"object_tags":(?:null|\{[^}]*\}),/, '')
}

async function compare(bench: EngineBench, buckets: readonly NotifiedBucket[]): Promise<void> {
  for (const { name, store } of buckets) {
    const { inventory, current, content } = await bucketRows(store)
    const tables = await tableRows(bench, name)
    assert.deepEqual(tables.inventory, inventory, `inventory of ${name}`)
    assert.deepEqual(tables.current, current, `is_current of ${name}`)
    assert.deepEqual(tables.content, content, `content of ${name}`)
  }
}

for (let round = 0; round < ROUNDS; round++) {
  const seed = FIRST_SEED + round
  describe(`histories of buckets of stores (seed ${seed})`, () => {
    it('told in disorder after they happened make the tables that the store says, in each of two ways the same', async () => {
      const random = new Random(seed)
      const buckets = bucketsOf(random)
      for (const bucket of buckets) {
        const dialect = bucket.name.startsWith('minio') ? 'minio' : 'aws'
        for (let steps = 1 + random.below(STEPS_MAX); steps > 0; steps--) await step(bucket, dialect, random)
      }
      const documents = buckets.flatMap((bucket) => bucket.documents)
      const made: TableLines[] = []
      for (let way = 0; way < 2; way++) {
        await withBuckets(CONFIG, openerOf(buckets), async (bench) => {
          await tell(bench, inDisorder(documents, random), random)
          await compare(bench, buckets)
          made.push(await bench.tables())
        })
      }
      const [one, other] = made.map(({ journal, inventory }) => ({
        journal: journal.map(withoutTags).sort(),
        inventory,
      }))
      assert.deepEqual(other, one)
    })

    it('told while they happen, some late, make the tables that the store says', async () => {
      const random = new Random(seed + 1_000_000)
      const buckets = bucketsOf(random)
      await withBuckets(CONFIG, openerOf(buckets), async (bench) => {
        const late: string[] = []
        for (let rounds = 0; rounds < 5; rounds++) {
          const now: string[] = late.splice(0, random.below(late.length + 1))
          for (const bucket of buckets) {
            const dialect = bucket.name.startsWith('minio') ? 'minio' : 'aws'
            const before = bucket.documents.length
            for (let steps = random.below(5); steps > 0; steps--) await step(bucket, dialect, random)
            for (const document of bucket.documents.slice(before)) (random.chance(0.3) ? late : now).push(document)
          }
          if (now.length > 0) await bench.ingest(...inDisorder(now, random))
          if (random.chance(0.3)) await bench.restart()
        }
        if (late.length > 0) await bench.ingest(...late)
        await compare(bench, buckets)
      })
    })
  })
}
