/**
 * The real process, killed without warning at random moments of an ingest, again and again; then one run to the end: the
 * tables equal the files. `TIDEWATER_SEED` replays a run, `TIDEWATER_ROUNDS` makes more of them.
 */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cli, cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { Random } from './random.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 8)

test(`an ingest killed ${rounds} times at random moments ends with rows equal to files (seed ${seed})`, async () => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const bucket = path.join(dir, 'photos')
    const home = path.join(dir, 'home')
    await mkdir(bucket)
    const files = new Map<string, string>()
    const mutate = async (count: number) => {
      for (let at = 0; at < count; at++) {
        const name = `f${random.below(60)}.txt`
        if (random.chance(0.25) && files.has(name)) {
          files.delete(name)
          await rm(path.join(bucket, name))
        } else {
          const text = `${name} ${random.below(1e9)}`
          files.set(name, text)
          await writeFile(path.join(bucket, name), text)
        }
      }
    }
    for (let round = 0; round < rounds; round++) {
      await mutate(40)
      const killAfterMs = 150 + random.below(2350)
      await cli(['ingest', bucket, '--home', home], {
        onStart: (child) => void delay(killAfterMs, undefined, { ref: false }).then(() => child.kill('SIGKILL')),
      })
    }
    await cliOk(['ingest', bucket, '--home', home])

    const expected = [...files]
      .map(([key, text]) => ({ key, size: text.length }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    assert.deepEqual(await sqlRows(home, 'SELECT key, size FROM aws_s3_metadata.inventory ORDER BY key'), expected)
    const content = await sqlRows(home, 'SELECT key FROM default.s3_content_metadata ORDER BY key')
    assert.deepEqual(
      content.map((row) => row['key']),
      expected.map((file) => file.key),
    )
    const [repeats] = await sqlRows(
      home,
      'SELECT count(*) - count(DISTINCT (key, sequence_number)) AS n FROM aws_s3_metadata.mdblogs3metadata',
    )
    assert.equal(repeats?.['n'], 0, 'the journal holds every change once')
    const again = await cliOk(['ingest', bucket, '--home', home])
    assert.match(again, /nothing new/)
    assert.equal((await cli(['doctor', '--home', home])).code, 0)
  })
})
