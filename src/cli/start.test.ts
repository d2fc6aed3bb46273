import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ended, startServer } from '../../test/simulate/streams-server.ts'
import { inTempDir, sqlRows } from '../../test/support/cli.ts'

const settings = (columns: string) =>
  `objects:
  sources:
    pictures: { type: directory, path: pictures, bucket: photos }
    hook: { type: webhook, token: 'env:HOOK_TOKEN' }
  content:
    columns: {${columns}}
`
const TOKEN = 'the-token-of-the-hook'
const record = {
  eventVersion: '2.0',
  eventSource: 'minio:s3',
  eventTime: '2026-11-20T15:00:00Z',
  eventName: 's3:ObjectRemoved:Delete',
  s3: { bucket: { name: 'remote' }, object: { key: 'a+b%2Bc', sequencer: '18E9C8EC3D9C95B2' } },
}

test('one process watches a directory, takes notifications, takes other columns as it runs, and tells it as JSON', async () => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'tidewater.config.yaml')
    const pictures = path.join(dir, 'pictures')
    await mkdir(pictures)
    await writeFile(path.join(pictures, 'first.txt'), 'one')
    await writeFile(config, settings(''))
    const server = await startServer(home, config, { HOOK_TOKEN: TOKEN }, ['--log-format', 'json'])
    const told = () =>
      server
        .told()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as { event: string; table?: string; rows?: number })
    const until = async (what: string, is: () => boolean | Promise<boolean>) => {
      for (let tries = 0; !(await is()); tries++) {
        assert.ok(tries < 400, `never: ${what}; told: ${server.told()}`)
        await delay(100)
      }
    }
    const commits = (table: string) =>
      told().filter((line) => line.event === 'committed' && line.table === table).length
    try {
      await until('the first file', () => commits('default.s3_content_metadata') > 0)
      const response = await fetch(`${server.url}/v1/notifications/hook`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}` },
        body: JSON.stringify({ Records: [record] }),
      })
      assert.deepEqual([response.status, await response.json()], [200, { accepted: 1, deadLetters: 0, ignored: 0 }])
      await writeFile(config, settings(`kind: { type: STRING, jpath: '$.file.mime' }`))
      server.child.kill('SIGHUP')
      await until('the columns', () => told().some(({ event }) => event === 'content-columns'))
      await writeFile(path.join(pictures, 'second.txt'), 'two')
      await rm(path.join(pictures, 'first.txt'))
      const accepted = async () => {
        const { sources } = (await (await fetch(`${server.url}/health`)).json()) as {
          sources: { source: string; accepted: number }[]
        }
        return sources.find(({ source }) => source === 'pictures')?.accepted
      }
      await until('the second file and the removal of the first', async () => (await accepted()) === 3)
    } finally {
      server.child.kill('SIGTERM')
    }
    assert.equal(await ended(server.child), 0, server.told())
    assert.equal(told().at(-1)?.event, 'ended')
    const content = await sqlRows(home, 'SELECT key, kind FROM default.s3_content_metadata')
    assert.deepEqual(
      content.map(({ key }) => key),
      ['second.txt'],
    )
    const journal = await sqlRows(
      home,
      'SELECT bucket, key, record_type FROM aws_s3_metadata.mdblogs3metadata ORDER BY bucket, key, record_type',
    )
    assert.deepEqual(
      journal.map((row) => `${row['record_type']} ${row['bucket']}/${row['key']}`),
      ['CREATE photos/first.txt', 'DELETE photos/first.txt', 'CREATE photos/second.txt', 'DELETE remote/a b+c'],
    )
  })
})
