import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { inTempDir } from '../../test/support/cli.ts'
import { openLake, type Rows } from './lake.ts'

const EXAMPLE = path.join(import.meta.dirname, '../../examples/library/orders.ts')

const byKey = (rows: readonly { [column: string]: unknown }[]) =>
  rows.toSorted((a, b) => Number(a['k']) - Number(b['k']))

async function all<T>(rows: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(rows)
}

test('the example of the library runs and prints what it says', async () => {
  await inTempDir(async (dir) => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=tidewater-source', EXAMPLE, dir])
    assert.deepEqual(stdout.trim().split('\n'), [
      "now { id: 1n, region: 'us', total: '13.00' }",
      "then { id: 1n, region: 'eu', total: '12.50' }",
      "then { id: 2n, region: 'us', total: '7.00' }",
      'snapshots 3n',
    ])
  })
})

test('rows of every type come back as they were given, also from a stream', async () => {
  await inTempDir(async (dir) => {
    const lake = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const table = await lake.createTable('a.b.types', {
      columns: {
        k: 'STRING NOT NULL',
        big: 'LONG',
        exact: 'DECIMAL(38, 10)',
        day: 'DATE',
        at: 'TIMESTAMPTZ',
        bytes: 'BINARY',
        list: 'ARRAY<INTEGER>',
        map: 'MAP<STRING, DOUBLE>',
        nested: 'STRUCT<a: STRING, b: ARRAY<STRUCT<c: BOOLEAN>>>',
      },
      key: ['k'],
    })
    const row = {
      k: 'x',
      big: 9007199254740993n,
      exact: '1234567890123456789012345678.0123456789',
      day: '2024-02-29',
      at: '2024-02-29T01:02:03.000004Z',
      bytes: 'ff00',
      list: [1, null, 3],
      map: { half: 0.5 },
      nested: { a: 'é', b: [{ c: true }] },
    }
    async function* stream() {
      yield row
    }
    await table.append(stream())
    assert.deepEqual(await all(table.rows()), [row])
    assert.deepEqual(await lake.listTables(), ['a.b.types'])
    await lake.close()
  })
})

test('history: a snapshot is read as it was, a rollback makes it current, a column is added', async () => {
  await inTempDir(async (dir) => {
    const lake = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const table = await lake.createTable('default.t', { columns: { k: 'LONG NOT NULL', v: 'STRING' }, key: ['k'] })
    const first = await table.upsert([{ k: 1, v: 'one' }])
    await table.upsert([
      { k: 1, v: 'two' },
      { k: 2, v: 'two' },
    ])
    assert.deepEqual(await all(table.rows({ snapshotId: first!.snapshotId })), [{ k: 1n, v: 'one' }])
    await table.rollback(first!.snapshotId)
    assert.deepEqual(await all(table.rows()), [{ k: 1n, v: 'one' }])
    await table.addColumn('w', 'DOUBLE')
    await table.upsert([
      { k: 1, v: 'three', w: 0.5 },
      { k: 3, v: 'new' },
    ])
    assert.deepEqual(
      await all(table.rows({ where: 'k >= 1', columns: ['k', 'v', 'w'] })).then((rows) =>
        rows.toSorted((a, b) => Number(a['k']) - Number(b['k'])),
      ),
      [
        { k: 1n, v: 'three', w: 0.5 },
        { k: 3n, v: 'new', w: null },
      ],
    )
    assert.deepEqual(Object.keys(await table.columns()), ['k', 'v', 'w'])
    await lake.close()
    assert.deepEqual(
      (await readdir(path.join(dir, 'warehouse'))).toSorted(),
      ['default'],
      'nothing but tables is left in the warehouse',
    )
  })
})

test('upkeep: many small commits become one file, old snapshots and what nothing reaches go, and the rows stay', async () => {
  await inTempDir(async (dir) => {
    const lake = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const table = await lake.createTable('default.t', { columns: { k: 'LONG NOT NULL', v: 'STRING' }, key: ['k'] })
    for (let at = 0; at < 6; at++) await table.upsert([1, 2, at + 10].map((k) => ({ k, v: `v${at}` })))
    const before = await all(table.rows())
    // Writes given meanwhile wait for it, and lose nothing.
    const [report] = await Promise.all([table.optimize(), table.upsert([{ k: 99, v: 'after' }])])
    assert.deepEqual(report.before, { data: 6, deletes: 5 })
    assert.deepEqual(report.after, { data: 1, deletes: 0 })
    assert.ok(report.steps.length > 0)
    assert.deepEqual(byKey(await all(table.rows())), byKey([...before, { k: 99n, v: 'after' }]))
    assert.deepEqual((await table.optimize()).after, { data: 1, deletes: 0 })
    assert.deepEqual((await table.optimize()).steps, [], 'there is nothing left to do')

    const snapshots = (await table.snapshots()).length
    assert.deepEqual(await table.expireSnapshots(), { snapshots: 0, files: 0 }, 'they are young')
    const expired = await table.expireSnapshots({ olderThan: new Date(), keep: 2 })
    assert.equal(expired.snapshots, snapshots - 2)
    assert.ok(expired.files > 6)
    assert.equal((await table.snapshots()).length, 2)

    const folder = path.join(dir, 'warehouse/default/t/data')
    const stray = path.join(folder, 'stray.parquet')
    await writeFile(stray, 'left by a crash')
    // Younger than the table: what is older belongs to a dropped one of its name.
    assert.deepEqual(await table.removeOrphans(), [], 'it is young')
    await assert.rejects(table.removeOrphans({ olderThan: new Date() }), { name: 'Fault', kind: 'invalid' })
    for (const keep of [0, -1, 1.5])
      await assert.rejects(table.expireSnapshots({ keep }), { name: 'Fault', kind: 'invalid' })
    assert.deepEqual(byKey(await all(table.rows())), byKey([...before, { k: 99n, v: 'after' }]))
    await lake.close()

    // A table that this lake has not written to is kept in order without an index.
    const again = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const appended = await again.table('default.t')
    await appended.append([{ k: 7, v: 'seven' }])
    await again.close()
    const third = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const opened = await third.table('default.t')
    assert.deepEqual((await opened.optimize()).after, { data: 1, deletes: 0 })
    await opened.upsert([{ k: 7, v: 'eight' }])
    assert.deepEqual(await all(opened.rows({ where: 'k = 7' })), [{ k: 7n, v: 'eight' }])
    await third.close()
  })
})

test('commits given at the same time are made one after another, and none is lost', async () => {
  await inTempDir(async (dir) => {
    const lake = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const table = await lake.createTable('default.t', { columns: { k: 'LONG NOT NULL' }, key: ['k'] })
    await Promise.all(
      Array.from({ length: 8 }, (_, k) => (k % 2 === 0 ? table.upsert([{ k }]) : table.append([{ k }]))),
    )
    assert.equal((await all(table.rows())).length, 8)
    await lake.close()
  })
})

test('what does not fit is refused with a sentence, and nothing is committed', async () => {
  await inTempDir(async (dir) => {
    const lake = await openLake({ catalog: path.join(dir, 'catalog.db'), warehouse: path.join(dir, 'warehouse') })
    const table = await lake.createTable('default.t', { columns: { k: 'LONG NOT NULL', v: 'STRING' } })
    await assert.rejects(table.upsert([{ k: 1 }]), { name: 'Fault', kind: 'invalid', message: /has no key/ })
    await assert.rejects(table.append([{ k: null }]), { name: 'Fault', kind: 'invalid' })
    await assert.rejects(table.append([{ k: 'not a number' }]), { name: 'Fault', kind: 'invalid' })
    await assert.rejects(lake.createTable('default.t', { columns: { k: 'LONG' } }), { name: 'Fault', kind: 'conflict' })
    await assert.rejects(lake.createTable('default.u', { columns: { k: 'NUMBER' } }), {
      name: 'Fault',
      kind: 'invalid',
    })
    await assert.rejects(lake.table('default.nothing'), { name: 'Fault', kind: 'not-found' })
    assert.equal(await table.append([] satisfies Rows), null)
    assert.deepEqual(await table.snapshots(), [])
    await lake.close()
  })
})
