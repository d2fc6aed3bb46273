/**
 * Notifications as they come from a queue, to committed rows: by the engine, through the source that takes them; and by a handler
 * that is called once for each, as functions of a cloud are.
 *
 * The handler reads the notification, asks for the object, fetches all of it, has its facts found in this thread, and commits one row.
 * What it is spared: starting, loading the table's metadata anew, and another handler's commit that came between.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type ConfigInput, parseConfig } from '../../src/app/config.ts'
import { openEngine } from '../../src/app/engine.ts'
import { homeAt } from '../../src/app/home.ts'
import { extractFacts } from '../../src/extract/registry.ts'
import { memorySource } from '../../src/extract/source.ts'
import { readNotification } from '../../src/source/source.ts'
import { openS3Store } from '../../src/store/s3.ts'
import type { S3Connection } from '../../src/store/s3-connection.ts'
import type { TableDefinition } from '../../src/table/table.ts'
import { openTableBench } from '../../test/support/table-bench.ts'
import { serve, timed } from './worker.ts'

const PAYLOADS = path.join(import.meta.dirname, '..', '..', 'test', 'golden', 'payloads', 'minio-webhook.jsonl')
const SENDERS = 32
const SEQUENCER = 0x18e9c8ec3dabe3een

interface PutObject {
  key: string
  etag: string
  sizeBytes: number
}

/** What a recorded put would be of these objects. */
function documentsOf(bucket: string, objects: readonly PutObject[]): Buffer[] {
  const [line = ''] = readFileSync(PAYLOADS, 'utf8').split('\n', 1)
  const { body } = JSON.parse(line) as { body: string }
  return objects.map(({ key, etag, sizeBytes }, at) => {
    const document = JSON.parse(body)
    const { s3 } = document.Records[0]
    s3.bucket.name = bucket
    Object.assign(s3.object, { key: encodeURIComponent(key), eTag: etag, size: sizeBytes })
    s3.object.sequencer = (SEQUENCER + BigInt(at) * 1_000_000n).toString(16).toUpperCase()
    document.Key = `${bucket}/${key}`
    return Buffer.from(JSON.stringify(document))
  })
}

const ROWS: TableDefinition = {
  ident: { namespace: ['bench'], name: 'objects' },
  mode: 'upsert',
  key: ['bucket', 'key', 'version_id'],
  schema: {
    type: 'struct',
    'schema-id': 0,
    fields: ['bucket', 'key', 'version_id', 'etag', 'metadata'].map((name, at) => ({
      id: at + 1,
      name,
      required: at < 3,
      type: 'string' as const,
    })),
  },
}

async function byEngine(config: ConfigInput, documents: readonly Buffer[]) {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-buckets-'))
  const memoryMiB = Number(process.env['BENCH_MEMORY_MIB'] ?? 600)
  const engine = await openEngine({
    home: homeAt(path.join(dir, 'home')),
    config: parseConfig({ limits: { memoryMiB }, ...config }, 'bench'),
    configDir: dir,
    onNotice: (text) => process.stderr.write(`${text}\n`),
  })
  try {
    engine.start((fault) => process.stderr.write(`${fault.message}\n`))
    engine.objectSources.start()
    const hook = engine.objectSources.webhook('hook')
    if (hook === null) throw new Error('there is no source of the name hook')
    const { ms, cpuMs } = await timed(async () => {
      let next = 0
      const sender = async () => {
        while (next < documents.length) await hook.take(documents[next++]!)
      }
      await Promise.all(Array.from({ length: SENDERS }, sender))
      await engine.finish()
    })
    const { events, extractFaults } = engine.objects.counts
    if (events !== documents.length) throw new Error(`expected ${documents.length} events, got ${events}`)
    return { ms, cpuMs, extractFaults }
  } finally {
    await engine.close()
    await rm(dir, { recursive: true, force: true })
  }
}

async function oneByOne(connection: S3Connection | null, documents: readonly Buffer[]) {
  const table = await openTableBench()
  try {
    const writer = await table.openWriter(ROWS)
    const { ms, cpuMs } = await timed(async () => {
      for (const document of documents) {
        const { events } = readNotification(document.toString())
        for (const { bucket, key, versionId, etag = '' } of events) {
          let metadata: string | null = null
          if (connection !== null) {
            const store = openS3Store({ connection, bucket })
            const head = await store.head(key)
            const bytes = head === null ? null : await store.get(key)
            if (head === null || bytes === null) throw new Error(`${key} is not there`)
            const subject = { bucket, key, versionId, sizeBytes: head.sizeBytes }
            metadata = JSON.stringify((await extractFacts(subject, memorySource(bytes))).metadata)
          }
          await table.append([{ op: 'upsert', row: { bucket, key, version_id: versionId, etag, metadata } }])
          await table.commitAll(writer)
        }
      }
    })
    return { ms, cpuMs }
  } finally {
    await table.close()
  }
}

await serve(
  {
    engine: async ({ config, bucket, objects }) =>
      byEngine(config as ConfigInput, documentsOf(String(bucket), objects as PutObject[])),
    handler: async ({ connection, bucket, objects }) =>
      oneByOne(connection as S3Connection | null, documentsOf(String(bucket), objects as PutObject[])),
  },
  async () => undefined,
)
