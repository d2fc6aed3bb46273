import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type HttpBench, withServer } from '../../test/support/http-bench.ts'
import { fitsRequest } from '../../test/support/openapi-check.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { PackedRecords } from '../service/streams/streams.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL', price: 'DECIMAL(30,10)' },
}
const ndjson = { 'content-type': 'application/x-ndjson' }
const path = '/v1/streams/events/records'

interface Taken {
  accepted: number
  deadLetters: number
  dropped: number
  repeated: number
  refused: number
  end: number
  committed?: boolean
  results?: { status: string; offset?: number; code?: string; expected?: number }[]
  problems?: { index: number; status: string; code?: string }[]
}
const takenOf = ({ body }: { body: unknown }) => body as Taken
const countsOf = (reply: { body: unknown }) => {
  const { accepted, deadLetters, dropped, repeated, refused } = takenOf(reply)
  return { accepted, deadLetters, dropped, repeated, refused }
}
const counts = (some: Partial<Taken>) => ({
  accepted: 0,
  deadLetters: 0,
  dropped: 0,
  repeated: 0,
  refused: 0,
  ...some,
})
const idsOf = async ({ bench }: HttpBench) => {
  await bench.engine.drain()
  return (await bench.sql('SELECT id::INTEGER AS id FROM demo.events ORDER BY id')).map(({ id }) => id)
}

test('lines and arrays are taken, and every record is told of', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const { send, bench } = http
    const post = (body: string | Uint8Array, type: string) => send('POST', path, body, { 'content-type': type })
    const lines = await post('{"id":1}\n\nbad\r\n  \n{"id":2}\r\n', 'application/x-ndjson; charset=utf-8')
    assert.equal(lines.status, 200)
    assert.deepEqual(countsOf(lines), counts({ accepted: 2, deadLetters: 1 }))
    assert.deepEqual(
      takenOf(lines).results?.map(({ status, offset, code }) => [status, offset ?? code]),
      [
        ['accepted', 0],
        ['dead-letter', 'InvalidJson'],
        ['accepted', 1],
      ],
    )
    assert.equal(takenOf(lines).end, 2)
    const array = await post('[{"id":3}, oops ,{"id":4}]', 'application/json')
    assert.deepEqual(countsOf(array), counts({ accepted: 2, deadLetters: 1 }), 'a damaged element stands alone')
    assert.deepEqual(countsOf(await post('{"id":5}', 'application/json')), counts({ accepted: 1 }))
    assert.deepEqual(countsOf(await post('', 'application/x-ndjson')), counts({}))
    assert.equal((await post('[{"id":6}', 'application/json')).status, 400)
    assert.equal((await post('x', 'application/xml')).status, 400)
    assert.deepEqual(await idsOf(http), [1, 2, 3, 4, 5])
    const letters = await bench.sql('SELECT payload::VARCHAR AS bytes FROM tidewater.dead_letters ORDER BY 1')
    assert.deepEqual(letters, [{ bytes: 'bad' }, { bytes: 'oops' }], 'with the bytes as they were sent')
  })
})

test('what curl sends without a word on its type is taken for what it is, and every type is named where one is refused', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const { send } = http
    const post = (body: string, type = 'application/x-www-form-urlencoded') =>
      send('POST', path, body, { 'content-type': type })
    assert.deepEqual(countsOf(await post('{"id":1}')), counts({ accepted: 1 }))
    assert.deepEqual(countsOf(await post('{\n  "id": 2\n}\n')), counts({ accepted: 1 }))
    assert.deepEqual(countsOf(await post('[{"id":3},{"id":4}]')), counts({ accepted: 2 }))
    assert.deepEqual(countsOf(await post('{"id":5}\n{"id":\n{"id":6}\n')), counts({ accepted: 2, deadLetters: 1 }))
    const form = await post('id=7&name=x')
    assert.equal(form.status, 400)
    for (const { body } of [form, await post('x', 'application/xml')])
      assert.match(
        JSON.stringify(body),
        /application\/x-ndjson, application\/cloudevents\+json or application\/cloudevents-batch\+json/,
      )
    assert.deepEqual(await idsOf(http), [1, 2, 3, 4, 5, 6])
  })
})

test('packed bodies are unpacked, within their bounds', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const { send } = http
    const post = (body: Uint8Array, encoding: string, type = 'application/x-ndjson') =>
      send('POST', path, body, { 'content-type': type, 'content-encoding': encoding })
    const packers = { gzip: gzipSync, zstd: zstdCompressSync }
    let id = 0
    for (const [encoding, pack] of Object.entries(packers)) {
      for (const type of ['application/json', 'application/x-ndjson']) {
        id += 1
        assert.equal((await post(pack(Buffer.from(`{"id":${id}}`)), encoding, type)).status, 200, `${encoding} ${type}`)
        assert.equal((await post(Buffer.from('{"id":9}'), encoding, type)).status, 400, `no ${encoding} at all`)
        const cut = pack(Buffer.from('{"id":9}\n'.repeat(1000))).subarray(0, -8)
        assert.equal((await post(cut, encoding, type)).status, 400, `${encoding} cut off`)
        const bomb = pack(Buffer.alloc(limits.streamRequestBytesMax + 1, 0x20))
        assert.equal((await post(bomb, encoding, 'application/json')).status, 413)
      }
    }
    assert.equal((await post(Buffer.from('x'), 'br')).status, 400)
    assert.deepEqual(await idsOf(http), [1, 2, 3, 4])
  })
})

test('a bomb taken in parts is given up when it has become too large for what came', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    // Blank lines cost no memory and make no record; only the bound of their number ends them.
    const blank = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, 0x0a))
    const reply = await send('POST', path, blank, { ...ndjson, 'content-encoding': 'zstd' })
    assert.equal(reply.status, 413)
    assert.match(JSON.stringify(reply.body), /unpacks to more than/)
  })
})

test('a line that is too large is refused alone, wherever it stands', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const { send } = http
    const padded = (bytes: number) => `{"id":2${' '.repeat(bytes - 8)}}`
    const largest = padded(limits.streamRecordBytesMax)
    const over = padded(limits.streamRecordBytesMax + 1)
    const reply = await send('POST', path, `{"id":1}\n${over}\n${largest}\r\n${over}${over}\n{"id":3}`, ndjson)
    assert.equal(reply.status, 413)
    assert.deepEqual(
      takenOf(reply).results?.map(({ status, code }) => code ?? status),
      ['accepted', 'RecordTooLarge', 'accepted', 'RecordTooLarge', 'accepted'],
    )
    const numbered = await send('POST', path, `{"id":7}\n${over}\n`, {
      ...ndjson,
      'producer-id': 'p',
      'producer-sequence': '0',
    })
    assert.equal(numbered.status, 413, 'nothing behind it could be taken')
    assert.deepEqual(await idsOf(http), [1, 2, 3])
  })
})

test('headers make a repetition harmless, and tell of gaps', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const post = (body: string, headers: Record<string, string>) =>
      http.send('POST', path, body, { ...ndjson, ...headers })
    const first = await post('{"id":1}', { 'idempotency-key': 'a' })
    const again = await post('{"id":1}', { 'idempotency-key': 'a' })
    assert.deepEqual(takenOf(again).results, takenOf(first).results)
    assert.deepEqual([takenOf(again).repeated, takenOf(again).end], [1, takenOf(first).end])
    assert.equal((await post('{"id":2}', { 'idempotency-key': 'a' })).status, 400)
    const numbered = (sequence: number) => ({ 'producer-id': 'p', 'producer-sequence': String(sequence) })
    assert.equal((await post('{"id":2}', numbered(0))).status, 200)
    assert.equal((await post('{"id":2}', numbered(0))).status, 200)
    const gap = await post('{"id":4}', numbered(2))
    assert.equal(gap.status, 409)
    assert.equal(takenOf(gap).results?.[0]?.expected, 1)
    assert.equal((await post('{"id":4}', { 'producer-sequence': '1' })).status, 400)
    assert.equal((await post('{"id":4}', { ...numbered(1), 'idempotency-key': 'b' })).status, 400)
    assert.deepEqual(await idsOf(http), [1, 2])
  })
})

const many = limits.streamRequestRecordsMax * 2 + 100
const manyLines = (from = 0) => Array.from({ length: many }, (_, at) => `{"id":${from + at}}\n`).join('')

test('lines beyond one request are taken in parts, once, also when they come again after a cut', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const { send } = http
    const body = manyLines().replace('{"id":7}\n', 'bad\n')
    const key = { ...ndjson, 'idempotency-key': 'upload' }
    // The connection breaks behind the first part, before the end of the second.
    const half = body.slice(0, body.indexOf(`{"id":${limits.streamRequestRecordsMax + 10}}`))
    await brokenOff(http.url, half, body.length, key)
    const stream = http.bench.engine.streams.get('events')
    await until(() => stream.offsets.end >= limits.streamRequestRecordsMax)
    assert.equal(stream.offsets.end, limits.streamRequestRecordsMax, 'the part, and what is remembered of it')

    const whole = await send('POST', path, body, key)
    assert.equal(whole.status, 200)
    assert.deepEqual(
      countsOf(whole),
      counts({ accepted: many - 1, deadLetters: 1, repeated: limits.streamRequestRecordsMax }),
    )
    assert.equal(takenOf(whole).results, undefined)
    assert.deepEqual(
      takenOf(whole).problems?.map(({ index, status, code }) => [index, status, code]),
      [[7, 'dead-letter', 'InvalidJson']],
    )
    const packed = await send('POST', path, gzipSync(body), { ...key, 'content-encoding': 'gzip' })
    assert.equal(takenOf(packed).repeated, many, 'packed or not, it is the same')
    const numbered = { ...ndjson, 'producer-id': 'p', 'producer-sequence': '0' }
    assert.equal(takenOf(await send('POST', path, manyLines(100_000), numbered)).accepted, many)
    assert.equal(takenOf(await send('POST', path, manyLines(100_000), numbered)).repeated, many)
    const ids = await idsOf(http)
    assert.deepEqual([ids.length, new Set(ids).size], [many * 2 - 1, many * 2 - 1])
  })
})

test('a failure in the middle tells what was taken before it', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const stream = bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    let calls = 0
    stream.accept = (...args) =>
      ++calls === 2 ? Promise.reject(new Fault('unavailable', 'the disk is full')) : accept(...args)
    const full = await send('POST', path, manyLines(), ndjson)
    assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '5'])
    const { taken } = full.body as { taken: Taken }
    assert.deepEqual([taken.accepted, taken.end], [limits.streamRequestRecordsMax, limits.streamRequestRecordsMax])

    const bytes = gzipSync(manyLines())
    const damaged = Buffer.concat([bytes.subarray(0, -200), Buffer.alloc(192, 1), bytes.subarray(-8)])
    const cut = await send('POST', path, damaged, { ...ndjson, 'content-encoding': 'gzip' })
    assert.equal(cut.status, 400)
    assert.equal((cut.body as { taken: Taken }).taken.accepted % limits.streamRequestRecordsMax, 0)
    assert.ok((cut.body as { taken: Taken }).taken.accepted > 0)
  })
})

test('a body in parts waits for room in the backlog, and does not have to come again', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const stream = bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    let calls = 0
    stream.accept = (...args) => {
      calls += 1
      const full = calls === 2 || calls === 3
      return full
        ? Promise.reject(new Fault('unavailable', 'too much waits', { backlogBytes: 2 ** 30 }))
        : accept(...args)
    }
    const reply = await send('POST', path, manyLines(), ndjson)
    assert.deepEqual([reply.status, takenOf(reply).accepted, calls], [200, many, 5])
  })
})

test('a full disk and a backlog are told as such, with a time to come again', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const stream = bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    const fail = (fault: Fault) => {
      stream.accept = () => Promise.reject(fault)
    }
    const post = () => send('POST', path, '{"id":1}', { 'content-type': 'application/json' })
    fail(new Fault('unavailable', 'the disk is full'))
    const full = await post()
    assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '5'])
    fail(new Fault('unavailable', 'too much waits', { backlogBytes: 2 ** 30 }))
    const backlog = await post()
    assert.deepEqual([backlog.status, backlog.headers.get('retry-after')], [429, '2'])
    const proxied = await send('PUT', '/v1/streams/events/record', '{"Data":{"id":1}}')
    assert.deepEqual([proxied.status, proxied.headers.get('retry-after')], [429, '2'])
    stream.accept = accept
    assert.equal((await post()).status, 200)
  })
})

const event = (id: string, data: unknown, more: object = {}) => ({
  specversion: '1.0',
  type: 'com.example.made',
  source: '/shop',
  id,
  ...more,
  data,
})

test('an event comes in any of three modes, and once whatever request it comes in', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const post = (body: string, headers: Record<string, string>, query = '') =>
      http.send('POST', path + query, body, headers)
    const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }
    const batched = { 'content-type': 'application/cloudevents-batch+json' }
    const binary = (id: string) => ({
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-type': 'com.example.made',
      'ce-source': '/shop',
      'ce-id': id,
    })
    const first = event('1', { id: 1 }, { time: '2026-01-01T00:00:00Z' })
    assert.ok(fitsRequest('POST', path, 'application/cloudevents+json', first))
    assert.deepEqual(countsOf(await post(JSON.stringify(first), structured)), counts({ accepted: 1 }))
    const batch = [
      event('1', { id: 1 }),
      event('2', { id: 2 }),
      event('3', 'no json'),
      { id: '4' },
      event('2', { id: 2 }),
    ]
    const several = await post(JSON.stringify(batch), batched)
    assert.deepEqual(
      takenOf(several).results?.map(({ status, code }) => code ?? status),
      ['repeated', 'accepted', 'InvalidJson', 'MalformedRecord', 'repeated'],
    )
    assert.equal(several.status, 400)
    assert.deepEqual(countsOf(await post('{"id":2}', binary('2'))), counts({ repeated: 1 }))
    assert.deepEqual(countsOf(await post('{"id":5}', binary('5'))), counts({ accepted: 1 }))
    const base64 = { ...event('6', undefined), data_base64: Buffer.from('{"id":6}').toString('base64') }
    assert.deepEqual(countsOf(await post(JSON.stringify(base64), structured)), counts({ accepted: 1 }))
    assert.equal((await post('{"id":1}', structured)).status, 400)
    assert.equal((await post('{"id":1}', { ...binary('7'), 'ce-type': '' })).status, 400)
    assert.equal((await post('{"id":1}', { ...binary('7'), 'idempotency-key': 'k' })).status, 400)
    assert.equal((await post('<a/>', { 'content-type': 'application/cloudevents+xml' })).status, 400)
    assert.equal((await post('{"id":1}', binary('7'), '?event=all')).status, 400)
    assert.deepEqual(await idsOf(http), [1, 2, 5, 6])
  })
})

test('events know no producers, and those for a keyed table are taken in their order', async () => {
  const keyed = { ...events, columns: { id: 'LONG NOT NULL', n: 'LONG' }, uniqueKeys: ['id'] }
  await withServer({ streams: { events: keyed } }, {}, async ({ send, bench }) => {
    const stream = bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    const identities: unknown[] = []
    stream.accept = (records, identity, options) => {
      assert.ok(!(records instanceof PackedRecords), 'events come one by one')
      identities.push(...records.map(({ producer }) => producer), identity?.producer)
      return accept(records, identity, options)
    }
    const batch = Array.from({ length: 50 }, (_, n) => event(`e${n}`, { id: n % 3, n }))
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    const { end } = takenOf(await send('POST', path, JSON.stringify(batch), headers))
    // The same events with other bytes, as another hop writes them, and one that is new.
    const again = await send('POST', path, JSON.stringify([...batch, event('e50', { id: 9, n: 9 })], null, 1), headers)
    assert.deepEqual(countsOf(again), counts({ accepted: 1, repeated: 50 }))
    assert.ok(takenOf(again).end > end)
    assert.ok(identities.length > 0 && identities.every((producer) => producer === undefined))
    await bench.engine.drain()
    assert.deepEqual(
      (await bench.sql('SELECT id, n FROM demo.events ORDER BY id')).map(({ id, n }) => [Number(id), Number(n)]),
      [
        [0, 48],
        [1, 49],
        [2, 47],
        [9, 9],
      ],
    )
  })
})

test('a failure among events tells what was taken, and the same events may come again', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const stream = http.bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    let calls = 0
    stream.accept = (...args) =>
      ++calls === 150 ? Promise.reject(new Fault('unavailable', 'the disk is full')) : accept(...args)
    const batch = JSON.stringify(Array.from({ length: 220 }, (_, id) => event(`e${id}`, { id })))
    const headers = { 'content-type': 'application/cloudevents-batch+json' }
    const full = await http.send('POST', path, batch, headers)
    assert.deepEqual([full.status, (full.body as { taken: Taken }).taken.accepted], [503, 199])
    assert.deepEqual(countsOf(await http.send('POST', path, batch, headers)), counts({ accepted: 21, repeated: 199 }))
    assert.equal((await idsOf(http)).length, 220)
  })
})

test('the envelope of an event may be the record, by setting or by request', async () => {
  const columns = { id: 'STRING', source: 'STRING', type: 'STRING', data: 'STRUCT<id: LONG>' }
  const envelopes = {
    table: 'demo.envelopes',
    columns,
    unknownFields: 'drop' as const,
    cloudEvents: 'envelope' as const,
  }
  await withServer({ streams: { envelopes } }, {}, async ({ send, bench }) => {
    const post = (body: string, headers: Record<string, string>, query = '') =>
      send('POST', `/v1/streams/envelopes/records${query}`, body, headers)
    const json = { 'content-type': 'application/cloudevents+json' }
    assert.equal(takenOf(await post(JSON.stringify(event('é', { id: 1 })), json)).accepted, 1)
    const binary = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-type': 'com.example.made',
      'ce-source': '/shop',
      'ce-id': encodeURIComponent('é2'),
    }
    assert.equal(takenOf(await post('{"id":2}', binary)).accepted, 1)
    assert.equal(takenOf(await post(JSON.stringify(event('3', { id: '3' })), json, '?event=data')).accepted, 1)
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, type, data.id AS n FROM demo.envelopes ORDER BY id'), [
      { id: '3', type: null, n: null },
      { id: 'é', type: 'com.example.made', n: 1n },
      { id: 'é2', type: 'com.example.made', n: 2n },
    ])
  })
})

test('streams are made, shown and removed by the API', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    const settings = JSON.stringify({ table: 'demo.more', columns: { a: 'STRING' } })
    assert.equal((await send('PUT', '/v1/streams/more', settings)).status, 201)
    assert.equal((await send('PUT', '/v1/streams/more', settings)).status, 200)
    assert.equal((await send('PUT', '/v1/streams/more', '{"table": "demo.more"}')).status, 409)
    assert.equal((await send('PUT', '/v1/streams/bad', '{"tabel": "demo.x"}')).status, 400)
    assert.equal((await send('PUT', '/v1/streams/bad', '{')).status, 400)
    await send('POST', '/v1/streams/more/records', '{"a":"1"}', { 'content-type': 'application/json' })
    const { waiting } = (await send('GET', '/v1/streams/more/status')).body as { waiting: number }
    assert.equal(waiting, 1)
    assert.equal((await send('GET', '/v1/streams/none/status')).status, 404)
    assert.equal((await send('DELETE', '/v1/streams/more')).status, 204)
    assert.equal((await send('DELETE', '/v1/streams/more')).status, 404)
    assert.equal((await send('DELETE', '/v1/streams/events')).status, 409)
  })
})

/** Sends the beginning of a body, and breaks the connection off. */
async function brokenOff(url: string, begun: string, length: number, headers: Record<string, string>): Promise<void> {
  await new Promise<void>((done) => {
    const call = request(`${url}${path}`, { method: 'POST', headers: { ...headers, 'content-length': length } })
    call.on('error', () => done())
    call.write(begun, () => setTimeout(() => call.destroy(), 200))
  })
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'it never happened')
    await new Promise((done) => setTimeout(done, 10))
  }
}
