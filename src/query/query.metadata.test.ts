import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lake } from '../../test/query/lake.ts'
import { createRef } from '../iceberg/action/set-ref.ts'
import { parseIdent } from '../iceberg/catalog/catalog.ts'
import type { QuerySession } from './query.ts'
import type { Cell } from './values.ts'

describe('metadata tables', () => {
  let lake: Lake
  let session: QuerySession
  let first: bigint
  let second: bigint

  before(async () => {
    lake = await Lake.open()
    await lake.create(
      'default.events',
      {
        id: 'long',
        kind: 'string',
        at: 'timestamptz',
        body: { type: 'struct', fields: [{ id: 50, name: 'n', required: false, type: 'int' }] },
      },
      {
        'spec-id': 0,
        fields: [
          { 'source-id': 2, 'field-id': 1000, name: 'kind', transform: 'identity' },
          { 'source-id': 3, 'field-id': 1001, name: 'at_day', transform: 'day' },
        ],
      },
    )
    lake.clock.set(Date.UTC(2024, 0, 2, 3, 4, 5, 678))
    const row = (id: number, kind: string, day: string): string =>
      `SELECT ${id} AS id, ${kind} AS kind, TIMESTAMPTZ '${day} 10:00:00Z' AS at, {'n': ${id}} AS body`
    first = await lake.append(
      'default.events',
      `${row(1, "'a'", '2024-01-01')} UNION ALL ${row(2, "'b'", '2024-01-01')}`,
    )
    lake.clock.set(Date.UTC(2024, 0, 3))
    second = await lake.append(
      'default.events',
      `${row(3, "'a'", '2024-01-01')} UNION ALL ${row(4, 'NULL', '2024-01-02')}`,
    )
    const table = await lake.catalog.load(parseIdent('default.events'))
    await lake.catalog.commit(table, createRef(table.metadata, { name: 'audit', type: 'tag', snapshotId: first }))
    await lake.create('default.plain', { x: 'double', bytes: 'binary' })
    await lake.append(
      'default.plain',
      "SELECT 1.5 AS x, '\\x00\\xFF'::BLOB AS bytes UNION ALL SELECT 'NaN'::DOUBLE, NULL",
    )
    await lake.create('default.nothing', { x: 'int' })
    session = await lake.session()
  })
  after(async () => {
    await session.close()
    await lake.close()
  })

  const rows = async (sql: string): Promise<Cell[][]> => (await session.run(sql)).rows
  const columns = async (sql: string): Promise<string[]> =>
    (await session.run(sql)).columns.map((column) => column.name)

  it('lists snapshots with their summaries', async () => {
    const result = await session.run('SELECT * FROM default.events.snapshots')
    assert.deepEqual(
      result.columns.map(({ name, type }) => `${name} ${type}`),
      [
        'committed_at TIMESTAMP WITH TIME ZONE',
        'snapshot_id BIGINT',
        'parent_id BIGINT',
        'operation VARCHAR',
        'manifest_list VARCHAR',
        'summary MAP(VARCHAR, VARCHAR)',
      ],
    )
    const [one, two] = result.rows
    assert.deepEqual(one!.slice(0, 4), ['2024-01-02T03:04:05.678000Z', first, null, 'append'])
    assert.deepEqual(two!.slice(1, 3), [second, first])
    assert.equal((one![5] as Record<string, string>)['added-records'], '2')
  })

  it('lists history, references and properties', async () => {
    assert.deepEqual(await rows('SELECT snapshot_id, parent_id, is_current_ancestor FROM events.history'), [
      [first, null, true],
      [second, first, true],
    ])
    assert.deepEqual(await rows('SELECT name, type, snapshot_id FROM catalog.default.events.refs ORDER BY name'), [
      ['audit', 'TAG', first],
      ['main', 'BRANCH', second],
    ])
    assert.deepEqual(await columns('FROM events.properties'), ['key', 'value'])
    const log = await rows('SELECT file, latest_snapshot_id FROM events.metadata_log_entries')
    assert.deepEqual(
      log.map((row) => row[1]),
      [null, first, second, second],
    )
  })

  it('lists files with their metrics in the columns types', async () => {
    const sql = `SELECT content, file_format, partition, record_count, lower_bounds[1], readable_metrics.id.lower_bound,
      readable_metrics."body.n".upper_bound, readable_metrics.at.upper_bound, value_counts[1]
      FROM default.events.files ORDER BY readable_metrics.id.lower_bound`
    assert.deepEqual((await rows(sql))[0], [
      0,
      'PARQUET',
      { kind: 'a', at_day: '2024-01-01' },
      1n,
      '0100000000000000',
      1n,
      1,
      '2024-01-01T10:00:00Z',
      1n,
    ])
    assert.deepEqual(await rows('SELECT count(*) FROM events.files'), [[4n]])
    assert.deepEqual(await rows('SELECT count(*) FROM events.data_files'), [[4n]])
    assert.deepEqual(await rows('SELECT count(*) FROM events.delete_files'), [[0n]])
    assert.deepEqual(await rows(`SELECT count(*) FROM events.files FOR VERSION AS OF ${first}`), [[2n]])
    assert.deepEqual(await rows("SELECT count(*) FROM events.files VERSION AS OF 'audit'"), [[2n]])
    assert.deepEqual(await columns('SELECT * FROM plain.files LIMIT 0'), [
      'content',
      'file_path',
      'file_format',
      'spec_id',
      'record_count',
      'file_size_in_bytes',
      'column_sizes',
      'value_counts',
      'null_value_counts',
      'nan_value_counts',
      'lower_bounds',
      'upper_bounds',
      'key_metadata',
      'split_offsets',
      'equality_ids',
      'sort_order_id',
      'referenced_data_file',
      'content_offset',
      'content_size_in_bytes',
      'readable_metrics',
    ])
    assert.equal((await rows('SELECT readable_metrics.bytes.value_count FROM plain.files'))[0]?.[0], 2n)
  })

  it('lists entries, manifests and partitions', async () => {
    const entries = await rows(
      'SELECT status, snapshot_id, sequence_number, data_file.record_count FROM events.entries ORDER BY ALL',
    )
    assert.equal(entries.length, 4)
    assert.deepEqual(entries[0], [1, first, 1n, 1n])
    const manifests = await session.run('SELECT * FROM events.manifests ORDER BY added_snapshot_id')
    assert.equal(manifests.columns.length, 12)
    const summaries = manifests.rows[1]!.at(-1)
    assert.deepEqual(summaries, [
      { contains_null: true, contains_nan: false, lower_bound: 'a', upper_bound: 'a' },
      { contains_null: false, contains_nan: false, lower_bound: '2024-01-01', upper_bound: '2024-01-02' },
    ])
    const sql = `SELECT partition.kind, partition.at_day, record_count, file_count, last_updated_snapshot_id, last_updated_at
      FROM events.partitions ORDER BY 1 NULLS LAST`
    assert.deepEqual(await rows(sql), [
      ['a', '2024-01-01', 2n, 2, second, '2024-01-03T00:00:00Z'],
      ['b', '2024-01-01', 1n, 1, first, '2024-01-02T03:04:05.678000Z'],
      [null, '2024-01-02', 1n, 1, second, '2024-01-03T00:00:00Z'],
    ])
  })

  it('has no rows for a table without a snapshot', async () => {
    for (const name of ['snapshots', 'history', 'refs', 'files', 'manifests', 'partitions', 'entries']) {
      assert.deepEqual(await rows(`SELECT * FROM default.nothing.${name}`), [], name)
    }
  })

  it('reads a branch or tag by its name after the table', async () => {
    assert.deepEqual(await rows('SELECT count(*) FROM default.events.tag_audit'), [[2n]])
    assert.deepEqual(await rows('SELECT count(*) FROM default.events.branch_main'), [[4n]])
  })

  it('joins metadata with data of the same snapshot', async () => {
    const sql = 'SELECT (SELECT sum(record_count) FROM events.files) = (SELECT count(*) FROM events)'
    assert.deepEqual(await rows(sql), [[true]])
  })
})
