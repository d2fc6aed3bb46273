/**
 * Buckets of a real MinIO that many write at once, told of by its webhooks to the real server, which is killed without warning again
 * and again, also while it starts; buckets are compared with their listing meanwhile, and that is killed too. A witness reads the
 * tables all the time.
 *
 * - `kept` has versions. What MinIO tells of it is all that there is: in the end the tables are what it lists, without a comparison.
 * - `plain` has none. It is compared with its listing once more: MinIO keeps the order of writers at once to itself.
 * - `lossy` has versions, and each fifth of its notifications is lost on the way. That shows in the end, until it is mended: what
 *   finds nothing in `kept` finds this.
 *
 * `TIDEWATER_SEED` replays the choices of a run, though not what the machine makes of them; `TIDEWATER_ROUNDS` makes more kills.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { PutBucketNotificationConfigurationCommand } from '@aws-sdk/client-s3'
import { limits } from '../../src/base/limits.ts'
import { openS3Store } from '../../src/store/s3.ts'
import { Random } from '../simulate/random.ts'
import { ended, type Running, spawnServer, startServer } from '../simulate/streams-server.ts'
import { bucketRows, tableRows } from '../support/bucket-tables.ts'
import { cli, cliOk, inTempDir } from '../support/cli.ts'
import { TABLES } from '../support/engine-bench.ts'
import { checkLooks, HomeReader, Witness, wrongLooks } from './bucket-witness.ts'
import { BucketWriters, type WatchedBucket } from './bucket-writers.ts'
import { Minio, noMinio } from './minio.ts'
import { freePort } from './service.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 5)

const TOKEN = 'a-token-for-minio-alone'
const KEPT: WatchedBucket = { name: 'kept', isVersioned: true, isToldWhole: true }
const PLAIN: WatchedBucket = { name: 'plain', isVersioned: false, isToldWhole: true }
const LOSSY: WatchedBucket = { name: 'lossy', isVersioned: true, isToldWhole: false }
const BUCKETS = [KEPT, PLAIN, LOSSY]
const LOST_EVERY = 5
const ARRIVAL_MS = 120_000

test(`buckets written while the server is killed ${rounds} times are never shown as they never were (seed ${seed})`, {
  skip: noMinio,
}, async (t) => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.json')
    const queues = [path.join(dir, 'told'), path.join(dir, 'told-lossy')]
    for (const queue of queues) await mkdir(queue)
    const port = await freePort()
    const hook = `http://127.0.0.1:${port}/v1/notifications/hook`
    const env = { HOOK_TOKEN: TOKEN }
    const more = ['--port', String(port)]
    const lossy = await LossyWay.open(hook)
    const minio = await Minio.start({ ...target('T1', hook, queues[0]!), ...target('T2', lossy.url, queues[1]!) })
    let server: Running | null = null
    let reader: HomeReader | null = null
    try {
      await writeFile(config, JSON.stringify(settings(minio)))
      server = await startServer(home, config, env, more)
      for (const { name, isVersioned } of BUCKETS) {
        await minio.makeBucket(name, isVersioned ? 'enabled' : undefined)
        await notify(minio, name, name === LOSSY.name ? 'T2' : 'T1')
      }
      reader = await HomeReader.open(home)
      const witness = new Witness(reader)
      const writers = new BucketWriters(minio.client, BUCKETS, () => new Random(random.below(2 ** 31)))
      let reconciles = 0
      for (let round = 0; round < rounds; round++) {
        await delay(500 + random.below(4_000))
        server.child.kill('SIGKILL')
        await ended(server.child)
        if (random.chance(0.3)) {
          // Killed in its start.
          const child = spawnServer(home, config, env, more)
          await delay(random.below(2_000))
          child.kill('SIGKILL')
          await ended(child)
        }
        if (round % 3 === 1) {
          reconciles++
          const bucket = random.pick([PLAIN, LOSSY]).name
          const killAfterMs = random.chance(0.5) ? 1_000 + random.below(2_500) : null
          const reconciled = await cli(['reconcile', bucket, '--home', home, '--config', config], {
            env: { ...process.env, ...env },
            onStart: (child) => killAfterMs !== null && setTimeout(() => child.kill('SIGKILL'), killAfterMs),
          })
          if (reconciled.signal === null) assert.equal(reconciled.code, 0, reconciled.stderr)
        }
        server = await startServer(home, config, env, more)
      }
      await writers.stop()
      await allTold(queues)
      server.child.kill('SIGTERM')
      assert.equal(await ended(server.child), 0, `told to end, it commits and ends well: ${server.told()}`)
      await witness.look()
      await witness.stop()

      const asCli = ['--home', home, '--config', config]
      const compare = async (bucket: WatchedBucket) => {
        const store = openS3Store({ connection: minio.connection, bucket: bucket.name })
        const compared = { markerTimes: false }
        const tables = await tableRows(reader!, bucket.name, compared)
        const found = { tables, store: await bucketRows(store, compared) }
        // A listing has no tags: that they changed is not found again where it was told and got lost.
        if (!bucket.isToldWhole)
          for (const { inventory } of [found.tables, found.store])
            for (const row of inventory) delete row['object_tags']
        return found
      }
      const inStep = async (bucket: WatchedBucket, about: string) => {
        const { tables, store } = await compare(bucket)
        assert.deepEqual(tables.current, store.current, `${bucket.name}: what is current ${about}`)
        assert.deepEqual(tables, store, `${bucket.name} ${about}`)
        await factsAreRead(reader!, bucket)
      }
      await inStep(KEPT, 'by what was told alone')
      await journalIsWhole(reader, minio, writers, KEPT)
      const lost = await compare(LOSSY)
      assert.ok(lossy.lost > 0)
      assert.notDeepEqual(lost.tables, lost.store, `${lossy.lost} notifications were lost, and nothing shows it`)

      // A comparison leaves alone what is younger than clocks may differ.
      await delay(Math.max(0, writers.lastChangeMs + limits.reconcileClockSkewMs + 1_000 - Date.now()))
      for (const bucket of [PLAIN, LOSSY]) {
        await cliOk(['reconcile', bucket.name, ...asCli], { env: { ...process.env, ...env } })
        await inStep(bucket, 'after a comparison')
      }
      await journalIsWhole(reader, minio, writers, LOSSY)
      const again = await cli(['reconcile', KEPT.name, ...asCli, '--dry-run', '--json'])
      assert.equal(again.code, 0, again.stdout)

      await witness.look()
      const orders = await ordersOf(minio, writers)
      const checked = checkLooks(witness.looks, writers, orders)
      for (const { what, looks } of wrongLooks(witness.looks))
        assert.throws(() => checkLooks(looks, writers, orders), assert.AssertionError, `not found out: ${what}`)
      const changes = [...writers.histories.values()].reduce(
        (sum, { versions, deletions, tagChanges }) => sum + versions.length + deletions + tagChanges,
        0,
      )
      t.diagnostic(
        JSON.stringify({ written: changes, lost: lossy.lost, reconciles, looks: witness.looks.length, ...checked }),
      )
      assert.ok(checked.changes > 50, 'the witness saw the tables change')
    } finally {
      server?.child.kill('SIGKILL')
      await reader?.close()
      await minio.remove()
      await lossy.close()
    }
  })
})

function settings(minio: Minio) {
  return {
    s3: { default: minio.properties },
    objects: {
      workers: 1,
      buckets: { kept: {}, plain: { reconcile: { every: '60s' } }, lossy: {} },
      sources: { hook: { type: 'webhook', token: 'env:HOOK_TOKEN' } },
    },
  }
}

/** With a folder in which MinIO keeps what could not be told. */
function target(id: string, url: string, queue: string): NodeJS.ProcessEnv {
  return {
    [`MINIO_NOTIFY_WEBHOOK_ENABLE_${id}`]: 'on',
    [`MINIO_NOTIFY_WEBHOOK_ENDPOINT_${id}`]: url,
    [`MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_${id}`]: TOKEN,
    [`MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_${id}`]: queue,
  }
}

async function notify(minio: Minio, bucket: string, id: string): Promise<void> {
  const QueueArn = `arn:minio:sqs:us-east-1:${id}:webhook`
  await minio.client.send(
    new PutBucketNotificationConfigurationCommand({
      Bucket: bucket,
      NotificationConfiguration: {
        QueueConfigurations: [{ QueueArn, Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] }],
      },
    }),
  )
}

/** Resolves when MinIO has nothing left to tell. */
async function allTold(queues: readonly string[]): Promise<void> {
  let quiet = 0
  for (const endMs = Date.now() + ARRIVAL_MS; quiet < 3; await delay(300)) {
    const left = []
    for (const queue of queues) left.push(...(await readdir(queue, { recursive: true })).filter((n) => n.includes('.')))
    quiet = left.length === 0 ? quiet + 1 : 0
    assert.ok(Date.now() < endMs, `MinIO still has ${left.length} notifications`)
  }
}

/** Everything there has been read, and what was read is of the bytes that are there. */
async function factsAreRead(reader: HomeReader, { name }: WatchedBucket): Promise<void> {
  const unread = await reader.sql(
    `SELECT key, versionId, metadata FROM ${TABLES.content} WHERE "bucket" = '${name}' AND image_width IS NULL`,
  )
  assert.deepEqual(unread, [], `${name}: objects without facts`)
}

/** Of each version that the store lists there is the record of its making; nothing is there twice; nobody else's is there. */
async function journalIsWhole(
  reader: HomeReader,
  minio: Minio,
  writers: BucketWriters,
  { name }: WatchedBucket,
): Promise<void> {
  const rows = await reader.sql(
    `SELECT key, version_id, record_type, is_delete_marker FROM ${TABLES.journal} WHERE "bucket" = '${name}'`,
  )
  const named = (key: string, versionId: string) => `${key}@${versionId}`
  const of = (type: string) => rows.filter((row) => row['record_type'] === type)
  const namesOf = (type: string) => of(type).map((row) => named(String(row['key']), String(row['version_id'])))
  const created = new Set(namesOf('CREATE'))
  const removed = new Set(namesOf('DELETE'))
  for await (const version of openS3Store({ connection: minio.connection, bucket: name }).listVersions()) {
    const id = named(version.key, version.versionId)
    assert.ok((version.isDeleteMarker ? removed : created).has(id), `${name}: the journal lacks ${id}`)
  }
  const made = new Set(
    writers.of(name).flatMap(({ key, versions }) => versions.map(({ versionId }) => named(key, versionId))),
  )
  for (const id of [...created, ...removed]) assert.ok(made.has(id), `${name}: nobody made ${id}`)
  if (name !== KEPT.name) return
  const histories = writers.of(name)
  const puts = histories.flatMap(({ key, versions }) =>
    versions.filter(({ etag }) => etag !== null).map(({ versionId }) => named(key, versionId)),
  )
  assert.deepEqual(namesOf('CREATE').sort(), puts.sort(), 'each put is recorded once')
}

/** What the store says of the order of the versions of keys that many write. */
async function ordersOf(minio: Minio, writers: BucketWriters): Promise<Map<string, string[]>> {
  const orders = new Map<string, string[]>()
  const shared = new Set([...writers.histories].filter(([, { isShared }]) => isShared).map(([name]) => name))
  for (const bucket of BUCKETS) {
    for await (const { key, versionId } of openS3Store({
      connection: minio.connection,
      bucket: bucket.name,
    }).listVersions()) {
      const name = `${bucket.name}/${key}`
      // Newest first.
      if (shared.has(name)) orders.set(name, [versionId, ...(orders.get(name) ?? [])])
    }
  }
  return orders
}

/** Passes on what it is told, answers as it is answered; of each few one is answered and lost. */
class LossyWay {
  lost = 0
  readonly #server: Server
  #came = 0

  private constructor(to: string) {
    this.#server = createServer(async (request, response) => {
      const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>))
      if (request.method === 'POST' && body.length > 0 && ++this.#came % LOST_EVERY === 0) {
        this.lost++
        response.end()
        return
      }
      const { authorization = '' } = request.headers
      const init = { method: request.method ?? 'GET', headers: { authorization }, ...(body.length > 0 ? { body } : {}) }
      const status = await fetch(to, init).then(
        (answer) => answer.status,
        () => 503,
      )
      response.writeHead(status).end()
    })
  }

  static async open(to: string): Promise<LossyWay> {
    const way = new LossyWay(to)
    await once(way.#server.listen(0, '127.0.0.1'), 'listening')
    return way
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await once(this.#server.close(), 'close')
  }
}
