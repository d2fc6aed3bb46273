import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { withServer } from '../../test/support/http-bench.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { parseKeys } from './access.ts'
import { openApi } from './openapi.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL', price: 'DECIMAL(30,10)' },
}
const target = (operation: string) => ({
  'x-amz-target': `Firehose_20150804.${operation}`,
  'content-type': 'application/x-amz-json-1.1',
})
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')

test('the REST proxy lists, describes and takes records in its shapes, with numbers exact', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    assert.deepEqual((await send('GET', '/v1/streams')).body, {
      DeliveryStreamNames: ['events'],
      HasMoreDeliveryStreams: false,
    })
    const described = (await send('GET', '/v1/streams/events')).body as {
      DeliveryStreamDescription: Record<string, unknown>
    }
    assert.equal(described.DeliveryStreamDescription['DeliveryStreamStatus'], 'ACTIVE')
    const one = await send(
      'PUT',
      '/v1/streams/events/record',
      '{"Data": {"id": 9007199254740993, "price": 12345678901234567890.0123456789}}',
    )
    assert.deepEqual([one.status, one.body], [200, { RecordId: '00000000000000000000', Encrypted: false }])
    const several = await send(
      'PUT',
      '/v1/streams/events/records',
      JSON.stringify({ records: [{ data: '{"id": 1}\n' }, { data: 'no json' }, { data: { id: 2 } }] }),
    )
    const { FailedPutCount, RequestResponses } = several.body as {
      FailedPutCount: number
      RequestResponses: { RecordId: string }[]
    }
    assert.equal(FailedPutCount, 0)
    assert.match(RequestResponses[1]!.RecordId, /^dead-letter-[0-9a-f]{32}$/)
    assert.equal((await send('GET', '/v1/streams/none')).status, 404)
    assert.equal((await send('PUT', '/v1/streams/events/records', '{"records": []}')).status, 400)
    assert.equal((await send('PUT', '/v1/streams/events/record', '{"Data": {')).status, 400)
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, price::VARCHAR AS price FROM demo.events ORDER BY id'), [
      { id: 1n, price: null },
      { id: 2n, price: null },
      { id: 9007199254740993n, price: '12345678901234567890.0123456789' },
    ])
  })
})

test('lines, arrays and gzip are taken, and every record is told of', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    const post = (body: string | Uint8Array, headers: Record<string, string>) =>
      send('POST', '/v1/streams/events/records', body, headers)
    const lines = await post('{"id":1}\n\nbad\r\n{"id":2}', { 'content-type': 'application/x-ndjson' })
    assert.equal(lines.status, 200)
    const { results, ...counts } = lines.body as { results: { status: string; offset?: number; code?: string }[] }
    assert.deepEqual(counts, { accepted: 2, deadLetters: 1, dropped: 0, repeated: 0, refused: 0, end: 2 })
    assert.deepEqual(
      results.map(({ status, offset, code }) => [status, offset ?? code]),
      [
        ['accepted', 0],
        ['dead-letter', 'InvalidJson'],
        ['accepted', 1],
      ],
    )
    const packed = gzipSync('[{"id":3},{"id":4}]')
    const array = await post(packed, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    assert.equal((array.body as { accepted: number }).accepted, 2)
    assert.equal((await post('x', { 'content-type': 'application/xml' })).status, 400)
    assert.equal((await post('x', { 'content-encoding': 'br', 'content-type': 'text/plain' })).status, 400)
    assert.equal((await post('x', { 'content-encoding': 'gzip', 'content-type': 'text/plain' })).status, 400)
    const bomb = gzipSync(Buffer.alloc(limits.streamRequestBytesMax + 1))
    assert.equal((await post(bomb, { 'content-encoding': 'gzip', 'content-type': 'text/plain' })).status, 413)
    assert.equal(
      (await post(Buffer.alloc(limits.streamRequestBytesMax + 1), { 'content-type': 'text/plain' })).status,
      413,
    )
    assert.equal(
      (await post('{"id":1}\n'.repeat(limits.streamRequestRecordsMax + 1), { 'content-type': 'text/plain' })).status,
      413,
    )
  })
})

test('headers make a repetition harmless, and tell of gaps', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const post = (body: string, headers: Record<string, string>) =>
      send('POST', '/v1/streams/events/records', body, { 'content-type': 'text/plain', ...headers })
    const first = await post('{"id":1}', { 'idempotency-key': 'a' })
    const again = await post('{"id":1}', { 'idempotency-key': 'a' })
    assert.deepEqual((again.body as { results: unknown }).results, (first.body as { results: unknown }).results)
    assert.equal((again.body as { repeated: number }).repeated, 1)
    assert.equal((await post('{"id":2}', { 'idempotency-key': 'a' })).status, 400)
    const numbered = (sequence: number) => ({ 'producer-id': 'p', 'producer-sequence': String(sequence) })
    assert.equal((await post('{"id":2}', numbered(0))).status, 200)
    assert.equal((await post('{"id":2}', numbered(0))).status, 200)
    const gap = await post('{"id":4}', numbered(2))
    assert.equal(gap.status, 409)
    assert.deepEqual((gap.body as { results: { code: string; expected: number }[] }).results[0]?.expected, 1)
    assert.equal((await post('{"id":4}', { 'producer-sequence': '1' })).status, 400)
    assert.equal((await post('{"id":4}', { ...numbered(1), 'idempotency-key': 'b' })).status, 400)
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events ORDER BY id'), [{ id: 1n }, { id: 2n }])
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
    assert.equal((await send('DELETE', '/v1/streams/more')).status, 204)
    assert.equal((await send('DELETE', '/v1/streams/more')).status, 404)
    assert.equal((await send('DELETE', '/v1/streams/events')).status, 409)
  })
})

test('the delivery stream protocol makes and removes streams, and holds its limits', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const call = async (operation: string, input: object | string) => {
      const { status, body } = await send(
        'POST',
        '/',
        typeof input === 'string' ? input : JSON.stringify(input),
        target(operation),
      )
      const { __type: type, ...rest } = body as { __type?: string }
      return type === undefined ? rest : `${status} ${type}`
    }
    const put = (records: unknown[]) => call('PutRecordBatch', { DeliveryStreamName: 'events', Records: records })
    assert.equal(await call('PutRecord', '{'), '400 SerializationException')
    assert.equal(await call('PutRecord', {}), '400 ValidationException')
    assert.equal(
      await call('PutRecord', { DeliveryStreamName: 'events', Record: { Data: '*' } }),
      '400 SerializationException',
    )
    assert.equal(await call('Nonsense', {}), '400 UnknownOperationException')
    assert.equal(await put([]), '400 ValidationException')
    assert.equal(await put(Array.from({ length: 501 }, () => ({ Data: base64({ id: 1 }) }))), '400 ValidationException')
    const large = Buffer.alloc(1000 * 1024, 0x20).toString('base64')
    assert.equal(await put([{ Data: Buffer.alloc(1000 * 1024 + 1).toString('base64') }]), '400 ValidationException')
    assert.equal(await put(Array.from({ length: 5 }, () => ({ Data: large }))), '400 InvalidArgumentException')

    const destination = (table: string) => ({
      IcebergDestinationConfiguration: {
        DestinationTableConfigurationList: [{ DestinationDatabaseName: 'demo', DestinationTableName: table }],
        BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 1 },
      },
    })
    assert.equal(
      await call('CreateDeliveryStream', { DeliveryStreamName: 'x', ...destination('none') }),
      '400 InvalidArgumentException',
    )
    assert.equal(await call('CreateDeliveryStream', { DeliveryStreamName: 'events' }), '400 ResourceInUseException')
    assert.equal(await call('CreateDeliveryStream', { DeliveryStreamName: 'x' }), '400 InvalidArgumentException')
    await bench.engine.streams.create('made', { table: 'demo.there', columns: { id: 'LONG' } })
    assert.deepEqual(await call('DeleteDeliveryStream', { DeliveryStreamName: 'made' }), {})
    const created = await call('CreateDeliveryStream', { DeliveryStreamName: 'x', ...destination('there') })
    assert.match(JSON.stringify(created), /deliverystream\/x/)
    const answer = await call('PutRecord', { DeliveryStreamName: 'x', Record: { Data: base64({ id: 7 }) } })
    assert.match(JSON.stringify(answer), /"RecordId":"\d{20}"/)
    assert.deepEqual(await call('ListDeliveryStreams', { Limit: 1 }), {
      DeliveryStreamNames: ['events'],
      HasMoreDeliveryStreams: true,
    })
    assert.deepEqual(await call('DeleteDeliveryStream', { DeliveryStreamName: 'x' }), {})
    assert.equal(await call('DescribeDeliveryStream', { DeliveryStreamName: 'x' }), '400 ResourceNotFoundException')
    assert.deepEqual(await bench.sql('SELECT id FROM demo.there'), [{ id: 7n }])
  })
})

test('a full disk and a backlog are told as such, with a time to come again', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const stream = bench.engine.streams.get('events')
    const accept = stream.accept.bind(stream)
    const fail = (fault: Fault) => {
      stream.accept = () => Promise.reject(fault)
    }
    const post = () => send('POST', '/v1/streams/events/records', '{"id":1}', { 'content-type': 'application/json' })
    fail(new Fault('unavailable', 'the disk is full'))
    const full = await post()
    assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '5'])
    fail(new Fault('unavailable', 'too much waits', { backlogBytes: 2 ** 30 }))
    const backlog = await post()
    assert.deepEqual([backlog.status, backlog.headers.get('retry-after')], [429, '2'])
    const aws = await send(
      'POST',
      '/',
      JSON.stringify({ DeliveryStreamName: 'events', Record: { Data: base64({ id: 1 }) } }),
      target('PutRecord'),
    )
    assert.deepEqual([aws.status, (aws.body as { __type: string }).__type], [503, 'ServiceUnavailableException'])
    stream.accept = accept
    assert.equal((await post()).status, 200)
  })
})

test('keys open what their scopes name, and nothing else', async () => {
  const keys = parseKeys(
    '# ours\nreader secret-of-the-reader read\nwriter secret-of-the-writer write; boss secret-of-the-boss admin',
    'test',
  )
  await withServer({ streams: { events } }, { keys }, async ({ send }) => {
    const list = (headers: Record<string, string>) =>
      send('GET', '/v1/streams', undefined, headers).then(({ status }) => status)
    const put = (headers: Record<string, string>) =>
      send('PUT', '/v1/streams/events/record', '{"Data":{"id":1}}', headers).then(({ status }) => status)
    const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
    assert.equal(await list({}), 401)
    assert.equal(await list(bearer('secret-of-the-nobody')), 401)
    assert.equal(await list(bearer('secret-of-the-reader')), 200)
    assert.equal(await list({ 'x-api-key': 'secret-of-the-writer' }), 403)
    assert.equal(await put(bearer('secret-of-the-reader')), 403)
    assert.equal(await put(bearer('secret-of-the-writer')), 200)
    assert.equal(await put(bearer('secret-of-the-boss')), 200)
    assert.equal((await send('DELETE', '/v1/streams/events', undefined, bearer('secret-of-the-writer'))).status, 403)
    const aws = await send('POST', '/', '{}', target('ListDeliveryStreams'))
    assert.deepEqual(
      [aws.status, (aws.body as { __type: string }).__type],
      [403, 'MissingAuthenticationTokenException'],
    )
    assert.equal((await send('GET', '/health')).status, 200)
  })
})

test('a list of keys with a mistake is refused without telling secrets', () => {
  for (const [text, complaint] of [
    ['a short read', /at least 16/],
    ['a secret-long-enough all', /scopes out of/],
    ['a secret-long-enough', /expected "<id> <secret> <scopes>"/],
    ['a secret-long-enough read\na secret-long-enough read', /line 2: there is a key "a" already/],
  ] as const) {
    assert.throws(
      () => parseKeys(text, 'keys'),
      (error: Error) => complaint.test(error.message) && !error.message.includes('secret-long'),
    )
  }
})

test('pages of other origins stay out unless they are named', async () => {
  const post = { 'content-type': 'text/plain', origin: 'https://shop.example.com' }
  await withServer({ streams: { events } }, {}, async ({ send, url }) => {
    assert.equal((await send('POST', '/v1/streams/events/records', '{"id":1}', post)).status, 403)
    const status = await new Promise<number>((done, fail) => {
      const call = request(`${url}/v1/streams`, { headers: { host: 'rebound.example.com' } }, (response) => {
        response.resume()
        done(response.statusCode ?? 0)
      })
      call.on('error', fail)
      call.end()
    })
    assert.equal(status, 403, 'a name that is not loopback')
  })
  await withServer({ streams: { events } }, { cors: ['https://shop.example.com'] }, async ({ send }) => {
    const reply = await send('POST', '/v1/streams/events/records', '{"id":1}', post)
    assert.deepEqual([reply.status, reply.headers.get('access-control-allow-origin')], [200, post.origin])
    const preflight = await send('OPTIONS', '/v1/streams/events/records', undefined, { origin: post.origin })
    assert.deepEqual(
      [preflight.status, preflight.headers.get('access-control-allow-methods')],
      [204, 'GET, PUT, POST, DELETE'],
    )
    assert.equal((await send('OPTIONS', '/v1/streams', undefined, { origin: 'https://evil.example' })).status, 403)
  })
})

test('the server listens to others only when there are keys', async () => {
  const open = withServer({}, { host: '0.0.0.0' }, async () => undefined)
  await assert.rejects(open, /give API keys/)
})

test('every path of the OpenAPI document is there', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, unexpected }) => {
    const document = (await send('GET', '/openapi.json')).body as ReturnType<typeof openApi>
    assert.deepEqual(document, JSON.parse(JSON.stringify(openApi())))
    const { paths } = document as { paths: Record<string, Record<string, unknown>> }
    for (const [path, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const { status, body } = await send(
          method.toUpperCase(),
          path.replace('{name}', 'none'),
          method === 'get' ? undefined : '',
        )
        assert.ok(
          status !== 405 && !JSON.stringify(body).includes('/openapi.json lists'),
          `${method} ${path}: ${status}`,
        )
      }
    }
    assert.match(JSON.stringify((await send('GET', '/nowhere')).body), /openapi\.json lists/)
    assert.deepEqual(unexpected, [])
  })
})
