import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { withServer } from '../../test/support/http-bench.ts'
import type { ConfigInput } from '../app/config.ts'
import { Room } from '../service/objects/sources/room.ts'
import { ObjectSources } from '../service/objects/sources/sources.ts'
import { parseKeys } from './access.ts'

const TOKEN = 'the-token-of-the-hook'
const config: ConfigInput = {
  objects: { sources: { hook: { type: 'webhook', token: TOKEN }, open: { type: 'webhook' } } },
}
const path = '/v1/notifications/hook'
const bearer = { authorization: `Bearer ${TOKEN}` }

interface Recorded {
  case: string
  bucket: string
  key: string
  body: string
}

function recorded(name: string): Recorded[] {
  const text = readFileSync(new URL(`../../test/golden/payloads/${name}.jsonl`, import.meta.url), 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded)
}

for (const store of ['minio-webhook', 'versitygw-webhook'])
  test(`everything that ${store} was recorded to send is in the journal with its true key`, async () => {
    await withServer(config, {}, async ({ bench, send }) => {
      bench.engine.objectSources.start()
      const messages = recorded(store)
      for (const { body, case: name } of messages) {
        const { status, body: told } = await send('POST', path, body, bearer)
        const { accepted, deadLetters, ignored } = told as { accepted: number; deadLetters: number; ignored: number }
        assert.deepEqual([status, accepted + ignored + deadLetters], [200, 1], name)
      }
      await bench.engine.drain()
      const rows = await bench.sql('SELECT DISTINCT bucket, key FROM aws_s3_metadata.mdblogs3metadata')
      const found = new Set(rows.map((row) => `${row['bucket']}/${row['key']}`))
      // A delete of many names each key in a message of its own; a form's event of versitygw has no key.
      for (const { bucket, key, case: name } of messages)
        if (!/delete-many|delete-missing|post-form/.test(name))
          assert.ok(found.has(`${bucket}/${key}`), `${name}: ${key}`)
      const [status] = bench.engine.objectSources.status()
      assert.equal(status?.received, messages.length)
    })
  })

test('only who shows the token comes in, in any way that a sender can show it', async () => {
  await withServer(config, {}, async ({ bench, send }) => {
    bench.engine.objectSources.start()
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
    const post = (headers: Record<string, string>) => send('POST', path, '{"Records":[]}', headers)
    for (const headers of [bearer, { authorization: TOKEN }, { 'x-api-key': TOKEN }, basic(`minio:${TOKEN}`)])
      assert.deepEqual((await post(headers)).body, { accepted: 0, deadLetters: 0, ignored: 1 })
    for (const headers of [{}, { authorization: 'Bearer another-token-of-no-use' }, basic(TOKEN), { 'x-api-key': '' }])
      assert.equal((await post(headers as Record<string, string>)).status, 401, JSON.stringify(headers))
    assert.equal((await send('GET', path)).status, 200, 'senders that look first show nothing')
  })
})

test('a source without a token is for keys that may write, and unknown ones are told of to these alone', async () => {
  const keys = parseKeys('writer secret-of-the-writer write; reader secret-of-the-reader read', 'test')
  await withServer(config, { keys }, async ({ bench, send }) => {
    bench.engine.objectSources.start()
    const post = async (name: string, secret: string) =>
      (await send('POST', `/v1/notifications/${name}`, '[]', { authorization: `Bearer ${secret}` })).status
    assert.equal(await post('open', 'secret-of-the-writer'), 200)
    assert.equal(await post('open', 'secret-of-the-reader'), 403)
    assert.equal(await post('open', TOKEN), 401)
    assert.equal(await post('hook', 'secret-of-the-writer'), 401)
    assert.equal(await post('nothing', 'secret-of-the-writer'), 404)
    assert.equal(await post('nothing', TOKEN), 401)
  })
})

test('what cannot be understood is a dead letter with its bytes, and tells nothing but that', async () => {
  await withServer(config, {}, async ({ bench, send }) => {
    bench.engine.objectSources.start()
    const post = async (body: string | Uint8Array, headers = {}) =>
      (await send('POST', path, body, { ...bearer, ...headers })).body
    assert.deepEqual(await post('not JSON'), { accepted: 0, deadLetters: 1, ignored: 0 })
    assert.deepEqual(await post(Buffer.from([0xff, 0xfe, 0x01])), { accepted: 0, deadLetters: 1, ignored: 0 })
    assert.deepEqual(await post(''), { accepted: 0, deadLetters: 0, ignored: 1 })
    assert.deepEqual(await post('{"Event":"s3:TestEvent","Service":"S3"}'), { accepted: 0, deadLetters: 0, ignored: 1 })
    const packed = gzipSync(recorded('minio-webhook')[0]?.body ?? '')
    assert.deepEqual(await post(packed, { 'content-encoding': 'gzip' }), { accepted: 1, deadLetters: 0, ignored: 0 })
    await bench.engine.drain()
    const letters = await bench.sql(
      "SELECT code, subject, hex(payload) AS bytes FROM tidewater.dead_letters WHERE stage = 'source' ORDER BY code",
    )
    assert.deepEqual(letters, [
      { code: 'not-json', subject: 'webhook hook', bytes: Buffer.from('not JSON').toString('hex').toUpperCase() },
      { code: 'not-utf8', subject: 'webhook hook', bytes: 'FFFE01' },
    ])
  })
})

test('a body beyond the bound, and a message of SNS, are refused with what to do', async () => {
  await withServer(config, {}, async ({ bench, send }) => {
    bench.engine.objectSources.start()
    assert.equal((await send('POST', path, Buffer.alloc(8 * 1024 * 1024 + 1, 32), bearer)).status, 413)
    const sns = { ...bearer, 'x-amz-sns-message-type': 'SubscriptionConfirmation' }
    const refused = await send('POST', path, '{}', sns)
    assert.equal(refused.status, 400)
    assert.match(JSON.stringify(refused.body), /subscribe a queue/)
  })
})

test('while there is no room a sender is told to come again, and the source tells why', async () => {
  await withServer(config, {}, async ({ bench }) => {
    const { engine } = bench
    const full = new Room(
      { clock: engine.clock, dir: bench.dir, waitingEvents: () => 7, waitingChanges: () => [] },
      { objectsBacklogEntriesMax: 6, objectsTableBacklogEntriesMax: 6, objectsFreeBytesMin: 0 },
    )
    const objectSources = new ObjectSources({
      configured: new Map([['hook', { type: 'webhook', token: () => TOKEN }]]),
      objects: engine.objects,
      deadLetters: engine.deadLetters,
      room: full,
      positions: { path: '', read: async () => null, write: async () => undefined },
      clock: engine.clock,
      notice: () => undefined,
    })
    objectSources.start()
    await withServer(config, { objectSources }, async ({ send }) => {
      const reply = await send('POST', path, recorded('minio-webhook')[0]?.body, bearer)
      assert.equal(reply.status, 503)
      assert.equal(reply.headers.get('retry-after'), '5')
      assert.match(JSON.stringify(reply.body), /7 events wait to be passed on, at most 6 may/)
      assert.match(objectSources.status()[0]?.trouble ?? '', /7 events wait/)
    })
  })
})
