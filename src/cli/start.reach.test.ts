import assert from 'node:assert/strict'
import { access, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ended, spawnServer, startServer } from '../../test/simulate/streams-server.ts'
import { cli, inTempDir } from '../../test/support/cli.ts'
import { FakeS3 } from '../../test/support/fake-s3.ts'
import type { ConfigInput } from '../app/config.ts'
import { limits } from '../base/limits.ts'

const TOKEN = 'the-token-of-the-hook'

function settings(fake: FakeS3, more: ConfigInput): string {
  const properties = {
    's3.endpoint': fake.connection.endpoint ?? '',
    's3.access-key-id': 'id',
    's3.secret-access-key': 'secret',
  }
  return JSON.stringify({ s3: { default: properties }, ...more })
}

function creation(key: string, sequence: number): object {
  return {
    eventVersion: '2.0',
    eventSource: 'minio:s3',
    eventTime: '2026-11-20T15:00:00Z',
    eventName: 's3:ObjectCreated:Put',
    s3: {
      bucket: { name: 'photos' },
      object: { key, size: 1, eTag: 'e', sequencer: `18E9C8EC3D9C${1000 + sequence}` },
    },
  }
}

test('a server with a bucket that refuses takes events all the same, and says so at once, when it goes on, and when it is over', async () => {
  const fake = await FakeS3.start()
  try {
    fake.trouble = () => ({ kind: 'error', status: 403, code: 'InvalidAccessKeyId' })
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      const sources = { hook: { type: 'webhook', token: TOKEN } } as const
      await writeFile(config, settings(fake, { objects: { buckets: { photos: {}, '*': {} }, sources } }))
      const server = await startServer(path.join(dir, 'home'), config, {}, ['--log-format', 'json'])
      const told = (event: string) =>
        server
          .told()
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as { event: string; level: string; message: string; cause?: string })
          .filter((line) => line.event === event)
      const until = async (event: string) => {
        for (let tries = 0; told(event).length === 0; tries++) {
          assert.ok(tries < 600, `never told: ${event}; told: ${server.told()}`)
          await delay(50)
        }
      }
      let sequence = 0
      const send = async (keys: readonly string[]) => {
        const response = await fetch(`${server.url}/v1/notifications/hook`, {
          method: 'POST',
          headers: { authorization: `Bearer ${TOKEN}` },
          body: JSON.stringify({ Records: keys.map((key) => creation(key, sequence++)) }),
        })
        assert.equal(response.status, 200)
      }
      try {
        await until('unreachable')
        const [first] = told('unreachable')
        assert.deepEqual([first?.level, first?.cause], ['error', 'settings'])
        assert.match(
          first?.message ?? '',
          /^bucket photos cannot be used now: .*InvalidAccessKeyId.*goes on without it$/,
        )
        await send(Array.from({ length: 2 * limits.bucketFailuresTold }, (_, n) => `refused-${n}`))
        await until('bucket-degraded')
        assert.match(told('bucket-degraded')[0]?.message ?? '', /^bucket photos: \d+ requests .*InvalidAccessKeyId/)
        fake.trouble = () => null
        fake.objects.set('/photos/well', { bytes: Buffer.from('a'), metadata: {} })
        await send(['well'])
        await until('bucket-recovered')
        assert.deepEqual([told('bucket-degraded').length, told('bucket-recovered').length], [1, 1])
        assert.equal(told('reach-note').length, 1, 'that buckets of events alone are not looked at')
      } finally {
        server.child.kill('SIGTERM')
      }
      assert.equal(await ended(server.child), 0, server.told())
    })
  } finally {
    await fake.close()
  }
})

test('a start whose warehouse is refused says why and makes nothing on disk', async () => {
  const fake = await FakeS3.start()
  try {
    fake.trouble = () => ({ kind: 'error', status: 404, code: 'NoSuchBucket' })
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      const home = path.join(dir, 'home')
      await writeFile(config, settings(fake, { warehouse: { location: 's3://lake/tables' } }))
      const { code, stderr } = await cli(['start', '--home', home, '--config', config, '--port', '0'])
      assert.equal(code, 7, stderr)
      assert.match(stderr, /the warehouse cannot be used, so no table can be opened: .*no such bucket/)
      await assert.rejects(access(home), { code: 'ENOENT' })
    })
  } finally {
    await fake.close()
  }
})

test('a start whose warehouse is down says so once, waits for it, and goes on when it answers', async () => {
  const fake = await FakeS3.start()
  try {
    let isDown = true
    let refusals = 0
    // More than those after which a bucket is told to be degraded.
    fake.trouble = () => {
      if (isDown && ++refusals > 2 * limits.bucketFailuresTold) isDown = false
      return isDown ? { kind: 'lost request' } : null
    }
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      await writeFile(config, settings(fake, { warehouse: { location: 's3://lake/tables' } }))
      const server = await startServer(path.join(dir, 'home'), config, {}, ['--log-format', 'json'])
      server.child.kill('SIGTERM')
      assert.equal(await ended(server.child), 0, server.told())
      const told = server
        .told()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { event: string; cause?: string; message: string })
      assert.deepEqual(
        told.filter(({ event }) => !['note', 'committed'].includes(event)).map(({ event }) => event),
        ['unreachable', 'warehouse-answers', 'ending', 'ended'],
      )
      const outage = told.find(({ event }) => event === 'unreachable')
      assert.equal(outage?.cause, 'outage')
      assert.match(outage?.message ?? '', /^warehouse cannot be used now: .*nothing is taken meanwhile/)
      assert.ok(
        [...fake.objects.keys()].some((key) => key.startsWith('/lake/tables/')),
        'tables were made there',
      )
    })
  } finally {
    await fake.close()
  }
})

test('a start that waits for its warehouse ends by a signal, well, at once, and has made nothing on disk', async () => {
  const fake = await FakeS3.start()
  try {
    fake.trouble = () => ({ kind: 'error', status: 503, code: 'ServiceUnavailable' })
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      const home = path.join(dir, 'home')
      await writeFile(config, settings(fake, { warehouse: { location: 's3://lake/tables' } }))
      const child = spawnServer(home, config)
      let told = ''
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        told += text
        if (told.includes('nothing is taken meanwhile')) child.kill('SIGTERM')
      })
      assert.equal(await ended(child), 0, told)
      assert.match(told, /ended before the warehouse answered: nothing was taken\n$/)
      await assert.rejects(access(home), { code: 'ENOENT' })
    })
  } finally {
    await fake.close()
  }
})
