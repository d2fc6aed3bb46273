/** What lasts a minute, for real: longer than any pause, retry or timeout that is meant for a moment. All at the same time. */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cli, cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { assertInStep, mutate } from './files.ts'
import { lockCatalog } from './locked-catalog.ts'
import { Random } from './random.ts'
import { WatchProcess } from './watch-process.ts'

const MINUTE_MS = 60_000
const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

describe('for a minute', { concurrency: true }, () => {
  test(`a process that was stopped goes on, and takes what happened meanwhile (seed ${seed})`, async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await watch.ready()
      await mutate(watch.bucket, new Random(seed), 20)
      watch.child.kill('SIGSTOP')
      await mutate(watch.bucket, new Random(seed + 1), 60)
      await writeFile(path.join(watch.bucket, 'last.txt'), 'last')
      await delay(MINUTE_MS)
      const second = await cli(['ingest', watch.bucket, '--home', home])
      assert.equal(second.code, 4, 'stopped, it still owns its home')
      assert.match(second.stderr, new RegExp(`is in use by process ${watch.child.pid} on`))
      watch.child.kill('SIGCONT')
      await watch.until(
        async () =>
          (await sqlRows(home, "SELECT key FROM aws_s3_metadata.inventory WHERE key = 'last.txt'")).length === 1,
        'takes a file written while it was stopped',
      )
      assert.equal((await watch.end('SIGINT')).code, 0)
      await assertInStep(home, watch.bucket)
    })
  })

  test(`a catalog locked by another process is waited for, or its lock is told, and nothing is lost (seed ${seed})`, async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const bucket = path.join(dir, 'files')
      await mkdir(bucket)
      await mutate(bucket, new Random(seed + 2), 20)
      await cliOk(['ingest', bucket, '--home', home])
      await mutate(bucket, new Random(seed + 3), 20)
      const child = await lockCatalog(home, MINUTE_MS)
      const startMs = performance.now()
      const ingest = await cli(['ingest', bucket, '--home', home])
      if (ingest.code !== 0) assert.match(ingest.stderr, /catalog file .* stayed locked by another process for \d+ s/)
      await delay(Math.max(0, MINUTE_MS - (performance.now() - startMs)) + 1_000)
      child.kill()
      await cliOk(['ingest', bucket, '--home', home])
      await assertInStep(home, bucket)
    })
  })

  test(`a process that watches goes on when its catalog was locked (seed ${seed})`, async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const watch = await WatchProcess.start(home)
      await watch.ready()
      const child = await lockCatalog(home, MINUTE_MS)
      await mutate(watch.bucket, new Random(seed + 4), 40)
      await writeFile(path.join(watch.bucket, 'last.txt'), 'last')
      await delay(MINUTE_MS + 1_000)
      child.kill()
      await watch.until(
        async () =>
          (await sqlRows(home, "SELECT key FROM aws_s3_metadata.inventory WHERE key = 'last.txt'")).length === 1,
        'commits what came while the catalog was locked',
      )
      assert.equal((await watch.end('SIGINT')).code, 0)
      await assertInStep(home, watch.bucket)
    })
  })
})
