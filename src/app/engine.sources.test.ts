/** Kafka into streams with everything behind it: real logs, tables and dead letters; the broker is in memory. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { FakeKafka } from '../../test/support/fake-kafka.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { systemClock } from '../base/clock.ts'
import { parseIdent } from '../iceberg/catalog/catalog.ts'
import { Sources } from '../service/streams/streams.ts'
import { openFileStore } from '../store/file.ts'
import { parseConfig } from './config.ts'

const columns = { id: 'STRING NOT NULL', n: 'LONG', place: 'LONG' }
const orders = { table: 'demo.orders', columns }
const kafka = { brokers: ['localhost:9092'], topics: ['orders'], columns: { offset: 'place' } }

/** Reads the topics while `work` runs. */
async function reading<T>(
  bench: EngineBench,
  broker: FakeKafka,
  work: (sources: Sources, notices: string[]) => Promise<T>,
  more: object = {},
): Promise<T> {
  const notices: string[] = []
  const settings = { stream: 'orders', kafka: { ...kafka, ...more } }
  const sources = new Sources({
    configured: parseConfig({ streams: { orders }, sources: { orders: settings } }, 'test').sources,
    streams: bench.engine.streams,
    clock: systemClock,
    duck: bench.engine.duck,
    ledgerPath: path.join(bench.dir, 'files.db'),
    openDirectory: (directory) => openFileStore({ root: directory }),
    resolve: (named) => path.resolve(bench.dir, named),
    joinKafka: async (_name, { topics }) => broker.join(topics),
    notice: (text) => notices.push(text),
  })
  bench.engine.streams.sources = (stream) => sources.status(stream)
  sources.start()
  try {
    return await work(sources, notices)
  } finally {
    await sources.stop()
  }
}

/** Waits until nothing is left in the topics. */
async function caughtUp(sources: Sources): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const [status] = sources.status('orders')
    if (status?.trouble === null && status.waiting === 0 && status.partitions?.length) return
    await delay(5)
  }
  assert.fail(`never caught up: ${JSON.stringify(sources.status())}`)
}

const rows = (bench: EngineBench) => bench.sql('SELECT id, n, place FROM demo.orders ORDER BY n, id')

async function propertiesOf(bench: EngineBench): Promise<Record<string, string>> {
  return (await bench.engine.catalog.load(parseIdent('demo.orders'))).metadata.properties
}

test('messages are rows once, and the snapshot says up to where it holds their partitions', async () => {
  await withEngine({ streams: { orders } }, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 2)
    broker.send('orders', 0, { id: 'a', n: 1 })
    broker.send('orders', 1, { id: 'b', n: 2 }, { gap: 3 })
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    assert.deepEqual(await rows(bench), [
      { id: 'a', n: 1n, place: 0n },
      { id: 'b', n: 2n, place: 3n },
    ])
    assert.equal((await propertiesOf(bench))['tidewater.source.orders'], '0:1,1:4;id=id-1')
    // What others send to the same stream changes nothing about it.
    await bench.engine.streams.get('orders').accept(recordsOf({ id: 'c', n: 3 }))
    broker.send('orders', 0, { id: 'd', n: 4 })
    await reading(bench, broker, async (sources) => {
      await caughtUp(sources)
      const [status] = bench.engine.streams.get('orders').freshness().sources
      assert.deepEqual(status, {
        source: 'orders',
        kind: 'kafka',
        trouble: null,
        waiting: 0,
        partitions: [
          { topic: 'orders', partition: 0, next: 2, end: 2, stopped: null },
          { topic: 'orders', partition: 1, next: 4, end: 4, stopped: null },
        ],
      })
    })
    await bench.engine.drain()
    assert.equal((await rows(bench)).length, 4)
    const { snapshots } = (await bench.engine.catalog.load(parseIdent('demo.orders'))).metadata
    assert.deepEqual(
      snapshots.map(({ summary }) => summary['tidewater.source.orders']),
      ['0:1,1:4;id=id-1', '0:2,1:4;id=id-1'],
    )
  })
})

test('what was taken is known after a restart, before and after its commit', async () => {
  await withEngine({ streams: { orders } }, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 1)
    for (let n = 0; n < 30; n++) {
      broker.send('orders', 0, { id: `o-${n}`, n })
      if (n % 10 !== 9) continue
      await reading(bench, broker, caughtUp)
      await bench.restart()
      if (n === 19) await bench.engine.drain()
    }
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    assert.deepEqual(
      (await rows(bench)).map(({ n }) => Number(n)),
      Array.from({ length: 30 }, (_, n) => n),
    )
  })
})

test('where to go on stands in the table: with nothing else left, no message is lost or taken again', async () => {
  await withEngine({ streams: { orders } }, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 1)
    for (let n = 0; n < 10; n++) broker.send('orders', 0, { id: `o-${n}`, n })
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    await bench.stop()
    for (const suffix of ['', '-wal', '-shm'])
      await rm(path.join(bench.dir, 'home', 'state', `streams.db${suffix}`), { force: true })
    await bench.restart()
    for (let n = 10; n < 15; n++) broker.send('orders', 0, { id: `o-${n}`, n })
    // The group's own offsets say something else, and do not count.
    broker.committed.set('orders/0', 2)
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    assert.equal((await rows(bench)).length, 15)
  })
})

test('a message that cannot be a row is a dead letter that names its place, and the others are rows', async () => {
  await withEngine({ streams: { orders } }, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 1)
    broker.send('orders', 0, { id: 'a', n: 1 })
    broker.send('orders', 0, 'no JSON')
    broker.send('orders', 0, null, { key: Buffer.from('a') })
    broker.send('orders', 0, { id: 'b', n: 2 })
    await reading(bench, broker, caughtUp)
    await bench.restart()
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    assert.deepEqual(
      (await rows(bench)).map(({ id }) => id),
      ['a', 'b'],
    )
    assert.deepEqual(
      await bench.sql('SELECT code, subject, decode(payload) AS bytes FROM tidewater.dead_letters ORDER BY subject'),
      [
        { code: 'InvalidJson', subject: 'orders/kafka orders/id-1/0/0/1', bytes: 'no JSON' },
        { code: 'InvalidTombstone', subject: 'orders/kafka orders/id-1/0/0/2', bytes: 'a' },
      ],
    )
  })
})

test('messages without a value delete rows of a stream with unique keys', async () => {
  await withEngine({ streams: { orders: { ...orders, uniqueKeys: ['id'] } } }, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 1)
    broker.send('orders', 0, { id: 'a', n: 1 })
    broker.send('orders', 0, { id: 'b', n: 2 })
    broker.send('orders', 0, null, { key: Buffer.from('a') })
    broker.send('orders', 0, null, { key: Buffer.from('{"id":"c"}') })
    broker.send('orders', 0, { id: 'b', n: 3 })
    await reading(bench, broker, caughtUp)
    await bench.engine.drain()
    assert.deepEqual(await rows(bench), [{ id: 'b', n: 3n, place: 4n }])
  })
})

test('a source waits for its stream, and goes on when it is there', async () => {
  await withEngine({}, async (bench) => {
    const broker = new FakeKafka()
    broker.create('orders', 1)
    broker.send('orders', 0, { id: 'a', n: 1 })
    await reading(bench, broker, async (sources, notices) => {
      for (let tries = 0; tries < 500 && notices.length === 0; tries++) await delay(5)
      assert.match(notices.join(), /source orders: there is no stream "orders"/)
      await bench.engine.streams.create('orders', orders)
      await caughtUp(sources)
    })
    await bench.engine.drain()
    assert.equal((await rows(bench)).length, 1)
  })
})

test('a source in the configuration is either Kafka or files, and its problems are told with their paths', () => {
  const problemsOf = (source: object) => {
    try {
      parseConfig({ sources: { orders: source } }, 'test')
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.match(problemsOf({ stream: 'orders' }), /sources\.orders: expected either kafka or files/)
  assert.match(
    problemsOf({ stream: 'orders', kafka: { ...kafka, brokers: ['nowhere'] } }),
    /brokers\.0: expected host:port/,
  )
  assert.match(
    problemsOf({ stream: 'orders', kafka: { ...kafka, sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } } }),
    /sasl/,
  )
  assert.equal(problemsOf({ stream: 'orders', kafka }), '')
})
