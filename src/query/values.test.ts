import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lake } from '../../test/query/lake.ts'
import { FUNCTIONS } from './functions.ts'
import { MACRO_NAMES } from './macros.ts'
import { nearest } from './names.ts'
import type { QuerySession } from './query.ts'
import type { Cell } from './values.ts'

describe('values and functions of queries', () => {
  let lake: Lake
  let session: QuerySession
  before(async () => {
    lake = await Lake.open()
    session = await lake.session()
  })
  after(async () => {
    await session.close()
    await lake.close()
  })
  const value = async (sql: string): Promise<Cell | undefined> => (await session.run(`SELECT ${sql}`)).rows[0]?.[0]

  const values: [string, Cell][] = [
    ['9223372036854775807', 9223372036854775807n],
    ['170141183460469231731687303715884105727', 170141183460469231731687303715884105727n],
    ['42', 42],
    ["'NaN'::DOUBLE", 'NaN'],
    ["'-inf'::FLOAT", '-Infinity'],
    ['0.1::FLOAT', 0.10000000149011612],
    ['1.50::DECIMAL(38,10)', '1.5000000000'],
    ['-0.05', '-0.05'],
    ["DATE '0001-01-01'", '0001-01-01'],
    ["DATE '12024-01-01'", '+12024-01-01'],
    ["DATE '-infinity'", '-infinity'],
    ["TIMESTAMP '2024-02-29 01:02:03.000004'", '2024-02-29T01:02:03.000004'],
    ["TIMESTAMP '2024-02-29 01:02:03'", '2024-02-29T01:02:03'],
    ["TIMESTAMPTZ '2024-02-29 01:02:03+02'", '2024-02-28T23:02:03Z'],
    ["TIMESTAMP_NS '2024-02-29 01:02:03.123456789'", '2024-02-29T01:02:03.123456789'],
    ["TIMESTAMP_MS '2024-02-29 01:02:03.5'", '2024-02-29T01:02:03.500000'],
    ["TIMESTAMP_S '1969-12-31 23:59:59'", '1969-12-31T23:59:59'],
    ["TIMESTAMP 'infinity'", 'infinity'],
    ["TIMESTAMPTZ '-infinity'", '-infinity'],
    ["TIME '23:59:59.5'", '23:59:59.500000'],
    ["'\\x00\\xFF'::BLOB", '00ff'],
    ["'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'::UUID", 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
    ['[1, NULL]', [1, null]],
    ["{'a': 1, 'b': [TRUE]}", { a: 1, b: [true] }],
    ["MAP {'__proto__': 1}", Object.fromEntries([['__proto__', 1]])],
    ["MAP {1: 'x', 2: NULL}", { 1: 'x', 2: null }],
    ["MAP {DATE '2024-01-01': {'k': 1::BIGINT}}", { '2024-01-01': { k: 1n } }],
    ['MAP {[1]: 2}', { '[1]': 2 }],
    ['union_value(a := 5)', { a: 5 }],
    ["INTERVAL '1 month 2 days'", '1 month 2 days'],
    ['\'{"a": 1}\'::JSON', '{"a": 1}'],
    ["'a'::ENUM('a', 'b')", 'a'],
    ["'101'::BIT", '101'],
    ['NULL', null],
    ["'\u{1f600} \\n'", '\u{1f600} \\n'],
  ]
  for (const [sql, expected] of values)
    it(`gives ${sql} without loss`, async () => assert.deepEqual(await value(sql), expected))

  const json = `'{"a":{"b":[1,"x",null,{"c":2}],"B C":1.5,"n":null,"t":true,"l":["q"],"e":[]},"s":"é"}'`
  const functions: [string, Cell][] = [
    [`get_json_object(${json}, '$.s')`, 'é'],
    [`get_json_object(${json}, '$.a.b[1]')`, 'x'],
    [`get_json_object(${json}, '$.a.b')`, '[1,"x",null,{"c":2}]'],
    [`get_json_object(${json}, '$.a.b[3].c')`, '2'],
    [`get_json_object(${json}, '$.a.t')`, 'true'],
    [`get_json_object(${json}, '$.a.n')`, null],
    [`get_json_object(${json}, '$.zz.y')`, null],
    [`get_json_object(${json}, '$.a.b[9]')`, null],
    [`get_json_object(${json}, '$.a[''B C'']')`, '1.5'],
    [`get_json_object(${json}, '$.a["B C"]')`, '1.5'],
    [`get_json_object(${json}, '$.a.b[*]')`, '[1,"x",null,{"c":2}]'],
    [`get_json_object(${json}, '$.a.b[*].c')`, '2'],
    [`get_json_object(${json}, '$.a.l[*]')`, 'q'],
    [`get_json_object(${json}, '$.a.e[*]')`, null],
    ["get_json_object('not json', '$.a')", null],
    ["get_json_object('', '$.a')", null],
    ["get_json_object(NULL, '$.a')", null],
    ["get_json_object('{\"a\":1}'::JSON, '$.a')", '1'],
    ["GET_JSON_OBJECT('[5]', '$[0]')", '5'],
    [`json_extract_scalar(${json}, '$.a.b[1]')`, 'x'],
    [`json_extract_scalar(${json}, '$.a')`, null],
    ['size([1, 2, 3])', 3n],
    ["size(MAP {'a': 1, 'b': 2})", 2n],
    ['size([])', 0n],
    ['size(NULL)', null],
    ['element_at([1, 2], 1)', 1],
    ['element_at([1, 2], -1)', 2],
    ['element_at([1, 2], 3)', null],
    ["element_at(MAP {'a': 1}, 'a')", 1],
    ["element_at(MAP {'a': 1}, 'z')", null],
    ['array_contains([1, 2], 2)', true],
    ["array_join(['a', 'b'], '-')", 'a-b'],
    ["regexp_like('abc', 'b.')", true],
    ['nvl(NULL, 5)', 5],
    ["from_iso8601_timestamp('2024-01-01T00:00:00+01:00')", '2023-12-31T23:00:00Z'],
    ["to_unixtime(TIMESTAMP '1970-01-01 00:00:01.5')", 1.5],
    ['(SELECT approx_distinct(i) FROM range(3) t(i))', 3n],
    ['(SELECT collect_list(i) FROM (VALUES (1), (NULL), (1)) t(i))', [1, 1]],
    ['(SELECT collect_set(i) FROM (VALUES (1), (NULL), (1)) t(i))', [1]],
    ['count_if(true)', 1n],
  ]
  for (const [sql, expected] of functions)
    it(`answers ${sql}`, async () => assert.deepEqual(await value(sql), expected))

  it('reads a JSON path for every row, bad ones among them', async () => {
    const { rows } = await session.run(
      "SELECT get_json_object(j, '$.a') FROM (VALUES ('{\"a\":\"x\"}'), ('{'), (NULL), ('[]')) t(j)",
    )
    assert.deepEqual(rows, [['x'], [null], [null], [null]])
  })

  it('allows every function that it adds', () => {
    for (const name of MACRO_NAMES) assert.ok(FUNCTIONS.has(name), name)
  })
})

describe('near names', () => {
  it('are those a few letters away, nearest first', () => {
    const names = ['default.orders', 'default.order_items', 'sales.orders', 'default.customers']
    assert.deepEqual(nearest('ordrs', names), ['default.orders', 'sales.orders'])
    assert.deepEqual(nearest('default.ordesr', names), ['default.orders', 'sales.orders'])
    assert.deepEqual(nearest('nothing_like_it', names), [])
  })
})
