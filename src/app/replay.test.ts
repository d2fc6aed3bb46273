/** Letters sent again: each once, in order, whatever comes between; while a server follows its logs, too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { limits } from '../base/limits.ts'
import { sourceLetter } from '../service/objects/sources/taker.ts'
import { textProblem } from '../source/problem.ts'
import { replayLetters, replayWhileServing } from './replay.ts'

const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL', name: 'STRING' } }
const lenient = { ...events, unknownFields: 'drop' as const }
const failing = (count: number, from = 0) =>
  recordsOf(...Array.from({ length: count }, (_, id) => ({ id: from + id, extra: 1 })))

test('a replay that ends between the content and the mark sends nothing twice when it goes on', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    await bench.engine.streams.get('events').accept(failing(10))
    await bench.restart({ streams: { events: lenient } })
    bench.engine.deadLetters.markReplayed = () => Promise.reject(new Error('killed'))
    await assert.rejects(replayLetters(bench.engine, {}), /killed/)
    await bench.engine.drain()
    for (let time = 0; time < 2; time++) {
      await bench.restart()
      assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: time === 0 ? 10 : 0, failed: 0, cut: 0 })
    }
    assert.deepEqual(
      await bench.sql('SELECT count(*)::INTEGER AS n, count(DISTINCT id)::INTEGER AS ids FROM demo.events'),
      [{ n: 10, ids: 10 }],
    )
  })
})

test('letters of a key are sent again in the order in which they failed', async () => {
  const keyed = { ...events, uniqueKeys: ['id'] }
  await withEngine({ streams: { events: keyed } }, async (bench) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    await bench.engine.streams.get('events').accept(recordsOf(...names.map((name) => ({ id: 1, name, extra: 1 }))))
    await bench.restart({ streams: { events: { ...keyed, unknownFields: 'drop' } } })
    assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 8, failed: 0, cut: 0 })
    assert.deepEqual(await bench.sql('SELECT id, name FROM demo.events'), [{ id: 1n, name: 'h' }])
  })
})

test('a server replays in parts, one append for many letters, and one replay at a time', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const count = limits.replayRequestLetters + 5
    await bench.engine.streams.get('events').accept(failing(count))
    await bench.restart({ streams: { events: lenient } })
    const { engine } = bench
    engine.start(() => undefined)
    const { log } = engine.streams.get('events').parts
    let appends = 0
    const append = log.append.bind(log)
    log.append = (texts) => {
      appends++
      return append(texts)
    }
    const first = replayWhileServing(engine, { stream: 'events' })
    await assert.rejects(replayWhileServing(engine, {}), /under way/)
    const { next, ...counts } = await first
    assert.deepEqual(counts, { replayed: limits.replayRequestLetters, failed: 0, cut: 0 })
    assert.ok(appends <= 4, `${appends} appends`)
    assert.ok(next !== null)
    assert.deepEqual(await replayWhileServing(engine, { stream: 'events', after: next }), {
      replayed: 5,
      failed: 0,
      cut: 0,
      next: null,
    })
    await engine.finish()
    assert.deepEqual(
      await bench.sql('SELECT count(DISTINCT id)::INTEGER AS n, count(*)::INTEGER AS rows FROM demo.events'),
      [{ n: count, rows: count }],
    )
    assert.deepEqual(await bench.sql('SELECT DISTINCT status FROM tidewater.dead_letters'), [{ status: 'replayed' }])
  })
})

test('a notification beyond what a letter keeps tells its whole length, and is not sent again in part', async () => {
  await withEngine({}, async (bench) => {
    const text = `{"Records":${' '.repeat(limits.deadLetterPayloadBytesMax)}`
    await bench.engine.deadLetters.add([sourceLetter(textProblem('not-json', 'expected JSON', text), 'webhook hook')])
    assert.deepEqual(await replayLetters(bench.engine, {}), { replayed: 0, failed: 0, cut: 1 })
    assert.deepEqual(
      await bench.sql(
        'SELECT payload_bytes::INTEGER AS whole, octet_length(payload)::INTEGER AS kept, attempt FROM tidewater.dead_letters',
      ),
      [{ whole: text.length, kept: limits.deadLetterPayloadBytesMax, attempt: 1 }],
    )
  })
})

test('what is no choice of letters is refused with what was expected', async () => {
  await withEngine({}, async (bench) => {
    for (const [options, message] of [
      [{ ids: ["x' OR 1"] }, /4 to 32 hex digits/],
      [{ stage: 'all' }, /--stage: expected record/],
      [{ stream: "a'b" }, /--stream/],
      [{ after: 'bm8' }, /after: expected what the answer before gave/],
    ] as const)
      await assert.rejects(replayWhileServing(bench.engine, options), message)
  })
})
