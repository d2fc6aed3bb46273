import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { problemsOf as problemsOfConfig } from '../../test/support/config-problems.ts'
import { parseConfig } from './config.ts'
import { openObjectSources, queueConnection, regionOfQueue } from './object-sources.ts'
import { secretNotes } from './secrets.ts'

const queueUrl = 'https://sqs.eu-central-1.amazonaws.com/111122223333/uploads'

const problemsOf = (sources: unknown) => problemsOfConfig({ objects: { sources } })

test('sources of objects are checked with everything else, each problem at its path', () => {
  assert.deepEqual(problemsOf({ a: { type: 'sqs', queueUrl }, b: { type: 'webhook' } }), [])
  assert.deepEqual(
    problemsOf({
      c: { type: 'kafka', brokers: ['h:9092'], topics: ['t'], sasl: { mechanism: 'OAUTHBEARER', tokenVariable: 'T' } },
    }),
    [],
  )
  const problems = problemsOf({
    a: { type: 'sqs', queueUrl: 'uploads', receivers: 99 },
    b: { type: 'sns' },
    c: { type: 'kafka', brokers: ['h'], topics: [], columns: {} },
    d: { type: 'sqs', queueUrl, 'client.access-key-id': 'x' },
    'e/f': { type: 'webhook' },
  })
  for (const [where, what] of [
    ['a.queueUrl', /http:/],
    ['a.receivers', /32/],
    ['b.type', /expected one of "sqs", "webhook", "kafka", "directory", got "sns"/],
    ['c.brokers.0', /host:port/],
    ['c.topics', /1/],
    ['c', /columns/],
    ['d', /together/],
    ['e/f', /expected .*, got "e\/f"/],
  ] as const)
    assert.ok(
      problems.some((line) => line.startsWith(`objects.sources.${where}`) && what.test(line)),
      `${where}: ${problems.join('\n')}`,
    )
})

test('the region of a queue is that of its address, where the address says one', () => {
  const cases: [string, Record<string, string>, string | null][] = [
    [queueUrl, { AWS_REGION: 'us-west-2' }, 'eu-central-1'],
    ['https://sqs-fips.us-gov-west-1.amazonaws.com/1/q', {}, 'us-gov-west-1'],
    ['https://sqs.cn-north-1.amazonaws.com.cn/1/q', {}, 'cn-north-1'],
    ['https://vpce-0a1b-x.sqs.eu-west-1.vpce.amazonaws.com/1/q', {}, 'eu-west-1'],
    ['https://eu-west-2.queue.amazonaws.com/1/q', {}, 'eu-west-2'],
    ['https://queue.amazonaws.com/1/q', {}, null],
    ['http://127.0.0.1:9324/000000000000/q', {}, 'us-east-1'],
    ['http://127.0.0.1:9324/000000000000/q', { AWS_REGION: 'eu-west-3' }, null],
  ]
  for (const [url, env, expected] of cases) assert.equal(regionOfQueue(url, env), expected, url)
})

test('a queue takes region and credentials from a connection of s3, where it has none of its own', () => {
  const s3 = { other: { 'client.region': 'eu-west-1', 's3.access-key-id': 'id', 's3.secret-access-key': 'key' } }
  const queueAt = (more: object) => {
    const { objects } = parseConfig({ objects: { sources: { q: { type: 'sqs', queueUrl, ...more } } }, s3 }, 'the file')
    const settings = objects.sources['q']
    assert.ok(settings?.type === 'sqs')
    return queueConnection(settings, s3, 'objects.sources.q')
  }
  const own = { 'client.access-key-id': 'mine', 'client.secret-access-key': 'too' }
  assert.deepEqual(queueAt({}), { queueUrl, endpoint: null, region: 'eu-central-1', credentials: null })
  const named = queueAt({ s3: 'other', 'sqs.endpoint': 'http://127.0.0.1:1' })
  assert.deepEqual([named.region, named.endpoint], ['eu-west-1', 'http://127.0.0.1:1'])
  assert.deepEqual(named.credentials, { accessKeyId: 'id', secretAccessKey: 'key' })
  assert.equal(queueAt({ s3: 'other', ...own }).credentials?.accessKeyId, 'mine')
  assert.throws(
    () => queueAt({ s3: 'none' }),
    /objects\.sources\.q\.s3: expected the name of a connection of s3, got "none"; there are: other/,
  )
})

test('secrets that stand in the file are told of, and those of variables are not', () => {
  const { objects } = parseConfig(
    {
      objects: {
        sources: {
          a: { type: 'webhook', token: 'a-token-in-the-file' },
          b: { type: 'webhook', token: 'env:HOOK' },
          c: { type: 'sqs', queueUrl, 'client.access-key-id': 'x', 'client.secret-access-key': 'y' },
          d: { type: 'sqs', queueUrl, 'client.access-key-id': 'x', 'client.secret-access-key': 'env:KEY' },
        },
      },
    },
    'the file',
  )
  const notes = secretNotes(objects.sources)
  assert.deepEqual(
    notes.map((note) => note.split(':')[0]),
    ['objects.sources.a.token', 'objects.sources.c.client.secret-access-key'],
  )
  assert.ok(!notes.join().includes('a-token-in-the-file'))
})

test('a token that is not there or too short keeps sources from starting, by its path', () => {
  const open = (token: string) =>
    openObjectSources({
      configured: parseConfig({ objects: { sources: { hook: { type: 'webhook', token } } } }, 'f').objects.sources,
      s3: {},
      configDir: '.',
      stateDir: '.',
      objects: { accept: async () => 0, accepted: 0, passed: async () => undefined },
      attachDirectory: () => Promise.reject(new Error('no')),
      deadLetters: { add: async () => undefined },
      room: { full: async () => null },
      clock: { nowMs: () => 0, sleep: async () => undefined },
      notice: () => undefined,
    })
  assert.throws(
    () => open('env:NO_SUCH_VARIABLE').start(),
    /objects\.sources\.hook\.token: the environment has no variable/,
  )
  assert.throws(() => open('short').start(), /objects\.sources\.hook\.token: expected at least 16 characters/)
})

test('positions of topics are kept in the state folder, and a file that is none of ours is told of', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-positions-'))
  try {
    const { positionsFile } = await import('./object-sources.ts')
    const { Positions } = await import('../service/objects/sources/positions.ts')
    const clock = { nowMs: () => 1_000, sleep: async () => undefined }
    const partition = { topic: 't', topicId: 'id', partition: 3 }
    const first = new Positions(positionsFile(dir), clock)
    assert.equal(await first.of('s', partition), null)
    await first.set('s', [[partition, { epoch: 1, next: 7 }]], true)
    await first.set('s', [[partition, { epoch: 1, next: 9 }]], false)
    assert.deepEqual(await new Positions(positionsFile(dir), clock).of('s', partition), { epoch: 1, next: 7 })
    await first.flush()
    const second = new Positions(positionsFile(dir), clock)
    assert.deepEqual(await second.of('s', partition), { epoch: 1, next: 9 })
    assert.equal(await second.of('another', partition), null)
    const file = path.join(dir, 'object-sources.json')
    assert.match(await readFile(file, 'utf8'), /"s t id 3"/)
    await writeFile(file, '{"s t id 3": 7}')
    await assert.rejects(new Positions(positionsFile(dir), clock).of('s', partition), /object-sources\.json.*delete it/)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
