/**
 * Notifications per second from the source that takes them to committed rows, with nothing read and with the objects' facts from a real
 * MinIO, against a handler that is called once for each object. And from a put into that MinIO to the row in a committed
 * snapshot, at several rates, with the real server. (Objects per second taken in by listing: `reconcile.bench.ts`.)
 */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PutBucketNotificationConfigurationCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Minio, noMinio } from '../test/interop/minio.ts'
import { freePort } from '../test/interop/service.ts'
import { ended, startServer } from '../test/simulate/streams-server.ts'
import { gifOf } from '../test/support/photo-scenario.ts'
import { against, type Bench, type BenchOptions, Contender, load, type Measure, name, Samples } from './harness.ts'
import { makePhotos } from './photos.ts'
import { openWitness } from './witness.ts'

const BENCH = 'buckets'
const AIM_MS = 1_000
const PUTS_PER_SECOND = [10, 100, 1_000]
/** So many at most at one rate: what is more than can be read only grows the backlog. */
const PUTS_MAX = 5_000
const CATCH_UP_MS = 300_000
const PUTTERS = 64
const TOKEN = 'a-token-of-the-bench'
const EXAMPLES = path.join(import.meta.dirname, '..', 'examples', 'photos')
const SOURCES = { hook: { type: 'webhook' as const, token: TOKEN } }

type Tell = (text: string) => void

export const buckets: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const measures = await unread(options)
    if (noMinio !== false) {
      tell(`reading objects, and from put to row: left out: ${noMinio}`)
      return measures
    }
    return [...measures, ...(await read(options, tell)), ...(await visible(options, tell))]
  },
}

interface Work {
  what: string
  bucket: string
  objects: { key: string; etag: string; sizeBytes: number }[]
  /** So many of them by the handler, which takes its time. */
  handled: number
  config: object
  connection: object | null
}

async function compared({ what, bucket, objects, handled, config, connection }: Work, rounds: number) {
  const ours = { process: Contender.node('tidewater', 'bucket-events.ts'), rates: new Samples() }
  const handler = { process: Contender.node('handler', 'bucket-events.ts'), rates: new Samples() }
  for (let round = 0; round < rounds; round++) {
    const all = await ours.process.ask({ do: 'engine', config, bucket, objects })
    ours.rates.add((objects.length / Number(all.ms)) * 1000, Number(all.cpuMs), objects.length)
    const some = objects.slice(0, handled)
    const one = await handler.process.ask({ do: 'handler', connection, bucket, objects: some })
    handler.rates.add((some.length / Number(one.ms)) * 1000, Number(one.cpuMs), some.length)
  }
  const theirs = {
    ...handler.rates.measure(BENCH, what, 'one call and commit for each', 'events/s'),
    peakRssMiB: await handler.process.end(),
  }
  const measure = ours.rates.measure(BENCH, what, 'tidewater', 'events/s')
  return [against({ ...measure, peakRssMiB: await ours.process.end() }, theirs), theirs]
}

function unread(options: BenchOptions): Promise<Measure[]> {
  const count = options.keys?.[0] ?? (options.quick ? 2_000 : 20_000)
  const objects = Array.from({ length: count }, (_, n) => ({
    key: `photos/${n}.jpg`,
    etag: createHash('md5').update(String(n)).digest('hex'),
    sizeBytes: n,
  }))
  const config = { objects: { sources: SOURCES } }
  const handled = options.quick ? 40 : 200
  const what = `${name(count)} notifications, nothing read`
  return compared({ what, bucket: 'photos', objects, handled, config, connection: null }, options.rounds ?? 3)
}

async function read(options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const minio = await Minio.start()
  const folder = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-photos-'))
  try {
    await minio.makeBucket('photos')
    const files = options.quick ? await exampleFiles() : (await makePhotos(folder, 24)).map((photo) => photo.path)
    const bodies = await Promise.all(files.map((file) => readFile(file)))
    const objects: Work['objects'] = []
    for (let n = 0; n < 240; n++) {
      // Something behind the picture makes each another object.
      const bytes = Buffer.concat([bodies[n % bodies.length]!, Buffer.from(String(n))])
      const key = `photos/${n}.jpg`
      await minio.client.send(new PutObjectCommand({ Bucket: 'photos', Key: key, Body: bytes }))
      objects.push({ key, etag: createHash('md5').update(bytes).digest('hex'), sizeBytes: bytes.length })
    }
    const kib = Math.round(objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / objects.length / 1024)
    tell(`${objects.length} photos of ${kib} KiB in MinIO`)
    const config = { s3: { default: minio.properties }, objects: { sources: SOURCES, buckets: { photos: {} } } }
    const what = `${objects.length} notifications, photos of ${kib} KiB on MinIO read`
    const handled = options.quick ? 40 : 120
    const { connection } = minio
    return await compared({ what, bucket: 'photos', objects, handled, config, connection }, options.rounds ?? 3)
  } finally {
    await minio.remove()
    await rm(folder, { recursive: true, force: true })
  }
}

async function exampleFiles(): Promise<string[]> {
  const names = await readdir(EXAMPLES, { recursive: true })
  return names
    .filter((file) => file.endsWith('.jpg'))
    .sort()
    .map((file) => path.join(EXAMPLES, file))
}

async function visible(options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-visible-'))
  const home = path.join(dir, 'home')
  const config = path.join(dir, 'config.json')
  const port = await freePort()
  // Without a folder for what waits MinIO tells of many objects at once; with one it tells of one after another.
  const minio = await Minio.start({
    MINIO_NOTIFY_WEBHOOK_ENABLE_T1: 'on',
    MINIO_NOTIFY_WEBHOOK_ENDPOINT_T1: `http://127.0.0.1:${port}/v1/notifications/hook`,
    MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_T1: TOKEN,
  })
  try {
    const settings = { s3: { default: minio.properties }, objects: { sources: SOURCES, buckets: { photos: {} } } }
    await writeFile(config, JSON.stringify(settings))
    const server = await startServer(home, config, {}, ['--port', String(port)])
    try {
      await minio.makeBucket('photos')
      const QueueArn = 'arn:minio:sqs:us-east-1:T1:webhook'
      const QueueConfigurations = [{ QueueArn, Events: ['s3:ObjectCreated:*' as const] }]
      const NotificationConfiguration = { QueueConfigurations }
      await minio.client.send(
        new PutBucketNotificationConfigurationCommand({ Bucket: 'photos', NotificationConfiguration }),
      )
      const measures = []
      // The first puts find cold code everywhere.
      await atRate(minio, home, 'warm/', 10, 3)
      for (const rate of PUTS_PER_SECOND) {
        const seconds = options.quick ? 5 : 20
        const { took, puts } = await atRate(minio, home, `at-${rate}/`, rate, seconds)
        const p95 = took.at(0.95)
        tell(
          `${rate} puts/s wanted, ${puts.toFixed(0)} made: visible after ${took.median.toFixed(0)} ms in the median, p95 ${p95.toFixed(0)} ms (load ${load()})`,
        )
        const measure = took.measure(BENCH, `put to row, ${name(rate)} puts/s wanted`, 'tidewater', 'ms')
        const aim = { text: `at most ${AIM_MS} ms`, reached: p95 <= AIM_MS }
        measures.push(measure, { ...measure, contender: 'tidewater, p95', median: p95, aim })
      }
      return measures
    } finally {
      server.child.kill('SIGTERM')
      await ended(server.child)
    }
  } finally {
    await minio.remove()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Puts small pictures at a rate, as far as the machine goes along; gives when each was seen after its put had been answered. */
async function atRate(minio: Minio, home: string, prefix: string, rate: number, seconds: number) {
  const count = Math.min(rate * seconds, PUTS_MAX)
  // Looking costs as much as there are rows, and is not to take the machine from those that are looked at.
  const pollMs = Math.max(5, count / 50)
  const answered = new Map<string, number>()
  const begun = performance.now()
  let next = 0
  const putter = async () => {
    while (next < count) {
      const n = next++
      const key = `${prefix}${n}.gif`
      await pause(Math.max(0, begun + (n * 1000) / rate - performance.now()))
      await minio.client.send(new PutObjectCommand({ Bucket: 'photos', Key: key, Body: gifOf(1 + (n % 60_000)) }))
      answered.set(key, performance.now())
    }
  }
  let puts = 0
  const putting = Promise.all(Array.from({ length: Math.min(PUTTERS, count) }, putter)).then(() => {
    puts = (count / (performance.now() - begun)) * 1000
  })
  const took = new Samples()
  const seen = new Set<string>()
  const witness = await openWitness(home)
  try {
    for (; seen.size < count; await pause(pollMs)) {
      if (performance.now() - begun > seconds * 1000 + CATCH_UP_MS)
        throw new Error(`${count - seen.size} of ${count} objects did not become visible in ${CATCH_UP_MS} ms`)
      const keys = (await witness.keys(prefix)) ?? []
      const now = performance.now()
      for (const key of keys) {
        if (seen.has(key)) continue
        seen.add(key)
        // Its row may be there before the answer to its put is.
        took.add(Math.max(0, now - (answered.get(key) ?? now)))
      }
    }
  } finally {
    await putting
    await witness.close()
  }
  return { took, puts }
}
