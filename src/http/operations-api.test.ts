import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpBench, withServer } from '../../test/support/http-bench.ts'
import { parseKeys } from './access.ts'

const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL' } }
const put = ({ send }: HttpBench, ...values: unknown[]) =>
  send('POST', '/v1/streams/events/records', JSON.stringify(values), { 'content-type': 'application/json' })

interface Status {
  waiting: number
  version: number
  settings: { unknownFields: string }
  freshness: { paused: boolean; oldestWaitingMs: number | null; destinations: { committed: number }[] }
}

interface Entries {
  entries: { offset: number; table: string; operation: string; row: object }[]
  passedOver: number
  next: number
  committed: number
}

test('commits are held back, made, and let go, and the status says how far the stream is behind', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const operate = async (what: string) =>
      (await http.send('POST', `/v1/streams/events/${what}`)).body as unknown as Status
    assert.equal((await operate('pause')).freshness.paused, true)
    await put(http, { id: 1 }, { id: 2 })
    const status = (await http.send('GET', '/v1/streams/events/status')).body as Status
    assert.equal(status.waiting, 2)
    assert.ok((status.freshness.oldestWaitingMs ?? -1) >= 0)
    const drained = await operate('drain')
    assert.deepEqual([drained.waiting, drained.freshness.paused], [0, true])
    assert.deepEqual(
      drained.freshness.destinations.map(({ committed }) => committed),
      [2],
    )
    assert.equal((await operate('resume')).freshness.paused, false)
    assert.equal((await http.send('POST', '/v1/streams/none/pause')).status, 404)
  })
})

test('settings of a stream made by request are changed by request, those of the configuration are not', async () => {
  await withServer({ streams: { fixed: { ...events, table: 'demo.fixed' } } }, {}, async ({ send }) => {
    await send('PUT', '/v1/streams/events', JSON.stringify(events))
    const changed = JSON.stringify({ ...events, unknownFields: 'drop' })
    const { version, settings } = (await send('POST', '/v1/streams/events/update', changed)).body as Status
    assert.deepEqual([version, settings.unknownFields], [2, 'drop'])
    assert.equal((await send('POST', '/v1/streams/fixed/update', changed)).status, 409)
    assert.equal((await send('POST', '/v1/streams/events/update', '{"table"')).status, 400)
  })
})

test('entries are read as they come, and an answer waits for them', async () => {
  await withServer({ streams: { events } }, {}, async (http) => {
    const entries = async (query: string) =>
      (await http.send('GET', `/v1/streams/events/entries?${query}`)).body as unknown as Entries
    assert.deepEqual(await entries('from=0'), { entries: [], passedOver: 0, next: 0, committed: 0 })
    const waiting = entries('timeout=20')
    await put(http, { id: 7 })
    const { entries: found, next } = await waiting
    assert.deepEqual(found, [{ offset: 0, table: 'demo.events', operation: 'upsert', row: { id: 7 } }])
    assert.equal(next, 1)
    await put(http, { id: 8 })
    await http.bench.engine.drain()
    const late = await entries('from=0')
    assert.equal(late.committed, 2)
    assert.equal(late.passedOver + late.entries.length, 2)
    for (const query of ['from=3', 'from=x', 'timeout=1000'])
      assert.equal((await http.send('GET', `/v1/streams/events/entries?${query}`)).status, 400)
  })
})

test('dead letters are sent again while the server lives, by keys that may do everything', async () => {
  const keys = parseKeys('all 0123456789abcdef-all admin,write\none 0123456789abcdef-one admin:events\n', 'the keys')
  await withServer({}, { keys }, async ({ send, bench }) => {
    const by = (secret: string) => ({ authorization: `Bearer 0123456789abcdef-${secret}` })
    await send('PUT', '/v1/streams/events', JSON.stringify(events), by('all'))
    await send('POST', '/v1/streams/events/records', '[{"id":1,"x":1},{"id":"y"}]', {
      ...by('all'),
      'content-type': 'application/json',
    })
    await send('POST', '/v1/streams/events/update', JSON.stringify({ ...events, unknownFields: 'drop' }), by('one'))
    assert.equal((await send('POST', '/v1/deadletters/replay', '', by('one'))).status, 403)
    const replayed = await send('POST', '/v1/deadletters/replay', '{"stage":"record"}', by('all'))
    assert.deepEqual(replayed.body, { replayed: 1, failed: 1, cut: 0, next: null })
    for (const body of ['{"all":true}', '{"after":"x"}', '{"ids":["*"]}'])
      assert.equal((await send('POST', '/v1/deadletters/replay', body, by('all'))).status, 400)
    const ofObjects = await send('POST', '/v1/deadletters/replay', '{"stage":"extract"}', by('all'))
    assert.equal(ofObjects.status, 200, 'letters of objects too, of which there are none')
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events'), [{ id: 1n }])
  })
})
