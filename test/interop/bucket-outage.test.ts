/**
 * A real MinIO that is stopped while its events go on coming, and started again: the tables are what it lists, without any command,
 * and no letter is left open. The server is killed in the middle of it, once.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openS3Store } from '../../src/store/s3.ts'
import { ended, type Running, startServer } from '../simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../support/cli.ts'
import { gifOf } from '../support/photo-scenario.ts'
import { Minio, noMinio } from './minio.ts'
import { freePort } from './service.ts'

const TOKEN = 'a-token-for-minio-alone'
const HEAL_MS = 120_000
const OBJECTS = 60

test('a MinIO that is stopped and started again leaves nothing behind in the tables, nor a letter', {
  skip: noMinio,
}, async () => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    const minio = await Minio.start()
    await writeFile(
      config,
      JSON.stringify({
        s3: { default: minio.properties },
        objects: { buckets: { photos: {} }, sources: { hook: { type: 'webhook', token: 'env:HOOK_TOKEN' } } },
      }),
    )
    const port = String(await freePort())
    const start = () => startServer(home, config, { HOOK_TOKEN: TOKEN }, ['--port', port])
    let server: Running = await start()
    try {
      await minio.makeBucket('photos')
      const store = openS3Store({ connection: minio.connection, bucket: 'photos' })
      const events: object[] = []
      const put = async (key: string, width: number) => {
        const { etag, sizeBytes } = await store.put(key, gifOf(width))
        await minio.setTags('photos', key, { of: key })
        events.push(createdEvent(key, etag, sizeBytes, events.length))
      }
      const tell = async () => {
        const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
        const body = JSON.stringify({ Records: events.splice(0) })
        const address = `http://127.0.0.1:${port}/v1/notifications/hook`
        const { status } = await fetch(address, { method: 'POST', headers, body })
        assert.equal(status, 200)
      }
      for (let n = 0; n < OBJECTS; n++) await put(`${n}.gif`, n + 1)
      await minio.stop('SIGKILL')
      await tell()
      await until('the objects have rows', async () => (await count(home, 'TRUE')) === OBJECTS)
      assert.equal(await count(home, 'image_width IS NOT NULL'), 0)
      server.child.kill('SIGKILL')
      await ended(server.child)
      server = await start()
      await minio.start()
      for (let n = 0; n < 10; n++) await put(`${n}.gif`, 100 + n)
      await tell()
      await until('no letter is open', async () => {
        const [row] = await sqlRows(home, "SELECT count(*) AS open FROM tidewater.dead_letters WHERE status = 'open'")
        return Number(row?.['open']) === 0 && (await count(home, 'image_width IS NULL')) === 0
      })
      const listed = (await Array.fromAsync(store.list())).map(({ key, etag }) => `${key} ${etag} ${key}`).sort()
      await until('the inventory is the listing, with tags', async () => {
        const rows = await sqlRows(
          home,
          "SELECT key || ' ' || e_tag || ' ' || object_tags['of'] AS line FROM aws_s3_metadata.inventory",
        )
        return JSON.stringify(rows.map(({ line }) => line).sort()) === JSON.stringify(listed)
      })
      const widths = await sqlRows(home, 'SELECT image_width FROM default.s3_content_metadata ORDER BY image_width')
      const expected = Array.from({ length: OBJECTS }, (_, n) => (n < 10 ? 100 + n : n + 1))
      assert.deepEqual(
        widths.map((row) => Number(row['image_width'])),
        expected.sort((one, other) => one - other),
      )
      assert.match(server.told(), /no object of bucket photos waits any more/)
    } finally {
      server.child.kill('SIGTERM')
      await minio.remove()
    }
    assert.equal(await ended(server.child), 0, server.told())
  })
})

function createdEvent(key: string, eTag: string, size: number, at: number): object {
  return {
    eventVersion: '2.0',
    eventSource: 'minio:s3',
    eventTime: new Date(Date.now() + at).toISOString(),
    eventName: 's3:ObjectCreated:Put',
    s3: {
      bucket: { name: 'photos' },
      object: { key, eTag, size, sequencer: (BigInt(Date.now()) * 1_000_000n + BigInt(at)).toString(16).toUpperCase() },
    },
  }
}

async function count(home: string, where: string): Promise<number> {
  const sql = `SELECT count(*) AS objects FROM default.s3_content_metadata WHERE ${where}`
  return Number((await sqlRows(home, sql).catch(() => []))[0]?.['objects'] ?? 0)
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + HEAL_MS; !(await holds()); await delay(500))
    assert.ok(Date.now() < endMs, `within ${HEAL_MS} ms ${what}`)
}
