import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import { fitsRequest } from '../../test/support/openapi-check.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL', name: 'STRING' },
  buffer: { seconds: 0 },
}
const json = { 'content-type': 'application/json' }

test('rows come as lines, as a document, or as CSV', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    await send('POST', '/v1/streams/events/records', '[{"id":1,"name":"a,b"},{"id":9007199254740993}]', json)
    await bench.engine.drain()
    const sql = 'SELECT id, name FROM demo.events ORDER BY id'
    const ask = async (more: object, headers: Record<string, string> = {}) => {
      const body = { sql, ...more }
      assert.ok(fitsRequest('POST', '/sql', 'application/json', body))
      const reply = await send('POST', '/sql', JSON.stringify(body), { ...json, ...headers })
      return [reply.status, reply.headers.get('content-type')?.split(';')[0], reply.body]
    }
    const csv = [200, 'text/csv', 'id,name\r\n1,"a,b"\r\n9007199254740993,\r\n']
    assert.deepEqual(await ask({}), [
      200,
      'application/x-ndjson',
      '{"id":1,"name":"a,b"}\n{"id":"9007199254740993","name":null}\n',
    ])
    assert.deepEqual(await ask({ format: 'csv' }), csv)
    assert.deepEqual(await ask({}, { accept: 'text/csv' }), csv)
    const columns = [
      { name: 'id', type: 'BIGINT' },
      { name: 'name', type: 'VARCHAR' },
    ]
    const first = { id: 1, name: 'a,b' }
    assert.deepEqual(await ask({ format: 'json' }), [
      200,
      'application/json',
      { columns, rows: [first, { id: '9007199254740993', name: null }], truncated: false },
    ])
    assert.deepEqual(await ask({ format: 'json', rowsMax: 1, cut: true }), [
      200,
      'application/json',
      { columns, rows: [first], truncated: true },
    ])
    assert.deepEqual(
      (await send('POST', '/sql', sql, { 'content-type': 'application/sql', accept: 'text/csv' })).body,
      csv[2],
    )
    const none = await send('POST', '/sql', `{"sql":"SELECT id FROM demo.events WHERE id < 0","format":"json"}`, json)
    assert.deepEqual((none.body as { rows: unknown[] }).rows, [])
    const large = await send('POST', '/sql', '{"sql":"SELECT range AS n FROM range(100000)","format":"json"}', json)
    assert.equal((large.body as { rows: unknown[] }).rows.length, 100_000)
  })
})

test('what is wrong with a statement is told by its status', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, unexpected }) => {
    const status = async (body: string) => (await send('POST', '/sql', body, json)).status
    assert.equal(await status('{"sql":"SELEC 1"}'), 400)
    assert.equal(await status('{"sql":"SELECT * FROM demo.none"}'), 404)
    assert.equal(await status('{"sql":"DROP TABLE demo.events"}'), 400)
    assert.equal(await status('{"sql":"SELECT * FROM demo.events","limit":1}'), 400)
    assert.equal(await status('{"sql":'), 400)
    assert.equal(await status('{"sql":"SELECT * FROM range(10)","rowsMax":5}'), 413)
    assert.equal(await status('{"sql":"SELECT 1 AS one","wait":{"stream":"none","offset":0}}'), 404)
    assert.equal(await status('{"sql":"SELECT 1 AS one","wait":{"stream":"events","offset":99}}'), 400)
    for (const [body, type] of [
      ['', 'text/plain'],
      [' \n', 'application/sql'],
      ['', 'application/json'],
    ] as const) {
      const reply = await send('POST', '/sql', body, { 'content-type': type })
      assert.equal(reply.status, 400)
      assert.match(JSON.stringify(reply.body), /the body is empty: expected a statement as text, e\.g\. SELECT 1, or /)
    }
    assert.match(
      JSON.stringify((await send('POST', '/sql', '{"sql":""}', json)).body),
      /sql: expected at least 1 character/,
    )
    assert.deepEqual(unexpected, [])
  })
})

test('a program reads its own writes, by the offset of a record or the end of an answer', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const count = (wait: object, more: object = {}) => {
      const sql = 'SELECT count(*)::INTEGER AS n FROM demo.events'
      return send('POST', '/sql', JSON.stringify({ sql, wait, ...more }), json)
    }
    const put = async (id: number) => {
      const { body } = await send('POST', '/v1/streams/events/records', `[{"id":${id}},{"id":${id}}]`, json)
      return body as { end: number; results: { offset: number }[] }
    }
    const first = await put(1)
    const late = await count({ stream: 'events', offset: first.end }, { timeout: 0.05 })
    assert.deepEqual([late.status, late.headers.get('retry-after')], [503, '5'])
    bench.engine.start(() => undefined)
    assert.deepEqual((await count({ stream: 'events', offset: first.end })).body, '{"n":2}\n')
    for (let round = 2; round <= 5; round++) {
      const { end, results } = await put(round)
      const wait = round % 2 === 0 ? { offset: end } : { offset: results[1]!.offset }
      assert.deepEqual((await count([{ stream: 'events', ...wait }])).body, `{"n":${round * 2}}\n`)
    }
  })
})

test('a caller who goes away leaves no statement behind', async () => {
  await withServer({ streams: { events } }, {}, async ({ url, send }) => {
    for (let round = 0; round < 6; round++) {
      const gone = new AbortController()
      const body = '{"sql":"SELECT count(*) FROM range(100000000000) a"}'
      const call = fetch(`${url}/sql`, { method: 'POST', headers: json, body, signal: gone.signal })
      setTimeout(() => gone.abort(), 50)
      await assert.rejects(call)
    }
    // Six were begun and four may run: this one gets its turn because the others have ended.
    assert.deepEqual((await send('POST', '/sql', '{"sql":"SELECT 1 AS one"}', json)).body, '{"one":1}\n')
  })
})
