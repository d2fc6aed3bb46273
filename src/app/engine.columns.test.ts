/** Columns by configuration: every type, whatever the metadata holds; columns added later; what the tables are created with. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import fc from 'fast-check'
import { EngineBench, eventOf, withEngine } from '../../test/support/engine-bench.ts'
import { isFault } from '../base/fault.ts'
import { type Json, stringifyJson } from '../base/json.ts'
import { setProperties } from '../iceberg/action/set-properties.ts'
import { fillAddedColumns } from '../service/objects/backfill.ts'
import { ensureTable } from '../table/table-setup.ts'
import { parseConfig } from './config.ts'
import { type ObjectTables, objectTables } from './object-tables.ts'

/** Facts are what the object's bytes are as JSON. */
const JSON_FACTS = `
export const name = 'json-facts'
export const appliesTo = ({ key }) => key.endsWith('.json')
export const extract = async ({ sizeBytes }, bytes) => {
  const big = (_key, value, context) => /^-?[0-9]{16,}$/.test(context?.source ?? '') ? BigInt(context.source) : value
  return JSON.parse(new TextDecoder().decode(await bytes.read(0, sizeBytes)), big)
}
`

/** Column → type. All are read from `$.value`. */
const TYPES = {
  a_boolean: 'BOOLEAN',
  an_integer: 'INTEGER',
  a_long: 'LONG',
  a_float: 'FLOAT',
  a_double: 'DOUBLE',
  a_decimal: 'DECIMAL(9, 2)',
  a_string: 'STRING',
  a_date: 'DATE',
  a_timestamp: 'TIMESTAMP',
  a_timestamptz: 'TIMESTAMPTZ',
  strings: 'ARRAY<STRING>',
  integers: 'ARRAY<INTEGER>',
  a_map: 'MAP<STRING, LONG>',
  a_struct: 'STRUCT<Make: STRING, size: STRUCT<w: INTEGER, h: INTEGER>, tags: ARRAY<STRING>>',
} as const

type Column = keyof typeof TYPES

const columnsOf = (path: string) =>
  Object.fromEntries(Object.entries(TYPES).map(([name, type]) => [name, { type, jpath: path }]))

/** What shows of a value, in the columns that take it; all others are null. */
const SAMPLES: [value: Json, shown: Partial<Record<Column, unknown>>][] = [
  [true, { a_boolean: true, a_string: 'true' }],
  [7, { an_integer: 7, a_long: 7n, a_float: 7, a_double: 7, a_decimal: '7.00', a_string: '7' }],
  [
    -2147483648,
    {
      an_integer: -2147483648,
      a_long: -2147483648n,
      a_float: -2147483648,
      a_double: -2147483648,
      a_string: '-2147483648',
    },
  ],
  [2147483648, { a_long: 2147483648n, a_float: 2147483648, a_double: 2147483648, a_string: '2147483648' }],
  [
    9007199254740993n,
    { a_long: 9007199254740993n, a_float: 9007199254740992, a_double: 9007199254740992, a_string: '9007199254740993' },
  ],
  [0.25, { a_float: 0.25, a_double: 0.25, a_decimal: '0.25', a_string: '0.25' }],
  [1e300, { a_double: 1e300, a_string: '1e+300' }],
  [
    { type: 'IFDRational', numerator: 1, denominator: 8 },
    {
      a_float: 0.125,
      a_double: 0.125,
      a_map: { type: null, numerator: 1n, denominator: 8n },
      a_struct: { Make: null, size: null, tags: null },
    },
  ],
  ['1234567.89', { a_decimal: '1234567.89', a_string: '1234567.89' }],
  ['text', { a_string: 'text' }],
  [
    '2024:05:01 10:00:00',
    { a_string: '2024:05:01 10:00:00', a_date: '2024-05-01', a_timestamp: '2024-05-01T10:00:00' },
  ],
  ['2024-02-30T10:00:00Z', { a_string: '2024-02-30T10:00:00Z' }],
  [
    '2024-05-01T23:30:00.5-01:00',
    { a_string: '2024-05-01T23:30:00.5-01:00', a_date: '2024-05-01', a_timestamptz: '2024-05-02T00:30:00.500000Z' },
  ],
  [['a', 'b'], { strings: ['a', 'b'], integers: [null, null] }],
  [[1, 2.5, null], { strings: ['1', '2.5', null], integers: [1, null, null] }],
  [
    { a: 1, b: 'x' },
    { a_map: { a: 1n, b: null }, a_struct: { Make: null, size: null, tags: null } },
  ],
  [
    { Make: 'Halden', size: { w: 6, h: '4' }, tags: ['x'], more: 1 },
    {
      a_map: { Make: null, size: null, tags: null, more: 1n },
      a_struct: { Make: 'Halden', size: { w: 6, h: null }, tags: ['x'] },
    },
  ],
  [null, {}],
]

async function jsonBench(objects: object = {}): Promise<EngineBench> {
  const bench = await EngineBench.prepare()
  await writeFile(join(bench.dir, 'json-facts.mjs'), JSON_FACTS)
  return bench.restart({ objects: { extractors: [{ module: 'json-facts.mjs' }], ...objects } })
}

async function put(bench: EngineBench, key: string, facts: Json, second = 0) {
  const time = new Date(Date.UTC(2024, 4, 1) + second * 1000).toISOString()
  const text = stringifyJson(facts)
  return eventOf({ kind: 'create', key, time, ...(await bench.putObject('photos', key, text)) })
}

describe('content columns', () => {
  it('of every type take the values that fit and are null for all others, and no row is lost for them', async () => {
    const bench = await jsonBench({ content: { columns: columnsOf('$.value') } })
    try {
      const hostile = fc.sample(fc.oneof(fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>, timeLike, numberLike), {
        numRuns: 400,
        seed: 42,
      })
      const nasty: Json[] = [
        '',
        '\u0000',
        '.5',
        '5.',
        '-0',
        '+1',
        '1e3',
        '0000-01-01',
        '9999-12-31T23:59:59.999999Z',
        '0001-01-01 00:00:00',
        -0,
        5e-324,
        1e-7,
        123456789.125,
        3.5e38,
        -9223372036854775808n,
        9223372036854775808n,
        { '': 1, 'a"b': 2, "it's": 3, __proto__x: 4 },
        [[1], { a: 1 }],
        { size: [] },
      ]
      const values = [...SAMPLES.map(([value]) => value), ...nasty, ...hostile]
      await bench.tell(
        ...(await Promise.all(
          values.map(async (value, at) => put(bench, `${String(at).padStart(4, '0')}.json`, { value })),
        )),
      )

      assert.deepEqual(await bench.sql('SELECT reason, decode(payload) AS payload FROM tidewater.dead_letters'), [])
      const rows = await bench.sql(
        `SELECT ${Object.keys(TYPES).join(', ')} FROM default.s3_content_metadata ORDER BY key`,
      )
      assert.equal(rows.length, values.length)
      const nothing = Object.fromEntries(Object.keys(TYPES).map((name) => [name, null]))
      for (const [at, [value, shown]] of SAMPLES.entries()) {
        assert.deepEqual(rows[at], { ...nothing, ...shown }, stringifyJson(value))
      }
      assert.ok(bench.engine.objects.counts.castErrors > 0)
    } finally {
      await bench.close()
    }
  })
})

describe('a column added to a table that is there', () => {
  const facts = [
    { make: 'Halden', size: 6, price: 1234567.89, at: '2024-05-01T10:00:00Z', names: ['a', 'b'] },
    { make: 'Lumio', size: 'six' },
    { size: 7, price: 0.5 },
  ]
  const make = { type: 'STRING', jpath: '$.make' }
  const dropped = {
    price: { type: 'DECIMAL(9, 2)', jpath: '$.price' },
    at: { type: 'TIMESTAMPTZ', jpath: '$.at' },
    names: { type: 'ARRAY<STRING>', jpath: '$.names' },
  }
  const shown = 'SELECT * FROM default.s3_content_metadata ORDER BY key'
  const content = (columns: Record<string, { type: string; jpath: string }>, more: object = {}) => ({
    objects: { extractors: [{ module: 'json-facts.mjs' }], content: { columns, ...more } },
  })

  /** A table of three rows with column `make`, and columns that the file names no longer afterwards. */
  async function filled(): Promise<EngineBench> {
    const bench = await jsonBench({ content: { columns: { make, ...dropped } } })
    await bench.tell(...(await Promise.all(facts.map((one, at) => put(bench, `${at}.json`, one, at)))))
    return bench
  }

  it('is filled from raw metadata without reading an object again, once; columns no longer named keep what they hold', async () => {
    const bench = await filled()
    try {
      const before = await bench.sql(shown)
      const { journal, inventory } = await bench.tables()
      // The bytes are gone: only what was kept of them can fill the column.
      await rm(join(bench.objectsDir, 'photos'), { recursive: true })
      await bench.restart(content({ make, size: { type: 'INTEGER', jpath: '$.size' } }))
      const after = await bench.sql(shown)
      assert.deepEqual(
        after,
        before.map((row, at) => ({ ...row, size: [6, null, 7][at] })),
      )
      assert.deepEqual(
        after.map((row) => row['price']),
        ['1234567.89', null, '0.50'],
      )
      const tables = await bench.tables()
      assert.deepEqual([tables.journal, tables.inventory], [journal, inventory])
      // Counted as if the objects had been read: "six" is no integer.
      const { filled: rows, castErrors } = await bench.ingest()
      assert.deepEqual({ rows, castErrors }, { rows: 3, castErrors: 1 })

      // A second start finds nothing to do; and the past is as it was.
      const snapshots = 'SELECT snapshot_id FROM default.s3_content_metadata.snapshots ORDER BY committed_at'
      const ids = await bench.sql(snapshots)
      await bench.restart()
      assert.deepEqual(bench.engine.filled, { rows: 0, castErrors: 0 })
      assert.deepEqual(await bench.sql(snapshots), ids)
      assert.deepEqual(
        await bench.sql(`${shown.replace(' ORDER', ` FOR VERSION AS OF ${ids[0]?.['snapshot_id']} ORDER`)}`),
        before,
      )

      // A column whose path changes is filled anew.
      await bench.restart(content({ make: { type: 'STRING', jpath: '$.names[0]' } }))
      assert.deepEqual(
        (await bench.sql(shown)).map((row) => row['make']),
        ['a', null, null],
      )
    } finally {
      await bench.close()
    }
  })

  it('is filled when the work was cut off: after the schema, in the log, or before it was noted as done', async () => {
    for (const cut of ['after the schema', 'in the log', 'before the note']) {
      const bench = await filled()
      try {
        const config = content({ make, size: { type: 'INTEGER', jpath: '$.size' } })
        const expected = (await bench.sql(shown)).map((row, at) => ({ ...row, size: [6, null, 7][at] }))
        await cutOff(bench, objectTables(parseConfig(config, 'the file')), cut)
        await bench.restart(config)
        assert.deepEqual(await bench.sql(shown), expected, cut)
      } finally {
        await bench.close()
      }
    }
  })

  /** Does what a start with these tables does, up to a point. */
  async function cutOff({ engine }: EngineBench, tables: ObjectTables, cut: string): Promise<void> {
    const { catalog, clock, duck } = engine
    await ensureTable(catalog, tables.content, clock)
    if (cut === 'after the schema') return
    const [writer, feed, log] = [
      engine.writers.get('content')!,
      engine.feeds.get('content')!,
      engine.logs.get('content')!,
    ]
    const drain = mock.method(feed, 'drain')
    const fail = () => Promise.reject(new Error('cut off'))
    if (cut === 'in the log') drain.mock.mockImplementationOnce(fail, 1)
    else mock.method(catalog, 'commit', fail)
    await assert.rejects(fillAddedColumns({ duck, writer, feed, log, mapping: tables.mapping }), /cut off/)
    mock.restoreAll()
  }

  it('stays null in rows whose raw metadata was not kept, and comes back to those whose metadata was', async () => {
    const bench = await filled()
    try {
      await bench.restart(content({ make }, { includeRawMetadata: false }))
      await bench.tell(await put(bench, '3.json', { make: 'Kestrel', size: 8 }, 3))
      await bench.restart(content({ make, size: { type: 'INTEGER', jpath: '$.size' } }, { includeRawMetadata: false }))
      await bench.tell(await put(bench, '4.json', { make: 'Kestrel', size: 9 }, 4))
      const rows = await bench.sql(shown)
      assert.deepEqual(
        rows.map((row) => [row['make'], row['size'], row['metadata'] === null]),
        [
          ['Halden', 6, false],
          ['Lumio', null, false],
          [null, 7, false],
          ['Kestrel', null, true],
          ['Kestrel', 9, true],
        ],
      )
    } finally {
      await bench.close()
    }
  })

  it('of another type than the table has is refused, and the table stays as it is', async () => {
    const bench = await filled()
    try {
      await assert.rejects(
        bench.restart(content({ make: { type: 'INTEGER', jpath: '$.make' } })),
        (error) => isFault(error, 'invalid') && /column make .* has type string, .* wants int/.test(error.message),
      )
      await bench.restart(content({ make, ...dropped }))
      assert.equal((await bench.sql(shown)).length, 3)
    } finally {
      await bench.close()
    }
  })

  it('is not needed for raw metadata: a table may be without it from the start', async () => {
    const bench = await jsonBench({ content: { columns: { make }, includeRawMetadata: false } })
    try {
      await bench.tell(await put(bench, '0.json', facts[0]!))
      const [row] = await bench.sql(shown)
      assert.deepEqual(Object.keys(row!), ['bucket', 'key', 'versionId', 'sequencer', 'etag', 'lastModified', 'make'])
      assert.equal(row!['make'], 'Halden')
      await bench.restart(content({ make, size: { type: 'INTEGER', jpath: '$.size' } }, { includeRawMetadata: false }))
      assert.deepEqual(
        (await bench.sql(shown)).map((one) => [one['make'], one['size']]),
        [['Halden', null]],
      )
    } finally {
      await bench.close()
    }
  })
})

describe('what the tables are created with', () => {
  it('is partitioning, sort order, codec and properties as configured; properties follow the file at each start', async () => {
    const journal = { partitioning: ['day(record_timestamp)', 'bucket(4, key)'], properties: { owner: 'me' } }
    const content = {
      sortOrder: ['bucket', 'key desc nulls last'],
      properties: { 'write.parquet.compression-codec': 'snappy' },
    }
    await withEngine({ objects: { tables: { journal, content } } }, async (bench) => {
      const days = ['2024-05-01', '2024-05-02', '2024-05-03']
      const events = days.flatMap((day) =>
        ['a', 'b', 'c', 'd'].map((key) => eventOf({ kind: 'create', key: `${day}/${key}`, time: `${day}T10:00:00Z` })),
      )
      await bench.tell(...events)

      const load = async (log: string) => (await bench.engine.writers.get(log)!.load()).metadata
      const journalMetadata = await load('journal')
      const spec = journalMetadata['partition-specs'].at(-1)!
      assert.deepEqual(
        spec.fields.map((field) => field.transform),
        ['day', 'bucket[4]'],
      )
      assert.equal(journalMetadata.properties['owner'], 'me')
      const [files] = await bench.sql(
        'SELECT count(DISTINCT partition.record_timestamp_day) AS days, sum(record_count) AS records FROM aws_s3_metadata.mdblogs3metadata.files',
      )
      assert.deepEqual({ ...files, records: String(files?.['records']) }, { days: 3n, records: '12' })

      const contentMetadata = await load('content')
      const order = contentMetadata['sort-orders'].find(
        (one) => one['order-id'] === contentMetadata['default-sort-order-id'],
      )
      assert.deepEqual(
        order?.fields.map((field) => `${field.direction} ${field['null-order']}`),
        ['asc nulls-first', 'desc nulls-last'],
      )
      const session = await bench.engine.duck.connect()
      const [file] = await bench.sql('SELECT file_path FROM default.s3_content_metadata.files')
      const path = String(file?.['file_path']).replace('file://', '')
      const codecs = await session.rows(`SELECT DISTINCT compression FROM parquet_metadata('${path}')`)
      const keys = await session.rows(`SELECT key FROM '${path}'`)
      session.close()
      assert.deepEqual(codecs, [{ compression: 'SNAPPY' }])
      const expected = events
        .map((event) => event.key)
        .toSorted()
        .reverse()
      assert.deepEqual(
        keys.map((row) => row['key']),
        expected,
      )

      await bench.restart({ objects: { tables: { journal: { ...journal, properties: { owner: 'you' } }, content } } })
      assert.equal((await load('journal')).properties['owner'], 'you')
      assert.deepEqual((await load('journal'))['partition-specs'].at(-1), spec)
    })
  })

  it('may be changed by others to a codec that is not offered: commits wait, and no entry is blamed', async () => {
    await withEngine({}, async (bench) => {
      const set = async (codec: string) => {
        const writer = bench.engine.writers.get('inventory')!
        const table = await writer.load()
        const updates = { 'write.parquet.compression-codec': codec }
        await bench.engine.catalog.commit(table, setProperties(table.metadata, { updates }))
      }
      await set('brotli')
      const event = eventOf({ kind: 'create', key: 'a', time: '2024-05-01T10:00:00Z' })
      await assert.rejects(bench.tell(event), (error) => isFault(error, 'unsupported') && /brotli/.test(error.message))
      await set('gzip')
      await bench.tell()
      assert.equal((await bench.tables()).inventory.length, 1)
      const letters = await bench.sql("SELECT reason FROM tidewater.dead_letters WHERE stage = 'commit'")
      assert.deepEqual(letters, [])
    })
  })
})

const timeLike = fc
  .tuple(
    fc.constantFrom('0000', '0001', '1600', '1970', '2024', '9999', '12024'),
    fc.integer({ min: 0, max: 13 }),
    fc.integer({ min: 0, max: 32 }),
    fc.constantFrom(
      '',
      ' 00:00:00',
      'T24:00:00',
      'T23:59:60',
      ' 23:59:59.9999999',
      'T10:00Z',
      'T10:00:00+14:00',
      'T10:00:00.123456789Z',
      'T00:00:00+23:59',
      'T23:59:59-23:59',
    ),
  )
  .map(
    ([year, month, day, rest]): Json =>
      `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}${rest}`,
  )
const numberLike = fc.oneof(
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }) as fc.Arbitrary<Json>,
  fc.double({ noNaN: true, noDefaultInfinity: true }) as fc.Arbitrary<Json>,
  fc.tuple(fc.integer(), fc.integer()).map(([numerator, denominator]): Json => ({ numerator, denominator })),
  fc
    .tuple(fc.constantFrom('', '-', '+'), fc.nat(), fc.constantFrom('', '.', '.5', '.055', 'e1'))
    .map((parts): Json => parts.join('')),
)
