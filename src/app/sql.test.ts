/** Tables made and changed by SQL beside an engine that holds the home and writes them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type EngineBench, withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { isFault } from '../base/fault.ts'
import { parseIdent } from '../iceberg/catalog/catalog.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import { parseConfig } from './config.ts'
import { homeAt } from './home.ts'
import { openReader } from './reader.ts'
import { openSql, sqlWrites } from './sql.ts'

const golden = (name: string): string => readFileSync(new URL(`../../test/golden/sql/${name}`, import.meta.url), 'utf8')
const TABLE = 'demo_iceberg_db.demo_iceberg'

/** What `tidewater sql --write` does, with a catalog of its own as another process has it. */
async function write(bench: EngineBench, text: string): Promise<string[]> {
  const { home, config } = bench.engine
  const reader = await openReader(home, config, 'change')
  const session = await openSql(reader, sqlWrites(reader))
  try {
    return (await session.run(text)).rows.map((row) => row.join(' | '))
  } finally {
    await session.close()
    await reader.close()
  }
}

function event(user: string, event: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { user_id: user, event, timestamp: '2024-05-01T10:00:00Z', uri: '/', ...more }
}

test('a table made by SQL while an engine holds the home takes its columns and partitions into a stream', async () => {
  await withEngine({}, async (bench) => {
    await write(bench, golden('athena_database.sql'))
    await write(bench, golden('athena_table.sql'))
    const { stream } = await bench.engine.streams.create('web', { table: TABLE })
    await stream.accept(recordsOf(event('u1', 'visit'), event('u2', 'view'), event('u3', 'visit')))
    await bench.engine.drain()
    assert.deepEqual(await write(bench, golden('athena_count.sql')), ['3'])
    assert.deepEqual(await write(bench, `SELECT partition.event, record_count FROM ${TABLE}.files ORDER BY 1`), [
      'view | 1',
      'visit | 2',
    ])
  })
})

test('unique keys of a table whose columns may be null are demanded by the stream, and the table stays as it is', async () => {
  await withEngine({}, async (bench) => {
    await write(bench, golden('athena_database.sql'))
    await write(bench, golden('athena_table.sql'))
    // A row whose key is null, as others may write it.
    const first = await bench.engine.streams.create('anything', { table: TABLE })
    await first.stream.accept(recordsOf(event('u1', 'visit'), { event: 'null key' }, { event: 'null key' }))
    await bench.engine.streams.remove('anything')

    const settings = { table: TABLE, uniqueKeys: ['user_id', 'timestamp'] }
    const { stream } = await bench.engine.streams.create('web', settings)
    const { results } = await stream.accept(
      recordsOf(
        event('u1', 'purchase'),
        event('u2', 'view'),
        { ...event('u3', 'view'), user_id: null },
        { user_id: 'u4', event: 'view' },
      ),
    )
    assert.deepEqual(
      results.map((result) => (result.kind === 'dead-letter' ? result.code : result.kind)),
      ['accepted', 'accepted', 'MissingField', 'MissingField'],
    )
    await bench.engine.drain()
    await bench.restart()
    const again = bench.engine.streams.get('web')
    await again.accept([{ data: Buffer.from(JSON.stringify(event('u2', 'view'))), operation: 'delete' }])
    await again.accept(recordsOf(event('u1', 'cart')))
    await bench.engine.drain()
    assert.deepEqual(await write(bench, `SELECT user_id, event FROM ${TABLE} ORDER BY ALL`), [
      'u1 | cart',
      ' | null key',
      ' | null key',
    ])
    const schema = currentSchema((await bench.engine.catalog.load(parseIdent(TABLE))).metadata)
    assert.equal(schema['identifier-field-ids'], undefined)
    assert.ok(schema.fields.every((field) => !field.required))
    assert.equal(await bench.engine.streams.get('web').parts.destinations.all[0]?.writer.committedOffset(), 4)
  })
})

test('a table with a key by SQL takes records by it, and a float cannot be one', async () => {
  await withEngine({}, async (bench) => {
    await write(bench, 'CREATE TABLE t (id bigint, f double, n int, PRIMARY KEY (id) NOT ENFORCED) USING iceberg')
    await assert.rejects(bench.engine.streams.create('f', { table: 'default.t', uniqueKeys: ['f'] }), (error) =>
      isFault(error, 'invalid'),
    )
    const { stream } = await bench.engine.streams.create('t', { table: 'default.t', uniqueKeys: ['id'] })
    await stream.accept(recordsOf({ id: 1, n: 1 }, { id: 2, n: 2 }, { id: 1, n: 3 }))
    await bench.engine.drain()
    assert.deepEqual(await write(bench, 'SELECT id, n FROM t ORDER BY id'), ['1 | 3', '2 | 2'])
  })
})

test('columns and properties change under a stream that writes, and it loses and mistakes nothing', async () => {
  await withEngine({}, async (bench) => {
    await write(
      bench,
      `CREATE DATABASE d; CREATE TABLE d.t (id bigint, n int, old string, f float) PARTITIONED BY (bucket(2, id))`,
    )
    const { stream } = await bench.engine.streams.create('t', {
      table: 'd.t',
      uniqueKeys: ['id'],
      unknownFields: 'drop',
    })
    bench.engine.start(() => undefined)
    let sent = 0
    const changes = [
      'ALTER TABLE d.t ADD COLUMNS (added string, s struct<a: int>)',
      'ALTER TABLE d.t ALTER COLUMN n TYPE bigint',
      "ALTER TABLE d.t SET TBLPROPERTIES ('write_compression'='gzip', 'optimize_rewrite_delete_file_threshold'='2')",
      'ALTER TABLE d.t DROP COLUMN old',
      'ALTER TABLE d.t CHANGE COLUMN f f double FIRST',
      'ALTER TABLE d.t ADD COLUMN s.b string',
    ]
    const sending = (async () => {
      for (; sent < 240; sent += 4) {
        const rows = [0, 1, 2, 3].map((at) => ({
          id: (sent + at) % 60,
          n: sent + at,
          old: 'x',
          f: 0.5,
          added: 'y',
          s: { a: 1 },
        }))
        const { results } = await stream.accept(recordsOf(...rows))
        assert.ok(
          results.every((result) => result.kind === 'accepted'),
          JSON.stringify(results),
        )
      }
    })()
    for (const change of changes) await write(bench, change)
    await sending
    await bench.engine.finish()
    assert.deepEqual(await write(bench, 'SELECT count(*), count(DISTINCT id), min(n), max(n), sum(f) FROM d.t'), [
      '60 | 60 | 180 | 239 | 30',
    ])
    await bench.restart()
    await bench.engine.streams.get('t').accept(recordsOf({ id: 1, n: 5_000_000_000, f: 0.1 }))
    await bench.engine.drain()
    assert.deepEqual(await write(bench, 'SELECT n, f, added FROM d.t WHERE id = 1'), ['5000000000 | 0.1 | '])
    assert.deepEqual(await bench.sql('SELECT count(*)::INTEGER AS n FROM tidewater.dead_letters'), [{ n: 0 }])
  })
})

test('what a stream or Tidewater itself writes is not taken from under it', async () => {
  const streams = { configured: { table: 'd.configured', columns: { id: 'LONG', n: 'INTEGER' } } }
  await withEngine({ streams }, async (bench) => {
    const refused = (text: string, message: RegExp) =>
      assert.rejects(write(bench, text), (error) => isFault(error, 'conflict') && message.test(error.message), text)
    await write(bench, 'CREATE TABLE d.t (id bigint, n int)')
    await bench.engine.streams.create('made', { table: 'd.t', uniqueKeys: ['id'] })
    await refused('DROP TABLE d.t', /written by stream made; tidewater stream delete made/)
    await refused('DROP DATABASE d CASCADE', /written by stream/)
    await refused('ALTER TABLE d.t RENAME COLUMN n TO m', /written by stream made/)
    await refused('ALTER TABLE d.t DROP COLUMN id', /written by stream made/)
    await refused('ALTER TABLE d.configured ALTER COLUMN n TYPE bigint', /written by stream configured/)
    await refused('DROP TABLE tidewater.dead_letters', /written by tidewater itself/)
    await refused('ALTER TABLE aws_s3_metadata.inventory DROP COLUMN size', /written by tidewater itself/)
    // A table that a stream of another one writes too says so itself.
    await write(bench, 'CREATE TABLE d.u (id bigint, n int)')
    const { stream } = await bench.engine.streams.create('second', { table: 'd.u' })
    await stream.accept(recordsOf({ id: 1 }))
    await bench.engine.streams.remove('second')
    await bench.engine.streams.create('second', { table: 'd.elsewhere', columns: { id: 'LONG' } })
    await refused('DROP TABLE d.u', /written by stream second/)
    await refused('ALTER TABLE d.u DROP COLUMN n', /written by stream second/)
    await bench.engine.streams.remove('second')
    await write(bench, 'DROP TABLE d.u')

    await bench.engine.streams.remove('made')
    await write(bench, 'ALTER TABLE d.t RENAME COLUMN n TO m; DROP TABLE d.t')
  })
})

test('a table that is dropped and made again takes what its stream gets from then on', async () => {
  await withEngine({}, async (bench) => {
    const make = 'CREATE TABLE IF NOT EXISTS t (id bigint, n int)'
    for (const round of [1, 2, 3]) {
      await write(bench, make)
      const settings = { table: 'default.t', uniqueKeys: ['id'] }
      const { stream } = await bench.engine.streams.create('t', settings)
      await stream.accept(recordsOf({ id: 1, n: round }, { id: 2, n: round }))
      await bench.engine.streams.remove('t')
      assert.deepEqual(await write(bench, 'SELECT id, n FROM t ORDER BY id'), [`1 | ${round}`, `2 | ${round}`])
      await write(bench, 'DROP TABLE t')
    }
  })
})

test('a home is made by the first statement that changes something, and never where a catalog was lost', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-sql-'))
  try {
    const home = homeAt(path.join(dir, 'fresh'))
    const config = parseConfig({}, 'test')
    await assert.rejects(openReader(home, config), (error) => isFault(error, 'not-found'))
    const reader = await openReader(home, config, 'change')
    const session = await openSql(reader, sqlWrites(reader))
    await session.run('CREATE DATABASE a')
    await session.close()
    await reader.close()
    assert.deepEqual(await (await openReader(home, config)).catalog.listNamespaces(), [['a']])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
