/**
 * A real MinIO that tells of its objects by a webhook with a token, to the real server, which is killed without warning meanwhile. At the
 * end the inventory is what MinIO itself lists, version by version, under the true keys.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { ended, type Running, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { Minio, noMinio } from './minio.ts'
import { freePort } from './service.ts'

const TOKEN = 'a-token-for-minio-alone'
const BUCKET = 'photos'
const KEYS = ['plain.txt', 'a b/c+d.txt', '100% ü 漢字.jpg', 'c%2Fd+e f', "q'&=;~*()!.txt", 'x  y.txt']
const CATCH_UP_MS = 90_000

test('what MinIO tells by its webhook is in the tables as MinIO lists it, though the server is killed', {
  skip: noMinio,
}, async () => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    const queue = path.join(dir, 'minio-events')
    await mkdir(queue)
    await writeFile(config, `objects:\n  sources:\n    hook: { type: webhook, token: 'env:HOOK_TOKEN' }\n`)
    const port = String(await freePort())
    const start = () => startServer(home, config, { HOOK_TOKEN: TOKEN }, ['--port', port])
    let server: Running = await start()
    const minio = await Minio.start({
      MINIO_NOTIFY_WEBHOOK_ENABLE_T1: 'on',
      MINIO_NOTIFY_WEBHOOK_ENDPOINT_T1: `http://127.0.0.1:${port}/v1/notifications/hook`,
      MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_T1: TOKEN,
      MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_T1: queue,
    })
    try {
      await minio.makeBucket(BUCKET, 'enabled')
      const QueueArn = 'arn:minio:sqs:us-east-1:T1:webhook'
      const Events = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'] as const
      await minio.client.send(
        new PutBucketNotificationConfigurationCommand({
          Bucket: BUCKET,
          NotificationConfiguration: { QueueConfigurations: [{ QueueArn, Events: [...Events] }] },
        }),
      )
      for (let round = 0; round < 3; round++) {
        for (let n = 0; n < 20; n++) {
          const Key = `${n % 4}/${KEYS[n % KEYS.length]}`
          await minio.client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: `round ${round} of ${n}` }))
          if (n % 7 === 6) await minio.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }))
        }
        if (round === 2) break
        server.child.kill('SIGKILL')
        await ended(server.child)
        if (round === 0) server = await start()
        else {
          // While nobody is there MinIO keeps what it has to tell.
          await minio.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'while nobody was there', Body: 'x' }))
          server = await start()
        }
      }
      const listed = await versionsOf(minio)
      for (const endMs = Date.now() + CATCH_UP_MS; ; await delay(500)) {
        const found = await inventoryOf(home)
        if (JSON.stringify(found) === JSON.stringify(listed)) break
        if (Date.now() > endMs) assert.deepEqual(found, listed)
      }
    } finally {
      server.child.kill('SIGTERM')
      await minio.remove()
    }
    assert.equal(await ended(server.child), 0, server.told())
    assert.deepEqual(await sqlRows(home, "SELECT reason FROM tidewater.dead_letters WHERE stage = 'source'"), [])
  })
})

/** `key version`, and whether it is a marker; each once. */
async function versionsOf({ client }: Minio): Promise<string[]> {
  const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: BUCKET }))
  return [
    ...Versions.map(({ Key, VersionId, ETag = '' }) => `${Key} ${VersionId} ${ETag.replaceAll('"', '')}`),
    ...DeleteMarkers.map(({ Key, VersionId }) => `${Key} ${VersionId} marker`),
  ].sort()
}

async function inventoryOf(home: string): Promise<string[]> {
  const rows = await sqlRows(
    home,
    `SELECT key, version_id, e_tag, is_delete_marker FROM aws_s3_metadata.inventory WHERE bucket = '${BUCKET}'`,
  ).catch(() => [])
  return rows
    .map((row) => `${row['key']} ${row['version_id']} ${row['is_delete_marker'] === true ? 'marker' : row['e_tag']}`)
    .sort()
}
