/** Streams with everything around them: real logs, tables, dead letters, and starts after which everything still holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { withEngine } from '../../test/support/engine-bench.ts'
import { recordOf, recordsOf } from '../../test/support/streams.ts'
import { isFault } from '../base/fault.ts'

const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL', name: 'STRING' } }

test('records of a stream are rows of its table, bad ones are dead letters with their bytes', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const stream = bench.engine.streams.get('events')
    const { results } = await stream.accept(recordsOf({ id: 1, name: 'a' }, 'not json', { id: 'x' }, { id: 2 }))
    assert.deepEqual(
      results.map((result) => [result.kind, 'code' in result ? result.code : '']),
      [
        ['accepted', ''],
        ['dead-letter', 'InvalidJson'],
        ['dead-letter', 'WrongType'],
        ['accepted', ''],
      ],
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, name FROM demo.events ORDER BY id'), [
      { id: 1n, name: 'a' },
      { id: 2n, name: null },
    ])
    assert.deepEqual(
      await bench.sql('SELECT stage, stream, code, decode(payload) AS bytes FROM tidewater.dead_letters ORDER BY code'),
      [
        { stage: 'record', stream: 'events', code: 'InvalidJson', bytes: 'not json' },
        { stage: 'record', stream: 'events', code: 'WrongType', bytes: '{"id":"x"}' },
      ],
    )
  })
})

test('a request that comes again with its key gets the same answer, also after a restart and a commit', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const records = recordsOf({ id: 1 }, 'bad', { id: 2 })
    const identity = { idempotencyKey: 'r-1' }
    const first = await bench.engine.streams.get('events').accept(records, identity)
    assert.equal(first.repeated, false)
    const again = await bench.engine.streams.get('events').accept(records, identity)
    assert.deepEqual(again, { ...first, repeated: true })
    await bench.restart()
    assert.deepEqual(await bench.engine.streams.get('events').accept(records, identity), again)
    await bench.engine.drain()
    await bench.restart()
    assert.deepEqual(await bench.engine.streams.get('events').accept(records, identity), again)
    await assert.rejects(bench.engine.streams.get('events').accept(recordsOf({ id: 3 }), identity), (error) =>
      isFault(error, 'invalid'),
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 2 }])
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM tidewater.dead_letters'), [{ n: 1 }])
  })
})

test('the same request sent twice at once is taken once', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const stream = bench.engine.streams.get('events')
    const send = () => stream.accept(recordsOf({ id: 1 }), { idempotencyKey: 'k' })
    const answers = await Promise.all([send(), send(), send()])
    assert.deepEqual(answers.map(({ repeated }) => repeated).sort(), [false, true, true])
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 1 }])
  })
})

test('numbered records land once; gaps and producers that were taken over are told', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const send = async (epoch: number, sequence: number, ...values: unknown[]) => {
      const stream = bench.engine.streams.get('events')
      const { results } = await stream.accept(recordsOf(...values), { producer: { id: 'p', epoch, sequence } })
      return results.map((result) => (result.kind === 'refused' ? `${result.code} ${result.expected}` : result.kind))
    }
    assert.deepEqual(await send(0, 0, { id: 0 }, { id: 1 }), ['accepted', 'accepted'])
    assert.deepEqual(await send(0, 1, { id: 1 }, { id: 2 }), ['repeated', 'accepted'])
    assert.deepEqual(await send(0, 4, { id: 4 }), ['SequenceGap 3'])
    assert.deepEqual(await send(0, 3, 'bad', { id: 4 }), ['dead-letter', 'accepted'])
    await bench.restart()
    assert.deepEqual(await send(0, 3, 'bad', { id: 4 }, { id: 5 }), ['repeated', 'repeated', 'accepted'])
    await bench.engine.drain()
    await bench.restart()
    assert.deepEqual(await send(0, 5, { id: 5 }), ['repeated'])
    assert.deepEqual(await send(1, 1, { id: 9 }), ['SequenceGap 0'])
    assert.deepEqual(await send(1, 0, { id: 6 }), ['accepted'])
    assert.deepEqual(await send(0, 6, { id: 6 }), ['ProducerFenced null'])
    await bench.engine.drain()
    assert.deepEqual(
      (await bench.sql('SELECT id FROM demo.events ORDER BY id')).map((row) => Number(row['id'])),
      [0, 1, 2, 4, 5, 6],
    )
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM tidewater.dead_letters'), [{ n: 1 }])
  })
})

test('a keyed stream inserts, updates and deletes by its key', async () => {
  const accounts = {
    table: 'demo.accounts',
    columns: { id: 'STRING', region: 'STRING', balance: 'DECIMAL(10,2)' },
    uniqueKeys: ['id'],
    partitioning: ['region'],
    operationField: '_op',
  }
  await withEngine({ streams: { accounts } }, async (bench) => {
    const stream = bench.engine.streams.get('accounts')
    await stream.accept(recordsOf({ id: 'a', region: 'eu', balance: 1.5 }, { id: 'b', region: 'eu', balance: 2 }))
    await bench.engine.drain()
    const { results } = await stream.accept([
      recordOf({ id: 'a', region: 'us', balance: 9.99, _op: 'update' }),
      { ...recordOf({ id: 'b' }), operation: 'delete' },
      recordOf({ id: 'c', _op: 'upsert' }),
      recordOf({ region: 'eu' }),
    ])
    assert.deepEqual(
      results.map((result) => ('code' in result ? result.code : result.kind)),
      ['accepted', 'accepted', 'InvalidOperation', 'MissingField'],
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, region, balance::VARCHAR AS balance FROM demo.accounts'), [
      { id: 'a', region: 'us', balance: '9.99' },
    ])
  })
})

test('an evolving stream gives its table the columns that records bring', async () => {
  await withEngine({ streams: { events: { ...events, unknownFields: 'evolve' } } }, async (bench) => {
    const stream = bench.engine.streams.get('events')
    const { results } = await stream.accept(
      recordsOf({ id: 1, price: 9.5, tags: ['a'] }, { id: 2, who: { city: 'Oslo', zip: 7 } }, { id: 3, ID: 4 }),
    )
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['accepted', 'accepted', 'dead-letter'],
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, price, tags, who.city AS city FROM demo.events ORDER BY id'), [
      { id: 1n, price: 9.5, tags: ['a'], city: null },
      { id: 2n, price: null, tags: null, city: 'Oslo' },
    ])
  })
})

test('a replayed record lands once, and stays a letter while it is no row', async () => {
  const { replayLetters } = await import('./replay.ts')
  await withEngine({ streams: { events } }, async (bench) => {
    await bench.engine.streams.get('events').accept(recordsOf({ id: 1, extra: 'x' }))
    const replay = () => replayLetters(bench.engine, { ids: [] })
    assert.deepEqual(await replay(), { replayed: 0, failed: 1, cut: 0 })
    await bench.restart({ streams: { events: { ...events, unknownFields: 'drop' } } })
    assert.deepEqual(await replay(), { replayed: 1, failed: 0, cut: 0 })
    assert.deepEqual(await replay(), { replayed: 0, failed: 0, cut: 0 })
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events'), [{ id: 1n }])
    assert.deepEqual(await bench.sql('SELECT status FROM tidewater.dead_letters'), [{ status: 'replayed' }])
  })
})

test('streams are made, found after a restart, and removed without their table', async () => {
  await withEngine({}, async (bench) => {
    const { created } = await bench.engine.streams.create('events', events)
    assert.equal(created, true)
    assert.equal((await bench.engine.streams.create('events', events)).created, false)
    await assert.rejects(
      bench.engine.streams.create('events', { ...events, unknownFields: 'drop' }),
      /with other settings/,
    )
    await assert.rejects(bench.engine.streams.create('other', events), /is written by stream events/)
    const taken = { ...events, table: 'tidewater.dead_letters' }
    await assert.rejects(bench.engine.streams.create('other', taken), /written by another service/)
    await bench.engine.streams.get('events').accept(recordsOf({ id: 1 }))
    await bench.restart()
    await bench.engine.streams.remove('events')
    assert.throws(
      () => bench.engine.streams.get('events'),
      (error) => isFault(error, 'not-found'),
    )
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events'), [{ id: 1n }], 'it was committed before')
    await bench.restart()
    assert.deepEqual(bench.engine.streams.list(), [])
    // Another stream of the same table begins with a log of its own.
    const { stream } = await bench.engine.streams.create('later', { table: 'demo.events' })
    await stream.accept(recordsOf({ id: 2, name: 'z' }))
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, name FROM demo.events ORDER BY id'), [
      { id: 1n, name: null },
      { id: 2n, name: 'z' },
    ])
  })
})

test('a commit comes when the time or the size of the buffer is reached', async () => {
  const small = { ...events, table: 'demo.small', buffer: { seconds: 900, mebibytes: 0.01 } }
  const quick = { ...events, table: 'demo.quick', buffer: { seconds: 0.05 } }
  await withEngine({ streams: { small, quick } }, async (bench) => {
    const { streams } = bench.engine
    streams.start()
    await streams.get('small').accept(recordsOf({ id: 1 }))
    await streams.get('quick').accept(recordsOf({ id: 1 }))
    const rows = async (table: string) => Number((await bench.sql(`SELECT count(*) AS n FROM ${table}`))[0]?.['n'])
    for (let tries = 0; tries < 100 && (await rows('demo.quick')) === 0; tries++) await delay(50)
    assert.equal(await rows('demo.quick'), 1)
    assert.equal(await rows('demo.small'), 0)
    await streams.get('small').accept(recordsOf({ id: 2, name: 'x'.repeat(20_000) }))
    for (let tries = 0; tries < 100 && (await rows('demo.small')) === 0; tries++) await delay(50)
    assert.equal(await rows('demo.small'), 2)
  })
})

test('a request can wait until its rows are in a snapshot, and is told when it takes too long', async () => {
  await withEngine({ streams: { events: { ...events, buffer: { seconds: 0.05 } } } }, async (bench) => {
    const { streams } = bench.engine
    const stream = streams.get('events')
    await assert.rejects(
      stream.accept(recordsOf({ id: 1 }), {}, { waitMs: 20 }),
      (error) => isFault(error, 'unavailable') && error.facts['accepted'] === true && error.facts['end'] === 1,
    )
    assert.deepEqual(
      { waiting: stream.freshness().waitingEntries, committed: stream.freshness().destinations },
      { waiting: 1, committed: [{ table: 'demo.events', committed: 0 }] },
    )
    streams.start()
    const { end } = await stream.accept(recordsOf({ id: 2 }), {}, { waitMs: 30_000 })
    assert.equal(end, 2)
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'), [{ n: 2 }])
    const { waitingEntries, waitingBytes, oldestWaitingMs, lastCommitMs } = stream.freshness()
    assert.deepEqual(
      { waitingEntries, waitingBytes, oldestWaitingMs },
      { waitingEntries: 0, waitingBytes: 0, oldestWaitingMs: null },
    )
    assert.ok(lastCommitMs !== null)
  })
})

test('a paused stream takes records and commits nothing until it goes on, also across a restart', async () => {
  await withEngine({ streams: { events: { ...events, buffer: { seconds: 0 } } } }, async (bench) => {
    const count = async () => (await bench.sql('SELECT count(*)::INTEGER AS n FROM demo.events'))[0]?.['n']
    bench.engine.streams.start()
    await bench.engine.streams.pause('events')
    await bench.engine.streams.get('events').accept(recordsOf({ id: 1 }))
    await bench.restart()
    bench.engine.streams.start()
    const stream = bench.engine.streams.get('events')
    assert.equal(stream.freshness().paused, true)
    await assert.rejects(stream.accept(recordsOf({ id: 2 }), {}, { waitMs: 300 }), /the records are taken/)
    assert.equal(await count(), 0)
    await bench.engine.streams.drain('events')
    assert.equal(await count(), 2, 'told to, it commits all the same')
    await bench.engine.streams.resume('events')
    await stream.accept(recordsOf({ id: 3 }), {}, { waitMs: 30_000 })
    assert.equal(await count(), 3)
  })
})

test('records of several producers come in one request, and each owner has names of its own', async () => {
  await withEngine({ streams: { events } }, async (bench) => {
    const stream = bench.engine.streams.get('events')
    const numbered = (id: string, sequence: number, value: unknown) => ({
      ...recordOf(value),
      producer: { id, epoch: 0, sequence },
    })
    const kinds = async (owner: string | undefined, ...records: ReturnType<typeof numbered>[]) =>
      (await stream.accept(records, { owner })).results.map(({ kind }) => kind)
    const first = [
      numbered('a', 0, { id: 1 }),
      numbered('b', 0, { id: 2 }),
      numbered('a', 1, 'bad'),
      numbered('b', 2, { id: 4 }),
    ]
    assert.deepEqual(await kinds('one', ...first), ['accepted', 'accepted', 'dead-letter', 'refused'])
    assert.deepEqual(await kinds('one', ...first), ['repeated', 'repeated', 'repeated', 'refused'])
    assert.deepEqual(await kinds('two', numbered('a', 0, { id: 5 })), ['accepted'])
    await assert.rejects(
      stream.accept([numbered('a', 2, { id: 6 }), recordOf({ id: 7 })], { owner: 'one' }),
      /one with every record/,
    )
    await bench.engine.drain()
    assert.deepEqual(
      (await bench.sql('SELECT id FROM demo.events ORDER BY id')).map((row) => Number(row['id'])),
      [1, 2, 5],
    )
  })
})

test('a stream gets other settings and tags, and has them after a restart', async () => {
  await withEngine({}, async (bench) => {
    await bench.engine.streams.create('events', events)
    const stream = await bench.engine.streams.update('events', { ...events, unknownFields: 'drop' })
    assert.equal(stream.version, 2)
    assert.equal((await stream.accept(recordsOf({ id: 1, more: 'x' }))).results[0]?.kind, 'accepted')
    await bench.engine.streams.tag(
      'events',
      new Map([
        ['team', 'web'],
        ['stage', 'test'],
      ]),
    )
    await bench.engine.streams.untag('events', ['stage'])
    await bench.restart()
    const again = bench.engine.streams.get('events')
    assert.deepEqual([again.version, again.definition.unknownFields], [2, 'drop'])
    assert.deepEqual([...bench.engine.streams.tags('events')], [['team', 'web']])
  })
})

test('of two changes that were made from one version of the settings, one wins', async () => {
  await withEngine({}, async (bench) => {
    const { streams } = bench.engine
    const settings = (seconds: number) => ({ table: 'demo.events', columns: { id: 'LONG' }, buffer: { seconds } })
    const { stream } = await streams.create('events', settings(1))
    const results = await Promise.allSettled([2, 3].map((seconds) => streams.update('events', settings(seconds), 1)))
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'done' : String(result.reason.facts.version))),
      ['done', '2'],
    )
    assert.deepEqual([stream.definition.buffer.seconds, stream.version], [2, 2])
  })
})
