import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { Lake } from '../../test/query/lake.ts'
import type { Predicate } from '../iceberg/scan/scan.ts'
import type { Schema, Type } from '../iceberg/spec/table-metadata.ts'
import { SqlParser } from './parser.ts'
import { filtersOf } from './prune.ts'
import type { QuerySession } from './query.ts'
import { scanOf, type TableReader } from './relations.ts'

const schema = (columns: Record<string, Type>): Schema => ({
  type: 'struct',
  'schema-id': 0,
  fields: Object.entries(columns).map(([name, type], index) => ({ id: index + 1, name, required: false, type })),
})
const T = schema({
  id: 'long',
  name: 'string',
  day: 'date',
  made: 'timestamp',
  zoned: 'timestamptz',
  ok: 'boolean',
  price: 'decimal(9,2)',
  x: 'double',
})
const U = schema({ id: 'long', other: 'int' })

describe('filters pushed into planning', () => {
  let parser: SqlParser
  before(async () => {
    parser = await SqlParser.open()
  })
  after(() => parser.close())

  const pushed = async (sql: string): Promise<Record<string, Predicate>> => {
    const filters = filtersOf(await parser.parse(sql), (node) => ({ t: T, u: U })[String(node['table_name'])] ?? null)
    return Object.fromEntries(
      [...filters].map(([node, predicate]) => [String(node['alias'] || node['table_name']), predicate]),
    )
  }
  const eq = (column: string, value: string | number | boolean): Predicate => ({ op: '=', column, value })

  const taken: [string, Predicate][] = [
    ['id = 5', eq('id', 5)],
    ['5 = id', eq('id', 5)],
    ['5 < id', { op: '>', column: 'id', value: 5 }],
    ['ID >= 5', { op: '>=', column: 'id', value: 5 }],
    ['t.id <> 5', { op: '!=', column: 'id', value: 5 }],
    [
      'id = -9223372036854775808 OR id = 9223372036854775807',
      {
        op: 'or',
        left: { op: '=', column: 'id', value: -9223372036854775808n },
        right: { op: '=', column: 'id', value: 9223372036854775807n },
      },
    ],
    ["name = 'a'", eq('name', 'a')],
    [
      "name LIKE 'a/b%'",
      { op: 'and', left: { op: '>=', column: 'name', value: 'a/b' }, right: { op: '<', column: 'name', value: 'a/c' } },
    ],
    [
      "name LIKE 'a_b%'",
      { op: 'and', left: { op: '>=', column: 'name', value: 'a' }, right: { op: '<', column: 'name', value: 'b' } },
    ],
    [
      "starts_with(name, 'é')",
      { op: 'and', left: { op: '>=', column: 'name', value: 'é' }, right: { op: '<', column: 'name', value: 'ê' } },
    ],
    ["name LIKE '\u{10ffff}%'", { op: '>=', column: 'name', value: '\u{10ffff}' }],
    ["day = DATE '2024-01-01'", eq('day', '2024-01-01')],
    ["day = '2024-01-01'", eq('day', '2024-01-01')],
    ["made < TIMESTAMP '2024-01-01 01:02:03.5'", { op: '<', column: 'made', value: '2024-01-01T01:02:03.500000' }],
    ["zoned < '2024-01-01'", { op: '<', column: 'zoned', value: '2024-01-01T00:00:00Z' }],
    ['ok = true', eq('ok', true)],
    ['id IN (1, 2)', { op: 'in', column: 'id', values: [1, 2] }],
    [
      'id BETWEEN 1 AND 2',
      { op: 'and', left: { op: '>=', column: 'id', value: 1 }, right: { op: '<=', column: 'id', value: 2 } },
    ],
    ['id IS NULL', { op: 'is-null', column: 'id' }],
    ['id IS NOT NULL', { op: 'not-null', column: 'id' }],
    ['id = 1 AND abs(id) = 2', eq('id', 1)],
    ['(id = 1 AND abs(id) = 2) OR id = 3', { op: 'or', left: eq('id', 1), right: eq('id', 3) }],
    ["id = 1 AND name = 'a'", { op: 'and', left: eq('id', 1), right: eq('name', 'a') }],
  ]
  for (const [where, expected] of taken) {
    it(`takes ${where}`, async () => assert.deepEqual(await pushed(`SELECT * FROM t WHERE ${where}`), { t: expected }))
  }

  const left: string[] = [
    'id = 1.5',
    "id = '1'",
    'id = id',
    'id + 1 = 2',
    'name = 5',
    'name > name',
    "name LIKE '%a'",
    "name LIKE 'a\\%' ESCAPE '\\'",
    "name ILIKE 'a%'",
    "name NOT LIKE 'a%'",
    "name COLLATE NOCASE = 'a'",
    "NOT (id = 1 AND name = 'a')",
    'NOT ok',
    'id = 1 OR abs(id) = 2',
    "day = '2024-1-1'",
    "made = '2024-01-01 00:00:00+02'",
    "made = DATE '2024-01-01'",
    "zoned = '2024-01-01T00:00:00Z'",
    'price = 1.5',
    'x = 1',
    'id IN (1, NULL)',
    'id NOT IN (1)',
    'id IN (SELECT 1)',
    'id IS DISTINCT FROM 1',
    'id = 99999999999999999999',
    'id = NULL',
    'nothing = 1',
    'CASE WHEN id = 1 THEN true END',
  ]
  for (const where of left) {
    it(`leaves ${where} to the engine`, async () =>
      assert.deepEqual(await pushed(`SELECT * FROM t WHERE ${where}`), {}))
  }

  const places: [string, Record<string, Predicate>][] = [
    ['SELECT * FROM t a JOIN u b ON a.id = b.id WHERE a.id = 1 AND b.other = 2', { a: eq('id', 1), b: eq('other', 2) }],
    ['SELECT * FROM t, u WHERE id = 1', {}],
    ['SELECT * FROM t, u WHERE other = 1', { u: eq('other', 1) }],
    ['SELECT * FROM t LEFT JOIN u USING (id) WHERE u.other = 1', { u: eq('other', 1) }],
    ['SELECT * FROM t LEFT JOIN u USING (id) WHERE u.other IS NULL', {}],
    ['SELECT * FROM t FULL JOIN u USING (id) WHERE u.other IS NULL', {}],
    ['SELECT * FROM t JOIN u ON t.id = u.id AND t.id = 1', {}],
    ['SELECT * FROM t ASOF JOIN u ON t.id >= u.id WHERE u.other = 1', {}],
    ['SELECT * FROM t POSITIONAL JOIN u WHERE u.other = 1', {}],
    ['SELECT * FROM t TABLESAMPLE 10% WHERE t.id = 1', {}],
    ['SELECT id AS name, name AS id FROM t WHERE id = 1', {}],
    ['SELECT * FROM (SELECT * FROM t WHERE id = 1) WHERE id = 2', { t: eq('id', 1) }],
    ['SELECT *, row_number() OVER () AS n FROM t QUALIFY n = 1', {}],
    ['SELECT count(*) FROM t GROUP BY id HAVING id = 1', {}],
    ['SELECT * FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.id = 1 AND u.other = 2)', { t: eq('id', 1) }],
    ['WITH c AS (SELECT * FROM t WHERE id = 1) SELECT * FROM c WHERE id = 2', { t: eq('id', 1) }],
    ['SELECT * FROM t AS v(a, b) WHERE id = 1', {}],
    [
      'SELECT * FROM t WHERE id = 1 UNION ALL SELECT * FROM t AS second WHERE id = 2',
      { t: eq('id', 1), second: eq('id', 2) },
    ],
  ]
  for (const [sql, expected] of places) it(`of ${sql}`, async () => assert.deepEqual(await pushed(sql), expected))
})

describe('pruned queries', () => {
  let lake: Lake
  let pruned: QuerySession
  let full: QuerySession
  const everything: TableReader = (session, io, table, { predicate: _, ...request }) =>
    scanOf(session, io, table, request)

  before(async () => {
    lake = await Lake.open()
    await lake.create('default.t', { id: 'long', name: 'string', day: 'date' })
    await lake.create('default.u', { id: 'long', other: 'int' })
    for (let file = 0; file < 6; file += 1) {
      const rows =
        file === 5
          ? 'SELECT NULL AS id, NULL AS name, NULL AS day'
          : `SELECT ${file} + i AS id, chr(CAST(97 + ${file} + i AS INTEGER)) AS name, DATE '2024-01-01' + ${file} AS day FROM range(2) r(i)`
      await lake.append('default.t', rows)
      await lake.append('default.u', `SELECT ${file * 2} + i AS id, nullif(${file} % 3, 1) AS other FROM range(2) r(i)`)
    }
    pruned = await lake.session()
    full = await lake.session({ reader: everything })
  })
  after(async () => {
    await pruned.close()
    await full.close()
    await lake.close()
  })

  const number = fc.integer({ min: -1, max: 8 }).map(String)
  const letter = fc.constantFrom("'a'", "'c'", "'f'", "''", "'c%'", "'zz'")
  const day = fc.integer({ min: 1, max: 7 }).map((value) => `DATE '2024-01-0${value}'`)
  const op = fc.constantFrom('=', '<>', '<', '<=', '>', '>=')
  const atom = fc.oneof(
    fc.tuple(fc.constantFrom('t.id', 'u.id', 'u.other'), op, number).map((parts) => parts.join(' ')),
    fc.tuple(number, op, fc.constantFrom('t.id', 'other')).map((parts) => parts.join(' ')),
    fc
      .tuple(fc.constantFrom('t.name', 'name'), fc.oneof(op, fc.constant('LIKE')), letter)
      .map((parts) => parts.join(' ')),
    fc.tuple(fc.constant('day'), op, day).map((parts) => parts.join(' ')),
    fc
      .tuple(fc.constantFrom('t.id', 'u.other', 'name', 'day'), fc.constantFrom('IS NULL', 'IS NOT NULL'))
      .map((parts) => parts.join(' ')),
    fc
      .tuple(fc.constantFrom('t.id', 'u.other'), fc.array(number, { minLength: 1, maxLength: 3 }))
      .map(([column, values]) => `${column} IN (${values.join(', ')})`),
  )
  const { where } = fc.letrec<{ where: string }>((tie) => ({
    where: fc.oneof(
      { maxDepth: 3 },
      atom,
      fc.tuple(tie('where'), fc.constantFrom('AND', 'OR'), tie('where')).map((parts) => `(${parts.join(' ')})`),
      tie('where').map((inner) => `NOT (${inner})`),
    ),
  }))
  const join = fc.constantFrom('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN')

  it('give the rows that unpruned ones give', async () => {
    await fc.assert(
      fc.asyncProperty(join, where, async (kind, condition) => {
        const sql = `SELECT t.id, t.name, u.id, u.other FROM t ${kind} u ON t.id = u.id WHERE ${condition} ORDER BY ALL`
        assert.deepEqual((await pruned.run(sql)).rows, (await full.run(sql)).rows, sql)
      }),
      { numRuns: 40 },
    )
  })
})
