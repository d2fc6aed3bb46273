/** Old dead letters that are deleted, with everything around them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { LetterExpiry } from './letter-expiry.ts'
import { replayLetters } from './replay.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL' },
  errorOutput: { directory: 'errors', prefix: 'e/' },
}
const DAY_MS = 24 * 3600 * 1000

/** Expiry that looks from `days` days later. */
function expiryIn({ engine }: EngineBench, days: number, keepDays = 30): LetterExpiry {
  const { clock } = engine
  return new LetterExpiry({
    reader: { ...engine, clock: { ...clock, nowMs: () => clock.nowMs() + days * DAY_MS } },
    deadLetters: engine.deadLetters,
    keepDays,
    commit: async () => engine.feeds.get('dead-letters')?.drain(),
    notice: () => undefined,
  })
}

const letters = (bench: EngineBench) =>
  bench.sql('SELECT decode(payload) AS bytes, status FROM tidewater.dead_letters ORDER BY 1')

test('letters that nothing happened to for so long are deleted, and no others', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    assert.equal(await expiryIn(bench, 31).run(), 0, 'there is no table of them yet')
    const stream = bench.engine.streams.get('events')
    await stream.accept(recordsOf('a', 'b'))
    assert.equal(await expiryIn(bench, 29).run(), 0)
    assert.equal((await letters(bench)).length, 2)
    assert.equal(await expiryIn(bench, 31).run(), 2)
    assert.deepEqual(await letters(bench), [])
    // What comes behind them goes its way: into the table, into an object, and again.
    await stream.accept(recordsOf('c'))
    await bench.engine.drain()
    assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 0, failed: 1, cut: 0 })
    assert.deepEqual(await letters(bench), [{ bytes: 'c', status: 'open' }])
    await bench.restart()
    assert.equal(await expiryIn(bench, 31).run(), 1)
    await bench.restart()
    assert.deepEqual(await letters(bench), [])
  })
})

test('nothing is deleted unless the configuration says after how many days', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    await bench.engine.streams.get('events').accept(recordsOf('a'))
    await bench.engine.drain()
    // As old as a letter can be.
    await bench.engine.logs
      .get('dead-letters')
      ?.append([JSON.stringify({ input: 0, op: 'upsert', row: { ...old, id: 'f'.repeat(32) } })])
    await bench.engine.drain()
    const followed = async (config: object) => {
      await bench.restart({ streams: { events }, ...config })
      bench.engine.start(() => undefined)
      for (let tries = 0; tries < 100 && bench.notices.length === 0; tries++)
        await new Promise((done) => setTimeout(done, 20))
      return bench.notices.filter((notice) => /were deleted/.test(notice))
    }
    assert.deepEqual(await followed({}), [])
    assert.equal((await letters(bench)).length, 2)
    assert.deepEqual(await followed({ deadLetters: { keepDays: 365 } }), [
      '1 dead letters were deleted: nothing happened to them for 365 days',
    ])
    await bench.engine.finish()
    assert.deepEqual(await letters(bench), [{ bytes: 'a', status: 'open' }])
  })
})

const old = {
  stage: 'record',
  stream: 'events',
  code: 'InvalidJson',
  reason: 'expected one JSON object',
  subject: 'events/1',
  payload: Buffer.from('old').toString('hex'),
  payload_bytes: 3,
  status: 'open',
  updated_at: '2020-01-01 00:00:00.000000',
  attempt: 1,
  received_at: '2020-01-01 00:00:00.000000',
  first_failed_at: '2020-01-01 00:00:00.000000',
  last_failed_at: '2020-01-01 00:00:00.000000',
}
