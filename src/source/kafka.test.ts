import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Random } from '../../test/simulate/random.ts'
import { FakeKafka, type FakeMember, hastyClock } from '../../test/support/fake-kafka.ts'
import { Fault } from '../base/fault.ts'
import {
  type KafkaBatch,
  type KafkaPartition,
  type KafkaPosition,
  KafkaReader,
  type KafkaReaderOptions,
  type KafkaTaker,
} from './kafka.ts'

/** Takes as a stream does: numbers go forward only, and what was taken is known for good. */
class Taker implements KafkaTaker {
  readonly taken: string[] = []
  readonly repeated: string[] = []
  readonly at = new Map<string, KafkaPosition>()
  /** Called before and after messages are taken; may throw. */
  before: () => void = () => undefined
  after: () => void = () => undefined

  async position(partition: KafkaPartition): Promise<KafkaPosition | null> {
    await turn()
    return this.at.get(nameOf(partition)) ?? null
  }

  async take(batches: readonly KafkaBatch[]): Promise<void> {
    await turn()
    this.before()
    for (const { partition, epoch, messages } of batches)
      for (const { offset, value } of messages) {
        const name = nameOf(partition)
        const known = this.at.get(name) ?? { epoch: 0, next: 0 }
        if (epoch < known.epoch) throw new Fault('conflict', 'another epoch')
        const text = `${name}@${offset} ${value === null ? 'null' : Buffer.from(value).toString()}`
        if (epoch === known.epoch && offset < known.next) this.repeated.push(text)
        else {
          this.taken.push(text)
          this.at.set(name, { epoch, next: offset + 1 })
        }
      }
    await turn()
    this.after()
  }

  async skipTo(partition: KafkaPartition, position: KafkaPosition): Promise<void> {
    this.at.set(nameOf(partition), position)
  }

  committed(partitions: readonly KafkaPartition[]): (number | null)[] {
    return partitions.map((partition) => this.at.get(nameOf(partition))?.next ?? null)
  }
}

function nameOf({ topicId, partition }: KafkaPartition): string {
  return `${topicId}/${partition}`
}

interface Rig {
  broker: FakeKafka
  taker: Taker
  notices: string[]
  reader: KafkaReader
  run: <T>(work: () => Promise<T>) => Promise<T>
}

function rig(options: Partial<KafkaReaderOptions> & { topics?: string[] } = {}): Rig {
  const { topics = ['t'], ...rest } = options
  const broker = new FakeKafka()
  const taker = new Taker()
  const notices: string[] = []
  const reader = new KafkaReader({
    join: async () => broker.join(topics),
    taker,
    clock: hastyClock(),
    from: 'earliest',
    outOfRange: 'fail',
    notice: (text) => notices.push(text),
    ...rest,
  })
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    const stop = new AbortController()
    const running = reader.run(stop.signal)
    try {
      return await work()
    } finally {
      stop.abort()
      await running
    }
  }
  return { broker, taker, notices, reader, run }
}

async function until(what: () => boolean): Promise<void> {
  for (let turns = 0; !what(); turns++) {
    assert.ok(turns < 20_000, `never came about: ${what}`)
    await turn()
  }
}

test('messages of all partitions are taken in their order, with gaps in their offsets', async () => {
  const { broker, taker, run, reader } = rig()
  broker.create('t', 2)
  for (let n = 0; n < 7; n++) broker.send('t', n % 2, `v${n}`, { gap: n === 3 ? 4 : 0 })
  await run(async () => {
    await until(() => taker.taken.length === 7)
    assert.deepEqual(
      taker.taken.filter((text) => text.includes('/1@')),
      ['id-1/1@0 v1', 'id-1/1@5 v3', 'id-1/1@6 v5'],
    )
    await until(() => broker.committed.get('t/1') === 7)
    assert.equal(reader.status().trouble, null)
    assert.deepEqual(
      reader.status().places.map(({ partition, next, end }) => [partition, next, end]),
      [
        [0, 4, 4],
        [1, 7, 7],
      ],
    )
  })
})

test('while messages cannot be taken nothing more is fetched, and the member stays', async () => {
  const { broker, taker, run, notices, reader } = rig()
  broker.create('t', 1)
  for (let n = 0; n < 20; n++) broker.send('t', 0, n)
  let fetches = 0
  let joins = 0
  broker.onFetch = () => {
    fetches++
  }
  const join = broker.join.bind(broker)
  broker.join = (topics) => {
    joins++
    return join(topics)
  }
  let full = true
  taker.before = () => {
    if (full) throw new Fault('unavailable', 'too much waits to be committed')
  }
  await run(async () => {
    await until(() => notices.length > 0)
    for (let turns = 0; turns < 200; turns++) await turn()
    assert.deepEqual([fetches, joins, taker.taken.length], [1, 1, 0])
    assert.equal(reader.status().trouble, 'too much waits to be committed')
    full = false
    await until(() => taker.taken.length === 20)
  })
  assert.equal(new Set(taker.taken).size, 20)
  assert.deepEqual(notices, ['too much waits to be committed', 'reading again'])
})

test('an answer that was lost makes no message land twice', async () => {
  const { broker, taker, run } = rig()
  broker.create('t', 1)
  for (let n = 0; n < 12; n++) broker.send('t', 0, n)
  let lost = 0
  taker.after = () => {
    if (lost++ < 3) throw new Fault('unavailable', 'no answer')
  }
  await run(() => until(() => taker.taken.length === 12))
  assert.equal(new Set(taker.taken).size, 12)
  assert.ok(taker.repeated.length > 0)
})

test('a topic that is deleted and made anew is read from its beginning, and the old one is not mixed up with it', async () => {
  const { broker, taker, run, notices } = rig({ topics: ['t', 'u'] })
  broker.create('t', 1)
  broker.create('u', 1)
  for (let n = 0; n < 3; n++) broker.send('t', 0, `old ${n}`)
  await run(async () => {
    await until(() => taker.taken.length === 3)
    broker.delete('t')
    broker.send('u', 0, 'beside')
    await until(() => taker.taken.length === 4)
    assert.ok(
      notices.some((text) => text === 'not there yet: t; the others are read'),
      notices.join(),
    )
    broker.create('t', 1)
    broker.send('t', 0, 'new 0')
    await until(() => taker.taken.length === 5)
  })
  assert.deepEqual(taker.taken.slice(3), ['id-2/0@0 beside', 'id-3/0@0 new 0'])
})

test('a topic that is not there is waited for', async () => {
  const { broker, taker, run, reader } = rig()
  await run(async () => {
    await until(() => reader.status().trouble === 'none of the topics t is there yet')
    broker.create('t', 1)
    broker.send('t', 0, 'at last')
    await until(() => taker.taken.length === 1)
  })
})

test('messages that are gone before they were read stop their partition alone, unless the settings say otherwise', async () => {
  for (const outOfRange of ['fail', 'earliest', 'latest'] as const) {
    const { broker, taker, run, notices, reader } = rig({ outOfRange })
    broker.create('t', 2)
    for (let n = 0; n < 10; n++) broker.send('t', 0, n)
    taker.at.set('id-1/0', { epoch: 0, next: 2 })
    broker.forget('t', 0, 6)
    await run(async () => {
      await until(() => notices.some((text) => text.includes('4 were removed before they were read')))
      broker.send('t', 0, 'next')
      broker.send('t', 1, 'other')
      const expected = { fail: 1, earliest: 6, latest: 2 }[outOfRange]
      await until(() => taker.taken.length === expected)
      const stopped = reader.status().places.map((place) => place.stopped !== null)
      assert.deepEqual(stopped, [outOfRange === 'fail', false])
    })
    assert.deepEqual(taker.repeated, [])
  }
})

test('offsets that a broker gives a second time are other messages', async () => {
  const { broker, taker, run, notices } = rig({ outOfRange: 'latest' })
  broker.create('t', 1)
  for (let n = 0; n < 6; n++) broker.send('t', 0, `first ${n}`)
  await run(async () => {
    await until(() => taker.taken.length === 6)
    broker.lose('t', 0, 4)
    await until(() => notices.some((text) => text.includes('it lost messages')))
    broker.send('t', 0, 'second 4')
    broker.send('t', 0, 'second 5')
    await until(() => taker.taken.length === 8)
  })
  assert.deepEqual(taker.taken.slice(6), ['id-1/0@4 second 4', 'id-1/0@5 second 5'])
})

test('what comes before the first reading is left out where the settings want the latest, also while nothing runs', async () => {
  const { broker, taker, run } = rig({ from: 'latest' })
  broker.create('t', 1)
  broker.send('t', 0, 'before')
  await run(() => until(() => taker.at.size === 1))
  broker.send('t', 0, 'while nothing ran')
  await run(() => until(() => taker.taken.length === 1))
  assert.deepEqual(taker.taken, ['id-1/0@1 while nothing ran'])
})

test('every message is taken once and in order, whatever comes and goes meanwhile', async () => {
  const first = Number(process.env['TIDEWATER_SEED'] ?? 1)
  const count = Number(process.env['TIDEWATER_ROUNDS'] ?? (process.env['TIDEWATER_SEED'] === undefined ? 20 : 1))
  for (let seed = first; seed < first + count; seed++) {
    const random = new Random(seed)
    const roll = (sides: number) => random.below(sides)
    const { broker, taker, reader, run, notices } = rig({ topics: ['t', 'u'] })
    // A second reader of the same group and stream, and a member that only takes partitions away.
    const second = new KafkaReader({
      join: async () => broker.join(['t', 'u']),
      taker,
      clock: hastyClock(),
      from: 'earliest',
      outOfRange: 'fail',
      notice: (text) => notices.push(text),
    })
    broker.create('t', 3)
    broker.create('u', 1)
    const sent: string[] = []
    const stop = new AbortController()
    const also = second.run(stop.signal)
    let calm = false
    let foreign: FakeMember | null = null
    broker.onFetch = () => {
      if (!calm && roll(8) === 0) throw new Fault('unavailable', 'the broker does not answer')
    }
    taker.before = () => {
      if (!calm && roll(5) === 0) throw new Fault('unavailable', 'full')
    }
    taker.after = () => {
      if (!calm && roll(6) === 0) throw new Fault('unavailable', 'no answer')
    }
    await run(async () => {
      for (let step = 0; step < 60; step++) {
        const topic = roll(4) === 0 ? 'u' : 't'
        const partitions = broker.topics.get(topic)!.partitions
        const members = [...broker.members]
        const some = members[roll(Math.max(1, members.length))]
        switch (roll(7)) {
          case 0:
            broker.rebalance()
            break
          case 1:
            if (some !== undefined) some.deaf = !some.deaf && some !== foreign
            broker.rebalance()
            break
          case 2:
            if (some !== undefined) some.ended = new Fault('unavailable', 'the session is over')
            break
          case 3:
            if (foreign === null) {
              foreign = broker.join(['t', 'u'])
              foreign.foreign = true
            } else {
              await foreign.close()
              foreign = null
            }
            break
          default:
            for (let n = roll(12); n > 0; n--) {
              const partition = roll(partitions.length)
              const offset = broker.send(topic, partition, `${sent.length}`, { gap: roll(4) === 0 ? roll(5) : 0 })
              sent.push(`${broker.topics.get(topic)!.id}/${partition}@${offset} ${sent.length}`)
            }
        }
        for (let turns = roll(30); turns > 0; turns--) await turn()
      }
      calm = true
      await foreign?.close()
      for (const member of broker.members) {
        member.deaf = false
        member.ended = new Fault('unavailable', 'the session is over')
      }
      broker.rebalance()
      await until(() => taker.taken.length >= sent.length)
      for (let turns = 0; turns < 100; turns++) await turn()
    })
    stop.abort()
    await also
    assert.deepEqual([...taker.taken].sort(), [...sent].sort(), `seed ${seed}`)
    for (const partition of ['id-1/0', 'id-1/1', 'id-1/2', 'id-2/0']) {
      const of = (texts: readonly string[]) => texts.filter((text) => text.startsWith(`${partition}@`))
      assert.deepEqual(of(taker.taken), of(sent), `seed ${seed}: order in ${partition}`)
    }
    assert.equal(reader.status().places.length + second.status().places.length > 0, true)
  }
})
