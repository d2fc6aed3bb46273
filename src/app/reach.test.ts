import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { cli, inTempDir } from '../../test/support/cli.ts'
import { FakeS3, type Trouble } from '../../test/support/fake-s3.ts'
import { isFault } from '../base/fault.ts'
import type { S3Connection } from '../store/s3-connection.ts'
import { type ConfigInput, parseConfig } from './config.ts'
import { homeAt } from './home.ts'
import { awaitWarehouse, lookAtWarehouse, lookOutside, type Reach, requireWarehouse } from './reach.ts'

const keys = { 'client.access-key-id': 'id', 'client.secret-access-key': 'secret' }

function propertiesOf({ endpoint = '' }: S3Connection): Record<string, string> {
  return { 's3.endpoint': endpoint, 's3.access-key-id': 'id', 's3.secret-access-key': 'secret' }
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/** A server of queues' protocol that says one thing. */
async function queueServer(status: number, answer: object): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/1/q` }
}

async function looked(input: ConfigInput, dir: string, lookMs?: number): Promise<Map<string, Reach[]>> {
  const found = new Map<string, Reach[]>()
  const options = {
    home: homeAt(path.join(dir, 'home')),
    config: parseConfig(input, 'the test'),
    configDir: dir,
    ...(lookMs !== undefined && { lookMs }),
  }
  await lookOutside(options, (each) => found.set(each.subject, [...(found.get(each.subject) ?? []), each]))
  return found
}

const kinds = (found: readonly Reach[] = []) => found.map((each) => ('cause' in each ? each.cause : each.level))

test('every bucket, queue and topic is looked at by itself: one that is down, or says no, changes nothing of the others', async () => {
  const fake = await FakeS3.start()
  const queues = await Promise.all([
    queueServer(200, { Attributes: { ApproximateNumberOfMessages: '7', ApproximateNumberOfMessagesNotVisible: '1' } }),
    queueServer(400, { __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'no such queue' }),
    queueServer(403, { __type: 'com.amazon.coral.service#AccessDeniedException', message: 'not authorized' }),
    queueServer(403, { __type: 'com.amazon.coral.service#InvalidClientTokenId', message: 'the token is invalid' }),
  ])
  const nobody = `127.0.0.1:${await freePort()}`
  try {
    fake.objects.set('/good/in/a', { bytes: Buffer.from('a'), metadata: {} })
    const troubles: Record<string, Trouble> = {
      '/secret': { kind: 'error', status: 403, code: 'SignatureDoesNotMatch' },
      '/none': { kind: 'error', status: 404, code: 'NoSuchBucket' },
      '/slow': { kind: 'silence' },
    }
    fake.trouble = ({ path: asked }) => troubles[asked] ?? null
    // Two questions to each of four buckets are there before the first is answered: nobody waits for another.
    const all = Promise.withResolvers<void>()
    fake.hold = all.promise
    const counting = setInterval(() => fake.seen.length >= 8 && all.resolve(), 10).unref()
    const urls = queues.map(({ url }) => url)
    await inTempDir(async (dir) => {
      const found = await looked(
        {
          s3: {
            default: propertiesOf(fake.connection),
            down: propertiesOf({ ...fake.connection, endpoint: `http://${nobody}` }),
          },
          objects: {
            buckets: { good: { prefix: 'in/' }, secret: {}, none: {}, slow: {}, down: { s3: 'down' }, '*': {} },
            sources: {
              well: { type: 'sqs', queueUrl: urls[0] ?? '', ...keys },
              absent: { type: 'sqs', queueUrl: urls[1] ?? '', ...keys },
              shy: { type: 'sqs', queueUrl: urls[2] ?? '', ...keys },
              wrong: { type: 'sqs', queueUrl: urls[3] ?? '', ...keys },
              gone: { type: 'sqs', queueUrl: `http://${nobody}/1/q`, ...keys },
              topic: { type: 'kafka', brokers: [nobody], topics: ['t'] },
              untrusted: { type: 'kafka', brokers: [nobody], topics: ['u'], tls: { caFile: 'none.pem' } },
              hook: { type: 'webhook', token: 'a-token-of-sixteen' },
            },
          },
          streams: { clicks: { table: 'default.clicks', columns: { a: 'string' } } },
          sources: { lines: { stream: 'clicks', kafka: { brokers: [nobody], topics: ['l'] } } },
        },
        dir,
        3_000,
      )
      assert.deepEqual(Object.fromEntries([...found].map(([subject, each]) => [subject, kinds(each)])), {
        'bucket good': ['ok'],
        'bucket secret': ['settings'],
        'bucket none': ['settings'],
        'bucket slow': ['outage'],
        'bucket down': ['outage'],
        'bucket *': ['note'],
        'queue well': ['ok'],
        'queue absent': ['settings'],
        'queue shy': ['note'],
        'queue wrong': ['settings'],
        'queue gone': ['outage'],
        'topics topic': ['outage'],
        'topics untrusted': ['settings'],
        'topics lines': ['outage'],
      })
      const message = (subject: string) => found.get(subject)?.[0]?.message ?? ''
      assert.match(message('bucket secret'), /check s3\.access-key-id and s3\.secret-access-key/)
      assert.match(message('bucket none'), /no such bucket; is its name right/)
      assert.match(message('bucket slow'), /within 3000 ms/)
      assert.match(message('queue well'), /7 messages wait, 1 are/)
      assert.match(message('queue absent'), /check queueUrl and region/)
      assert.match(message('topics untrusted'), /objects\.sources\.untrusted\.tls\.caFile/)
      clearInterval(counting)
      assert.ok(!fake.seen.some(({ method }) => method !== 'GET'), 'nothing is written')
    })
  } finally {
    await fake.close()
    for (const { server } of queues) server.close()
  }
})

test('a bucket that stands for a directory of this home is not asked for in a store', async () => {
  await inTempDir(async (dir) => {
    await mkdir(path.join(dir, 'home', 'state'), { recursive: true })
    await writeFile(path.join(dir, 'home', 'state', 'directories.json'), '{"photos": "/the/photos"}')
    const found = await looked({ objects: { buckets: { photos: {} } } }, dir)
    assert.match(found.get('bucket photos')?.[0]?.message ?? '', /stands for the directory \/the\/photos/)
  })
})

test('a warehouse that says no would never do, and one that does not answer may yet', async () => {
  const fake = await FakeS3.start()
  try {
    const home = homeAt('/nowhere')
    const look = async (trouble: Trouble | null) => {
      fake.trouble = () => trouble
      const input = { s3: { default: propertiesOf(fake.connection) }, warehouse: { location: 's3://lake/tables' } }
      return lookAtWarehouse({ home, config: parseConfig(input, 'the test'), configDir: '/', lookMs: 1_000 })
    }
    requireWarehouse(await look(null))
    assert.equal(fake.seen.find(({ query }) => query.has('list-type'))?.query.get('prefix'), 'tables/')
    requireWarehouse(await look({ kind: 'silence' }))
    const refused = await look({ kind: 'error', status: 403, code: 'InvalidAccessKeyId' })
    assert.throws(
      () => requireWarehouse(refused),
      (error) => isFault(error, 'unavailable') && /InvalidAccessKeyId.*check s3\.access-key-id/.test(error.message),
    )
    assert.deepEqual(await lookAtWarehouse({ home, config: parseConfig({}, 'the test'), configDir: '/' }), [])
  } finally {
    await fake.close()
  }
})

test('a warehouse that does not answer is waited for until it does, says no, the time is over, or a signal comes', async () => {
  const fake = await FakeS3.start()
  try {
    const input = { s3: { default: propertiesOf(fake.connection) }, warehouse: { location: 's3://lake/tables' } }
    const options = { home: homeAt('/nowhere'), config: parseConfig(input, 'the test'), configDir: '/', lookMs: 1_000 }
    const outages: (readonly Reach[])[] = []
    const ending = new AbortController()
    const waiting = (waitMs: number) =>
      awaitWarehouse(options, { signal: ending.signal, onOutage: (found) => outages.push(found), waitMs })
    const down = { kind: 'lost request' } as const
    const no = { kind: 'error', status: 403, code: 'InvalidAccessKeyId' } as const
    /** Down at the first look, and `then` afterwards. */
    const after = (then: Trouble | null) => {
      outages.length = 0
      fake.trouble = () => (outages.length === 0 ? down : then)
    }
    after(null)
    assert.deepEqual(kinds((await waiting(60_000)) ?? []), ['ok'])
    assert.deepEqual(outages.map(kinds), [['outage']])
    after(no)
    await assert.rejects(waiting(60_000), /cannot be used.*InvalidAccessKeyId/)
    assert.equal(outages.length, 1)
    after(down)
    await assert.rejects(
      waiting(3_000),
      (error) => isFault(error, 'unavailable') && /did not answer for 3 s.*start again when/.test(error.message),
    )
    assert.equal(outages.length, 1, 'it is told once')
    after({ kind: 'silence' })
    const waits = waiting(60_000)
    const telling = setInterval(() => outages.length > 0 && ending.abort(), 10).unref()
    assert.equal(await waits, null)
    clearInterval(telling)
    assert.equal(await waiting(60_000), null)
  } finally {
    await fake.close()
  }
})

test('doctor tells each, with what to do, and leaves tables alone whose warehouse cannot be reached', async () => {
  const fake = await FakeS3.start()
  try {
    fake.objects.set('/photos/a', { bytes: Buffer.from('a'), metadata: {} })
    fake.trouble = ({ path: asked }) =>
      asked === '/lake' ? { kind: 'error', status: 404, code: 'NoSuchBucket' } : null
    await inTempDir(async (dir) => {
      const config = path.join(dir, 'config.json')
      const input: ConfigInput = {
        s3: { default: propertiesOf(fake.connection) },
        objects: { buckets: { photos: {} } },
        warehouse: { location: 's3://lake/tables' },
      }
      await writeFile(config, JSON.stringify(input))
      const home = path.join(dir, 'home')
      const { code, stdout } = await cli(['doctor', '--json', '--home', home, '--config', config])
      const found = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { subject: string; level: string; cause?: string })
      assert.deepEqual(
        found.map(({ subject, level, cause }) => [subject, level, cause ?? null]),
        [
          ['warehouse', 'problem', 'settings'],
          ['bucket photos', 'ok', null],
          ['tables', 'note', null],
        ],
      )
      assert.equal(code, 5)
    })
  } finally {
    await fake.close()
  }
})
