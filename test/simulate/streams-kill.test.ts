/**
 * The real server, killed without warning again and again while producers send, send again, hang up in the middle and repeat
 * what was answered. Then a checker counts: every record that was acknowledged is in the table or in dead letters once, and nothing
 * is there twice, acknowledged or not.
 *
 * `TIDEWATER_SEED` replays the choices of a run, `TIDEWATER_ROUNDS` makes more kills.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inTempDir } from '../support/cli.ts'
import { Random } from './random.ts'
import { Producers, STREAMS } from './streams-producers.ts'
import { ended, type Running, spawnServer, startServer } from './streams-server.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const rounds = Number(process.env['TIDEWATER_ROUNDS'] ?? 16)

test(`a server killed ${rounds} times holds every acknowledged record once (seed ${seed})`, async (t) => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(config, STREAMS)
    let server: Running | null = null
    const producers = new Producers(random, () => server?.url ?? null)
    producers.start()
    try {
      for (let round = 0; round < rounds; round++) {
        // Every third does not get to take requests: starting is what it is killed in.
        if (round % 3 === 2) {
          const child = spawnServer(home, config)
          await delay(random.below(1_500))
          child.kill('SIGKILL')
          await ended(child)
          continue
        }
        const running = await startServer(home, config)
        server = running
        await delay(100 + random.below(900))
        running.child.kill('SIGKILL')
        await ended(running.child)
        server = null
      }
      const last = await startServer(home, config)
      server = last
      await delay(500)
      await producers.finish()
      t.diagnostic(JSON.stringify(producers.counts))
      last.child.kill('SIGTERM')
      assert.equal(await ended(last.child), 0, `told to end, it commits and ends well: ${last.told()}`)
    } finally {
      producers.abandon()
      server?.child.kill('SIGKILL')
    }
    for (const [what, times] of Object.entries(producers.counts))
      if (what !== 'refused') assert.ok(times > 0, `${what}: never`)
    await producers.check(home, config)
  })
})
