import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lake } from '../../test/query/lake.ts'
import { isFault } from '../base/fault.ts'
import { Duck } from '../duck/duck.ts'
import { FUNCTIONS, TABLE_FUNCTIONS } from './functions.ts'
import { GUARDED } from './guards.ts'
import { LockedDuck } from './locked.ts'
import { MACRO_NAMES } from './macros.ts'
import type { QuerySession } from './query.ts'

describe('SQL from outside', () => {
  let lake: Lake
  let session: QuerySession
  let file: string
  let planned: string

  before(async () => {
    lake = await Lake.open()
    file = join(lake.dir, 'secret.csv')
    await writeFile(file, 'a\nsecret\n')
    await lake.create('default.t', {
      a: 'int',
      s: 'string',
      l: { type: 'list', 'element-id': 9, 'element-required': false, element: 'int' },
    })
    await lake.append('default.t', "SELECT 1 AS a, 'x' AS s, [1, 2] AS l")
    session = await lake.session()
    const [row] = (await session.run('SELECT file_path FROM t.files')).rows
    planned = String(row?.[0]).replace('file://', '')
    assert.ok(existsSync(planned))
  })
  after(async () => {
    await session.close()
    await lake.close()
  })

  const refused = async (sql: string): Promise<void> => {
    const text = sql.replaceAll('$FILE', file).replaceAll('$PLANNED', planned).replaceAll('$DIR', lake.dir)
    await assert.rejects(
      session.run(text).then((result) => {
        throw new Error(`answered ${text}: ${JSON.stringify(result.rows, (_key, value: unknown) => String(value))}`)
      }),
      (error) => {
        assert.ok(isFault(error), `${text}: ${String(error)}`)
        assert.ok(
          ['invalid', 'not-found', 'unsupported'].includes(error.kind),
          `${text}: ${error.kind} ${error.message}`,
        )
        assert.doesNotMatch(error.message, /Permission Error/)
        return true
      },
    )
  }

  const statements = [
    // Writing, and changing what the engine may do.
    'INSERT INTO t VALUES (2)',
    'INSERT INTO "~0".t VALUES (2)',
    'UPDATE t SET a = 2',
    'DELETE FROM t',
    'MERGE INTO t USING t AS u ON FALSE WHEN MATCHED THEN DELETE',
    'TRUNCATE t',
    'CREATE TABLE u AS SELECT 1',
    'CREATE TEMP TABLE u AS SELECT 1',
    'CREATE OR REPLACE TABLE t (a INT)',
    'CREATE SCHEMA x',
    'CREATE SEQUENCE q',
    "CREATE TYPE mood AS ENUM ('a')",
    'CREATE INDEX i ON t (a)',
    'CREATE MACRO f() AS 1',
    "CREATE MACRO f() AS TABLE SELECT * FROM read_csv('$FILE')",
    "CREATE FUNCTION f() AS (SELECT content FROM read_text('$FILE'))",
    "CREATE SECRET (TYPE s3, KEY_ID 'x', SECRET 'y')",
    'ALTER TABLE t ADD COLUMN b INT',
    'DROP TABLE t',
    'DROP SCHEMA main CASCADE',
    "COPY t TO '$DIR/out.csv'",
    "COPY (SELECT 1) TO '$PLANNED' (USE_TMP_FILE false)",
    "COPY t FROM '$FILE'",
    "EXPORT DATABASE '$DIR/out'",
    "IMPORT DATABASE '$DIR/out'",
    "ATTACH '$DIR/x.db' AS x",
    "ATTACH ':memory:' AS x",
    'DETACH memory',
    'USE memory',
    'LOAD httpfs',
    'INSTALL httpfs',
    'FORCE INSTALL httpfs',
    'UPDATE EXTENSIONS',
    "SET memory_limit = '1TB'",
    'SET GLOBAL enable_external_access = true',
    "SET VARIABLE x = 'y'",
    'RESET ALL',
    'PRAGMA database_list',
    "PRAGMA memory_limit='1TB'",
    'CALL pragma_version()',
    "CALL read_csv('$FILE')",
    'CHECKPOINT',
    'VACUUM',
    'ANALYZE',
    'BEGIN',
    'COMMIT',
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'DEALLOCATE p',
    'SHOW ALL',
    'SHOW memory_limit',
    'SHOW VARIABLES',
    'KILL 1',
    'GRANT ALL ON t TO x',
    '.read $FILE',
    "\\copy t to '$DIR/out.csv'",
    // Reading files: by name, by function, by every way to nest one.
    "SELECT * FROM '$FILE'",
    'SELECT * FROM "$FILE"',
    "FROM '$PLANNED'",
    'FROM "$PLANNED"',
    'TABLE "$FILE"',
    "SUMMARIZE '$FILE'",
    "DESCRIBE '$FILE'",
    'DESCRIBE "$FILE"',
    "DESCRIBE SELECT * FROM '$FILE'",
    "SUMMARIZE SELECT * FROM '$FILE'",
    "EXPLAIN SELECT * FROM '$FILE'",
    "EXPLAIN ANALYZE SELECT * FROM read_text('$FILE')",
    "EXPLAIN ANALYZE COPY t TO '$DIR/out.csv'",
    'EXPLAIN ANALYZE INSERT INTO t VALUES (1)',
    'EXPLAIN (ANALYZE) SELECT 1',
    "SELECT * FROM read_csv('$FILE')",
    "SELECT * FROM read_csv_auto('$FILE')",
    "SELECT * FROM READ_CSV('$FILE')",
    'SELECT * FROM "read_csv"(\'$FILE\')',
    "SELECT * FROM main.read_csv('$FILE')",
    "SELECT * FROM system.main.read_csv('$FILE')",
    "SELECT * FROM read_text('$FILE')",
    "SELECT * FROM read_blob('$FILE')",
    "SELECT * FROM read_json('$FILE')",
    "SELECT * FROM read_json_objects('$FILE')",
    "SELECT * FROM read_ndjson_auto('$FILE')",
    "SELECT * FROM read_parquet('$PLANNED')",
    "SELECT * FROM parquet_scan('$PLANNED')",
    "SELECT * FROM parquet_metadata('$PLANNED')",
    "SELECT * FROM parquet_schema('$PLANNED')",
    "SELECT * FROM parquet_kv_metadata('$PLANNED')",
    "SELECT * FROM parquet_bloom_probe('$PLANNED', 'a', 1)",
    "SELECT * FROM sniff_csv('$FILE')",
    "SELECT * FROM read_duckdb('$FILE')",
    "SELECT * FROM glob('$DIR/*')",
    "SELECT * FROM (SELECT * FROM (VALUES (1)) v, LATERAL (SELECT * FROM read_text('$FILE')))",
    "SELECT (SELECT content FROM read_text('$FILE'))",
    "SELECT [x FOR x IN (SELECT list(content) FROM read_text('$FILE'))]",
    "SELECT list_transform([1], lambda x: (SELECT content FROM read_text('$FILE')))",
    "SELECT a FROM t WHERE EXISTS (FROM read_text('$FILE'))",
    "SELECT a FROM t WHERE a IN (SELECT size FROM read_blob('$FILE'))",
    "SELECT a FROM t ORDER BY (SELECT content FROM read_text('$FILE'))",
    "SELECT a FROM t LIMIT (SELECT size FROM read_blob('$FILE'))",
    "SELECT a FROM t GROUP BY a HAVING count(*) > (SELECT size FROM read_blob('$FILE'))",
    "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY (SELECT content FROM read_text('$FILE'))) = 1",
    "SELECT sum(a) FILTER (WHERE (SELECT true FROM read_text('$FILE'))) FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY (SELECT content FROM read_text('$FILE')))",
    "SELECT CASE WHEN true THEN (SELECT content FROM read_text('$FILE')) END",
    "SELECT COLUMNS(*) FROM read_text('$FILE')",
    "SELECT * REPLACE ((SELECT content FROM read_text('$FILE')) AS a) FROM t",
    "SELECT * FROM t JOIN read_text('$FILE') f ON true",
    "SELECT * FROM t ASOF JOIN read_text('$FILE') f ON t.a >= f.size",
    "SELECT * FROM t POSITIONAL JOIN read_text('$FILE')",
    "WITH c AS (SELECT * FROM read_text('$FILE')) SELECT 1",
    "WITH c AS MATERIALIZED (SELECT * FROM read_text('$FILE')) SELECT * FROM c",
    "WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT size FROM read_blob('$FILE')) SELECT * FROM c",
    'WITH "$FILE" AS (SELECT 1) SELECT * FROM (SELECT 2) x, \'$FILE\' y, "$PLANNED"',
    'SELECT * FROM (WITH "$FILE" AS (SELECT 1) SELECT 1), "$FILE"',
    'WITH c AS (SELECT * FROM d), d AS (SELECT 1) SELECT * FROM c',
    "SELECT 1 UNION ALL SELECT size FROM read_blob('$FILE')",
    "(SELECT 1) EXCEPT (FROM read_text('$FILE'))",
    "VALUES ((SELECT content FROM read_text('$FILE')))",
    "PIVOT '$FILE' ON a USING count(*)",
    "PIVOT read_csv('$FILE') ON a IN (1) USING count(*)",
    "SELECT * FROM (PIVOT '$FILE' ON a IN (1) USING count(*))",
    "UNPIVOT '$FILE' ON a INTO NAME n VALUE v",
    "SELECT * FROM '$FILE' PIVOT (count(*) FOR a IN (1))",
    "SELECT * FROM (SUMMARIZE '$FILE')",
    "SELECT * FROM (DESCRIBE '$FILE')",
    "FROM (FROM (FROM '$FILE'))",
    "/* x */ SELECT /* y */ * /**/FROM--\n'$FILE'",
    "SELECT * FROM\u00a0'$FILE'",
    "SELECT * FROM U&'$FILE'",
    "SELECT * FROM e'$FILE'",
    'SELECT * FROM $$$FILE$$',
    "CREATE VIEW v AS SELECT * FROM read_text('$FILE')",
    "CREATE VIEW v AS SELECT * FROM '$FILE'",
    "CREATE VIEW v AS (SELECT 1); SELECT * FROM v, '$FILE'",
    "SELECT 1; SELECT * FROM '$FILE'",
    "SELECT ';' ; COPY t TO '$DIR/out.csv'; SELECT 1",
    // Settings, secrets, the engine's own tables.
    'SELECT * FROM duckdb_settings()',
    'SELECT * FROM duckdb_secrets()',
    'SELECT * FROM duckdb_functions()',
    'SELECT * FROM duckdb_tables()',
    'SELECT * FROM duckdb_views()',
    'SELECT * FROM duckdb_extensions()',
    'SELECT * FROM duckdb_logs',
    'SELECT * FROM duckdb_tables',
    'SELECT * FROM information_schema.tables',
    'SELECT * FROM pg_catalog.pg_settings',
    'SELECT * FROM pg_class',
    'SELECT * FROM sqlite_master',
    'SELECT * FROM pragma_database_list',
    "SELECT * FROM pragma_table_info('t')",
    "SELECT * FROM pragma_storage_info('t')",
    "SELECT * FROM which_secret('s3://x', 's3')",
    'SELECT * FROM (SHOW TABLES)',
    'SELECT * FROM (SHOW ALL TABLES)',
    "SELECT current_setting('allowed_paths')",
    "SELECT getenv('HOME')",
    "SELECT getvariable('x')",
    'SELECT current_query()',
    'SELECT current_database()',
    "SELECT nextval('q')",
    'SELECT setseed(0.5)',
    'SELECT sleep_ms(1)',
    'SELECT pg_sleep(1)',
    "SELECT write_log('x')",
    // Text as SQL.
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('t')",
    "SELECT * FROM histogram('t', 'a')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT * FROM seq_scan('t')",
    'SELECT * FROM checkpoint()',
    "SELECT * FROM enable_logging('x')",
    'SELECT * FROM test_all_types()',
    // Names that the plan uses inside.
    'SELECT * FROM "~0"."t"',
    'SELECT * FROM "@0"."t"',
    'SELECT * FROM t FOR VERSION AS OF \'main\' a, "~0".t',
    "SELECT __json_path('$.a')",
    "SELECT system.main.repeat('x', 3)",
    "SELECT system.repeat('x', 3)",
    'SELECT $1',
    'SELECT ?',
    'SELECT $name',
    'SELECT * FROM t AT (VERSION => (SELECT 1))',
    "SELECT * FROM t TIMESTAMP AS OF (SELECT content FROM read_text('$FILE'))",
    "SELECT * FROM t TIMESTAMP AS OF getenv('HOME')",
    "SELECT * FROM t TIMESTAMP AS OF current_setting('TimeZone')",
  ]
  for (const sql of statements) it(`refuses ${sql.replaceAll(/\s+/g, ' ')}`, () => refused(sql))

  it('bounds functions that make much of little', async () => {
    for (const sql of [
      "SELECT repeat('x', 500000000)",
      "SELECT lpad('x', 500000000, 'y')",
      'SELECT len(range(100000000))',
      'SELECT len(generate_series(0, 1000000000, 7))',
      "SELECT len(range(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01', INTERVAL 1 SECOND))",
      'SELECT list_resize([1], 1000000000)',
      "SELECT levenshtein(repeat('a', 1000), repeat('b', 1000))",
      // Each would be fine alone; 2,048 of them cannot be interrupted.
      "SELECT repeat('a', 1000000) FROM range(10000)",
      'SELECT len(range(range, range + 1000000)) FROM range(10000)',
    ]) {
      await assert.rejects(session.run(sql), /bound is/, sql)
    }
    const { rows } = await session.run(
      "SELECT repeat('ab', 2), lpad('x', 3, '-'), range(3), generate_series(1, 3), range(3, 0, -2), " +
        "len(range(DATE '2024-01-01', DATE '2024-02-01', INTERVAL 1 DAY)), levenshtein('ab', 'ac'), list_resize([1], 2), repeat(NULL, 2)",
    )
    assert.deepEqual(rows, [['abab', '--x', [0n, 1n, 2n], [1n, 2n, 3n], [3n, 1n], 31n, 1n, [1, null], null]])
  })

  it('leaves files as they were', async () => {
    assert.equal(await readFile(file, 'utf8'), 'a\nsecret\n')
    assert.equal(existsSync(join(lake.dir, 'out.csv')), false)
    assert.deepEqual((await session.run('SELECT a, s, l FROM t')).rows, [[1, 'x', [1, 2]]])
  })

  it('would be refused by the locked instance too, were the check to miss it', async () => {
    const duck = await LockedDuck.open({ memoryMiB: 64, threads: 1 })
    try {
      await duck.lock([planned])
      for (const sql of [
        `SELECT * FROM read_text('${file}')`,
        `SELECT * FROM '${file}'`,
        `SELECT * FROM glob('${lake.dir}/*')`,
        `COPY (SELECT 1) TO '${join(lake.dir, 'out.csv')}'`,
        `ATTACH '${join(lake.dir, 'x.db')}'`,
        "SET memory_limit = '1TB'",
        'SET enable_external_access = true',
        "SET allowed_paths = ['/']",
        'INSTALL httpfs',
        "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
      ]) {
        await assert.rejects(
          duck.stream(sql).then((result) => result.next()),
          sql,
        )
      }
      const [row] = await duck.session.rows(`SELECT count(*) AS n FROM read_parquet('${planned}')`)
      assert.equal(row?.['n'], 1n)
    } finally {
      duck.close()
    }
  })
})

/** Functions of DuckDB that queries may not call, apart from those with prefixes that are refused as a family. */
const REFUSED = `can_cast_implicitly cast_to_type col_description combine constant_or_null create_sort_key currval finalize
  format_pg_type format_type get_block_size get_type getvariable in_search_path is_histogram_other_bin json_group_structure
  make_type map_to_pg_oid nextval normalized_interval obj_description parse_duckdb_log_message
  regexp_split_to_table remap_struct replace_type setseed shobj_description sleep_ms stats timetz_byte_comparable
  transaction_timestamp txid_current vector_type version write_log session_user user
  current_catalog current_connection_id current_database current_query current_query_id current_role current_schema
  current_schemas current_setting current_transaction_id current_user`
const REFUSED_FAMILIES =
  /^(__internal|pg_|has_|icu_|inet_|st_|json_(de)?serialize|variant_(bytes|normalize|to_parquet))/

describe('the list of functions', () => {
  it('decides on every function that this DuckDB has', async () => {
    const duck = await Duck.open({ memoryMiB: 64, threads: 1 })
    const connection = await duck.connect()
    try {
      const names = await connection.rows(
        'SELECT DISTINCT lower(function_name) AS n, function_type AS t FROM duckdb_functions()',
      )
      const refused = new Set(REFUSED.trim().split(/\s+/))
      const known = new Set(names.map((row) => String(row['n'])))
      for (const { n, t } of names) {
        if (t === 'table' || t === 'table_macro' || t === 'pragma') continue
        const name = String(n)
        const isRefused = refused.has(name) || REFUSED_FAMILIES.test(name)
        assert.notEqual(FUNCTIONS.has(name), isRefused, `${name} must stand in functions.ts or be refused here`)
      }
      for (const name of [...FUNCTIONS, ...TABLE_FUNCTIONS, ...GUARDED]) {
        assert.ok(known.has(name) || MACRO_NAMES.includes(name), `DuckDB has no function ${name}`)
      }
      for (const name of refused) assert.ok(known.has(name), `DuckDB has no function ${name}`)
    } finally {
      connection.close()
      duck.close()
    }
  })
})
