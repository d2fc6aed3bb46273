import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withServer } from '../../test/support/http-bench.ts'
import { fitsRequest } from '../../test/support/openapi-check.ts'
import { limits } from '../base/limits.ts'

const events = {
  table: 'demo.events',
  columns: { id: 'LONG NOT NULL', price: 'DECIMAL(30,10)' },
}
interface Ids {
  FailedPutCount: number
  RequestResponses: { RecordId?: string; ErrorCode?: string; ErrorMessage?: string }[]
}

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
    assert.equal(one.headers.get('tidewater-end'), '1')
    const body = JSON.stringify({ records: [{ data: '{"id": 1}\n' }, { data: 'no json' }, { data: { id: 2 } }] })
    assert.ok(fitsRequest('PUT', '/v1/streams/events/records', 'application/json', JSON.parse(body)))
    const several = await send('PUT', '/v1/streams/events/records', body)
    const { FailedPutCount, RequestResponses } = several.body as Ids
    assert.equal(FailedPutCount, 0)
    assert.match(RequestResponses[1]!.RecordId ?? '', /^dead-letter-[0-9a-f]{32}$/)
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, price::VARCHAR AS price FROM demo.events ORDER BY id'), [
      { id: 1n, price: null },
      { id: 2n, price: null },
      { id: 9007199254740993n, price: '12345678901234567890.0123456789' },
    ])
  })
})

test('what the service refuses is 400 with its own document', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    const told = async (method: string, path: string, body?: string) => {
      const reply = await send(method, path, body)
      const { __type: type, error } = reply.body as { __type: string; error: { kind: string } }
      return [reply.status, type, error.kind]
    }
    const notFound = [400, 'ResourceNotFoundException', 'not-found']
    assert.deepEqual(await told('GET', '/v1/streams/none'), notFound)
    assert.deepEqual(await told('PUT', '/v1/streams/none/record', '{"Data":{}}'), notFound)
    const invalid = [400, 'InvalidArgumentException', 'invalid']
    for (const body of ['{"records": []}', '{"records": {}}', '[]', '', '{"records": [{"data": 1}'])
      assert.deepEqual(await told('PUT', '/v1/streams/events/records', body), invalid, body)
    for (const body of ['{"Data": {', '{"Data": nonsense}', '{}', '{"Data": null}'])
      assert.deepEqual(await told('PUT', '/v1/streams/events/record', body), invalid, body)
  })
})

test('a malformed element is refused alone, and one that is too large is refused and not cut', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const large = JSON.stringify({ id: 3, note: 'x'.repeat(limits.streamRecordBytesMax) })
    const reply = await send(
      'PUT',
      '/v1/streams/events/records',
      `{"records": [{"data": {"id": 1}}, {"dat": 1}, 7, {"data": nonsense}, {"data": ${large}}, {"data": {"id":2}, "operation": "swap"}, {"data": "{\\"id\\": 4}"}]}`,
    )
    const { FailedPutCount, RequestResponses } = reply.body as Ids
    assert.deepEqual([reply.status, FailedPutCount], [200, 5])
    assert.deepEqual(
      RequestResponses.map(({ ErrorCode }) => ErrorCode),
      [
        undefined,
        'MalformedRecord',
        'MalformedRecord',
        'MalformedRecord',
        'RecordTooLarge',
        'MalformedRecord',
        undefined,
      ],
    )
    assert.match(RequestResponses[1]!.ErrorMessage ?? '', /^records\[1\]: expected/)
    const alone = await send('PUT', '/v1/streams/events/record', `{"Data": ${large}}`)
    assert.deepEqual([alone.status, (alone.body as { __type: string }).__type], [400, 'InvalidArgumentException'])
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events ORDER BY id'), [{ id: 1n }, { id: 4n }])
    assert.deepEqual(await bench.sql('SELECT * FROM tidewater.dead_letters'), [])
  })
})

test('records that nothing was taken of are no success', async () => {
  await withServer({ streams: { events } }, {}, async ({ send }) => {
    const headers = { 'producer-id': 'p', 'producer-sequence': '5' }
    const one = await send('PUT', '/v1/streams/events/record', '{"Data":{"id":1}}', headers)
    assert.deepEqual([one.status, (one.body as { __type: string }).__type], [400, 'InvalidArgumentException'])
    assert.match(JSON.stringify(one.body), /expected sequence 0/)
    const several = await send('PUT', '/v1/streams/events/records', '{"records":[{"data":{"id":1}}]}', headers)
    assert.equal(several.status, 400)
  })
})

test('several objects in one record become a row each, and numbers of one record each are kept apart', async () => {
  await withServer({ streams: { events } }, {}, async ({ send, bench }) => {
    const data = '{"id":1}{"id":2}\n{"id":3}'
    const one = await send('PUT', '/v1/streams/events/record', JSON.stringify({ Data: data }))
    assert.deepEqual(one.body, { RecordId: '00000000000000000002', Encrypted: false })
    const marked = (id: string, sequence: number, value: number) => ({
      data: { id: value },
      producer: { id, sequence },
    })
    const body = { records: [marked('a', 0, 10), marked('b', 0, 20), marked('a', 1, 11), marked('b', 0, 20)] }
    assert.ok(fitsRequest('PUT', '/v1/streams/events/records', 'application/json', body))
    const reply = await send('PUT', '/v1/streams/events/records', JSON.stringify(body))
    assert.deepEqual(
      (reply.body as Ids).RequestResponses.map(({ RecordId }) => RecordId?.replace(/^0+/, '')),
      ['3', '4', '5', 'repeated'],
    )
    await bench.engine.drain()
    const [row] = await bench.sql('SELECT list(id ORDER BY id)::VARCHAR AS ids FROM demo.events')
    assert.deepEqual(row, { ids: '[1, 2, 3, 10, 11, 20]' })
  })
})

test('a record is waited for until it is in a snapshot, or until the time is over', async () => {
  await withServer({ streams: { events: { ...events, buffer: { seconds: 0 } } } }, {}, async ({ send, bench }) => {
    const put = (query: string) => send('PUT', `/v1/streams/events/record${query}`, '{"Data":{"id":1}}')
    const late = await put('?wait=committed&timeout=0.05')
    assert.deepEqual([late.status, late.headers.get('tidewater-committed')], [202, 'false'])
    bench.engine.start(() => undefined)
    const done = await put('?wait=committed')
    assert.deepEqual([done.status, done.headers.get('tidewater-committed')], [200, 'true'])
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 2 }])
    for (const query of ['?wait=written', '?wait=committed&timeout=x', '?timeout=1', '?wait=committed&timeout=301'])
      assert.equal((await put(query)).status, 400, query)
  })
})
