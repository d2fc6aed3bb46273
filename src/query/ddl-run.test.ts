import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { Lake } from '../../test/query/lake.ts'
import { Fault, type FaultKind } from '../base/fault.ts'
import { type Catalog, formatIdent, type LoadedTable, parseIdent } from '../iceberg/catalog/catalog.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import { formatType } from '../iceberg/spec/type.ts'
import type { QuerySession, SqlWrites, TableOwner } from './query.ts'

const golden = (name: string): string => readFileSync(new URL(`../../test/golden/sql/${name}`, import.meta.url), 'utf8')

const OWNED: TableOwner = { name: 'stream web', remedy: 'delete the stream', columns: ['id'] }

function writesOf(lake: Lake, owned = ''): SqlWrites {
  return {
    warehouse: `file://${lake.dir}/warehouse`,
    checkType: (type) => {
      if (String(type).startsWith('fixed')) throw new Fault('unsupported', 'no fixed')
    },
    checkProperties: (properties) => {
      if (properties['write.parquet.compression-codec'] === 'lz4') throw new Fault('invalid', 'no lz4')
    },
    writerOf: async ({ ident }) => (formatIdent(ident) === owned ? OWNED : null),
  }
}

async function withSession(
  work: (sql: (text: string) => Promise<string[]>, lake: Lake, session: QuerySession) => Promise<void>,
  options: { owned?: string; catalog?: (real: Catalog) => Catalog } = {},
): Promise<void> {
  const lake = await Lake.open()
  const catalog = options.catalog?.(lake.catalog) ?? lake.catalog
  const session = await lake.session({ catalog, writes: writesOf(lake, options.owned) })
  try {
    await work(async (text) => (await session.run(text)).rows.map((row) => row.join(' | ')), lake, session)
  } finally {
    await session.close()
    await lake.close()
  }
}

const columns = ({ metadata }: LoadedTable) =>
  currentSchema(metadata).fields.map(
    (field) => `${field.id} ${field.name} ${formatType(field.type)}${field.required ? '!' : ''}`,
  )

function refused(work: Promise<unknown>, kind: FaultKind, message: RegExp): Promise<void> {
  return assert.rejects(work, { name: 'Fault', kind, message })
}

describe('tables made and changed by SQL', () => {
  it('the statements of the SQL page that make tables and find sessions run as they are printed', () =>
    withSession(async (sql, lake) => {
      const page = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8')
      const blocks = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)
      await sql(blocks.find((text) => text.startsWith('CREATE DATABASE')) ?? '')
      const table = await lake.catalog.load(parseIdent('shop.orders'))
      assert.deepEqual(
        currentSpec(table.metadata).fields.map((field) => field.name),
        ['at_day', 'id_bucket'],
      )
      await sql(`${golden('athena_database.sql')} ${golden('athena_table.sql')}`)
      const at = (user: string, ...minutes: number[]) =>
        minutes.map((minute) => `('${user}', TIMESTAMP '2026-05-04 00:00:00' + INTERVAL ${minute} MINUTES)`)
      await lake.append(
        'demo_iceberg_db.demo_iceberg',
        `SELECT u AS user_id, NULL AS session_id, 'view' AS event, NULL AS referrer, NULL AS user_agent, NULL AS ip, NULL AS hostname,
          NULL AS os, t AS timestamp, NULL AS uri FROM (VALUES ${[...at('a', 0, 29, 29, 59, 60), ...at('b', 10)].join(', ')}) v(u, t)`,
      )
      const sessions = blocks.find((text) => text.startsWith('CREATE TEMPORARY VIEW sessionized')) ?? ''
      assert.deepEqual(await sql(`${sessions} ORDER BY ALL`), [
        'a | 1 | 2026-05-04T00:00:00 | 2026-05-04T00:29:00 | 3',
        'a | 2 | 2026-05-04T00:59:00 | 2026-05-04T01:00:00 | 2',
        'b | 1 | 2026-05-04T00:10:00 | 2026-05-04T00:10:00 | 1',
      ])
    }))

  it("Athena's statements make a database and a table and count its rows, as they are printed", () =>
    withSession(async (sql, lake) => {
      assert.deepEqual(await sql(golden('athena_database.sql')), ['database demo_iceberg_db created'])
      const [made, kept] = await sql(golden('athena_table.sql'))
      assert.equal(made, 'table demo_iceberg_db.demo_iceberg created')
      assert.match(kept ?? '', /no configured store serves s3:\/\/.*kept as property tidewater\.location/)
      const table = await lake.catalog.load(parseIdent('demo_iceberg_db.demo_iceberg'))
      assert.equal(table.metadata.location, `file://${lake.dir}/warehouse/demo_iceberg_db/demo_iceberg`)
      assert.deepEqual(table.metadata.properties, {
        'write.parquet.compression-codec': 'snappy',
        'write.format.default': 'parquet',
        optimize_rewrite_delete_file_threshold: '10',
        'tidewater.location':
          's3://datafirehose-proxy-<i>{region}</i>-</i>{account_id}</i>/demo_iceberg_db/demo_iceberg',
      })
      assert.deepEqual(
        currentSpec(table.metadata).fields.map((field) => [field.name, field.transform]),
        [['event', 'identity']],
      )
      assert.equal(columns(table).length, 10)
      assert.equal(columns(table)[8], '9 timestamp timestamp')
      assert.deepEqual(await sql(golden('athena_count.sql')), ['0'])
      assert.deepEqual(await sql(golden('athena_database.sql')), ['database demo_iceberg_db is there already'])
      await refused(sql(golden('athena_table.sql')), 'conflict', /is there already; write CREATE TABLE IF NOT EXISTS/)
    }))

  it('all statements of one text are run in order, and their rows are read with the same session', () =>
    withSession(async (sql, lake) => {
      await sql('CREATE DATABASE d; CREATE TABLE d.t (a int); CREATE TABLE u (b int)')
      await lake.append('d.t', 'SELECT 1 AS a UNION ALL SELECT 2')
      assert.deepEqual(await sql('ALTER TABLE d.t ADD COLUMN c string; SELECT a, c FROM d.t ORDER BY a'), [
        '1 | ',
        '2 | ',
      ])
      assert.deepEqual(await sql('SHOW TABLES FROM d'), ['d | t | table'])
      assert.deepEqual(await sql('SHOW DATABASES'), ['d', 'default'])
      assert.deepEqual(await sql('DESCRIBE D.T'), ['a | int | no | ', 'c | string | no | '])
      // Nothing of a text that cannot be read as a whole is run.
      await refused(sql('DROP TABLE d.t; DROP TABLE'), 'invalid', /line 1, column 27/)
      assert.deepEqual(await sql('SHOW TABLES FROM d'), ['d | t | table'])
    }))

  it('names are found without regard to case, and two that differ by it alone are refused', () =>
    withSession(async (sql, lake) => {
      await sql('CREATE DATABASE Shop; CREATE TABLE shop.Orders (`Id` int)')
      assert.deepEqual(await sql('CREATE DATABASE IF NOT EXISTS SHOP'), ['database Shop is there already'])
      await refused(sql('CREATE DATABASE shop'), 'conflict', /database Shop is there already/)
      await refused(sql('CREATE TABLE SHOP.orders (a int)'), 'conflict', /Shop\.Orders is there already/)
      assert.deepEqual(await sql('CREATE TABLE IF NOT EXISTS SHOP.orders (a int)'), [
        'table Shop.Orders is there already',
      ])
      await refused(sql('ALTER TABLE shop.orders ADD COLUMN ID string'), 'conflict', /"ID", which is taken/)
      await sql('ALTER TABLE shop.orders RENAME COLUMN id TO ID')
      assert.deepEqual(columns(await lake.catalog.load(parseIdent('Shop.Orders'))), ['1 ID int'])
      await refused(sql('CREATE TABLE nowhere.t (a int)'), 'not-found', /CREATE DATABASE nowhere makes it/)
      await refused(sql('CREATE TABLE `a.b` (a int)'), 'invalid', /no dots inside its quotes/)
      await refused(sql('CREATE TABLE `../x` (a int)'), 'invalid', /no dots/)
      await refused(sql('DROP TABLE shop.order'), 'not-found', /did you mean Shop\.Orders/)
    }))

  it('columns are added, renamed, widened, described, moved and dropped, and keep their ids', () =>
    withSession(async (sql, lake) => {
      await sql('CREATE TABLE t (a int, b float, c struct<d: int>, e string NOT NULL)')
      const load = async () => columns(await lake.catalog.load(parseIdent('default.t')))
      await sql("ALTER TABLE t ADD COLUMNS (f decimal(9,2) COMMENT 'exact' AFTER a, c.g string)")
      await sql(
        'ALTER TABLE t RENAME COLUMN A TO aa; ALTER TABLE t ALTER COLUMN aa TYPE bigint; ALTER TABLE t ALTER COLUMN e DROP NOT NULL',
      )
      await sql(
        "ALTER TABLE t CHANGE COLUMN b bb double COMMENT 'wide' FIRST; ALTER TABLE t CHANGE c c struct<d: int, g: string>",
      )
      assert.deepEqual(
        await load(),
        ['2 bb double', '1 aa long', '6 f decimal(9,2)', '3 c struct<d: int, g: string>', '4 e string'].map((line) =>
          line.replace('4 e', '4 e'),
        ),
      )
      await sql('ALTER TABLE t DROP COLUMNS (f, c.d)')
      assert.deepEqual(
        (await load()).map((line) => line.replace(/^\d+ /, '')),
        ['bb double', 'aa long', 'c struct<g: string>', 'e string'],
      )
      await refused(sql('ALTER TABLE t ALTER COLUMN aa TYPE int'), 'invalid', /expected a wider type for "aa"/)
      await refused(sql('ALTER TABLE t ALTER COLUMN e TYPE int'), 'invalid', /expected a wider type/)
      await refused(sql('ALTER TABLE t ADD COLUMN n int NOT NULL'), 'invalid', /rows written before have no value/)
      await refused(sql('ALTER TABLE t ADD COLUMN n fixed(16)'), 'unsupported', /no fixed/)
      await refused(sql('ALTER TABLE t DROP COLUMN nope'), 'not-found', /its columns are bb, aa, c, e/)
      await refused(sql('ALTER TABLE nope DROP COLUMN a'), 'not-found', /no table or view "nope"/)
      assert.deepEqual(await sql('ALTER TABLE t ALTER COLUMN aa TYPE bigint'), ['table default.t is so already'])
    }))

  it('what the table is partitioned or identified by is not dropped', () =>
    withSession(async (sql) => {
      await sql('CREATE TABLE t (id int, day date, x int, PRIMARY KEY (id) NOT ENFORCED) PARTITIONED BY (day)')
      await refused(sql('ALTER TABLE t DROP COLUMN day'), 'invalid', /by which the table is partitioned/)
      await refused(sql('ALTER TABLE t DROP COLUMN id'), 'invalid', /identifies rows/)
    }))

  it('properties are set and unset under their own names', () =>
    withSession(async (sql) => {
      await sql("CREATE TABLE t (a int) COMMENT 'mine' TBLPROPERTIES ('write_compression'='gzip', 'x'='1')")
      assert.deepEqual(await sql('SHOW TBLPROPERTIES t'), [
        'comment | mine',
        'write.parquet.compression-codec | gzip',
        'x | 1',
      ])
      await sql(
        "ALTER TABLE t SET TBLPROPERTIES ('x'='2', 'y'='3'); ALTER TABLE t UNSET TBLPROPERTIES ('write_compression', 'comment')",
      )
      assert.deepEqual(await sql('SHOW TBLPROPERTIES t'), ['x | 2', 'y | 3'])
      assert.deepEqual(await sql("ALTER TABLE t SET TBLPROPERTIES ('x'='2')"), ['table default.t is so already'])
      await refused(sql("ALTER TABLE t UNSET TBLPROPERTIES ('nope')"), 'not-found', /has no property "nope"/)
      assert.deepEqual(await sql("ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS ('nope')"), [
        'table default.t is so already',
      ])
      await refused(sql("ALTER TABLE t SET TBLPROPERTIES ('write_compression'='lz4')"), 'invalid', /no lz4/)
      await refused(sql("CREATE TABLE u (a int) TBLPROPERTIES ('write_compression'='lz4')"), 'invalid', /no lz4/)
      await refused(sql("ALTER TABLE t SET TBLPROPERTIES ('current-schema'='4')"), 'invalid', /reserved/)
    }))

  it('a table that somebody writes is not dropped, and its columns are not taken away or renamed', () =>
    withSession(
      async (sql) => {
        await sql('CREATE DATABASE d; CREATE TABLE d.t (id int, a int, b int); CREATE TABLE d.u (a int)')
        await refused(sql('DROP TABLE d.t'), 'conflict', /written by stream web; delete the stream/)
        await refused(sql('DROP DATABASE d CASCADE'), 'conflict', /d\.t is written by stream web/)
        assert.deepEqual(await sql('SHOW TABLES FROM d'), ['d | t | table', 'd | u | table'])
        for (const change of ['RENAME COLUMN a TO c', 'DROP COLUMN id', 'ALTER COLUMN id TYPE bigint'])
          await refused(sql(`ALTER TABLE d.t ${change}`), 'conflict', /is written by stream web under this name/)
        await sql(
          'ALTER TABLE d.t ADD COLUMN c int; ALTER TABLE d.t DROP COLUMN b; ALTER TABLE d.t ALTER COLUMN a TYPE bigint',
        )
        assert.deepEqual(await sql('SHOW COLUMNS FROM d.t'), [
          'id | int | no | ',
          'a | long | no | ',
          'c | int | no | ',
        ])
      },
      { owned: 'd.t' },
    ))

  it('databases are dropped when they are empty, or with all that is in them', () =>
    withSession(async (sql, lake) => {
      await sql('CREATE DATABASE d; CREATE TABLE d.t (a int); CREATE DATABASE d.e')
      await refused(sql('DROP DATABASE d'), 'conflict', /holds 1 tables \(t\)/)
      const { metadataLocation } = await lake.catalog.load(parseIdent('d.t'))
      await refused(sql('DROP DATABASE d CASCADE'), 'conflict', /is not empty/)
      await sql('DROP DATABASE d.e; DROP DATABASE d CASCADE')
      assert.equal(await lake.io.exists(metadataLocation), true)
      assert.deepEqual(await sql('SHOW DATABASES'), [])
      assert.deepEqual(await sql('DROP DATABASE IF EXISTS d'), ['there is no database d'])
      await refused(sql('DROP DATABASE d'), 'not-found', /there is no database d/)
    }))

  it('views are not altered or dropped as tables, nor metadata tables and branches', () =>
    withSession(async (sql) => {
      await sql('CREATE TABLE t (a int); CREATE VIEW v AS SELECT * FROM t')
      await refused(sql('DROP TABLE v'), 'invalid', /is a view/)
      await refused(sql('DROP TABLE default.t.snapshots'), 'invalid', /is a metadata table/)
      await refused(sql('ALTER TABLE default.t.branch_x DROP COLUMN a'), 'invalid', /a branch or tag/)
      await sql('DROP VIEW v; DROP TABLE t; DROP TABLE IF EXISTS t')
    }))

  it('a location that a store serves is taken when it is a folder of its own', () =>
    withSession(async (sql, lake) => {
      const root = `file://${lake.dir}/warehouse`
      await sql(`CREATE TABLE t (a int) LOCATION '${root}/else/where/'`)
      const table = await lake.catalog.load(parseIdent('default.t'))
      assert.equal(table.metadata.location, `${root}/else/where`)
      assert.equal(table.metadata.properties['tidewater.location'], undefined)
      for (const [location, why] of [
        [`${root}/else/where`, /there are files in it/],
        [`${root}/else/where/below`, /table default\.t is in the same folder/],
        [`${root}/top`, /not of the form/],
        [`${root}`, /not of the form/],
        [`file:${lake.dir}/warehouse/a/b`, /not of the form/],
      ] as const) {
        await refused(sql(`CREATE TABLE u (a int) LOCATION '${location}'`), 'invalid', why)
      }
      await sql(`DROP TABLE t; CREATE TABLE t (a int)`)
      await refused(sql(`CREATE TABLE u (a int) LOCATION '${root}/else/where'`), 'invalid', /there are files in it/)
    }))

  it('SHOW CREATE TABLE gives a statement that makes the same table', () =>
    withSession(async (sql, lake) => {
      await sql(
        "CREATE DATABASE d; CREATE TABLE d.t (id bigint, at timestamp COMMENT 'when', PRIMARY KEY (id) NOT ENFORCED) PARTITIONED BY (day(at), bucket(4, id) AS shard)",
      )
      const before = await lake.catalog.load(parseIdent('d.t'))
      const [text = ''] = await sql('SHOW CREATE TABLE d.t')
      await sql('DROP TABLE d.t')
      await sql(text.replace(/LOCATION .*/, ''))
      const after = await lake.catalog.load(parseIdent('d.t'))
      assert.deepEqual(after.metadata.schemas, before.metadata.schemas)
      assert.deepEqual(after.metadata['partition-specs'], before.metadata['partition-specs'])
      assert.deepEqual(after.metadata.properties, before.metadata.properties)
    }))
})

describe('tables changed by SQL while others change them', () => {
  /** A catalog whose commits are overtaken, or lose their reply, so many times. */
  const troubled =
    (times: number, trouble: 'conflict' | 'commit-unknown') =>
    (real: Catalog): Catalog => {
      let left = times
      const catalog: Catalog = Object.create(real) as Catalog
      const of = {
        commit: async (base: LoadedTable, change: Parameters<Catalog['commit']>[1]) => {
          if (left-- <= 0) return real.commit(base, change)
          if (trouble === 'commit-unknown') {
            await real.commit(base, change)
            throw new Fault('commit-unknown', 'the reply was lost')
          }
          await real.commit(base, {
            requirements: [],
            updates: [{ action: 'set-properties', updates: { other: String(left) } }],
          })
          throw new Fault('conflict', 'somebody was faster')
        },
      }
      return new Proxy(catalog, {
        get: (_target, name) => {
          if (name === 'commit') return of.commit
          const value: unknown = Reflect.get(real, name)
          return typeof value === 'function' ? value.bind(real) : value
        },
      })
    }

  it('a change that is overtaken is planned anew, and nothing of the other is lost', () =>
    withSession(
      async (sql, lake) => {
        await sql('CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int')
        const { metadata } = await lake.catalog.load(parseIdent('default.t'))
        assert.equal(metadata.properties['other'], '0')
        assert.deepEqual(
          currentSchema(metadata).fields.map((field) => field.name),
          ['a', 'b'],
        )
      },
      { catalog: troubled(3, 'conflict') },
    ))

  it('a column whose change took effect though the reply was lost is not added twice', () =>
    withSession(
      async (sql) => {
        await sql('CREATE TABLE t (a int)')
        await sql('ALTER TABLE t ADD COLUMN b int')
        assert.deepEqual(await sql('SHOW COLUMNS FROM t'), ['a | int | no | ', 'b | int | no | '])
      },
      { catalog: troubled(1, 'commit-unknown') },
    ))
})

describe('sessions that change tables', () => {
  let lake: Lake
  let session: QuerySession
  before(async () => {
    lake = await Lake.open()
    session = await lake.session({ writes: writesOf(lake) })
    await session.run('CREATE TABLE t (a int)')
  })
  after(async () => {
    await session.close()
    await lake.close()
  })

  for (const text of [
    "COPY t TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "SELECT * FROM read_csv('/etc/passwd')",
    'INSERT INTO t VALUES (1)',
    'SET threads = 9',
    'PRAGMA database_list',
    "SELECT * FROM '/etc/passwd'",
    'INSTALL httpfs',
    'CALL pragma_version()',
    'CREATE MACRO f() AS 1',
    'CREATE TEMP TABLE x AS SELECT 1',
    "CREATE TABLE x AS SELECT * FROM read_text('/etc/passwd')",
    'CREATE SECRET s (TYPE s3)',
    'DROP MACRO f',
    'ALTER DATABASE d SET ALIAS TO e',
    'DETACH x',
    "EXPORT DATABASE '/tmp/x'",
    'CHECKPOINT',
  ]) {
    it(`the lock stays shut for ${text}`, async () => {
      await assert.rejects(session.run(text), (error) => {
        assert.ok(error instanceof Fault, String(error))
        return ['invalid', 'not-found', 'unsupported'].includes(error.kind)
      })
    })
  }
})
