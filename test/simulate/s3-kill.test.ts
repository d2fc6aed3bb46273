/**
 * A process that is killed at any of its requests to the store: before the store has done it, or after and before the answer. The next
 * run brings the tables in step, and each file that a table needs is there.
 */
import assert from 'node:assert/strict'
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cli, cliOk, inTempDir } from '../support/cli.ts'
import { FakeS3 } from '../support/fake-s3.ts'

const PHOTO = fileURLToPath(new URL('../../examples/photos/2025/web/waves.gif', import.meta.url))
const TABLES = ['default.s3_content_metadata', 'aws_s3_metadata.inventory']
/** The first run makes four tables, the others commit to three of them, by six requests each. */
const KILLS: readonly (readonly [request: number, when: 'before' | 'after'])[] = [
  [2, 'after'],
  [9, 'before'],
  [1, 'before'],
  [4, 'after'],
  [6, 'after'],
  [11, 'before'],
  [17, 'after'],
]

test('a process killed at any request leaves nothing that the next run does not mend', async () => {
  await inTempDir(async (dir) => {
    const fake = await FakeS3.start()
    const photos = path.join(dir, 'photos')
    const home = path.join(dir, 'home')
    await mkdir(photos)
    const { endpoint } = fake.connection
    const s3 = { 's3.endpoint': endpoint, 's3.access-key-id': 'test', 's3.secret-access-key': 'test' }
    await writeFile(
      path.join(dir, 'tidewater.config.yaml'),
      JSON.stringify({ s3: { default: s3 }, warehouse: { location: 's3://lake/ware' } }),
    )
    const ingestion = ['ingest', photos, '--bucket', 'photos', '--home', home]
    let killed = 0
    for (const [at, [request, when]] of KILLS.entries()) {
      await cp(PHOTO, path.join(photos, `${at}.gif`))
      let puts = 0
      const result = await cli(ingestion, {
        cwd: dir,
        onStart: (child) => {
          fake.trouble = ({ method }) => {
            if (method !== 'PUT' || ++puts < request) return null
            child.kill('SIGKILL')
            return { kind: when === 'before' ? 'lost request' : 'lost reply' }
          }
        },
      })
      fake.trouble = () => null
      if (result.signal === 'SIGKILL') killed++
      else assert.equal(result.code, 0, result.stderr)
    }
    assert.ok(killed >= KILLS.length - 1, `${killed} kills`)
    await cliOk(ingestion, { cwd: dir })
    const keys = (await readdir(photos)).sort()
    for (const table of TABLES) {
      const sql = `SELECT key FROM ${table} ORDER BY key`
      const text = await cliOk(['sql', sql, '--json', '--home', home], { cwd: dir })
      const rows = text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { key: string }).key)
      assert.deepEqual(rows, keys, table)
    }
    // It ends with another code when it finds a problem.
    await cliOk(['doctor', '--home', home], { cwd: dir })
    await fake.close()
  })
})
