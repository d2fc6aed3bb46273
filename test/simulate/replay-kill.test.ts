/**
 * A replay of dead letters killed without warning, again and again, each time just after its stream's log has grown. Then every
 * record is in the table once, and every letter is marked. `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cli, cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { Random } from './random.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const LETTERS = 3_000
const KILLS = 3
const WAIT_MS = 40

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0
  for (const name of await readdir(folder).catch(() => []))
    bytes += await stat(path.join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    )
  return bytes
}

test(`a replay killed ${KILLS} times takes every letter once (seed ${seed})`, async (t) => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    const configure = (unknownFields: string) =>
      writeFile(
        config,
        `streams: { events: { table: demo.events, columns: { id: LONG NOT NULL }, unknownFields: ${unknownFields} } }\n`,
      )
    await configure('dead-letter')
    const input = Array.from({ length: LETTERS }, (_, id) => `{"id":${id},"extra":1}`).join('\n')
    await cliOk(['stream', 'put', 'events', '-', '--home', home, '--config', config], { input })
    await configure('drop')
    const replay = ['deadletter', 'replay', '--json', '--home', home, '--config', config]
    const log = path.join(home, 'logs', 'stream-events')
    let killed = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const before = await bytesIn(log)
      let over = false
      const { signal } = await cli(replay, {
        onStart: (child) => {
          child.once('exit', () => (over = true))
          void (async () => {
            while (!over && (await bytesIn(log)) <= before) await delay(1)
            await delay(random.below(WAIT_MS))
            if (!over) child.kill('SIGKILL')
          })()
        },
      })
      if (signal === 'SIGKILL') killed++
    }
    t.diagnostic(`${killed} of ${KILLS} replays were killed`)
    assert.ok(killed > 0, 'at least one replay was killed in its middle')
    const last = JSON.parse(await cliOk(replay)) as { replayed: number; failed: number }
    assert.equal(last.failed, 0)
    assert.deepEqual(await sqlRows(home, 'SELECT count(*) AS n, count(DISTINCT id) AS ids FROM demo.events'), [
      { n: LETTERS, ids: LETTERS },
    ])
    assert.deepEqual(await sqlRows(home, 'SELECT status, count(*) AS n FROM tidewater.dead_letters GROUP BY status'), [
      { status: 'replayed', n: LETTERS },
    ])
  })
})
