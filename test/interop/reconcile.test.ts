/** Backfill, resumption and repair on a real MinIO, by the command line. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { DeleteObjectsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { openS3Store } from '../../src/store/s3.ts'
import { cli, cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { Minio, noMinio } from './minio.ts'

const KEYS = 2_500
const BUCKET = 'photos'

let minio: Minio

before(async () => {
  if (noMinio) return
  minio = await Minio.start()
  await minio.makeBucket(BUCKET, 'enabled')
})
after(async () => {
  await minio?.remove()
})

async function atOnce<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items]
  const one = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: 24 }, one))
}

const put = (key: string, body: string) =>
  minio.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }))
const mark = (keys: readonly string[]) =>
  minio.client.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects: keys.map((Key) => ({ Key })) } }))

const keyOf = (n: number) => `${['a', 'b/deep', 'c+d %', '（全角）', '😀'][n % 5]}/${String(n).padStart(5, '0')}.txt`

/** Every version and marker, and which are current: of the bucket, and of the tables. */
async function sides(home: string): Promise<{ bucket: string[]; tables: string[] }> {
  const store = openS3Store({ connection: minio.connection, bucket: BUCKET })
  const bucket: string[] = []
  for await (const { key, versionId, isDeleteMarker, isLatest, etag } of store.listVersions()) {
    const current = isLatest && !isDeleteMarker
    bucket.push(`${key} ${versionId} ${isDeleteMarker ? 'marker' : etag} ${current}`)
  }
  const rows = await sqlRows(
    home,
    `SELECT i.key, i.version_id, i.is_delete_marker, i.e_tag, coalesce(v.is_current, false) AS current
       FROM aws_s3_metadata.inventory i LEFT JOIN s3_metadata_coalesced v
         ON v.key = i.key AND v.version_id = i.version_id WHERE i.bucket = '${BUCKET}'`,
  )
  const tables = rows.map(
    (row) =>
      `${row['key']} ${row['version_id']} ${row['is_delete_marker'] === true ? 'marker' : row['e_tag']} ${row['current']}`,
  )
  return { bucket: bucket.sort(), tables: tables.sort() }
}

describe('a bucket of thousands of versions on MinIO', { skip: noMinio }, () => {
  it('is taken in whole after a kill in the middle, and mended after notifications were lost', async () => {
    await inTempDir(async (dir) => {
      const home = path.join(dir, 'home')
      const config = path.join(dir, 'tidewater.config.json')
      const objects = { workers: 2, buckets: { [BUCKET]: {} } }
      await writeFile(config, JSON.stringify({ s3: { default: minio.properties }, objects }))
      const common = ['--home', home, '--config', config]

      const keys = Array.from({ length: KEYS }, (_, n) => keyOf(n))
      await atOnce(keys, (key) => put(key, `first ${key}`))
      await atOnce(
        keys.filter((_, n) => n % 4 === 0),
        (key) => put(key, `second ${key}`),
      )
      await mark(keys.filter((_, n) => n % 7 === 0))

      // Killed as soon as it says how far it has come.
      const progress = path.join(home, 'state', 'listings.json')
      const killed = await cli(['ingest', `s3://${BUCKET}`, ...common], {
        onStart: (child) => {
          const watch = async () => {
            while (child.exitCode === null && child.signalCode === null) {
              const text = await readFile(progress, 'utf8').catch(() => '')
              if (text.includes('"begun"')) return child.kill('SIGKILL')
              await delay(2)
            }
          }
          void watch()
        },
      })
      assert.equal(killed.signal, 'SIGKILL', killed.stderr)
      const { unfinished } = JSON.parse(await readFile(progress, 'utf8')) as { unfinished: Record<string, object> }
      assert.equal(Object.keys(unfinished).length, 1)

      const resumed = await cli(['ingest', `s3://${BUCKET}`, ...common, '--json'])
      assert.equal(resumed.code, 0, resumed.stderr)
      assert.match(resumed.stderr, /going on with what was begun at/)
      const first = await sides(home)
      assert.ok(first.bucket.length > KEYS * 1.3)
      assert.deepEqual(first.tables, first.bucket)

      // Nobody hears of these.
      const versions = []
      for await (const version of openS3Store({ connection: minio.connection, bucket: BUCKET }).listVersions())
        versions.push(version)
      await atOnce(keys.slice(0, 50), (key) => put(key, `third ${key}`))
      await put('new', 'new')
      await mark(keys.slice(50, 80))
      const markers = versions.filter(({ isDeleteMarker }) => isDeleteMarker).slice(-40)
      await atOnce(markers, ({ key, versionId }) => minio.deleteVersion(BUCKET, key, versionId))
      const old = versions.filter(({ isLatest }) => !isLatest).slice(60, 120)
      await atOnce(old, ({ key, versionId }) => minio.deleteVersion(BUCKET, key, versionId))

      const found = await cli(['reconcile', BUCKET, ...common, '--dry-run', '--json'])
      assert.equal(found.code, 5, found.stderr)
      const { drift } = JSON.parse(found.stdout) as { drift: Record<string, number> }
      assert.equal(drift['missing-version'], 51)
      assert.equal(drift['missing-marker'], 30)
      assert.equal(drift['extra-marker'], 40)
      assert.equal(drift['extra-version'], 60)

      await cliOk(['reconcile', BUCKET, ...common])
      const second = await sides(home)
      assert.deepEqual(second.tables, second.bucket)
      assert.match(await cliOk(['reconcile', BUCKET, ...common]), /in step: nothing differs/)
    })
  })
})
