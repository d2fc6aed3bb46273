/** Streams that write several tables: where entries go, also after restarts, changes of the settings, and removals. */
import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

const columns = { id: 'LONG NOT NULL', kind: 'STRING' }
const routed = { table: 'demo.other', columns, route: { table: '.kind // "other"' } }
const ids = async (bench: EngineBench, table: string) =>
  (await bench.sql(`SELECT id FROM demo.${table} ORDER BY id`)).map((row) => Number(row['id']))

test('records go to the tables that they are routed to, each once, and tables are made on first use', async () => {
  const streams = { mixed: { ...routed, partitioning: ['bucket(4, id)'] } }
  await withEngine({ streams }, async (bench) => {
    const stream = bench.engine.streams.get('mixed')
    const values = Array.from({ length: 60 }, (_, id) => ({ id, ...(id % 6 === 5 ? {} : { kind: `t${id % 6}` }) }))
    const { results } = await stream.accept(recordsOf(...values.slice(0, 40)))
    assert.deepEqual(
      results.map((result) => (result.kind === 'accepted' ? result.offset : result.kind)),
      values.slice(0, 40).map(({ id }) => id),
    )
    await bench.engine.drain()
    await stream.accept(recordsOf(...values.slice(40)))
    await bench.restart()
    await bench.engine.drain()
    for (const rest of [0, 1, 2, 3, 4])
      assert.deepEqual(
        await ids(bench, `t${rest}`),
        values.map(({ id }) => id).filter((id) => id % 6 === rest),
      )
    assert.deepEqual(
      await ids(bench, 'other'),
      values.map(({ id }) => id).filter((id) => id % 6 === 5),
    )
    const { parts } = bench.engine.streams.get('mixed')
    assert.equal(parts.log.start, parts.log.end, 'the log holds nothing that the tables hold')
    const files = await bench.sql('SELECT DISTINCT spec_id, partition FROM demo.t1.files')
    assert.ok(files.length > 1, 'made with the partition spec')
  })
})

test('a table that cannot be had makes its own records dead letters', async () => {
  const streams = { first: { table: 'demo.taken', columns }, mixed: routed }
  await withEngine({ streams }, async (bench) => {
    const { results } = await bench.engine.streams
      .get('mixed')
      .accept(recordsOf({ id: 1, kind: 'taken' }, { id: 2, kind: 'mine' }, { id: 3, kind: 'x y' }))
    assert.deepEqual(
      results.map(({ kind }) => kind),
      ['dead-letter', 'accepted', 'dead-letter'],
    )
    await bench.engine.drain()
    assert.deepEqual(await ids(bench, 'mine'), [2])
    assert.deepEqual(await ids(bench, 'taken'), [])
  })
})

test('entries reach the table that they were acknowledged for, whatever the settings say since', async () => {
  const before = { table: 'demo.before', columns: { id: 'LONG NOT NULL', gone: 'STRING' } }
  const after = { table: 'demo.after', columns: { id: 'LONG NOT NULL', other: 'LONG' } }
  await withEngine({ streams: { events: before } }, async (bench) => {
    await bench.engine.streams.get('events').accept(recordsOf({ id: 1, gone: 'kept' }))
    await bench.restart({ streams: { events: after } })
    await bench.engine.streams.get('events').accept(recordsOf({ id: 2, other: 3 }))
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, gone FROM demo.before'), [{ id: 1n, gone: 'kept' }])
    assert.deepEqual(await bench.sql('SELECT id, other FROM demo.after'), [{ id: 2n, other: 3n }])
    await bench.restart()
    assert.deepEqual(
      bench.engine.streams
        .get('events')
        .freshness()
        .destinations.map(({ table }) => table),
      ['demo.after'],
      'a table that nothing waits for is let go',
    )
  })
})

test('entries are applied by the key that held when they were taken', async () => {
  const rows = { table: 'demo.rows', columns: { id: 'LONG NOT NULL', n: 'LONG' } }
  await withEngine({ streams: { rows } }, async (bench) => {
    await bench.engine.streams.get('rows').accept(recordsOf({ id: 1, n: 1 }, { id: 1, n: 2 }))
    await bench.restart({ streams: { rows: { ...rows, uniqueKeys: ['id'] } } })
    await bench.engine.streams.get('rows').accept(recordsOf({ id: 2, n: 1 }, { id: 2, n: 2 }))
    await bench.engine.drain()
    assert.deepEqual(
      (await bench.sql('SELECT id, n FROM demo.rows ORDER BY id, n')).map(({ id, n }) => [Number(id), Number(n)]),
      [
        [1, 1],
        [1, 2],
        [2, 2],
      ],
    )
  })
})

test('what a stream that is no more has left is committed all the same, and told', async () => {
  await withEngine({ streams: { mixed: routed } }, async (bench) => {
    await bench.engine.streams.get('mixed').accept(recordsOf({ id: 1, kind: 'a' }, { id: 2, kind: 'b' }, { id: 3 }))
    await bench.restart({ streams: {} })
    assert.match(bench.notices.join('\n'), /stream mixed is no more, but its log holds 3 entries/)
    assert.deepEqual(bench.engine.streams.names(), [])
    await bench.engine.drain()
    assert.deepEqual([await ids(bench, 'a'), await ids(bench, 'b'), await ids(bench, 'other')], [[1], [2], [3]])
    await bench.restart({ streams: {} })
    assert.deepEqual(bench.notices, [], 'told once')
    const { stream } = await bench.engine.streams.create('mixed', routed)
    await stream.accept(recordsOf({ id: 4, kind: 'a' }))
    await bench.engine.drain()
    assert.deepEqual(await ids(bench, 'a'), [1, 4])
  })
})

test('entries find their tables also when streams.db is lost', async () => {
  await withEngine({ streams: { mixed: { ...routed, uniqueKeys: ['id'] } } }, async (bench) => {
    const producer = { id: 'p', epoch: 0, sequence: 0 }
    await bench.engine.streams.get('mixed').accept(recordsOf({ id: 1, kind: 'a' }, { id: 2, kind: 'b' }), { producer })
    await bench.stop()
    await bench.removeState('streams.db')
    await bench.restart()
    const { results } = await bench.engine.streams
      .get('mixed')
      .accept(recordsOf({ id: 1, kind: 'a' }, { id: 2, kind: 'b' }), { producer })
    assert.deepEqual(results, [
      { kind: 'repeated', offset: 0 },
      { kind: 'repeated', offset: 1 },
    ])
    await bench.engine.drain()
    assert.deepEqual([await ids(bench, 'a'), await ids(bench, 'b')], [[1], [2]])
  })
})

test('a table that is not there gets the columns of the first records when the stream evolves', async () => {
  const shy = { table: 'demo.shy', unknownFields: 'evolve' as const, uniqueKeys: ['id'] }
  await withEngine({ streams: { shy } }, async (bench) => {
    const stream = bench.engine.streams.get('shy')
    const bad = await stream.accept(recordsOf('no json', { n: 1 }))
    assert.deepEqual(
      bad.results.map((result) => ('code' in result ? result.code : result.kind)),
      ['DestinationRefused', 'DestinationRefused'],
      'there is no key in them',
    )
    const value = { id: 'a', n: 1, place: { x: 1.5, tags: ['b'] } }
    assert.equal((await stream.accept(recordsOf(value))).results[0]?.kind, 'accepted')
    await stream.accept(recordsOf({ id: 'b', more: true }))
    await bench.engine.drain()
    assert.deepEqual(
      await bench.sql('SELECT id, n, place.x AS x, place.tags AS tags, more FROM demo.shy ORDER BY id'),
      [
        { id: 'a', n: 1n, x: 1.5, tags: ['b'], more: null },
        { id: 'b', n: null, x: null, tags: null, more: true },
      ],
    )
  })
})

test('settings that name another table hold from the next request on', async () => {
  await withEngine({}, async (bench) => {
    const { streams } = bench.engine
    const { stream } = await streams.create('events', { table: 'demo.one', columns })
    await stream.accept(recordsOf({ id: 1 }))
    await streams.update('events', { table: 'demo.two', columns, uniqueKeys: ['id'] })
    await stream.accept(recordsOf({ id: 2 }, { id: 2 }))
    await assert.rejects(streams.create('other', { table: 'demo.one', columns }), /is written by stream events/)
    await bench.engine.drain()
    assert.deepEqual([await ids(bench, 'one'), await ids(bench, 'two')], [[1], [2]])
    // Another key: what came before is committed by the old one.
    await stream.accept(recordsOf({ id: 3 }, { id: 3 }))
    await streams.update('events', { table: 'demo.two', columns })
    await stream.accept(recordsOf({ id: 4 }, { id: 4 }))
    await assert.rejects(
      streams.update('events', { table: 'demo.two', columns, uniqueKeys: ['none'] }),
      /the table has no column "none"/,
    )
    await stream.accept(recordsOf({ id: 5 }))
    await bench.engine.drain()
    assert.deepEqual(await ids(bench, 'two'), [2, 3, 4, 4, 5])
  })
})

test('a stream that cannot be opened is told of and refuses records, and the others live', async () => {
  const good = { table: 'demo.good', columns }
  await withEngine({ streams: { good, lost: { table: 'demo.none' } } }, async (bench) => {
    const { streams } = bench.engine
    assert.match(bench.notices.join('\n'), /stream lost: there is no table demo.none/)
    assert.deepEqual(streams.names(), ['good', 'lost'])
    assert.throws(
      () => streams.get('lost'),
      (error) => isFault(error, 'unavailable'),
    )
    await streams.get('good').accept(recordsOf({ id: 1 }))
    await bench.engine.drain()
    assert.deepEqual(await ids(bench, 'good'), [1])
    await streams.create('maker', { table: 'demo.none', columns })
    await streams.remove('maker')
    await bench.restart()
    assert.equal((await bench.engine.streams.get('lost').accept(recordsOf({ id: 2 }))).results[0]?.kind, 'accepted')
  })
})

test('a log that is damaged stops its stream alone', async () => {
  const streams = { good: { table: 'demo.good', columns }, bad: { table: 'demo.bad', columns } }
  await withEngine({ streams }, async (bench) => {
    await bench.engine.streams.get('bad').accept(recordsOf({ id: 1 }))
    await bench.stop()
    const dir = path.join(bench.dir, 'home', 'logs', 'stream-bad')
    const [segment] = (await readdir(dir)).filter((name) => name.endsWith('.ndjson'))
    await writeFile(path.join(dir, segment!), 'x'.repeat(200))
    await mkdir(path.join(bench.dir, 'home', 'logs', 'stream-gone'), { recursive: true })
    await bench.restart()
    assert.deepEqual(
      bench.engine.streams.troubles().map(({ name, fault }) => [name, fault.kind]),
      [['bad', 'corrupt']],
    )
    await bench.engine.streams.get('good').accept(recordsOf({ id: 2 }))
    await bench.engine.drain()
    assert.deepEqual(await ids(bench, 'good'), [2])
  })
})

test('a catalog that does not answer keeps nobody from sending, and what was sent is committed when it does', async () => {
  await withEngine({ streams: { events: { table: 'demo.events', columns } } }, async (bench) => {
    const { catalog, streams } = bench.engine
    const load = catalog.load.bind(catalog)
    catalog.load = () => Promise.reject(new Fault('unavailable', 'the catalog is out of reach'))
    const stream = streams.get('events')
    for (let id = 0; id < 3; id++) {
      const { results } = await stream.accept(recordsOf({ id }))
      assert.equal(results[0]?.kind, 'accepted')
      await delay(limits.streamSchemaAgeMs / 2 + 100)
    }
    await assert.rejects(streams.drain(), /out of reach/)
    catalog.load = load
    await streams.drain()
    assert.deepEqual(await ids(bench, 'events'), [0, 1, 2])
  })
})

test('by an ordering column late records lose, deletes too, also across commits and restarts', async () => {
  const stock = {
    table: 'demo.stock',
    columns: { id: 'STRING', at: 'TIMESTAMP', n: 'LONG' },
    uniqueKeys: ['id'],
    orderingField: 'at',
    operationField: 'op',
  }
  const at = (minute: number) => `2026-01-01T00:0${minute}:00Z`
  await withEngine({ streams: { stock } }, async (bench) => {
    const send = async (...values: object[]) => {
      const { results } = await bench.engine.streams.get('stock').accept(recordsOf(...values))
      await bench.engine.drain()
      return results.map((result) => ('code' in result ? result.code : result.kind))
    }
    const rows = async () =>
      (await bench.sql('SELECT id, n FROM demo.stock ORDER BY id')).map(({ id, n }) => [id, Number(n)])
    await send({ id: 'a', at: at(5), n: 5 }, { id: 'a', at: at(3), n: 3 }, { id: 'b', at: at(4), n: 4 })
    assert.deepEqual(await rows(), [
      ['a', 5],
      ['b', 4],
    ])
    await bench.restart()
    await send({ id: 'a', at: at(4), n: 4 }, { id: 'b', at: at(6), op: 'delete' })
    await send({ id: 'b', at: at(5), n: 9 })
    assert.deepEqual(await rows(), [['a', 5]])
    assert.deepEqual(await send({ id: 'a', op: 'delete' }), ['MissingField'], 'when it was deleted must be said')
    await send({ id: 'b', at: at(7), n: 7 })
    assert.deepEqual(await rows(), [
      ['a', 5],
      ['b', 7],
    ])
    await bench.restart({ streams: { stock: { ...stock, orderingField: undefined } } })
    await send({ id: 'a', at: at(1), n: 1 })
    assert.deepEqual(await rows(), [
      ['a', 1],
      ['b', 7],
    ])
  })
  await withEngine({}, async (bench) => {
    await assert.rejects(
      bench.engine.streams.create('s', { ...stock, columns: { id: 'STRING', at: 'STRING' } }),
      (error) => isFault(error, 'invalid') && /ordering column at/.test(error.message),
    )
    await assert.rejects(
      bench.engine.streams.create('s', { ...stock, uniqueKeys: [], operationField: undefined }),
      /needs uniqueKeys/,
    )
  })
})
