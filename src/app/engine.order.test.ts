/** Order, as the tables show it: sequencers that compare, sequencers that do not, and events that come after their removal. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { EngineBench, eventOf, TABLES } from '../../test/support/engine-bench.ts'
import type { ObjectEvent } from '../change/object-event.ts'

const AT = '2022-11-09T06:01:06Z'

interface Case {
  name: string
  /** In any order: what the table shows must not depend on it. */
  events: Partial<ObjectEvent>[]
  /** Etags of what is there in the end. */
  expected: string[]
}

const put = (etag: string, sequencer: string | undefined, more: Partial<ObjectEvent> = {}): Partial<ObjectEvent> => ({
  kind: 'create',
  etag,
  ...(sequencer === undefined ? {} : { sequencer }),
  ...more,
})
const removal = (sequencer: string | undefined, more: Partial<ObjectEvent> = {}): Partial<ObjectEvent> => ({
  kind: 'delete',
  ...(sequencer === undefined ? {} : { sequencer }),
  ...more,
})

const CONSTANT = '0055AED6DCD90281E5'
const later = (seconds: number) => new Date(Date.parse(AT) + seconds * 1000).toISOString()

const CASES: Case[] = [
  {
    name: 'a removal with the greater sequencer removes, whichever comes first',
    events: [put('a', '00636B4222CBA01ADB'), removal('00636B42C26391BE2F')],
    expected: [],
  },
  {
    name: 'a creation with the greater sequencer stays',
    events: [removal('00636B4222CBA01ADB'), put('a', '00636B42C26391BE2F')],
    expected: ['a'],
  },
  {
    name: 'sequencers of different lengths compare as texts padded on the right, not as numbers',
    events: [put('a', '0055AED6DCD90281E6'), put('b', '00620000')],
    expected: ['b'],
  },
  {
    name: 'small letters and capitals are the same digits',
    events: [put('a', '00636b42c26391be2f'), put('b', '00636B42C26391BE2E'), put('c', '00636B42C26391be30')],
    expected: ['c'],
  },
  {
    name: 'zeros on the right make no difference: the digit before them does',
    events: [put('a', '00636B42C2000000'), put('b', '00636B42C2000001'), put('c', '00636B42C1FFFFFFFF')],
    expected: ['b'],
  },
  {
    name: 'the greater sequencer wins against a clock that was set back',
    events: [put('a', '00636B42C26391BE2F', { time: later(60) }), put('b', '00636B42C26391BE3F')],
    expected: ['b'],
  },
  {
    name: 'a constant sequencer drops no later event: time orders',
    events: [put('a', CONSTANT), put('b', CONSTANT, { time: later(2) }), removal(CONSTANT, { time: later(1) })],
    expected: ['b'],
  },
  {
    name: 'events without sequencers go by time',
    events: [put('a', undefined), removal(undefined, { time: later(3) }), put('b', undefined, { time: later(2) })],
    expected: [],
  },
  {
    name: 'one event without a sequencer among others makes time the order of all',
    events: [put('a', '00636B42C26391BE2F'), put('b', undefined, { time: later(1) })],
    expected: ['b'],
  },
  {
    name: 'sequencers of two sources never compare: time does',
    events: [
      put('a', '00636B42C26391BE2F', { source: 'minio:s3' }),
      put('b', '00636B4222CBA01ADB', { source: 'aws:s3', time: later(1) }),
    ],
    expected: ['b'],
  },
  {
    name: 'a change of tags carries no sequencer and orders nothing',
    events: [
      put('a', '00636B4222CBA01ADB'),
      { kind: 'update', tags: { n: '1' }, time: later(9) },
      put('b', '00636B42C26391BE2F', { time: later(5) }),
    ],
    expected: ['b'],
  },
]

describe('what the inventory and the content table show', () => {
  let bench: EngineBench
  const shown = new Map<string, string[]>()

  before(async () => {
    bench = await EngineBench.open()
    const buckets = CASES.map(({ events }, at) =>
      orders(events.length).map((order, way) => told(events, order, at, way)),
    )
    const steps = Math.max(...CASES.map(({ events }) => events.length))
    for (let step = 0; step < steps; step++) {
      // The third event of every case comes to an engine that has been stopped and opened again.
      if (step === 2) await bench.restart()
      await bench.tell(...buckets.flat().flatMap((events) => events[step] ?? []))
    }
    await bench.tell(...buckets.flat(2))
    for (const [table, etag] of [
      [TABLES.inventory, 'e_tag'],
      [TABLES.content, 'etag'],
    ]) {
      for (const row of await bench.sql(`SELECT bucket, ${etag} AS etag FROM ${table} ORDER BY bucket`)) {
        const id = `${table} ${row['bucket']}`
        shown.set(id, [...(shown.get(id) ?? []), String(row['etag'])])
      }
    }
  })
  after(() => bench.close())

  for (const [at, { name, events, expected }] of CASES.entries()) {
    it(`${name} (${orders(events.length).length} orders, each told twice)`, () => {
      for (const table of [TABLES.inventory, TABLES.content]) {
        for (const [way, order] of orders(events.length).entries()) {
          assert.deepEqual(shown.get(`${table} case-${at}-${way}`) ?? [], expected, `${table}, order ${order}`)
        }
      }
    })
  }

  it('has the journal hold every event once', async () => {
    const [counts] = await bench.sql(
      `SELECT count(*) AS records, count(DISTINCT (bucket, sequence_number)) AS different FROM ${TABLES.journal}`,
    )
    const events = CASES.reduce((sum, one) => sum + one.events.length * orders(one.events.length).length, 0)
    assert.deepEqual(counts, { records: BigInt(events), different: BigInt(events) })
  })
})

describe('a creation that comes after the removal of what it created', () => {
  it('stays away, however late and however often it comes, and is counted as late', async () => {
    const bench = await EngineBench.open()
    try {
      const creation = eventOf({ kind: 'create', key: 'a', time: AT, sequencer: '00636B4222CBA01ADB', etag: 'a' })
      await bench.tell(eventOf({ kind: 'delete', key: 'a', time: later(1), sequencer: '00636B42C26391BE2F' }))
      await bench.restart()
      await bench.tell(creation)
      assert.equal(bench.engine.objects.counts.byEffect.late, 1)
      await bench.restart()
      await bench.tell(creation, creation)
      const { content, inventory, journal } = await bench.tables()
      assert.deepEqual([content, inventory, journal.length], [[], [], 2])
    } finally {
      await bench.close()
    }
  })
})

describe('versions of a key', () => {
  it('are told apart by time, never by their sequencers', async () => {
    const bench = await EngineBench.open()
    try {
      const first = { versionId: 'v1', time: AT, sequencer: 'FF636B4222CBA01ADB', etag: '1' }
      const second = { versionId: 'v2', time: later(1), sequencer: '00636B4222CBA01ADB', etag: '2' }
      await bench.tell(
        eventOf({ kind: 'create', key: 'a', ...second }),
        eventOf({ kind: 'create', key: 'a', ...first }),
      )
      const rows = await bench.sql('SELECT version_id, is_current FROM s3_metadata_coalesced ORDER BY version_id')
      assert.deepEqual(rows, [
        { version_id: 'v1', is_current: false },
        { version_id: 'v2', is_current: true },
      ])
    } finally {
      await bench.close()
    }
  })
})

function told(
  events: readonly Partial<ObjectEvent>[],
  order: readonly number[],
  at: number,
  way: number,
): ObjectEvent[] {
  return order.map((index) => {
    const { kind = 'create', ...event } = events[index]!
    return eventOf({ time: AT, ...event, kind, key: 'a', bucket: `case-${at}-${way}` })
  })
}

/** All orders of so many things. */
function orders(count: number): number[][] {
  if (count === 0) return [[]]
  return orders(count - 1).flatMap((rest) => Array.from({ length: count }, (_, at) => rest.toSpliced(at, 0, count - 1)))
}
