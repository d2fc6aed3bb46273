/**
 * Whole histories of buckets, told to the engine in any order, any number of times, in any batches, with stops at any
 * point: the three tables and the view are those of a plain model.
 *
 * Each round takes many buckets through one engine, twice over in different ways. `TIDEWATER_ROUNDS` sets the rounds,
 * `TIDEWATER_SEED` the first round's seed; each test's name tells its seed.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { HABITS, type Habit, ModelBucket, type ModelVersion } from '../../test/simulate/object-bucket.ts'
import { Random } from '../../test/simulate/random.ts'
import { EngineBench, type SqlRow, TABLES, type TableLines } from '../../test/support/engine-bench.ts'
import { md5Hex } from '../base/hash.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { sequenceNumber } from '../change/sequence.ts'

const ROUNDS = Number(process.env['TIDEWATER_ROUNDS'] ?? 1)
const FIRST_SEED = Number(process.env['TIDEWATER_SEED'] ?? 1)
const BUCKETS_OF_HABIT = 12
const STEPS_MAX = 30

interface History {
  bucket: string
  habit: Habit
  model: ModelBucket
  /** Version → its bytes as they are in the end. */
  files: Map<string, { key: string; versionId: string; bytes: Uint8Array; width: number }>
}

/** The smallest GIF of that width. */
function gif(width: number): Uint8Array {
  const hex = `474946383961 ${littleEndian(width)} 0100 800000 000000ffffff 2c 00000000 01000100 00 02 02 4c01 00 3b`
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}

function littleEndian(value: number): string {
  return Buffer.from([value & 0xff, value >> 8]).toString('hex')
}

function histories(random: Random): History[] {
  return HABITS.flatMap((habit, at) =>
    Array.from({ length: BUCKETS_OF_HABIT }, (_, index): History => {
      const bucket = `h${at}-${index}`
      const files: History['files'] = new Map()
      const write = (key: string, versionId: string, put: number) => {
        const bytes = gif(put + 1)
        files.set(`${key}@${versionId}`, { key, versionId, bytes, width: put + 1 })
        return { etag: md5Hex(bytes), sizeBytes: bytes.length }
      }
      const model = new ModelBucket(random, habit, { bucket, write })
      for (let steps = 1 + random.below(STEPS_MAX); steps > 0; steps--) model.step()
      return { bucket, habit, model, files }
    }),
  )
}

/** Every event at least once: shuffled as a whole, or each moved only a little from its place. */
function inDisorder(events: readonly ObjectEvent[], random: Random): ObjectEvent[] {
  const reach = random.chance(0.5) ? events.length : 20
  const copies = [...events, ...events.filter(() => random.chance(0.3))]
  return copies
    .map((event, at) => ({ event, at: (at % events.length) + random.next() * reach }))
    .sort((one, other) => one.at - other.at)
    .map(({ event }) => event)
}

/** Tells everything, in batches, with whatever may happen between two of them. */
async function tell(bench: EngineBench, told: ObjectEvent[], random: Random): Promise<void> {
  const batchMax = Math.ceil(told.length / 8)
  while (told.length > 0) {
    await bench.engine.objects.accept(told.splice(0, 1 + random.below(batchMax)))
    const { engine } = bench
    switch (random.below(8)) {
      case 0:
        await engine.drain()
        break
      case 1:
        await engine.objects.drain()
        break
      case 2:
        await engine.objects.drain()
        await engine.feeds.get(random.pick(['journal', 'inventory', 'content']))!.drain()
        break
      case 3:
        await bench.restart()
        break
      case 4:
        await engine.objects.drain()
        await bench.restart()
        break
      case 5:
        // As after a power failure: the note of how far events were passed on is an older one.
        await engine.objects.drain()
        engine.versions.setEmitted(random.below(engine.versions.emitted + 1))
        await bench.restart()
        break
      case 6: {
        // Followed in the background, and stopped while it works or when it has nothing to do.
        const faults: string[] = []
        engine.start((fault) => faults.push(fault.message))
        await engine.objects.accept(told.splice(0, 1 + random.below(batchMax)))
        if (random.chance(0.5)) await engine.objects.passed(engine.objects.accepted, AbortSignal.timeout(60_000))
        await bench.restart()
        assert.deepEqual(faults, [])
        break
      }
      case 7:
        break
    }
  }
  await bench.engine.drain()
}

for (let round = 0; round < ROUNDS; round++) {
  const seed = FIRST_SEED + round
  describe(`${HABITS.length * BUCKETS_OF_HABIT} histories of buckets, told in disorder (seed ${seed})`, () => {
    it('make the tables and the view of the model, and the same tables when they are told in another way', async () => {
      const random = new Random(seed)
      const all = histories(random)
      const events = all.flatMap(({ model }) => model.events)
      const made: TableLines[] = []
      for (let way = 0; way < 2; way++) {
        const bench = await EngineBench.open()
        try {
          for (const { bucket, files } of all) {
            for (const { key, versionId, bytes } of files.values()) await bench.putObject(bucket, key, bytes, versionId)
          }
          await tell(bench, inDisorder(events, random), random)
          made.push(await bench.tables())
          if (way === 0) await compareWithModel(bench, all)
        } finally {
          await bench.close()
        }
      }
      assert.deepEqual(made[1], made[0])
    })
  })
}

async function compareWithModel(bench: EngineBench, all: readonly History[]): Promise<void> {
  const deletes = await bench.sql(
    `SELECT content FROM ${TABLES.content}.delete_files UNION ALL SELECT content FROM ${TABLES.inventory}.delete_files`,
  )
  // Deletes are by position (1), never by equality (2).
  assert.ok(deletes.every((row) => Number(row['content']) === 1))

  const rowsOf = async (sql: string) => groupedByBucket(await bench.sql(sql))
  const journal = await rowsOf(`SELECT * FROM ${TABLES.journal}`)
  const inventory = await rowsOf(`SELECT * FROM ${TABLES.inventory}`)
  const content = await rowsOf(`SELECT * FROM ${TABLES.content}`)
  const view = await rowsOf('SELECT * FROM s3_metadata_coalesced')
  let decidedKeys = 0
  for (const history of all) {
    const { bucket, habit, model, files } = history
    const about = `bucket ${bucket} (${habit})`
    assert.deepEqual(byText(journal.get(bucket)), byText(distinct(model.events).map(journalRow)), `journal of ${about}`)
    assert.deepEqual(byText(inventory.get(bucket)), byText(model.versions.map(inventoryRow)), `inventory of ${about}`)
    const objects = model.versions.filter((version) => !version.isDeleteMarker)
    const facts = (row: SqlRow) => ({ ...row, metadata: imageWidth(row['metadata']) })
    assert.deepEqual(
      byText(content.get(bucket)?.map(facts)),
      byText(objects.map((version) => contentRow(version, files.get(`${version.key}@${version.versionId}`)!.width))),
      `content of ${about}`,
    )
    decidedKeys += compareView(view.get(bucket) ?? [], model.versions, about)
  }
  assert.ok(decidedKeys > all.length / 2, `the latest version of only ${decidedKeys} keys could be told`)
}

/** Returns of how many keys the model can tell the latest version. */
function compareView(rows: readonly SqlRow[], versions: readonly ModelVersion[], about: string): number {
  const objects = versions.filter((version) => !version.isDeleteMarker)
  assert.deepEqual(
    rows.map((row) => `${row['key']}@${row['version_id']} ${row['sequence_number']}`).sort(),
    objects.map((version) => `${version.key}@${version.versionId} ${sequenceNumber(version.last)}`).sort(),
    `view of ${about}`,
  )
  let decided = 0
  for (const key of new Set(versions.map((version) => version.key))) {
    const ofKey = versions.filter((version) => version.key === key)
    const newest = ofKey.at(-1)!
    const shown = rows.filter((row) => row['key'] === key)
    const latest = shown.filter((row) => row['is_latest_version'] === true).map((row) => row['version_id'])
    const current = shown.filter((row) => row['is_current'] === true).map((row) => row['version_id'])
    assert.deepEqual(current, latest, `${key} in the view of ${about}`)
    assert.ok(latest.length <= 1, `${key} has one latest version in the view of ${about}`)
    // Where neither times nor sequencers tell two versions apart, nobody can.
    if (ofKey.some((other) => other !== newest && !isTold(other.made, newest.made))) continue
    decided++
    assert.deepEqual(latest, newest.isDeleteMarker ? [] : [newest.versionId], `latest ${key} in the view of ${about}`)
  }
  return decided
}

/** Do the events tell which came first? */
function isTold(one: ObjectEvent, other: ObjectEvent): boolean {
  if (one.time !== other.time) return true
  return sequenceNumber(one).slice(0, 49) !== sequenceNumber(other).slice(0, 49)
}

function distinct(events: readonly ObjectEvent[]): ObjectEvent[] {
  return [...new Map(events.map((event) => [sequenceNumber(event), event])).values()]
}

function timeText(iso: string): string {
  return iso.replace('Z', '').replace(/\.(\d{3})$/, (_, ms: string) => (ms === '000' ? '' : `.${ms}000`))
}

const UNKNOWN = {
  is_multipart: null,
  encryption_status: null,
  is_bucket_key_enabled: null,
  kms_key_arn: null,
  checksum_algorithm: null,
  content_type: null,
}

function journalRow(event: ObjectEvent): SqlRow {
  const { bucket, key, versionId, kind, time } = event
  const types = { create: 'CREATE', update: 'UPDATE_METADATA', marker: 'DELETE', delete: 'DELETE' }
  const isNew = kind === 'create'
  const noTags = isNew || event.name === 'ObjectTagging:Delete' ? {} : null
  return {
    bucket,
    key,
    sequence_number: sequenceNumber(event),
    record_type: types[kind],
    record_timestamp: timeText(time),
    version_id: versionId,
    is_delete_marker: kind === 'delete' ? null : kind === 'marker',
    size: event.sizeBytes === undefined ? null : BigInt(event.sizeBytes),
    last_modified_date: kind === 'create' || kind === 'marker' ? timeText(time) : null,
    e_tag: event.etag ?? null,
    storage_class: event.storageClass ?? null,
    ...UNKNOWN,
    object_tags: event.tags ?? noTags,
    user_metadata: isNew ? {} : null,
    requester: null,
    source_ip_address: null,
    request_id: null,
  }
}

function inventoryRow({ key, versionId, isDeleteMarker, etag, tags, storageClass, made, last }: ModelVersion): SqlRow {
  return {
    bucket: made.bucket,
    key,
    sequence_number: sequenceNumber(last),
    version_id: versionId,
    is_delete_marker: isDeleteMarker,
    size: made.sizeBytes === undefined ? null : BigInt(made.sizeBytes),
    last_modified_date: timeText(made.time),
    e_tag: etag ?? null,
    storage_class: storageClass ?? null,
    ...UNKNOWN,
    object_tags: isDeleteMarker ? null : (tags ?? {}),
    user_metadata: isDeleteMarker ? null : {},
  }
}

function contentRow({ key, versionId, etag, made }: ModelVersion, width: number): SqlRow {
  return {
    bucket: made.bucket,
    key,
    versionId,
    sequencer: made.sequencer ?? null,
    etag: etag ?? null,
    metadata: width,
    lastModified: timeText(made.time),
    labels: [],
    image_width: width,
    image_height: 1,
  }
}

/** The width in raw metadata without faults. */
function imageWidth(metadata: SqlRow[string] | undefined): number | null {
  const { image, faults } = JSON.parse(String(metadata)) as { image?: { image_width: number }; faults?: unknown }
  return faults === undefined ? (image?.image_width ?? null) : null
}

function groupedByBucket(rows: readonly SqlRow[]): Map<string, SqlRow[]> {
  return Map.groupBy(rows, (row) => String(row['bucket']))
}

function byText(rows: readonly SqlRow[] = []): SqlRow[] {
  const text = (row: SqlRow) => ['key', 'version_id', 'versionId', 'sequence_number'].map((name) => row[name]).join('|')
  return rows.toSorted((one, other) => (text(one) < text(other) ? -1 : 1))
}
