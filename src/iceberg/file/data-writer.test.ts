import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import { Duck, type DuckSession, literal } from '../../duck/duck.ts'
import { valueFromBytes } from '../spec/single-value.ts'
import type { NestedField, PartitionSpec, Schema } from '../spec/table-metadata.ts'
import { applyTransform } from '../spec/transform.ts'
import { type DataFileWrite, writeDataFiles } from './data-writer.ts'
import type { FileIO } from './file.ts'
import { partitionId } from './partition-id.ts'
import { valueFromText, valueTextSql } from './partition-sql.ts'

const UNPARTITIONED: PartitionSpec = { 'spec-id': 0, fields: [] }
let duck: Duck
let session: DuckSession
let io: FileIO
let close: () => Promise<void>

before(async () => {
  duck = await Duck.open({ memoryMiB: 512, threads: 2 })
  session = await duck.connect()
  ;({ io, close } = await tempIo('file:///w'))
})
after(async () => {
  session.close()
  duck.close()
  await close()
})

function schemaOf(fields: [name: string, type: NestedField['type'], required?: boolean][]): Schema {
  return {
    type: 'struct',
    'schema-id': 0,
    fields: fields.map(([name, type, required], at) => ({ id: at + 1, name, required: required ?? false, type })),
  }
}

function write(
  write: Partial<DataFileWrite> & { relationSql: string; schema: Schema },
): Promise<Awaited<ReturnType<typeof writeDataFiles>>> {
  return writeDataFiles(session, io, {
    spec: UNPARTITIONED,
    location: 'file:///w/db/t',
    nowMs: 1_700_000_000_000,
    ...write,
  })
}

const SCALARS: [column: string, type: string, rows: string][] = [
  ['b', 'boolean', 'true, false, NULL'],
  ['i', 'int', '-2147483648, 2147483647, NULL'],
  ['l', 'long', '-9223372036854775808, 9223372036854775807, NULL'],
  ['f', 'float', "'-inf', '1.5', 'nan'"],
  ['d', 'double', "'0.0', '-0.0', NULL"],
  ['dec', 'decimal(38,10)', "'-9999999999999999999999999999.9999999999', '0.0000000001', NULL"],
  ['dt', 'date', "'0001-01-01', '9999-12-31', NULL"],
  ['tm', 'time', "'00:00:00', '23:59:59.999999', NULL"],
  ['ts', 'timestamp', "'1969-12-31 23:59:59.999999', '2024-01-01 00:00:00.1', NULL"],
  ['tz', 'timestamptz', "'1969-12-31 23:59:59.999999+00', '2024-01-01 02:00:00.1+02', NULL"],
  ['s', 'string', "'', 'aaaaaaaaaaaaaaaaaaaa', NULL"],
  ['u', 'uuid', "'00000000-0000-0000-0000-000000000001', 'ffffffff-0000-0000-0000-000000000001', NULL"],
  ['x', 'fixed[16]', "'00000000-0000-0000-0000-000000000001', 'ffffffff-0000-0000-0000-000000000001', NULL"],
  ['y', 'binary', "'\\x00\\xFF'::BLOB, 'zzzzzzzzzzzzzzzzzzzz'::BLOB, NULL"],
]

test('every primitive type gets its Parquet type, field id, counts and bounds', async () => {
  const schema = schemaOf(SCALARS.map(([name, type]) => [name, type]))
  const columns = SCALARS.map(([name, , rows]) => `unnest([${rows}]) AS ${name}`)
  const [file, ...more] = await write({ relationSql: `SELECT ${columns.join(', ')}`, schema })
  assert.equal(more.length, 0)
  assert.equal(file!.recordCount, 3)
  assert.deepEqual(file!.splitOffsets, [4])
  assert.match(file!.filePath, /^file:\/\/\/w\/db\/t\/data\/[0-9a-f-]{36}\.parquet$/)
  const bounds = SCALARS.map(([name, type], at) => {
    const lower = file!.lowerBounds!.get(at + 1)
    const upper = file!.upperBounds!.get(at + 1)
    return [name, lower && valueFromBytes(type, lower), upper && valueFromBytes(type, upper)]
  })
  const uuid = (first: string) => Buffer.from(`${first}000000000000000000000001`, 'hex')
  assert.deepEqual(bounds, [
    ['b', false, true],
    ['i', -2147483648, 2147483647],
    ['l', -(2n ** 63n), 2n ** 63n - 1n],
    ['f', -Infinity, 1.5],
    ['d', -0, 0],
    ['dec', -(10n ** 38n - 1n), 1n],
    ['dt', -719162, 2932896],
    ['tm', 0n, 86_399_999_999n],
    ['ts', -1n, 1_704_067_200_100_000n],
    ['tz', -1n, 1_704_067_200_100_000n],
    ['s', '', 'aaaaaaaaaaaaaaab'],
    ['u', '00000000-0000-0000-0000-000000000001', 'ffffffff-0000-0000-0000-000000000001'],
    ['x', uuid('00000000'), uuid('ffffffff')],
    ['y', Buffer.from([0, 255]), Buffer.from('zzzzzzzzzzzzzzz{')],
  ])
  assert.deepEqual(
    [...file!.nanValueCounts!],
    [
      [4, 1],
      [5, 0],
    ],
  )
  assert.deepEqual([...file!.nullValueCounts!.values()], [1, 1, 1, 0, ...Array(10).fill(1)])
  assert.deepEqual([...file!.valueCounts!.values()], Array(14).fill(3))
  const local = await io.localFile(file!.filePath)
  const parquet = await session.rows(
    `SELECT name, type, coalesce(logical_type, converted_type, '') AS logical, field_id FROM parquet_schema(${literal(local)}) OFFSET 1`,
  )
  assert.deepEqual(
    parquet.map((row) => [row['name'], row['type'], Number(row['field_id'])]),
    SCALARS.map(([name], at) => [
      name,
      [
        'BOOLEAN',
        'INT32',
        'INT64',
        'FLOAT',
        'DOUBLE',
        'FIXED_LEN_BYTE_ARRAY',
        'INT32',
        'INT64',
        'INT64',
        'INT64',
        'BYTE_ARRAY',
        'FIXED_LEN_BYTE_ARRAY',
        'FIXED_LEN_BYTE_ARRAY',
        'BYTE_ARRAY',
      ][at],
      at + 1,
    ]),
  )
})

test('nested columns carry ids at every level; bounds are kept for struct members only', async () => {
  const schema = schemaOf([
    ['id', 'long', true],
    ['st', { type: 'struct', fields: [{ id: 11, name: 'a "q" é', required: false, type: 'int' }] }],
    ['ls', { type: 'list', 'element-id': 12, 'element-required': false, element: 'string' }],
    [
      'm',
      {
        type: 'map',
        'key-id': 13,
        key: 'string',
        'value-id': 14,
        'value-required': false,
        value: { type: 'list', 'element-id': 15, 'element-required': false, element: 'double' },
      },
    ],
  ])
  const relationSql = `SELECT 7 AS id, {'a "q" é': 5} AS st, ['x', NULL] AS ls, MAP {'k': [1.5, NULL]} AS m`
  const [file] = await write({ relationSql, schema })
  assert.deepEqual([...file!.lowerBounds!.keys()], [1, 11])
  assert.deepEqual([...file!.valueCounts!.keys()], [1, 11, 12, 13, 15])
  const local = await io.localFile(file!.filePath)
  const ids = await session.rows(
    `SELECT name, field_id FROM parquet_schema(${literal(local)}) WHERE field_id IS NOT NULL`,
  )
  assert.deepEqual(
    ids.map((row) => [row['name'], Number(row['field_id'])]),
    [
      ['id', 1],
      ['st', 2],
      ['a "q" é', 11],
      ['ls', 3],
      ['element', 12],
      ['m', 4],
      ['key', 13],
      ['value', 14],
      ['element', 15],
    ],
  )
})

test('a null in a required place is refused by name, before anything reaches the table', async () => {
  const struct: NestedField['type'] = { type: 'struct', fields: [{ id: 5, name: 'x', required: true, type: 'int' }] }
  const list: NestedField['type'] = { type: 'list', 'element-id': 6, 'element-required': true, element: 'int' }
  const schema = schemaOf([
    ['id', 'long', true],
    ['st', struct],
    ['ls', list],
  ])
  const good = "SELECT 1 AS id, {'x': 1} AS st, [1] AS ls UNION ALL SELECT 2, NULL, [] UNION ALL SELECT 3, NULL, NULL"
  assert.equal((await write({ relationSql: good, schema })).length, 1)
  const cases: [row: string, column: string][] = [
    ['NULL, NULL, NULL', 'id'],
    ["1, {'x': NULL}, NULL", 'st'],
    ['1, NULL, [1, NULL]', 'ls'],
  ]
  for (const [row, column] of cases) {
    await assert.rejects(write({ relationSql: `${good} UNION ALL SELECT ${row}`, schema }), (error) => {
      assert.ok(isFault(error, 'invalid'))
      assert.equal(error.facts['column'], column)
      return true
    })
  }
})

test('no rows make no file, and what cannot be written is refused with the column', async () => {
  assert.deepEqual(await write({ relationSql: 'SELECT 1 AS id WHERE false', schema: schemaOf([['id', 'int']]) }), [])
  for (const type of ['fixed[5]', 'timestamptz_ns', 'variant', 'geometry', 'unknown']) {
    const refused = write({ relationSql: 'SELECT NULL AS odd', schema: schemaOf([['odd', type]]) })
    await assert.rejects(refused, (error) => isFault(error, 'unsupported') && error.facts['column'] === 'odd')
  }
  const missing = write({
    relationSql: 'SELECT 1 AS a',
    schema: schemaOf([
      ['a', 'int'],
      ['b', 'int'],
    ]),
  })
  await assert.rejects(missing, (error) => isFault(error, 'invalid') && error.facts['column'] === 'b')
  const tooBig = write({ relationSql: 'SELECT 3000000000 AS id', schema: schemaOf([['id', 'int']]) })
  await assert.rejects(tooBig, (error) => isFault(error, 'invalid'))
})

test('a write ends a file at the bound', async () => {
  const schema = schemaOf([['id', 'int']])
  const relationSql = 'SELECT i AS id FROM range(20000) t(i)'
  const files = await write({ relationSql, schema, rowGroupRows: 2048, rowsPerFileMax: 4096 })
  assert.deepEqual(
    files.map((file) => file.recordCount),
    [4096, 4096, 4096, 4096, 3616],
  )
  assert.deepEqual(
    files.map((file) => file.splitOffsets!.length),
    [2, 2, 2, 2, 2],
  )
})

/** Enough rows for several threads. */
const MANY = 400_000

for (const [how, more, filesWanted] of [
  ['the order asked for', { orderBySql: '"id"' }, 1],
  ['the order asked for, in several files', { orderBySql: '"id"', rowsPerFileMax: 122_880 }, 4],
  ['the order asked for, their number known', { orderBySql: '"id"', rowsAtMost: MANY }, 1],
  ['the order of the relation, their number known', { rowsAtMost: MANY }, 1],
] as const) {
  test(`many rows stand in ${how}`, async () => {
    const schema = schemaOf([['id', 'int']])
    const shuffled = 'orderBySql' in more ? `(i * 7919) % ${MANY}` : 'i'
    await session.run(`CREATE OR REPLACE TEMP TABLE many AS SELECT ${shuffled} AS id FROM range(${MANY}) t(i)`)
    const files = await write({ relationSql: 'SELECT id FROM many WHERE id >= 0', schema, ...more })
    assert.equal(files.length, filesWanted)
    const locals = await Promise.all(files.map((file) => io.localFile(file.filePath)))
    const list = `[${locals.map(literal).join(', ')}]`
    const wrong = await session.value(
      `SELECT count(*) FROM (SELECT id, file_index * 122880 + file_row_number AS i FROM read_parquet(${list})) WHERE id <> i`,
    )
    assert.equal(Number(wrong), 0)
  })
}

const TRANSFORMS: [type: string, transform: string, values: string][] = [
  ['string', 'identity', "['a/b=c', '', 'é😀', '__HIVE_DEFAULT_PARTITION__', NULL]"],
  ['string', 'truncate[2]', "['😀é1', '😀é2', 'x', '', NULL]"],
  ['string', 'bucket[4]', "['a', 'b', 'it''s', '', NULL]"],
  ['int', 'bucket[8]', '[1, -1, 2147483647, -2147483648, NULL]'],
  ['long', 'truncate[10]', '[-1, 9, 10, -9223372036854775808, NULL]'],
  ['decimal(9,2)', 'identity', "['-1.50', '0.00', '9999999.99', NULL]"],
  ['decimal(9,2)', 'truncate[50]', "['-1.50', '0.49', '0.50', NULL]"],
  ['double', 'identity', "['0.0', '-0.0', 'nan', 'inf', '1e-300', NULL]"],
  ['float', 'identity', "['0.1', '-inf', '16777216', NULL]"],
  ['boolean', 'identity', '[true, false, NULL]'],
  ['date', 'identity', "['1969-12-31', '0001-01-01', NULL]"],
  ['date', 'month', "['1969-12-31', '2024-02-29', NULL]"],
  ['date', 'year', "['1969-12-31', '1970-01-01', NULL]"],
  ['timestamp', 'hour', "['1969-12-31 23:30:00', '1969-12-31 22:59:59.999999', '2024-01-01 00:00:00', NULL]"],
  ['timestamp', 'day', "['1969-12-31 23:30:00', '1970-01-01 00:00:00', NULL]"],
  ['timestamptz', 'day', "['1969-12-31 23:30:00-05', '1970-01-01 00:00:00+01', NULL]"],
  ['timestamptz', 'identity', "['1969-12-31 23:59:59.999999+00', NULL]"],
  ['time', 'identity', "['00:00:00.000001', '23:59:59', NULL]"],
  ['uuid', 'identity', "['ffffffff-0000-0000-0000-000000000001', NULL]"],
  ['uuid', 'bucket[4]', "['ffffffff-0000-0000-0000-000000000001', 'f79c3e09-677c-4bbd-a479-3f349cb785e7', NULL]"],
  ['binary', 'identity', "['\\x00\\xFF'::BLOB, ''::BLOB, NULL]"],
  ['binary', 'truncate[1]', "['\\x00\\xFF'::BLOB, '\\x00'::BLOB, NULL]"],
  ['fixed[16]', 'identity', "['ffffffff-0000-0000-0000-000000000001', NULL]"],
  ['int', 'void', '[1, 2, NULL]'],
]

for (const ordered of [false, true]) {
  test(`each transform puts its rows where the specification says${ordered ? ', sorted within each file' : ''}`, async () => {
    for (const [type, transform, values] of TRANSFORMS) {
      const schema = schemaOf([
        ['k', type],
        ['n', 'int'],
      ])
      const spec: PartitionSpec = { 'spec-id': 3, fields: [{ 'source-id': 1, 'field-id': 1000, name: 'p', transform }] }
      const relationSql = `SELECT k, n FROM (SELECT unnest(${values}) AS k), (SELECT unnest([2, 1, 3]) AS n)`
      const files = await write({ relationSql, schema, spec, ...(ordered ? { orderBySql: '"n" DESC' } : {}) })
      const seen = new Set(files.map((file) => partitionId(file)))
      assert.equal(seen.size, files.length, `${transform}(${type}): one file per partition`)
      for (const file of files) {
        const local = literal(await io.localFile(file.filePath))
        const rows = await session.rows(`SELECT ${valueTextSql(type, 'k')} AS k, n FROM read_parquet(${local})`)
        assert.equal(rows.length, file.recordCount)
        for (const row of rows) {
          const value = applyTransform(transform, type, valueFromText(type, row['k'] as string | null))
          const id = partitionId({ specId: 3, partition: [value] })
          assert.equal(partitionId(file), id, `${transform}(${type}) of ${String(row['k'])}`)
        }
        const order = rows.map((row) => Number(row['n']))
        if (ordered)
          assert.deepEqual(
            order,
            order.toSorted((a, b) => b - a),
          )
      }
      assert.equal(
        files.reduce((sum, file) => sum + file.recordCount, 0),
        3 * Number(await session.value(`SELECT len(${values})`)),
      )
    }
  })
}
