import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { EngineError, openSpark, pyicebergRead, pyicebergRun, type Spark } from './engines.ts'

let folder: string
let catalog: string
let spark: Spark

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidewater-engines-'))
  catalog = join(folder, 'catalog.db')
  spark = await openSpark(catalog)
  await spark.sql('create namespace db')
})

after(async () => {
  await spark?.close()
  await rm(folder, { recursive: true, force: true })
})

const mergeOnRead = ['delete', 'update', 'merge'].map((kind) => `'write.${kind}.mode'='merge-on-read'`).join(', ')

for (const version of [2, 3]) {
  test(`PyIceberg reads what Spark merged and deleted in a v${version} table`, async () => {
    const table = `db.spark_v${version}`
    await spark.sql(`create table ${table} (id bigint, name string, price decimal(9,2), at timestamp) using iceberg
      partitioned by (bucket(2, id)) tblproperties ('format-version'='${version}', ${mergeOnRead})`)
    await spark.sql(`insert into ${table} select id, concat('n', id), cast(id * 1.5 as decimal(9,2)),
      timestamp_seconds(1700000000 + id) from range(20)`)
    await spark.sql(`merge into ${table} t using
      (select id, 'merged' name, cast(0 as decimal(9,2)) price, timestamp_seconds(0) at from range(15, 25)) s
      on t.id = s.id when matched then update set * when not matched then insert *`)
    await spark.sql(`delete from ${table} where id % 4 = 1`)
    const kinds = await spark.sql(`select distinct content, file_format from ${table}.delete_files`)
    assert.deepEqual(kinds.rows, [`{"content":1,"file_format":"${version === 2 ? 'PARQUET' : 'PUFFIN'}"}`])

    const bySpark = await spark.sql(`select * from ${table}`)
    const byPyIceberg = await pyicebergRead(catalog, table)
    assert.equal(bySpark.rows.length, 19)
    assert.deepEqual([...byPyIceberg.rows].sort(), [...bySpark.rows].sort())
    assert.equal(byPyIceberg.sha256, bySpark.sha256)
  })
}

test('Spark reads what PyIceberg appended, now and as it was', async () => {
  const first = await pyicebergRun(
    catalog,
    `
import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType
schema = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "name", StringType()), identifier_field_ids=[1])
table = catalog.create_table("db.py", schema, properties={"format-version": "2"})
batch = lambda ids: pa.table({"id": ids, "name": [f"p{i}" for i in ids]}, schema=schema.as_arrow())
table.append(batch(range(3)))
result = str(table.current_snapshot().snapshot_id)
table.append(batch(range(3, 6)))
`,
  )
  assert.match(String(first), /^\d+$/)
  const snapshotId = String(first)

  const now = await spark.sql('select * from db.py order by id')
  assert.equal(now.rows.at(-1), '{"id":5,"name":"p5"}')
  assert.equal((await pyicebergRead(catalog, 'db.py')).sha256, now.sha256)

  const then = await spark.sql(`select * from db.py version as of ${snapshotId} order by id`)
  assert.deepEqual(then.rows, ['{"id":0,"name":"p0"}', '{"id":1,"name":"p1"}', '{"id":2,"name":"p2"}'])
  assert.equal((await pyicebergRead(catalog, 'db.py', { snapshotId })).sha256, then.sha256)

  const filtered = await pyicebergRead(catalog, 'db.py', { filter: 'id > 3', columns: ['name'] })
  assert.deepEqual([...filtered.rows].sort(), ['{"name":"p4"}', '{"name":"p5"}'])
})

test('a value has one canonical text, whichever engine reads it', async () => {
  await spark.sql(`create table db.extremes (l bigint, d double, f float, n decimal(38,10), b binary, t timestamp, z timestamp_ntz,
    day date, a array<int>, m map<string,int>, s struct<x:int,y:string>) using iceberg`)
  await spark.sql(`insert into db.extremes values
    (9223372036854775807, 1e-7, cast(0.1 as float), 1.5, X'00ff', timestamp'1969-12-31T23:59:59.999999Z',
      timestamp_ntz'2024-02-29T01:02:03.000004', date'0001-01-01', array(1, null), map('b', 2, 'a', 1), named_struct('x', 1, 'y', 'é"')),
    (-9223372036854775808, double('NaN'), float('-Infinity'), -12345678901234567890.1234567891, X'', null, null, null, array(), map(), null),
    (0, double('-0.0'), cast(1e21 as float), 0, null, timestamp'1970-01-01T00:00:00Z', null, date'9999-12-31', null, null, named_struct('x', null, 'y', ''))`)
  const rows = [
    '{"l":-9223372036854775808,"d":"NaN","f":"-Infinity","n":"-12345678901234567890.1234567891","b":"","t":null,"z":null,"day":null,"a":[],"m":[],"s":null}',
    '{"l":0,"d":"-0","f":1e+21,"n":"0.0000000000","b":null,"t":"1970-01-01T00:00:00.000000Z","z":null,"day":"9999-12-31","a":null,"m":null,"s":{"x":null,"y":""}}',
    '{"l":9223372036854775807,"d":1e-7,"f":0.1,"n":"1.5000000000","b":"00ff","t":"1969-12-31T23:59:59.999999Z","z":"2024-02-29T01:02:03.000004","day":"0001-01-01","a":[1,null],"m":[["a",1],["b",2]],"s":{"x":1,"y":"é\\""}}',
  ]
  assert.deepEqual([...(await spark.sql('select * from db.extremes')).rows].sort(), rows)
  assert.deepEqual([...(await pyicebergRead(catalog, 'db.extremes')).rows].sort(), rows)
})

test('a refused statement is an error with the engine’s words, and Spark answers on', async () => {
  await assert.rejects(spark.sql('select * from db.missing'), (error: unknown) => {
    assert.ok(error instanceof EngineError)
    assert.match(error.message, /TABLE_OR_VIEW_NOT_FOUND/)
    return true
  })
  await assert.rejects(pyicebergRead(catalog, 'db.missing'), /NoSuchTableError/)
  assert.deepEqual((await spark.sql("select 'two\nlines' as text")).rows, ['{"text":"two\\nlines"}'])
})

test('a statement that takes too long ends Spark, and later ones say so', async () => {
  await assert.rejects(
    spark.sql("select java_method('java.lang.Thread', 'sleep', 60000L)", 1_500),
    /did not answer within 1500 ms/,
  )
  await assert.rejects(spark.sql('select 1'), /did not answer within 1500 ms/)
})
