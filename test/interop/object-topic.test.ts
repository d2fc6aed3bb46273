/**
 * A topic of a real Kafka broker that tells of objects, as MinIO writes it, read by the real server, which is killed without warning again
 * and again. A checker compares what was written with the tables: every event in effect once, every message that could not be understood
 * kept with its bytes. `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin, Producer, stringSerializers } from '@platformatic/kafka'
import { Random } from '../simulate/random.ts'
import { ended, startServer } from '../simulate/streams-server.ts'
import { inTempDir } from '../support/cli.ts'
import { KafkaBroker } from './kafka-broker.ts'
import { checkTables, madeUp, recordOf } from './object-events.ts'
import { reasonToSkip } from './service.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const skip = (await reasonToSkip('kafka')) ?? false
const TOPIC = 'objects'
const EVENTS = 2_000
const KILLS = 3
const CATCH_UP_MS = 120_000

let broker: KafkaBroker
before(async () => {
  if (skip === false) broker = await KafkaBroker.start()
})
after(async () => {
  await broker?.remove()
})

test(`a server killed ${KILLS} times has every message of its topic in effect once (seed ${seed})`, {
  skip,
}, async () => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const client = { clientId: 'test', bootstrapBrokers: [broker.address] }
    const admin = new Admin(client)
    await admin.createTopics({ topics: [TOPIC], partitions: 3, replicas: 1 })
    // What a server says that waits is what waits in partitions of its own: for a while those killed before it have some, too.
    const taken = async () => {
      const groups = await admin.listConsumerGroupOffsets({ groups: ['tidewater-topic'] })
      const partitions = groups.flatMap(({ topics }) => topics).flatMap((topic) => topic.partitions)
      return partitions.reduce((sum, { committedOffset }) => sum + Math.max(0, Number(committedOffset)), 0)
    }
    const producer = new Producer<string, string, string, string>({ ...client, serializers: stringSerializers })
    const sent = madeUp(random, EVENTS)
    const poison = Array.from({ length: 20 }, (_, n) => `{"poison": ${n}, "text": "\u{1f4f7} ${n}"`)
    const values: (string | null)[] = [
      ...sent.map((each, n) => {
        const Records = [recordOf(each, n, 'minio:s3')]
        return JSON.stringify({ EventName: 's3:ObjectCreated:Put', Key: `photos/${each.key}`, Records })
      }),
      ...poison,
      '{"EventName":"s3:ObjectRemoved:Delete","Records":null}',
    ]
    const write = async (from: number, end: number) => {
      for (let at = from; at < end; at += 100) {
        const messages = values.slice(at, Math.min(end, at + 100)).map((value, n) => ({
          topic: TOPIC,
          key: `photos/${at + n}`,
          value: value ?? '',
          // Not by key: what order there is must come from the events.
          partition: random.below(3),
        }))
        await producer.send({ messages })
      }
    }
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(
      config,
      `objects:\n  sources:\n    topic: { type: kafka, brokers: ['${broker.address}'], topics: [${TOPIC}] }\n`,
    )
    const share = Math.ceil(values.length / (KILLS + 1))
    for (let kill = 0; kill < KILLS; kill++) {
      const server = await startServer(home, config)
      await write(kill * share, (kill + 1) * share)
      await delay(random.below(2_500))
      server.child.kill('SIGKILL')
      await ended(server.child)
    }
    const last = await startServer(home, config)
    try {
      await write(KILLS * share, values.length)
      for (const endMs = Date.now() + CATCH_UP_MS; (await taken()) < values.length; await delay(250))
        assert.ok(Date.now() < endMs, `${await (await fetch(`${last.url}/health`)).text()} ${last.told()}`)
    } finally {
      last.child.kill('SIGTERM')
      await producer.close()
      await admin.close()
    }
    assert.equal(await ended(last.child), 0, last.told())
    await checkTables(home, sent, poison)
  })
})
