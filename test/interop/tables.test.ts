/**
 * Tables that Tidewater wrote, read by PyIceberg and Spark after upserts, deletes, evolution and upkeep; and tables that
 * Spark changed between two of our runs, which must go on being right.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { must } from '../../src/base/assert.ts'
import type { NestedField, Schema } from '../../src/iceberg/spec/table-metadata.ts'
import { parseOrderText, parseSpecText } from '../../src/iceberg/spec/term-text.ts'
import { compareIndex } from '../../src/table/index-upkeep.ts'
import type { TableDefinition } from '../../src/table/table.ts'
import type { TableWriter } from '../../src/table/writer.ts'
import { type Change, openTableBench, type TableBench, upkeep } from '../support/table-bench.ts'
import { openSpark, pyicebergRead, type Spark } from './engines.ts'

const fields: NestedField[] = [
  { id: 1, name: 'k', required: true, type: 'string' },
  { id: 2, name: 'n', required: false, type: 'long' },
  { id: 3, name: 'part', required: false, type: 'string' },
  { id: 4, name: 'at', required: false, type: 'timestamp' },
  { id: 5, name: 'price', required: false, type: 'decimal(9, 2)' },
  {
    id: 6,
    name: 'tags',
    required: false,
    type: { type: 'map', 'key-id': 7, key: 'string', 'value-id': 8, 'value-required': false, value: 'string' },
  },
  {
    id: 9,
    name: 'labels',
    required: false,
    type: { type: 'list', 'element-id': 10, 'element-required': false, element: 'string' },
  },
]
const schema: Schema = { type: 'struct', 'schema-id': 0, fields, 'identifier-field-ids': [1] }

const shapes: { name: string; spec: string; order: string }[] = [
  { name: 'plain', spec: '', order: '' },
  { name: 'parted', spec: 'part, bucket(4, k), day(at)', order: 'k' },
]

function definition(name: string, spec: string, order: string, columns: Schema = schema): TableDefinition {
  return {
    ident: { namespace: ['default'], name },
    schema: columns,
    key: ['k'],
    mode: 'upsert',
    ...(spec === '' ? {} : { spec: parseSpecText(spec, schema) }),
    ...(order === '' ? {} : { sortOrder: parseOrderText(order, schema) }),
  }
}

const upsert = (id: number, n: number): Change => ({
  op: 'upsert',
  row: {
    k: `key ${id}`,
    n,
    part: ['eu', 'us', null][(id + n) % 3] ?? null,
    at: `2024-0${1 + (n % 9)}-01 10:00:00.000${String(id % 1000).padStart(3, '0')}`,
    price: `${id}.05`,
    tags: { Project: `p${n}` },
    labels: id % 2 === 0 ? ['Sea', 'Ice'] : [],
  },
})
const remove = (id: number): Change => ({ op: 'delete', row: { k: `key ${id}` } })
const range = (from: number, end: number) => Array.from({ length: end - from }, (_, at) => from + at)

const COLUMNS = ['k', 'n', 'part']

describe('tables that Tidewater writes, in other engines', () => {
  let bench: TableBench
  let spark: Spark
  let catalog: string
  before(async () => {
    bench = await openTableBench()
    catalog = join(bench.dir, 'catalog.db')
    spark = await openSpark(catalog)
  })
  after(async () => {
    await spark?.close()
    await bench?.close()
  })

  /** The rows that all three readers must give, as text; fails when they differ. */
  async function agreedRows(writer: TableWriter, table: string): Promise<string[]> {
    const rows = await bench.rows(await writer.load(), 'k, n::INTEGER AS n, part')
    const ours = rows.map((row) => JSON.stringify({ k: row['k'], n: row['n'], part: row['part'] })).toSorted()
    const bySpark = await spark.sql(`select ${COLUMNS.join(', ')} from ${table}`)
    assert.deepEqual(bySpark.rows.toSorted(), ours, `Spark and Tidewater agree on ${table}`)
    const byPyIceberg = await pyicebergRead(catalog, table)
    const whole = await spark.sql(`select * from ${table}`)
    assert.equal(byPyIceberg.sha256, whole.sha256, `PyIceberg and Spark agree on every column of ${table}`)
    assert.equal(byPyIceberg.rows.length, ours.length)
    return ours
  }

  for (const { name, spec, order } of shapes) {
    const table = `default.${name}`

    test(`${name}: upserts, deletes, an added column and upkeep read the same in Spark, PyIceberg and here`, async () => {
      const logEnd = bench.log.end
      let writer = await bench.openWriter(definition(name, spec, order))
      const commit = async (changes: Change[]) => {
        await bench.append(changes)
        await writer.commit(
          await bench.log.seal(logEnd, Number.MAX_SAFE_INTEGER),
          Math.max(await writer.committedOffset(), logEnd),
          bench.log.end,
        )
      }
      await commit(range(0, 500).map((id) => upsert(id, 0)))
      for (const round of range(1, 12))
        await commit([
          ...range(0, 40).map((at) => upsert((round * 37 + at * 3) % 600, round)),
          ...range(0, 5).map((at) => remove((round * 11 + at) % 500)),
        ])
      const before = await agreedRows(writer, table)

      while ((await upkeep(writer)).length > 0);
      assert.deepEqual(await agreedRows(writer, table), before, 'upkeep changes no row')
      assert.deepEqual(await compareIndex(must(writer.indexContext, 'index'), await writer.load()), {
        missing: 0,
        extra: 0,
      })

      await writer.close()
      const wider: Schema = {
        ...schema,
        fields: [
          ...fields,
          {
            id: 11,
            name: 'added',
            required: false,
            type: { type: 'struct', fields: [{ id: 12, name: 'x', required: false, type: 'double' }] },
          },
        ],
      }
      writer = await bench.openWriter(definition(name, spec, order, wider))
      await commit([{ op: 'upsert', row: { ...upsert(1, 99).row, added: { x: 0.5 } } }])
      await agreedRows(writer, table)
      const added = await spark.sql(`select added.x from ${table} where k = 'key 1'`)
      assert.deepEqual(added.rows, ['{"x":0.5}'])
      await writer.close()
    })

    test(`${name}: Spark finds rows by filters on every column that prunes files`, async () => {
      for (const filter of [
        "k = 'key 1'",
        'n = 99',
        "part = 'eu'",
        'part is null',
        "at >= timestamp'2024-05-01 00:00:00'",
        'price < 10.00',
      ]) {
        const pruned = await spark.sql(`select count(*) c from ${table} where ${filter}`)
        const whole = await spark.sql(`select count_if(${filter}) c from ${table}`)
        assert.deepEqual(pruned.rows, whole.rows, filter)
      }
    })

    test(`${name}: after Spark updated, deleted, inserted, compacted and expired, our next commits are right`, async () => {
      const wider: Schema = {
        ...schema,
        fields: [
          ...fields,
          {
            id: 11,
            name: 'added',
            required: false,
            type: { type: 'struct', fields: [{ id: 12, name: 'x', required: false, type: 'double' }] },
          },
        ],
      }
      const writer = await bench.openWriter(definition(name, spec, order, wider))
      const commit = async (changes: Change[]) => {
        const from = bench.log.end
        await bench.append(changes)
        await writer.commit(await bench.log.seal(from, Number.MAX_SAFE_INTEGER), from, bench.log.end)
      }
      const outside = [
        `update ${table} set n = n + 1000 where k like 'key 1%'`,
        `alter table ${table} set tblproperties ('write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read')`,
        `delete from ${table} where k in ('key 20', 'key 21', 'key 22')`,
        `insert into ${table} (k, n, part) values ('from spark', 7, 'eu')`,
        `call tidewater.system.rewrite_data_files(table => '${table}', options => map('rewrite-all', 'true'))`,
        `call tidewater.system.rewrite_position_delete_files(table => '${table}')`,
        `call tidewater.system.expire_snapshots(table => '${table}', older_than => timestamp'2100-01-01 00:00:00', retain_last => 2)`,
      ]
      for (const [at, statement] of outside.entries()) {
        await spark.sql(statement)
        await commit([
          upsert(20, 2000 + at),
          upsert(30 + at, 2000 + at),
          remove(50 + at),
          ...(at === 4 ? [{ op: 'delete' as const, row: { k: 'from spark' } }] : []),
        ])
        await agreedRows(writer, table)
        assert.deepEqual(
          await compareIndex(must(writer.indexContext, 'index'), await writer.load()),
          { missing: 0, extra: 0 },
          statement,
        )
      }
      const [twenty] = (await bench.rows(await writer.load(), 'k, n')).filter((row) => row['k'] === 'key 20')
      assert.equal(twenty?.['n'], 2006n)
      while ((await upkeep(writer)).length > 0);
      await agreedRows(writer, table)
      await writer.close()
    })
  }

  test('a table with an ordering column: other engines read it, and what they compact lets no late change in', async () => {
    const ordered: Schema = {
      type: 'struct',
      'schema-id': 0,
      fields: [
        { id: 1, name: 'k', required: true, type: 'string' },
        { id: 2, name: 'n', required: true, type: 'long' },
        { id: 3, name: 'part', required: false, type: 'string' },
      ],
      'identifier-field-ids': [1],
    }
    const defined: TableDefinition = { ...definition('ordered', '', '', ordered), ordering: 'n' }
    const told = (op: Change['op'], id: number, n: number): Change => ({ op, row: { k: `key ${id}`, n, part: 'eu' } })
    let writer = await bench.openWriter(defined)
    const commit = async (changes: Change[]) => {
      const from = bench.log.end
      await bench.append(changes)
      return writer.commit(await bench.log.seal(from, Number.MAX_SAFE_INTEGER), from, bench.log.end)
    }
    await commit(range(0, 100).map((id) => told('upsert', id, 10)))
    await commit(range(0, 20).map((id) => told('delete', id, 20)))
    await commit(range(0, 120).map((id) => told('upsert', id, id < 50 ? 15 : 5)))
    const before = await agreedRows(writer, 'default.ordered')
    assert.equal(before.length, 100)
    await writer.close()
    await spark.sql(
      "call tidewater.system.rewrite_data_files(table => 'default.ordered', options => map('rewrite-all', 'true'))",
    )
    await rm(bench.indexPath)
    writer = await bench.openWriter(defined)
    assert.equal(
      await commit(range(0, 20).map((id) => told('upsert', id, 19))),
      null,
      'tombstones outlive the index and the compaction',
    )
    await commit([told('upsert', 0, 21)])
    assert.equal((await agreedRows(writer, 'default.ordered')).length, 101)
    await writer.close()
  })
})
