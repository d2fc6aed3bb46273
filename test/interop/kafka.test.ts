/**
 * Kafka topics into streams, with a real broker and the real server: killed, restarted, its partitions taken away. A checker reads the
 * topics by itself and compares: every message that was committed is in the table once, at its own offset, or in dead letters.
 * `TIDEWATER_SEED` replays the choices of a run.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  Admin,
  CompressionAlgorithms,
  Consumer,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
  Producer,
  type ProducerOptions,
  stringSerializers,
} from '@platformatic/kafka'
import { Random } from '../simulate/random.ts'
import { cliOk, inTempDir, sqlRows } from '../support/cli.ts'
import { KafkaBroker } from './kafka-broker.ts'

const seed = Number(process.env['TIDEWATER_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const START_MS = 120_000
const CATCH_UP_MS = 180_000
const run = promisify(execFile)

let broker: KafkaBroker
before(async () => {
  broker = await KafkaBroker.start()
})
after(async () => {
  await broker?.remove()
})

interface Server {
  child: ChildProcess
  url: string
  stderr: string[]
}

async function startServer(home: string, config: string, env: NodeJS.ProcessEnv = {}): Promise<Server> {
  const child = spawn(process.execPath, [MAIN, 'start', '--home', home, '--config', config, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const stderr: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => stderr.push(line))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const late = setTimeout(() => reject(new Error('the server does not start')), START_MS)
  child.on('exit', (code) => reject(new Error(`the server ended with ${code}:\n${stderr.join('\n')}`)))
  createInterface({ input: child.stdout! }).once('line', (line) => resolve(line.replace(/^.* on /, '')))
  try {
    return { child, url: await promise, stderr }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    clearTimeout(late)
    child.removeAllListeners('exit')
  }
}

async function stopServer({ child, stderr }: Server, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  const gone = once(child, 'exit')
  child.kill(signal)
  const [code] = (await gone) as [number | null]
  if (signal === 'SIGTERM') assert.equal(code, 0, stderr.join('\n'))
}

interface Status {
  freshness: {
    sources: {
      source: string
      trouble: string | null
      waiting: number | null
      partitions: { topic: string; partition: number; next: number; end: number | null }[]
    }[]
  }
}

async function statusOf({ url }: Server, stream: string): Promise<Status['freshness']['sources'][number]> {
  const answer = await fetch(`${url}/v1/streams/${stream}/status`)
  const [status] = ((await answer.json()) as Status).freshness.sources
  assert.ok(status !== undefined)
  return status
}

/** Waits until the source has taken everything up to the offsets of `ends`, by `topic/partition`. */
async function caughtUp(server: Server, stream: string, ends: ReadonlyMap<string, number>): Promise<void> {
  const endMs = Date.now() + CATCH_UP_MS
  for (let last: unknown = null; ; await delay(200)) {
    assert.ok(
      Date.now() < endMs,
      `not caught up: ${JSON.stringify([...ends])} ${JSON.stringify(last)}\n${server.stderr.join('\n')}`,
    )
    const status = await statusOf(server, stream).catch((error: unknown) => error as Error)
    last = status
    if (status instanceof Error) continue
    const at = new Map(status.partitions.map(({ topic, partition, next }) => [`${topic}/${partition}`, next]))
    if ([...ends].every(([name, end]) => (at.get(name) ?? 0) >= end)) return
  }
}

const connect = (address = broker.address) => ({
  clientId: 'test',
  bootstrapBrokers: [address],
  retries: 20,
  retryDelay: 300,
})

async function createTopic(topic: string, partitions: number, address?: string): Promise<void> {
  const admin = new Admin(connect(address))
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  await admin.close()
}

const producerOf = (more: Partial<ProducerOptions<string, string, string, string>> = {}) =>
  new Producer({ ...connect(), serializers: stringSerializers, idempotent: true, ...more })

interface Read {
  place: string
  key: string | null
  value: string | null
}

/** What the topics hold, read without a part of ours: from the first offset to the end of what is committed. */
async function readTopics(topics: readonly string[]): Promise<{ messages: Read[]; ends: Map<string, number> }> {
  const consumer = new Consumer({ ...connect(), groupId: `checker-${Date.now()}-${Math.random()}`, maxWaitTime: 200 })
  const ends = new Map<string, number>()
  const found = await consumer.listOffsets({ topics: [...topics], isolationLevel: 1 })
  for (const [topic, partitions] of found)
    for (const [partition, end] of partitions.entries()) ends.set(`${topic}/${partition}`, Number(end))
  const stream = await consumer.consume({
    topics: [...topics],
    autocommit: false,
    mode: MessagesStreamModes.EARLIEST,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
  })
  const messages: Read[] = []
  const text = (bytes: Buffer | null | undefined) => (bytes === null || bytes === undefined ? null : bytes.toString())
  stream.on('data', ({ topic, partition, offset, key, value }) =>
    messages.push({ place: `${topic}/${partition}/${offset}`, key: text(key), value: text(value) }),
  )
  const reached = () =>
    [...ends].every(([name, end]) => Number(stream.offsetsToFetch.get(name.replace(/\/(\d+)$/, ':$1')) ?? -1n) >= end)
  for (let tries = 0; !reached(); tries++) {
    assert.ok(tries < 600, 'the checker cannot read the topics')
    await delay(100)
  }
  await stream.close()
  await consumer.close(true)
  return { messages, ends }
}

const CHAOS = `streams:
  orders:
    table: demo.orders
    columns: { id: STRING NOT NULL, n: LONG, topic: STRING, part: INT, place: LONG, sent: TIMESTAMP, k: STRING }
    buffer: { seconds: 0.5 }
sources:
  orders:
    stream: orders
    kafka:
      brokers: [BROKER]
      topics: [orders, more, plain]
      columns: { topic: topic, partition: part, offset: place, timestamp: sent, key: k }
`

test(`every message is in the table once, through kills, restarts and rebalances (seed ${seed})`, async () => {
  await inTempDir(async (dir) => {
    const random = new Random(seed)
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(config, CHAOS.replace('BROKER', `"${broker.address}"`))
    await createTopic('orders', 4)
    await createTopic('more', 1)
    await createTopic('plain', 2)
    let over = false
    const sent = { messages: 0, transactions: 0, aborted: 0 }

    // Transactions, some of them taken back: their messages are in the topic, and in no table.
    const transactions = async () => {
      const producer = producerOf({ transactionalId: `tx-${seed}` })
      for (let round = 0; !over; round++) {
        const topic = random.chance(0.7) ? 'orders' : 'more'
        const transaction = await producer.beginTransaction()
        const abort = random.chance(0.4)
        for (let part = 0; part <= random.below(3); part++) {
          const count = 1 + random.below(30)
          const messages = Array.from({ length: count }, (_, at) => {
            const id = `${abort ? 'aborted' : 'tx'}-${round}-${part}-${at}`
            return { topic, key: `k${random.below(20)}`, value: JSON.stringify({ id, n: at }) }
          })
          await transaction.send({ messages })
        }
        if (abort) await transaction.abort()
        else await transaction.commit()
        sent.transactions++
        if (abort) sent.aborted++
        await delay(random.below(60))
      }
      await producer.close()
    }
    // Plain messages by another producer, compressed in every way, some of them no rows.
    const plain = async () => {
      for (let round = 0; !over; round++) {
        const compression = random.pick(Object.values(CompressionAlgorithms))
        const producer = producerOf({ compression })
        for (let batch = 0; batch < 10 && !over; batch++) {
          const messages = Array.from({ length: 1 + random.below(100) }, (_, at) => {
            const id = `plain-${round}-${batch}-${at}`
            const value = random.chance(0.05) ? `poison ${id}` : JSON.stringify({ id, n: at })
            return { topic: 'plain', key: `k${random.below(20)}`, value }
          })
          // A send that failed may have arrived: sent again it is there twice, and is two messages to everybody.
          await producer.send({ messages }).then(
            () => {
              sent.messages += messages.length
            },
            () => undefined,
          )
          await delay(random.below(30))
        }
        await producer.close().catch(() => undefined)
      }
    }
    const producing = Promise.all([
      plain(),
      transactions().catch((error: unknown) => console.error('transactions', error)),
    ])

    let server = await startServer(home, config)
    for (let kill = 0; kill < 2; kill++) {
      await delay(1_500 + random.below(2_000))
      await stopServer(server, 'SIGKILL')
      server = await startServer(home, config)
    }
    // Another member takes partitions, says that it has read them, and goes.
    const thief = new Consumer({
      ...connect(),
      groupId: 'tidewater-orders',
      sessionTimeout: 10_000,
      rebalanceTimeout: 20_000,
    })
    thief.topics.trackAll('orders', 'more', 'plain')
    await thief.joinGroup({})
    const stolen = () => thief.assignments?.reduce((sum, { partitions }) => sum + partitions.length, 0) ?? 0
    for (let tries = 0; stolen() === 0 || stolen() === 7; tries++) {
      assert.ok(tries < 300, 'the other member gets no share of the partitions')
      await delay(100)
    }
    assert.ok((await statusOf(server, 'orders')).partitions.length < 7, 'the partitions are shared')
    await delay(2_000)
    for (const { topic, partitions } of thief.assignments ?? [])
      await thief
        .commit({ offsets: partitions.map((partition) => ({ topic, partition, offset: 1_000_000n, leaderEpoch: -1 })) })
        .catch(() => undefined)
    await thief.close(true)
    await delay(1_000)
    // The broker goes without warning and comes back.
    over = true
    await producing
    await broker.stop('SIGKILL')
    await delay(1_000)
    await broker.start()
    const late = producerOf()
    for (let round = 0; round < 5; round++)
      await late.send({
        messages: Array.from({ length: 50 }, (_, at) => ({
          topic: 'plain',
          key: 'k',
          value: JSON.stringify({ id: `late-${round}-${at}`, n: at }),
        })),
      })
    await late.close()

    const { messages, ends } = await readTopics(['orders', 'more', 'plain'])
    await caughtUp(server, 'orders', ends)
    await stopServer(server)
    const expected = messages.filter(({ value }) => !value?.includes('aborted-'))
    assert.ok(sent.transactions > 10 && sent.aborted > 0, JSON.stringify(sent))
    const rows = await sqlRows(
      home,
      `SELECT topic || '/' || part || '/' || place AS place, id, k FROM demo.orders ORDER BY place`,
    )
    const letters = await sqlRows(home, 'SELECT subject, decode(payload) AS payload FROM tidewater.dead_letters')
    const inTable = rows.map(({ place, id, k }) => `${place} ${k} ${id}`)
    const inLetters = letters.map(({ subject, payload }) => {
      const [, topic, , partition, , offset] =
        /^orders\/kafka ([^/]+)\/([^/]+)\/(\d+)\/(\d+)\/(\d+)$/.exec(String(subject)) ?? []
      return `${topic}/${partition}/${offset} ${payload}`
    })
    const wanted = expected.filter(({ value }) => value?.startsWith('{'))
    const poison = expected.filter(({ value }) => !value?.startsWith('{'))
    assert.deepEqual(
      inTable.sort(),
      wanted.map(({ place, key, value }) => `${place} ${key} ${(JSON.parse(value ?? '') as { id: string }).id}`).sort(),
    )
    assert.deepEqual(inLetters.sort(), poison.map(({ place, value }) => `${place} ${value}`).sort())
    assert.ok(poison.length > 0 && wanted.length > 500, `${poison.length} ${wanted.length}`)
    console.log(`${wanted.length} rows, ${poison.length} dead letters, ${JSON.stringify(sent)}`)
  })
})

test('a keyed stream follows updates and tombstones, topics that are made anew, and messages that are gone', async () => {
  await inTempDir(async (dir) => {
    const home = path.join(dir, 'home')
    const config = path.join(dir, 'config.yaml')
    await writeFile(
      config,
      `streams:
  people:
    table: demo.people
    columns: { id: STRING NOT NULL, name: STRING }
    uniqueKeys: [id]
    buffer: { seconds: 0.2 }
sources:
  people:
    stream: people
    kafka: { brokers: ["${broker.address}"], topics: [people], outOfRange: earliest, group: people-readers }
`,
    )
    const server = await startServer(home, config)
    await createTopic('people', 1)
    const send = async (...messages: [string, unknown][]) => {
      const producer = producerOf()
      await producer.send({
        messages: messages.map(([key, value]) => ({
          topic: 'people',
          key,
          value: value === null ? (null as unknown as string) : JSON.stringify(value),
        })),
      })
      await producer.close()
    }
    await send(['a', { id: 'a', name: 'Ann' }], ['b', { id: 'b', name: 'Bob' }])
    await send(['a', null], ['b', { id: 'b', name: 'Bo' }], ['c', { id: 'c', name: 'Cy' }])
    await caughtUp(server, 'people', new Map([['people/0', 5]]))
    // The group sees how far the snapshots are.
    const admin = new Admin(connect())
    const lagOf = async () => {
      const [group] = await admin.listConsumerGroupOffsets({ groups: ['people-readers'] })
      return Number(group?.topics[0]?.partitions[0]?.committedOffset ?? -1n)
    }
    for (let tries = 0; (await lagOf()) !== 5; tries++) {
      assert.ok(tries < 300, `the group is told ${await lagOf()}`)
      await delay(100)
    }
    await admin.deleteTopics({ topics: ['people'] })
    await delay(1_000)
    await createTopic('people', 2)
    await send(['d', { id: 'd', name: 'Di' }], ['c', null])
    const { ends } = await readTopics(['people'])
    await caughtUp(server, 'people', ends)
    await stopServer(server)
    // While nobody reads, messages come and the first of them go.
    const extra = producerOf()
    await extra.send({
      messages: Array.from({ length: 20 }, (_, at) => ({
        topic: 'people',
        partition: 0,
        key: `e${at}`,
        value: JSON.stringify({ id: `e${at}`, name: 'E' }),
      })),
    })
    await extra.close()
    const first = (ends.get('people/0') ?? 0) + 15
    await admin.deleteRecords({ topics: [{ name: 'people', partitions: [{ partition: 0, offset: BigInt(first) }] }] })
    await admin.close()
    const again = await startServer(home, config)
    await caughtUp(again, 'people', new Map([['people/0', first + 5]]))
    await stopServer(again)
    assert.match(again.stderr.join('\n'), /15 were removed before they were read; going on at/)
    const rows = await sqlRows(home, 'SELECT id, name FROM demo.people ORDER BY id')
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['b', 'd', 'e15', 'e16', 'e17', 'e18', 'e19'],
    )
    assert.equal(rows[0]?.['name'], 'Bo')
  })
})

test('TLS and SASL are used, with secrets from the environment, and what is wrong with them is told', async () => {
  await inTempDir(async (dir) => {
    const [key, certificate, pem] = ['key.pem', 'cert.pem', 'both.pem'].map((name) => path.join(dir, name)) as [
      string,
      string,
      string,
    ]
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
    ])
    await writeFile(pem, `${await readFile(key, 'utf8')}${await readFile(certificate, 'utf8')}`)
    const secured = await KafkaBroker.start({ KAFKA_PEM: pem })
    try {
      await createTopic('secret', 1, secured.innerAddress)
      const producer = producerOf({ bootstrapBrokers: [secured.innerAddress] })
      await producer.send({ messages: [{ topic: 'secret', key: 'k', value: '{"id":"s"}' }] })
      await producer.close()
      for (const mechanism of ['PLAIN', 'SCRAM-SHA-512']) {
        const home = path.join(dir, `home-${mechanism}`)
        const config = path.join(dir, 'config.yaml')
        await writeFile(
          config,
          `streams:
  secret: { table: demo.secret, columns: { id: STRING }, buffer: { seconds: 0.2 } }
sources:
  secret:
    stream: secret
    kafka:
      brokers: ["localhost:${secured.port}"]
      topics: [secret]
      tls: { caFile: cert.pem }
      sasl: { mechanism: ${mechanism}, usernameVariable: KAFKA_USER, passwordVariable: KAFKA_PASSWORD }
`,
        )
        const wrong = await startServer(home, config, { KAFKA_USER: 'alice', KAFKA_PASSWORD: 'wrong' })
        const troubleOf = async () => (await statusOf(wrong, 'secret')).trouble ?? ''
        for (let tries = 0; !/authentication/i.test(await troubleOf()); tries++) {
          assert.ok(tries < 300, await troubleOf())
          await delay(100)
        }
        await stopServer(wrong)
        assert.ok(!wrong.stderr.join().includes('wrong'), 'no secret is told')
        const right = await startServer(home, config, { KAFKA_USER: 'alice', KAFKA_PASSWORD: 'alice-secret' })
        await caughtUp(right, 'secret', new Map([['secret/0', 1]]))
        await stopServer(right)
        assert.deepEqual(await sqlRows(home, 'SELECT id FROM demo.secret'), [{ id: 's' }])
      }
      assert.match(await cliOk(['stream', '--help']), /streams/)
    } finally {
      await secured.remove()
    }
  })
})
