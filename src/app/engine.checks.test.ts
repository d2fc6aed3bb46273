/** Streams that check, enrich, convert and evolve, with everything around them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'

const origin = { receivedMs: Date.parse('2026-11-21T04:00:00Z'), ip: '198.51.100.23', userAgent: 'curl/8.5.0' }

test('records are held to a schema, enriched, and land once by an id of their content', async () => {
  const visits = {
    table: 'demo.visits',
    columns: {
      id: 'UUID NOT NULL',
      page: 'STRING NOT NULL',
      at: 'TIMESTAMP',
      received_at: 'TIMESTAMPTZ',
      network: 'STRING',
      is_bot: 'BOOLEAN',
      source: 'STRING',
    },
    uniqueKeys: ['id'],
    validate: {
      type: 'json-schema' as const,
      schema: { required: ['page'], properties: { page: { type: 'string', pattern: '^/' } } },
    },
    enrich: {
      receivedAt: 'received_at',
      eventId: { column: 'id', fields: ['page', 'at'] },
      userAgent: { columns: { isBot: 'is_bot' } },
      ip: { column: 'network' },
      query: { from: 'page', columns: { utm_source: 'source' } },
    },
  }
  await withEngine({ streams: { visits } }, async (bench) => {
    const visit = { page: '/a?utm_source=x', at: '2026-11-21T03:59:59Z' }
    const { results } = await bench.engine.streams
      .get('visits')
      .accept(recordsOf(visit, { page: 'a' }, {}, { page: '/b', at: 'soon' }), {}, { origin })
    assert.deepEqual(
      results.map((result) => ('code' in result ? `${result.code} ${result.message}` : result.kind)),
      [
        'accepted',
        'SchemaViolation page: must match pattern "^/", got "a"',
        'SchemaViolation page: expected a value, got none',
        'WrongType at: expected a timestamp such as 2017-11-16T22:31:08, got "soon"',
      ],
    )
    await bench.restart()
    await bench.engine.streams.get('visits').accept(recordsOf(visit), {}, { origin })
    await bench.engine.drain()
    assert.deepEqual(
      await bench.sql(
        'SELECT page, CAST("at" AS VARCHAR) AS t, network, is_bot, source, CAST(received_at AS VARCHAR) AS r FROM demo.visits',
      ),
      [
        {
          page: '/a?utm_source=x',
          t: '2026-11-21 03:59:59',
          network: '198.51.100.0',
          is_bot: true,
          source: 'x',
          r: '2026-11-21 04:00:00+00',
        },
      ],
    )
    assert.deepEqual(
      await bench.sql("SELECT decode(payload) AS bytes FROM tidewater.dead_letters WHERE code = 'WrongType'"),
      [{ bytes: '{"page":"/b","at":"soon"}' }],
    )
  })
})

test('a value that does not fit widens its column or goes beside it, and the stream opens again afterwards', async () => {
  const loose = {
    table: 'demo.loose',
    columns: { id: 'INT NOT NULL', n: 'INT', s: 'STRUCT<a: INT>' },
    uniqueKeys: ['id'],
    unknownFields: 'evolve' as const,
    conflict: 'sibling' as const,
  }
  await withEngine({ streams: { loose } }, async (bench) => {
    const take = async (...records: object[]) => {
      const { results } = await bench.engine.streams.get('loose').accept(recordsOf(...records))
      return results.map(({ kind }) => kind)
    }
    assert.deepEqual(await take({ id: 1, n: 1, s: { a: 1 } }), ['accepted'])
    assert.deepEqual(await take({ id: 4_294_967_296, n: 2 ** 40, s: { a: 2, b: 'new' } }), ['accepted'])
    await bench.restart()
    assert.deepEqual(await take({ id: 1, n: 'many' }, { id: 'one' }, { id: 3, n: 3 }), [
      'accepted',
      'dead-letter',
      'accepted',
    ])
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, n, n__string, s.a AS a, s.b AS b FROM demo.loose ORDER BY id'), [
      { id: 1n, n: null, n__string: 'many', a: null, b: null },
      { id: 3n, n: 3n, n__string: null, a: null, b: null },
      { id: 4_294_967_296n, n: 2n ** 40n, n__string: null, a: 2, b: 'new' },
    ])
  })
})

test('bodies in Avro become rows, and texts are read as the stream wants them', async () => {
  const { default: avsc } = await import('avsc')
  const schema = {
    type: 'record',
    name: 'Reading',
    fields: [
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'value', type: { type: 'bytes', logicalType: 'decimal', precision: 6, scale: 2 } },
    ],
  }
  const columns = { at: 'TIMESTAMPTZ', value: 'DECIMAL(6,2)' }
  const texts = {
    table: 'demo.texts',
    columns: { at: 'TIMESTAMP', n: 'LONG', flag: 'BOOLEAN' },
    strictness: 'convert' as const,
    epochUnit: 'auto' as const,
    dateFormats: ['dd/MMM/yyyy:HH:mm:ss Z'],
  }
  const avro = { table: 'demo.avro', columns, validate: { type: 'avro' as const, schema, encoding: 'binary' as const } }
  await withEngine({ streams: { avro, texts } }, async (bench) => {
    const data = avsc.Type.forSchema(schema as never).toBuffer({
      at: 1655517600123456,
      value: Buffer.from([0x04, 0xd2]),
    })
    const { results } = await bench.engine.streams.get('avro').accept([{ data }, { data: data.subarray(0, 5) }])
    assert.deepEqual(
      results.map((result) => ('code' in result ? result.code : result.kind)),
      ['accepted', 'SchemaViolation'],
    )
    await bench.engine.streams
      .get('texts')
      .accept(
        recordsOf(
          { at: '18/Jun/2022:04:00:00 +0200', n: '17', flag: 'True' },
          { at: '1655517600', n: 18, flag: false },
        ),
      )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT epoch_us("at") AS t, CAST(value AS VARCHAR) AS value FROM demo.avro'), [
      { t: 1655517600123456n, value: '12.34' },
    ])
    assert.deepEqual(await bench.sql('SELECT CAST(epoch("at") AS BIGINT) AS t, n, flag FROM demo.texts ORDER BY n'), [
      { t: 1655517600n, n: 17n, flag: true },
      { t: 1655517600n, n: 18n, flag: false },
    ])
  })
})
