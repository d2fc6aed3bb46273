/**
 * The ways from S3 into a queue: straight, by SNS with and without raw delivery, and by EventBridge, each as moto sends it, read by one
 * server from one configuration file. Keys are true whatever each way makes of them. moto gives no sequencers that order: removals come
 * a moment after what they remove, so that their times tell.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import { ended, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { reasonToSkip, Service } from './service.ts'

const run = promisify(execFile)
const skip = (await reasonToSkip('moto')) ?? false
const EMPTY_MS = 120_000
const services = path.join(import.meta.dirname, 'services')
const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1' }

interface Way {
  way: string
  bucket: string
  queue: string
  there: string[]
  gone: string[]
}

let service: Service
before(async () => {
  if (skip === false) service = await Service.start('moto')
})
after(async () => {
  await service?.stop()
})

test('objects told of by SQS, SNS, raw SNS and EventBridge are in the tables under their true keys', {
  skip,
}, async () => {
  await inTempDir(async (dir) => {
    const script = path.join(services, 'moto-notify.py')
    const { stdout } = await run(path.join(services, 'moto.sh'), ['0', '--python', script, service.url])
    const ways = JSON.parse(stdout) as Way[]
    const config = path.join(dir, 'config.yaml')
    const sources = ways.map(({ way, queue }) => `    ${way}: { type: sqs, queueUrl: '${queue}', receivers: 1 }\n`)
    await writeFile(config, `objects:\n  sources:\n${sources.join('')}`)
    const home = path.join(dir, 'home')
    const server = await startServer(home, config, env)
    const client = new SQSClient({
      endpoint: service.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    })
    try {
      for (const { queue } of ways) await whenEmpty(client, queue)
    } finally {
      client.destroy()
      server.child.kill('SIGTERM')
    }
    assert.equal(await ended(server.child), 0, server.told())
    assert.deepEqual(await sqlRows(home, "SELECT code, reason FROM tidewater.dead_letters WHERE stage = 'source'"), [])
    for (const { way, bucket, there, gone } of ways) {
      const keysOf = async (sql: string) => (await sqlRows(home, sql)).map(({ key }) => String(key)).sort()
      const from = `FROM aws_s3_metadata.mdblogs3metadata WHERE bucket = '${bucket}'`
      assert.deepEqual(await keysOf(`SELECT DISTINCT key ${from}`), [...there, ...gone].sort(), way)
      assert.deepEqual(await keysOf(`SELECT DISTINCT key ${from} AND record_type = 'DELETE'`), [...gone].sort(), way)
      const inventory = `SELECT key FROM aws_s3_metadata.inventory WHERE bucket = '${bucket}'`
      assert.deepEqual(await keysOf(inventory), [...there].sort(), way)
    }
  })
})

async function whenEmpty(client: SQSClient, QueueUrl: string): Promise<void> {
  const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
  for (const endMs = Date.now() + EMPTY_MS; ; await delay(250)) {
    const { Attributes = {} } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...names] }),
    )
    if (names.every((name) => Number(Attributes[name] ?? 0) === 0)) return
    assert.ok(Date.now() < endMs, `messages are still in ${QueueUrl}: ${JSON.stringify(Attributes)}`)
  }
}
