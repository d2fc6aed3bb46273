/** Objects in a store that does not answer, answers late or is overtaken; hot keys; changes that leave the bytes alone; outputs. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bucketRows, tableRows } from '../../test/support/bucket-tables.ts'
import { type EngineBench, TABLES, withBuckets } from '../../test/support/engine-bench.ts'
import { NotifiedBucket } from '../../test/support/notified-bucket.ts'
import { gifOf } from '../../test/support/photo-scenario.ts'
import { withMethods } from '../../test/support/store-methods.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { BucketStore, Versioning } from '../store/store.ts'
import { replayLetters } from './replay.ts'

const START_MS = Date.UTC(2024, 4, 1, 10)
const CONFIG = { objects: { buckets: { photos: {} } } }

/** The store with a count of its requests, and with failures on demand. */
class Watched {
  readonly bucket: NotifiedBucket
  readonly store: BucketStore
  readonly requests = { head: 0, headWithBytes: 0, tags: 0, get: 0 }
  readonly failing = new Set<keyof Watched['requests']>()

  constructor(versioning: Versioning = 'never') {
    this.bucket = new NotifiedBucket({ name: 'photos', dialect: 'aws', versioning, startMs: START_MS })
    const { store } = this.bucket
    this.store = withMethods(store, {
      head: (key, options) => this.#ask('head', () => store.head(key, options)),
      headWithBytes: (key, options) => this.#ask('headWithBytes', () => store.headWithBytes(key, options)),
      tags: (key, options) => this.#ask('tags', () => store.tags(key, options)),
      get: (key, options) => this.#ask('get', () => store.get(key, options)),
    })
  }

  async #ask<T>(kind: keyof Watched['requests'], work: () => Promise<T>): Promise<T> {
    this.requests[kind]++
    if (this.failing.has(kind)) throw new Fault('unavailable', `no answer to ${kind}`)
    return work()
  }

  /** What was told since the last call. */
  told(): string[] {
    this.bucket.passTime(1_000)
    return this.bucket.documents.splice(0)
  }
}

function withWatched(watched: Watched, work: (bench: EngineBench) => Promise<void>): Promise<void> {
  return withBuckets(CONFIG, () => watched.store, work)
}

async function assertEqualTables(bench: EngineBench, { bucket }: Watched): Promise<void> {
  assert.deepEqual(await tableRows(bench, bucket.name), await bucketRows(bucket.store))
}

const openLetters = (bench: EngineBench) =>
  bench.sql("SELECT code, reason FROM tidewater.dead_letters WHERE status = 'open' ORDER BY code")

describe('an object whose store does not answer', () => {
  it('has its rows with what its event says, and the rest when its letter is replayed', async () => {
    const watched = new Watched()
    await withWatched(watched, async (bench) => {
      const extra = {
        tags: { a: 'b' },
        userMetadata: { by: 'Grace' },
        encryptionStatus: 'SSE-S3',
        contentType: 'image/gif',
      }
      await watched.bucket.put('a.gif', gifOf(3), { ...extra, encryptionStatus: 'SSE-S3' })
      watched.failing.add('headWithBytes').add('head')
      await bench.ingest(...watched.told())
      const [row] = await bench.sql(
        `SELECT key, size::INT AS size, object_tags, user_metadata, encryption_status FROM ${TABLES.inventory}`,
      )
      // Unknown is not empty.
      const unknown = { object_tags: null, user_metadata: null, encryption_status: null }
      assert.deepEqual(row, { key: 'a.gif', size: gifOf(3).length, ...unknown })
      const [facts] = await bench.sql(`SELECT image_width FROM ${TABLES.content}`)
      assert.deepEqual(facts, { image_width: 3 })
      assert.deepEqual(await openLetters(bench), [
        { code: 'undescribed', reason: 'describe: unavailable: no answer to headWithBytes' },
      ])

      // Still silent: the letter stays.
      assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 0, failed: 1, cut: 0 })
      watched.failing.clear()
      await bench.restart()
      assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 1, failed: 0, cut: 0 })
      await assertEqualTables(bench, watched)
      assert.deepEqual(await openLetters(bench), [])
      const journal = await bench.sql(
        `SELECT record_type, requester, object_tags, user_metadata FROM ${TABLES.journal} ORDER BY sequence_number`,
      )
      assert.deepEqual(journal, [
        { record_type: 'CREATE', requester: 'someone', object_tags: null, user_metadata: null },
        {
          record_type: 'UPDATE_METADATA',
          requester: 'tidewater',
          object_tags: { a: 'b' },
          user_metadata: { by: 'Grace' },
        },
      ])
    })
  })

  it('has all but its tags where only those cannot be asked, and has them with the next change of them', async () => {
    const watched = new Watched()
    await withWatched(watched, async (bench) => {
      await watched.bucket.put('a.gif', gifOf(3), { tags: { a: 'b' }, encryptionStatus: 'SSE-S3' })
      watched.failing.add('tags')
      await bench.ingest(...watched.told())
      const [row] = await bench.sql(`SELECT object_tags, encryption_status FROM ${TABLES.inventory}`)
      assert.deepEqual(row, { object_tags: null, encryption_status: 'SSE-S3' })
      assert.equal((await openLetters(bench)).length, 1)
      await watched.bucket.tag('a.gif', { c: 'd' })
      watched.failing.clear()
      await bench.ingest(...watched.told())
      await assertEqualTables(bench, watched)
      assert.deepEqual(await openLetters(bench), [])
    })
  })

  it('keeps the tags that were known when a change of them cannot be asked, until a replay', async () => {
    const watched = new Watched('enabled')
    await withWatched(watched, async (bench) => {
      await watched.bucket.put('a.gif', gifOf(3), { tags: { a: 'b' } })
      await bench.ingest(...watched.told())
      watched.failing.add('head')
      await watched.bucket.tag('a.gif', { c: 'd' })
      await bench.ingest(...watched.told())
      const [row] = await bench.sql(`SELECT object_tags FROM ${TABLES.inventory}`)
      assert.deepEqual(row, { object_tags: { a: 'b' } })
      assert.equal((await openLetters(bench)).length, 1)
      watched.failing.clear()
      assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 1, failed: 0, cut: 0 })
      await assertEqualTables(bench, watched)
      assert.deepEqual(await openLetters(bench), [])
    })
  })
})

describe('a small object', () => {
  it('costs one request to be told of and read, and one more where it has tags', async () => {
    const watched = new Watched('enabled')
    await withWatched(watched, async (bench) => {
      const count = 20
      for (let at = 0; at < count; at++) await watched.bucket.put(`${at}.gif`, gifOf(at + 1))
      await watched.bucket.put('tagged.gif', gifOf(99), { tags: { a: 'b' } })
      await bench.ingest(...watched.told())
      assert.deepEqual(watched.requests, { head: 0, headWithBytes: count + 1, tags: 1, get: 0 })
      await assertEqualTables(bench, watched)
      const [facts] = await bench.sql(`SELECT count(image_width)::INT AS read FROM ${TABLES.content}`)
      assert.deepEqual(facts, { read: count + 1 })
    })
  })
})

describe('an object that is not what its event tells of any more', () => {
  it('is superseded when it was overwritten, missing when it is gone, and described as neither', async () => {
    const watched = new Watched()
    await withWatched(watched, async (bench) => {
      await watched.bucket.put('over.gif', gifOf(3), { tags: { a: 'b' } })
      await watched.bucket.put('gone.gif', gifOf(4))
      const told = watched.told()
      await watched.bucket.put('over.gif', gifOf(5), { tags: { of: 'another' } })
      await watched.bucket.delete('gone.gif')
      const later = watched.told()
      await bench.ingest(...told)
      const rows = await bench.sql(
        `SELECT key, get_json_object(metadata, '$.faults[0].kind') AS fault FROM ${TABLES.content} ORDER BY key`,
      )
      assert.deepEqual(rows, [
        { key: 'gone.gif', fault: 'missing' },
        { key: 'over.gif', fault: 'superseded' },
      ])
      const tags = await bench.sql(`SELECT DISTINCT object_tags FROM ${TABLES.inventory}`)
      assert.deepEqual(tags, [{ object_tags: null }])
      await bench.ingest(...later)
      await assertEqualTables(bench, watched)
      assert.deepEqual(await openLetters(bench), [])
    })
  })
})

describe('changes that leave the bytes alone', () => {
  it('of tags and classes are UPDATE_METADATA: nothing is read and nothing extracted', async () => {
    const watched = new Watched('enabled')
    await withWatched(watched, async (bench) => {
      const old = await watched.bucket.put('a.gif', gifOf(3), { tags: { a: 'b' } })
      await watched.bucket.put('a.gif', gifOf(4))
      await bench.ingest(...watched.told())
      const { extracted } = bench.engine.objects.counts
      const { get } = watched.requests
      const contentBefore = (await bench.tables()).content
      await watched.bucket.tag('a.gif', { of: 'the old version' }, old)
      await watched.bucket.tag('a.gif', {})
      await watched.bucket.transition('a.gif', 'GLACIER', old)
      await bench.ingest(...watched.told())
      await assertEqualTables(bench, watched)
      assert.equal(bench.engine.objects.counts.extracted, extracted)
      assert.equal(watched.requests.get, get)
      assert.deepEqual((await bench.tables()).content, contentBefore)
      const types = await bench.sql(
        `SELECT record_type, count(*)::INT AS records FROM ${TABLES.journal} GROUP BY ALL ORDER BY ALL`,
      )
      assert.deepEqual(types, [
        { record_type: 'CREATE', records: 2 },
        { record_type: 'UPDATE_METADATA', records: 3 },
      ])
    })
  })
})

describe('a key that is overwritten thousands of times', () => {
  it('is asked about, read and extracted once per window of events, and every write is in the journal', async () => {
    const watched = new Watched()
    await withWatched(watched, async (bench) => {
      const writes = 3_000
      for (let write = 0; write < writes; write++) await watched.bucket.put('hot.gif', gifOf(write + 1))
      await bench.ingest(...watched.told())
      const windows = Math.ceil(writes / limits.extractWindow)
      assert.ok(
        bench.engine.objects.counts.extracted <= windows,
        `${bench.engine.objects.counts.extracted} extractions`,
      )
      assert.ok(watched.requests.headWithBytes <= windows, `${watched.requests.headWithBytes} questions`)
      assert.ok(watched.requests.get <= 2 * windows, `${watched.requests.get} reads`)
      assert.equal(watched.requests.head, 0)
      const [journal] = await bench.sql(`SELECT count(*)::INT AS records FROM ${TABLES.journal}`)
      assert.deepEqual(journal, { records: writes })
      const [content] = await bench.sql(`SELECT image_width FROM ${TABLES.content}`)
      assert.deepEqual(content, { image_width: writes })
      await assertEqualTables(bench, watched)
    })
  })
})

describe('what is written into a watched bucket', () => {
  it('under an excluded prefix is no event, in no table and no log', async () => {
    const watched = new Watched()
    const config = { objects: { buckets: { photos: { prefix: 'in/', exclude: ['in/thumbs/'] } } } }
    await withBuckets(
      config,
      () => watched.store,
      async (bench) => {
        for (const key of ['in/a.gif', 'in/thumbs/a.gif', 'out/a.gif']) await watched.bucket.put(key, gifOf(3))
        await bench.ingest(...watched.told())
        assert.deepEqual(await bench.sql(`SELECT key FROM ${TABLES.journal}`), [{ key: 'in/a.gif' }])
        assert.deepEqual(
          [bench.engine.objects.counts.events, bench.engine.objects.counts.excluded, bench.engine.objects.accepted],
          [1, 2, 1],
        )
      },
    )
  })
})
