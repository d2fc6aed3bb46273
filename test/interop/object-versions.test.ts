/**
 * Buckets of a real MinIO, with versions and without: everything that can happen to versions is done to them, what MinIO tells of it
 * by its webhook is told on in another order and more than once, and the tables are what MinIO's own listing of versions says.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  CopyObjectCommand,
  DeleteObjectTaggingCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { openS3Store } from '../../src/store/s3.ts'
import type { BucketStore } from '../../src/store/store.ts'
import { Random } from '../simulate/random.ts'
import { bucketRows, tableRows } from '../support/bucket-tables.ts'
import { EngineBench, TABLES } from '../support/engine-bench.ts'
import { FINAL_TAGS, gifOf, runScenario } from '../support/photo-scenario.ts'
import { Minio, noMinio } from './minio.ts'

const ARRIVAL_MS = 60_000

describe('versions in a real MinIO', { skip: noMinio }, () => {
  let minio: Minio
  let sink: Server
  /** Bodies of its webhook, as they came. */
  const bodies: string[] = []

  before(async () => {
    sink = createServer(async (request, response) => {
      const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
      if (request.method === 'POST') bodies.push(Buffer.concat(chunks).toString())
      response.end()
    }).listen(0, '127.0.0.1')
    await once(sink, 'listening')
    const { port } = sink.address() as AddressInfo
    minio = await Minio.start({
      MINIO_NOTIFY_WEBHOOK_ENABLE_T1: 'on',
      MINIO_NOTIFY_WEBHOOK_ENDPOINT_T1: `http://127.0.0.1:${port}/hook`,
    })
  })
  after(async () => {
    await minio?.remove()
    sink?.closeAllConnections()
    sink?.close()
  })

  async function watchedBucket(name: string, versioning?: 'enabled'): Promise<BucketStore> {
    await minio.makeBucket(name, versioning)
    await minio.client.send(
      new PutBucketNotificationConfigurationCommand({
        Bucket: name,
        NotificationConfiguration: {
          QueueConfigurations: [
            { QueueArn: 'arn:minio:sqs:us-east-1:T1:webhook', Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] },
          ],
        },
      }),
    )
    return openS3Store({ connection: minio.connection, bucket: name })
  }

  async function put(Bucket: string, Key: string, Body: Uint8Array | string, tags: Record<string, string> = {}) {
    const Tagging = new URLSearchParams(tags).toString()
    const Metadata = { author: 'Grace' }
    const extra = { Metadata, ContentType: 'image/gif', ChecksumAlgorithm: 'SHA256' as const }
    const { VersionId } = await minio.client.send(new PutObjectCommand({ Bucket, Key, Body, Tagging, ...extra }))
    return VersionId ?? 'null'
  }

  /** What came of a bucket, when so much has come. */
  async function told(bucket: string, count: number): Promise<string[]> {
    const ofBucket = () => bodies.filter((body) => body.includes(`"name":"${bucket}"`))
    for (let waitedMs = 0; ofBucket().length < count; waitedMs += 50) {
      assert.ok(waitedMs < ARRIVAL_MS, `${ofBucket().length} of ${count} notifications have come`)
      await delay(50)
    }
    return ofBucket()
  }

  async function tellShuffled(bench: EngineBench, documents: readonly string[], random: Random): Promise<void> {
    const copies = [...documents, ...documents.filter(() => random.chance(0.3))]
    const order = copies.map((document) => ({ document, at: random.next() })).sort((one, other) => one.at - other.at)
    const left = order.map(({ document }) => document)
    while (left.length > 0) {
      await bench.ingest(...left.splice(0, 1 + random.below(40)))
      if (random.chance(0.3)) await bench.restart()
    }
  }

  async function withBench(work: (bench: EngineBench) => Promise<void>): Promise<void> {
    const config = { s3: { default: minio.properties }, objects: { buckets: { '*': {} } } }
    const bench = await EngineBench.open(config)
    try {
      await work(bench)
    } finally {
      await bench.close()
    }
  }

  for (const versioning of ['never', 'enabled'] as const) {
    it(`the scenario of twenty-two changes ends as MinIO lists it, with every tag (versions ${versioning})`, async () => {
      const bucket = `scenario-${versioning}`
      const store = await watchedBucket(bucket, versioning === 'enabled' ? versioning : undefined)
      await runScenario(
        {
          put: (key, bytes, { tags }) => put(bucket, key, bytes, tags),
          delete: (key) => store.delete([key]),
          tag: (key, tags) => minio.setTags(bucket, key, tags),
        },
        (_key, upload) => gifOf(upload + 1),
      )
      const documents = await told(bucket, 22)
      await withBench(async (bench) => {
        await tellShuffled(bench, documents, new Random(1))
        const expected = await bucketRows(store, { markerTimes: false })
        assert.deepEqual(await tableRows(bench, bucket, { markerTimes: false }), expected)
        assert.equal(expected.current.length, 19)
        const tags = await bench.sql('SELECT key, object_tags FROM s3_metadata_coalesced WHERE is_current')
        assert.deepEqual(new Map(tags.map((row) => [row['key'], row['object_tags']])), FINAL_TAGS)
        const [facts] = await bench.sql(
          `SELECT count(*)::INT AS objects, count(image_width)::INT AS measured FROM ${TABLES.content}`,
        )
        assert.equal(facts!['measured'], facts!['objects'])
        const [journal] = await bench.sql(`SELECT count(*)::INT AS records FROM ${TABLES.journal}`)
        assert.deepEqual(journal, { records: 22 })
      })
    })
  }

  it('markers, their removal, null versions, suspension, tags of old versions and writers at once end as MinIO lists them', async () => {
    const bucket = 'histories'
    const store = await watchedBucket(bucket)
    let changes = 0
    const did = async <T>(work: Promise<T>): Promise<T> => {
      changes++
      return work
    }
    const markerOf = async (key: string) => {
      const versions = await Array.fromAsync(store.listVersions(key))
      return versions.find((version) => version.key === key && version.isLatest && version.isDeleteMarker)!.versionId
    }
    const remove = (key: string) => did(store.delete([key]))

    // Before there were versions.
    for (const key of ['null/below', 'null/removed', 'null/tagged']) await did(put(bucket, key, `null of ${key}`))
    await minio.setVersioning(bucket, 'enabled')
    await did(put(bucket, 'null/below', 'over it'))
    await remove('null/tagged')
    await did(minio.setTags(bucket, 'null/tagged', { under: 'a marker' }, 'null'))
    await did(minio.deleteVersion(bucket, 'null/removed', 'null'))

    // Markers: laid, laid again, taken away, left.
    const first = await did(put(bucket, 'marked + ü', 'first', { n: '1' }))
    await did(put(bucket, 'marked + ü', 'second'))
    await remove('marked + ü')
    await remove('marked + ü')
    await did(minio.deleteVersion(bucket, 'marked + ü', await markerOf('marked + ü')))
    await did(minio.setTags(bucket, 'marked + ü', { of: 'an old version' }, first))
    await did(put(bucket, 'hidden', 'under a marker'))
    await remove('hidden')

    // Empty, copied, with tags taken away, one version of three removed.
    await did(put(bucket, 'empty', '', { is: 'empty' }))
    await did(
      minio.client.send(
        new CopyObjectCommand({
          Bucket: bucket,
          Key: 'copy',
          CopySource: `${bucket}/hidden?versionId=${
            (await Array.fromAsync(store.listVersions('hidden'))).find((version) => !version.isDeleteMarker)!.versionId
          }`,
        }),
      ),
    )
    await did(put(bucket, 'untagged', 'x', { gone: 'soon' }))
    await did(minio.client.send(new DeleteObjectTaggingCommand({ Bucket: bucket, Key: 'untagged' })))
    const versions = []
    for (const n of [1, 2, 3]) versions.push(await did(put(bucket, 'three', `number ${n}`)))
    await did(minio.deleteVersion(bucket, 'three', versions[2]!))

    // Many writers of one key at once: what MinIO holds for the last one is not what was told last.
    await Promise.all(
      Array.from({ length: 8 }, async (_, writer) => {
        for (let n = 0; n < 12; n++) await did(put(bucket, 'busy', gifOf(1 + writer * 100 + n)))
      }),
    )

    await minio.setVersioning(bucket, 'suspended')
    await did(put(bucket, 'three', 'null version'))
    await did(put(bucket, 'three', 'null version again'))
    await remove('marked + ü')
    await did(put(bucket, 'suspended', 'a'))
    await remove('suspended')
    await did(minio.deleteVersion(bucket, 'suspended', 'null'))

    const documents = await told(bucket, changes)
    for (const seed of [1, 2, 3]) {
      await withBench(async (bench) => {
        await tellShuffled(bench, documents, new Random(seed))
        const expected = await bucketRows(store, { markerTimes: false })
        const tables = await tableRows(bench, bucket, { markerTimes: false })
        assert.deepEqual(tables.current, expected.current, `seed ${seed}`)
        assert.deepEqual(tables, expected, `seed ${seed}`)
        assert.deepEqual(await bench.sql("SELECT reason FROM tidewater.dead_letters WHERE status = 'open'"), [])
      })
    }
  })
})
