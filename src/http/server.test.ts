import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import { systemClock } from '../base/clock.ts'
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
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
const typeOf = ({ body }: { body: unknown }) => (body as { __type?: string }).__type

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
    assert.equal(await list({}), 401)
    assert.equal(await list(bearer('secret-of-the-nobody')), 401)
    assert.equal(await list(bearer('secret-of-the-reader')), 200)
    assert.equal(await list({ 'x-api-key': 'secret-of-the-writer' }), 403)
    assert.equal(await put(bearer('secret-of-the-reader')), 403)
    assert.equal(await put(bearer('secret-of-the-writer')), 200)
    assert.equal(await put(bearer('secret-of-the-boss')), 200)
    assert.equal((await send('DELETE', '/v1/streams/events', undefined, bearer('secret-of-the-writer'))).status, 403)
    const sql = (secret: string) => send('POST', '/sql', '{"sql":"SELECT 1 AS one"}', bearer(secret))
    assert.deepEqual(
      [(await sql('secret-of-the-writer')).status, (await sql('secret-of-the-reader')).status],
      [403, 200],
    )
    const aws = await send('POST', '/', '{}', target('ListDeliveryStreams'))
    assert.deepEqual([aws.status, typeOf(aws)], [403, 'MissingAuthenticationTokenException'])
    const unknown = await send('POST', '/', '{}', {
      ...target('ListDeliveryStreams'),
      'x-api-key': 'nobody-knows-this',
    })
    assert.deepEqual([unknown.status, typeOf(unknown)], [403, 'UnrecognizedClientException'])
    for (const path of ['/health', '/health/live', '/health/ready', '/openapi.json'])
      assert.equal((await send('GET', path)).status, 200)
    assert.equal((await send('GET', '/metrics')).status, 401)
  })
})

test('a key for one stream reaches that stream by every way, and sees no other', async () => {
  const keys = parseKeys('shop secret-of-the-shop write:events,read:events', 'test')
  const other = { table: 'demo.other', columns: { id: 'LONG' } }
  await withServer({ streams: { events, other } }, { keys }, async ({ send }) => {
    const headers = bearer('secret-of-the-shop')
    const aws = async (operation: string, name: string) =>
      typeOf(
        await send(
          'POST',
          '/',
          JSON.stringify({ DeliveryStreamName: name, Record: { Data: Buffer.from('{"id":1}').toString('base64') } }),
          { ...headers, ...target(operation) },
        ),
      )
    assert.deepEqual((await send('GET', '/v1/streams', undefined, headers)).body, {
      DeliveryStreamNames: ['events'],
      HasMoreDeliveryStreams: false,
    })
    const put = (name: string) => send('PUT', `/v1/streams/${name}/record`, '{"Data":{"id":1}}', headers)
    assert.deepEqual([(await put('events')).status, (await put('other')).status], [200, 403])
    assert.deepEqual(
      [await aws('PutRecord', 'events'), await aws('PutRecord', 'other'), await aws('DescribeDeliveryStream', 'other')],
      [undefined, 'AccessDeniedException', 'AccessDeniedException'],
    )
    const names = await send('POST', '/', '{}', { ...headers, ...target('ListDeliveryStreams') })
    assert.deepEqual((names.body as { DeliveryStreamNames: string[] }).DeliveryStreamNames, ['events'])
    assert.equal((await send('POST', '/sql', '{"sql":"SELECT 1 AS one"}', headers)).status, 403)
  })
})

test('a key that has sent what it may is told when to come again, and others are not held up', async () => {
  const keys = parseKeys('slow secret-of-the-slow write records=1/s\nfast secret-of-the-fast write', 'test')
  // Time stands still: a slow machine must not give the key more to send.
  const clock = { ...systemClock, nowMs: () => 0 }
  await withServer({ streams: { events } }, { keys, clock }, async ({ send }) => {
    const post = (secret: string) =>
      send('POST', '/v1/streams/events/records', '{"id":1}\n{"id":2}\n{"id":3}\n', {
        ...bearer(secret),
        'content-type': 'application/x-ndjson',
      })
    assert.equal((await post('secret-of-the-slow')).status, 200)
    const refused = await post('secret-of-the-slow')
    assert.equal(refused.status, 429)
    assert.match(refused.headers.get('retry-after') ?? '', /^[12]$/)
    const aws = await send('POST', '/', '{}', { ...bearer('secret-of-the-slow'), ...target('PutRecord') })
    assert.deepEqual([aws.status, typeOf(aws)], [503, 'ServiceUnavailableException'])
    assert.match((aws.body as { message: string }).message, /^Slow down\./)
    assert.equal((await post('secret-of-the-fast')).status, 200)
  })
})

test('a name of one key is another name for another key', async () => {
  const keys = parseKeys('one secret-of-number-one write\ntwo secret-of-number-two write', 'test')
  await withServer({ streams: { events } }, { keys }, async ({ send, bench }) => {
    const post = (secret: string, epoch: number) =>
      send('POST', '/v1/streams/events/records', '{"id":1}', {
        ...bearer(secret),
        'content-type': 'application/x-ndjson',
        'producer-id': 'p',
        'producer-epoch': String(epoch),
        'producer-sequence': '0',
      })
    assert.equal((await post('secret-of-number-one', 0)).status, 200)
    assert.equal((await post('secret-of-number-two', 7)).status, 200)
    const again = await post('secret-of-number-one', 0)
    assert.deepEqual([again.status, (again.body as { repeated: number }).repeated], [200, 1])
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 2 }])
  })
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
