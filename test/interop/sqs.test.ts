/**
 * Queues of SQS with the real server, killed without warning between what it takes and what it deletes. A checker knows every event
 * that was sent and compares: each is in the journal once, the inventory is what the newest of each key says, every message that could
 * not be understood is one dead letter with its bytes, and nothing is left in the queue.
 *
 * `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { Random } from '../simulate/random.ts'
import { ended, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { checkTables, madeUp, recordOf, type Sent } from './object-events.ts'
import { reasonToSkip, Service } from './service.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const skip = (await reasonToSkip('elasticmq')) ?? false
const MESSAGES = 3_000
const KILLS = 5
const EMPTY_MS = 120_000
const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_EC2_METADATA_DISABLED: 'true' }

let service: Service
let client: SQSClient
before(async () => {
  if (skip !== false) return
  service = await Service.start('elasticmq')
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  client = new SQSClient({ endpoint: service.url, region: 'us-east-1', credentials })
})
after(async () => {
  client?.destroy()
  await service?.stop()
})

async function makeQueue(name: string): Promise<string> {
  const { QueueUrl = '' } = await client.send(new CreateQueueCommand({ QueueName: name }))
  return QueueUrl
}

async function send(QueueUrl: string, bodies: readonly string[]): Promise<void> {
  for (let at = 0; at < bodies.length; at += 10) {
    const Entries = bodies.slice(at, at + 10).map((MessageBody, n) => ({ Id: String(n), MessageBody }))
    const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
    assert.deepEqual(Failed, [])
  }
}

/** Messages that are there, hidden or not. */
async function lengthOf(QueueUrl: string): Promise<number> {
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  const { Attributes = {} } = await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }))
  return names.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0)
}

async function whenEmpty(url: string): Promise<void> {
  for (const endMs = Date.now() + EMPTY_MS; (await lengthOf(url)) > 0; await delay(250))
    assert.ok(Date.now() < endMs, `${await lengthOf(url)} messages are still in the queue`)
}

/** As it arrives by SNS, by SNS with raw delivery, or straight from S3. */
function wrapped(document: object, way: number): string {
  const text = JSON.stringify(document)
  return way === 0 ? JSON.stringify({ Type: 'Notification', MessageId: 'm', Message: text }) : text
}

test(`a server killed ${KILLS} times has every message of its queue in effect once (seed ${seed})`, {
  skip,
}, async (t) => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    const url = await makeQueue(`objects-${seed}`)
    await writeFile(
      config,
      `objects:\n  sources:\n    uploads: { type: sqs, queueUrl: '${url}', receivers: 4, visibilitySeconds: 10 }\n`,
    )
    const sent = madeUp(random, MESSAGES)
    const poison = Array.from({ length: 40 }, (_, n) => `{"poison": ${n}, "text": "\u{1f4f7} ${n}"`)
    const bodies = sent.flatMap((each, n) => {
      const body = wrapped({ Records: [recordOf(each, n)] }, random.below(3))
      // Some come twice by themselves.
      return random.below(20) === 0 ? [body, body] : [body]
    })
    bodies.push(...poison, '{"Service":"Amazon S3","Event":"s3:TestEvent"}', '{"Records":[]}')
    for (let at = bodies.length - 1; at > 0; at--) {
      const other = random.below(at + 1)
      ;[bodies[at], bodies[other]] = [bodies[other]!, bodies[at]!]
    }
    const share = Math.ceil(bodies.length / (KILLS + 1))
    for (let kill = 0; kill < KILLS; kill++) {
      const server = await startServer(home, config, env)
      const sending = send(url, bodies.slice(kill * share, (kill + 1) * share))
      await delay(200 + random.below(1_200))
      server.child.kill('SIGKILL')
      await Promise.all([ended(server.child), sending])
    }
    const last = await startServer(home, config, env)
    try {
      await send(url, bodies.slice(KILLS * share))
      await whenEmpty(url)
      const health = (await (await fetch(`${last.url}/health`)).json()) as object
      t.diagnostic(JSON.stringify(health))
    } finally {
      last.child.kill('SIGTERM')
    }
    assert.equal(await ended(last.child), 0, last.told())
    await checkTables(home, sent, poison)
  })
})

test('several homes share a queue: every message is in one of them, and none is left', { skip }, async () => {
  await inTempDir(async (dir) => {
    const url = await makeQueue(`shared-${seed}`)
    const config = path.join(dir, 'config.yaml')
    await writeFile(
      config,
      `objects:\n  sources:\n    uploads:\n      type: sqs\n      queueUrl: '${url}'\n      client.access-key-id: test\n      client.secret-access-key: env:SECRET\n      receivers: 3\n`,
    )
    const homes = [path.join(dir, 'a'), path.join(dir, 'b')]
    const servers = await Promise.all(homes.map((home) => startServer(home, config, { SECRET: 'test' })))
    try {
      const sent = Array.from({ length: 400 }, (_, n): Sent => {
        const key = `${n}.txt`
        return { key, removed: false, sequencer: (n + 1).toString(16).padStart(16, '0'), etag: 'e' }
      })
      await send(
        url,
        sent.map((each, n) => wrapped({ Records: [recordOf(each, n)] }, 1)),
      )
      await whenEmpty(url)
    } finally {
      for (const { child } of servers) child.kill('SIGTERM')
    }
    for (const { child, told } of servers) assert.equal(await ended(child), 0, told())
    const keys: string[] = []
    for (const home of homes)
      keys.push(...(await sqlRows(home, 'SELECT key FROM aws_s3_metadata.inventory')).map(({ key }) => String(key)))
    assert.equal(new Set(keys).size, 400)
    const left = await client.send(new ReceiveMessageCommand({ QueueUrl: url }))
    assert.deepEqual(left.Messages ?? [], [])
  })
})
