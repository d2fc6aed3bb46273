/**
 * The guide's commands for MinIO, as they are printed, by mc with a real MinIO: what happens in the bucket comes by the webhook and is in the
 * tables, and by a Kafka topic too.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { Admin } from '@platformatic/kafka'
import { ended, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { accepted, blocksBelow, instead, shell, terminal } from './guide.ts'
import { KafkaBroker } from './kafka-broker.ts'
import { Minio, minioKeys, noMinio } from './minio.ts'
import { freePort, reasonToSkip } from './service.ts'

const services = path.join(import.meta.dirname, 'services')
const mc = spawnSync(path.join(services, 'mc.sh'), ['0', '--path'], { encoding: 'utf8' })
const noMc = mc.status === 0 ? null : `${mc.stderr.trim()}: NOTHING IS SAID ABOUT ITS COMMANDS BY THIS RUN`
const skip = noMinio || (noMc ?? (await reasonToSkip('kafka')) ?? false)

test('the commands for MinIO send what happens in a bucket to the webhook and to a topic', { skip }, async () => {
  // As a server is by default: without a region, which the ARN has otherwise.
  const minio = await Minio.start({ MINIO_REGION: '' })
  const broker = await KafkaBroker.start()
  try {
    await inTempDir(async (dir) => {
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: [broker.address] })
      await admin.createTopics({ topics: ['objects'], partitions: 1, replicas: 1 })
      await admin.close()
      const events = path.join(dir, 'events')
      await mkdir(events)
      const port = String(await freePort())
      const env = {
        PATH: `${mc.stdout.trim()}:${process.env['PATH']}`,
        MC_CONFIG_DIR: path.join(dir, 'mc'),
        MC_HOST_minio: minio.endpoint.replace('//', `//${minioKeys.accessKeyId}:${minioKeys.secretAccessKey}@`),
      }
      await minio.makeBucket('photos', 'enabled')
      const [start = '', webhook = ''] = await blocksBelow('## MinIO: a webhook')
      const [topic = ''] = await blocksBelow('## MinIO: a Kafka topic')
      const exported = instead(start, 'npx tidewater start &\n', '')
      const HOOK_TOKEN = (await shell(`${exported}echo "$HOOK_TOKEN"`, dir, env)).trim()
      const home = path.join(dir, 'home')
      const config = path.join(dir, 'config.yaml')
      await writeFile(
        config,
        `objects:
  sources:
    hook: { type: webhook, token: 'env:HOOK_TOKEN' }
    topic: { type: kafka, brokers: ['${broker.address}'], topics: [objects] }
`,
      )
      const server = await startServer(home, config, { HOOK_TOKEN }, ['--port', port])
      try {
        const put = (Key: string) => minio.client.send(new PutObjectCommand({ Bucket: 'photos', Key, Body: Key }))
        const set = (text: string) =>
          whileItRestarts(() => terminal(instead(text, '/var/lib/minio/events', events), dir, { ...env, HOOK_TOKEN }))
        await set(instead(webhook, '127.0.0.1:8321', `127.0.0.1:${port}`))
        await put('a+b c.txt')
        await put('gone')
        await minio.client.send(new DeleteObjectCommand({ Bucket: 'photos', Key: 'gone' }))
        await accepted(server, 3)
        await set(instead(topic, '127.0.0.1:9092', broker.address))
        const listed = await shell('mc event list minio/photos', dir, env)
        const info = await shell('mc admin info minio --json', dir, env)
        for (const arn of ['arn:minio:sqs::tidewater:webhook', 'arn:minio:sqs::tidewater:kafka'])
          assert.ok(listed.includes(arn) && info.includes(arn), `${arn}: ${listed}`)
        await put('by both')
        await accepted(server, 5)
      } finally {
        server.child.kill('SIGTERM')
      }
      assert.equal(await ended(server.child), 0, server.told())
      const rows = await sqlRows(
        home,
        "SELECT key, is_delete_marker FROM aws_s3_metadata.inventory WHERE bucket = 'photos' ORDER BY key, is_delete_marker",
      )
      assert.deepEqual(
        rows.map(({ key, is_delete_marker: isMarker }) => `${key} ${isMarker}`),
        ['a+b c.txt false', 'by both false', 'gone false', 'gone true'],
      )
    })
  } finally {
    await minio.remove()
    await broker.remove()
  }
})

/** On a busy machine MinIO may restart for longer than the guide waits: then the commands are given once more, as somebody would. */
async function whileItRestarts(commands: () => Promise<unknown>): Promise<void> {
  for (let triesLeft = 4; ; triesLeft--) {
    try {
      await commands()
      return
    } catch (error) {
      const said = String((error as { stdout?: unknown }).stdout)
      if (triesLeft === 0 || !/connection refused|not initialized|Server not ready/i.test(said)) throw error
    }
  }
}
