import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../base/fault.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { newTableMetadata } from '../iceberg/spec/create.ts'
import type { NestedField, Schema } from '../iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../iceberg/spec/term-text.ts'
import { formatType } from '../iceberg/spec/type.ts'
import { parseTypeText } from '../iceberg/spec/type-text.ts'
import type { CreateTableDdl, Ddl } from './ddl.ts'
import { createTableText } from './show-create.ts'
import { parseStatements } from './statements.ts'

const golden = (name: string): string => readFileSync(new URL(`../../test/golden/sql/${name}`, import.meta.url), 'utf8')

function ddl(text: string): Ddl {
  const [statement] = parseStatements(text, { writes: true })
  assert.equal(statement?.kind, 'ddl', text)
  return statement.ddl
}

function table(text: string): CreateTableDdl {
  const read = ddl(text)
  assert.equal(read.kind, 'create-table', text)
  return read
}

const columns = (schema: Schema) =>
  schema.fields.map((field) => `${field.name} ${formatType(field.type)}${field.required ? '!' : ''}`)
const spec = ({ spec: { fields } }: CreateTableDdl) => fields.map((field) => `${field.name}=${field.transform}`)

describe('statements that make tables', () => {
  test("Athena's statement of a table is read as it is printed, placeholders and markup too", () => {
    const read = table(golden('athena_table.sql'))
    assert.deepEqual(read.name, ['demo_iceberg_db', 'demo_iceberg'])
    assert.deepEqual(columns(read.schema), [
      'user_id string',
      'session_id string',
      'event string',
      'referrer string',
      'user_agent string',
      'ip string',
      'hostname string',
      'os string',
      'timestamp timestamp',
      'uri string',
    ])
    assert.deepEqual(spec(read), ['event=identity'])
    assert.match(read.location ?? '', /^s3:\/\/datafirehose-proxy-<i>\{region\}<\/i>-<\/i>\{account_id\}<\/i>\//)
    assert.deepEqual(read.properties, {
      'write.format.default': 'parquet',
      'write.parquet.compression-codec': 'snappy',
      optimize_rewrite_delete_file_threshold: '10',
    })
    assert.deepEqual(ddl(golden('athena_database.sql')), {
      kind: 'create-database',
      name: ['demo_iceberg_db'],
      ifNotExists: true,
      properties: {},
    })
  })

  test('partition transforms of Athena and Spark, nested types and time zones are read', () => {
    const read = table(
      `CREATE TABLE IF NOT EXISTS shop.orders ( -- a comment with a ' in it
        id bigint, \`at\` timestamp(6) with time zone, region varchar(10), n decimal(9, 2) COMMENT 'with 2 digits, it''s exact',
        tags array<struct<name: string, \`a b\`: map<string, array<int>>>> /* nested */, "Name" string, d date)
      PARTITIONED BY (bucket(16, id), day(\`at\`), months(d), truncate(region, 4), "Name" AS who)
      COMMENT 'orders' TBLPROPERTIES ("table_type"="ICEBERG", write.metadata.x = 1024, 'vacuum_max_snapshot_age_seconds' = '60')`,
    )
    assert.equal(read.ifNotExists, true)
    assert.deepEqual(columns(read.schema), [
      'id long',
      'at timestamptz',
      'region string',
      'n decimal(9,2)',
      'tags list<struct<name: string, a b: map<string, list<int>>>>',
      'Name string',
      'd date',
    ])
    assert.equal(read.schema.fields[3]?.doc, "with 2 digits, it's exact")
    assert.deepEqual(spec(read), [
      'id_bucket=bucket[16]',
      'at_day=day',
      'd_month=month',
      'region_trunc=truncate[4]',
      'who=identity',
    ])
    assert.deepEqual(read.properties, {
      'write.metadata.x': '1024',
      'history.expire.max-snapshot-age-ms': '60000',
      comment: 'orders',
    })
  })

  test("Spark's spelling makes required columns, and a key that nobody enforces identifier fields", () => {
    const one = table(
      'CREATE TABLE t (id BIGINT PRIMARY KEY NOT ENFORCED, at TIMESTAMP NOT NULL, n INT NULL) USING iceberg',
    )
    assert.deepEqual(columns(one.schema), ['id long!', 'at timestamp!', 'n int'])
    assert.deepEqual(one.schema['identifier-field-ids'], [1])
    assert.match(one.notes.join(), /TIMESTAMP_LTZ/)
    const two = table('CREATE TABLE t (b string, a string, x struct<y: int>, PRIMARY KEY (A, b) NOT ENFORCED)')
    assert.deepEqual(columns(two.schema), ['b string!', 'a string!', 'x struct<y: int>'])
    assert.deepEqual(two.schema['identifier-field-ids'], [2, 1])
    const named = table(
      'CREATE TABLE t (primary string, constraint int, CONSTRAINT k PRIMARY KEY (primary) NOT ENFORCED)',
    )
    assert.deepEqual(columns(named.schema), ['primary string!', 'constraint int'])
  })

  test('several statements of one text are read before any is run, and reading ones stay what they are', () => {
    const kinds = parseStatements(
      'CREATE DATABASE a; SELECT 1; SHOW CREATE TABLE a.b; SHOW TBLPROPERTIES b; DROP TABLE a.b;',
      {
        writes: true,
      },
    ).map((statement) => statement.kind)
    assert.deepEqual(kinds, ['ddl', 'select', 'show-create-table', 'show-properties', 'ddl'])
  })
})

describe('statements that change tables', () => {
  const cases: [string, Ddl][] = [
    ['DROP TABLE IF EXISTS a.b', { kind: 'drop-table', name: ['a', 'b'], ifExists: true }],
    ['DROP SCHEMA a CASCADE', { kind: 'drop-database', name: ['a'], ifExists: false, cascade: true }],
    ['drop database if exists `a` restrict', { kind: 'drop-database', name: ['a'], ifExists: true, cascade: false }],
    [
      "CREATE SCHEMA a COMMENT 'x' LOCATION 's3://b/c' WITH DBPROPERTIES ('k'='v')",
      {
        kind: 'create-database',
        name: ['a'],
        ifNotExists: false,
        properties: { comment: 'x', location: 's3://b/c', k: 'v' },
      },
    ],
    [
      "ALTER TABLE t SET TBLPROPERTIES ('write_compression'='NONE', 'optimize_rewrite_delete_file_threshold'='010')",
      {
        kind: 'set-properties',
        name: ['t'],
        notes: [],
        properties: { 'write.parquet.compression-codec': 'uncompressed', optimize_rewrite_delete_file_threshold: '10' },
      },
    ],
    [
      "ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS ('write_compression', 'x')",
      { kind: 'unset-properties', name: ['t'], properties: ['write.parquet.compression-codec', 'x'], ifExists: true },
    ],
  ]
  for (const [text, expected] of cases)
    test(`the statement ${text} is read`, () => assert.deepEqual(ddl(text), expected))

  const edits: [string, unknown[]][] = [
    ['ADD COLUMN a int', [{ edit: 'add', name: 'a', type: 'int' }]],
    [
      "ADD COLUMNS (a int COMMENT 'c' FIRST, p.b decimal(4,1) AFTER x)",
      [
        { edit: 'add', name: 'a', type: 'int', doc: 'c', place: 'first' },
        { edit: 'add', name: 'b', type: 'decimal(4,1)', parent: 'p', place: { after: 'x' } },
      ],
    ],
    ['DROP COLUMN a.b', [{ edit: 'drop', column: 'a.b' }]],
    [
      'DROP COLUMNS (a, b)',
      [
        { edit: 'drop', column: 'a' },
        { edit: 'drop', column: 'b' },
      ],
    ],
    ['RENAME COLUMN a TO `b c`', [{ edit: 'rename', column: 'a', to: 'b c' }]],
    ['ALTER COLUMN a TYPE bigint', [{ edit: 'widen', column: 'a', to: 'long' }]],
    ['ALTER a SET DATA TYPE double', [{ edit: 'widen', column: 'a', to: 'double' }]],
    ['ALTER COLUMN a DROP NOT NULL', [{ edit: 'make-optional', column: 'a' }]],
    ["ALTER COLUMN a COMMENT 'x'", [{ edit: 'set-doc', column: 'a', doc: 'x' }]],
    ['ALTER COLUMN a FIRST', [{ edit: 'move', column: 'a', place: 'first' }]],
    [
      "CHANGE COLUMN a b bigint COMMENT 'x' AFTER c",
      [
        { edit: 'widen', column: 'a', to: 'long' },
        { edit: 'set-doc', column: 'a', doc: 'x' },
        { edit: 'move', column: 'a', place: { after: 'c' } },
        { edit: 'rename', column: 'a', to: 'b' },
      ],
    ],
  ]
  for (const [text, expected] of edits) {
    test(`the change ${text} is read`, () =>
      assert.deepEqual(ddl(`ALTER TABLE d.t ${text}`), { kind: 'alter-columns', name: ['d', 't'], edits: expected }))
  }
})

describe('statements that are wrong', () => {
  const cases: [string, string, RegExp][] = [
    ['CREATE TABLE t (\n  a int,\n  b strin\n)', '3:5', /type such as long.*"strin"/],
    ['CREATE TABLE t (a array<struct<x: int, y: foo>>)', '1:43', /type such as long.*"foo"/],
    ['CREATE TABLE t (a array<int)', '1:28', /expected ">"/],
    ['CREATE TABLE t (a int b int)', '1:23', /expected NOT NULL, COMMENT, "," or "\)", got b/],
    ['CREATE TABLE t (a int', '1:22', /got the end of the statement/],
    ['CREATE TABLE t (日本 int,\n 日本 int)', '2:2', /different names, got "日本"/],
    ['CREATE TABLE t (a int) PARTITIONED BY (b)', '1:40', /got "b"; its columns are a/],
    ['CREATE TABLE t (a int) PARTITIONED BY (\n a, day(a))', '2:2', /day/],
    ['CREATE TABLE t (a int) PARTITIONED BY (dt string)', '1:40', /got "dt"/],
    ['CREATE TABLE t (a int) PARTITIONED BY (bucket(x, a))', '1:47', /got "x"; its columns are a/],
    ['CREATE TABLE t (a int) PARTITIONED BY ()', '1:40', /expected columns or transforms/],
    ['CREATE TABLE t (a int) PARTITIONED BY (a', '1:41', /expected "\)" for the "\(" of line 1, column 39/],
    ["CREATE TABLE t (a int) TBLPROPERTIES ('a'='b',)", '1:47', /name of a property/],
    ["CREATE TABLE t (a int)\nTBLPROPERTIES (\n 'a'='b',\n 'a'='c')", '4:2', /each property once, got "a"/],
    ["CREATE TABLE t (a int) TBLPROPERTIES ('table_type'='hive')", '1:39', /table_type: expected iceberg, got "hive"/],
    ["CREATE TABLE t (a int) TBLPROPERTIES ('format'='orc')", '1:39', /written as parquet, got "orc"/],
    ["CREATE TABLE t (a int) TBLPROPERTIES ('format-version'='3')", '1:39', /format version 2/],
    [
      "CREATE TABLE t (a int) TBLPROPERTIES ('optimize_rewrite_delete_file_threshold'='0')",
      '1:39',
      /whole number from 1/,
    ],
    ["CREATE TABLE t (a int) TBLPROPERTIES ('tidewater.offset'='7')", '1:39', /Tidewater keeps itself/],
    [
      "CREATE TABLE t (a int) TBLPROPERTIES ('write_compression'='zstd', 'write.parquet.compression-codec'='zstd')",
      '1:67',
      /once/,
    ],
    ["CREATE TABLE t (a int) LOCATION 's3://a' LOCATION 's3://b'", '1:42', /LOCATION once/],
    ['CREATE TABLE t (a int) LOCATION s3', '1:33', /location, in quotes/],
    ['CREATE TABLE t (a int, PRIMARY KEY (a))', '1:39', /expected NOT ENFORCED/],
    ['CREATE TABLE t (a int, PRIMARY KEY (b) NOT ENFORCED)', '1:24', /no column "b"/],
    ['CREATE TABLE t (a int) USING delta', '1:30', /ICEBERG/],
    ['CREATE TABLE t (a int) STORED AS PARQUET', '1:24', /STORED is not for Iceberg/],
    ['CREATE TABLE t (a int DEFAULT 1)', '1:23', /no default/],
    ['CREATE TABLE t AS SELECT 1', '1:16', /AS SELECT is not run/],
    ['CREATE TABLE t (a int) AS SELECT 1', '1:24', /AS SELECT is not run/],
    ['CREATE OR REPLACE TABLE t (a int)', '1:8', /DROP TABLE first/],
    ['CREATE EXTERNAL TABLE t (a int)', '1:8', /not EXTERNAL/],
    ['CREATE INDEX i ON t (a)', '1:8', /expected TABLE, DATABASE or VIEW, got INDEX/],
    ['CREATE TABLE IF NOT t (a int)', '1:21', /expected IF NOT EXISTS, got t/],
    ['DROP TABLE t PURGE', '1:14', /PURGE/],
    ['DROP TABLE t, u', '1:13', /end of the statement, got ,/],
    ['DROP INDEX i', '1:6', /expected TABLE/],
    ['ALTER VIEW v RENAME TO w', '1:7', /expected ALTER TABLE, got VIEW/],
    ['ALTER TABLE t RENAME TO u', '1:22', /not renamed/],
    ['ALTER TABLE t ALTER COLUMN a SET NOT NULL', '1:30', /may be null stays so/],
    ['ALTER TABLE t ADD PARTITION (a=1)', '1:19', /COLUMN or COLUMNS/],
    ['ALTER TABLE t ALTER COLUMN a', '1:29', /TYPE, COMMENT/],
    ["ALTER TABLE t SET TBLPROPERTIES ('format-version'='3')", '1:34', /format version 2/],
    ['SELECT 1;\nDROP TABLE', '2:11', /name of a table, got the end/],
  ]
  for (const [text, place, message] of cases) {
    test(`what is wrong with ${JSON.stringify(text)} is told with its place`, () => {
      assert.throws(
        () => parseStatements(text, { writes: true }),
        (error) => {
          assert.ok(error instanceof Fault, String(error))
          assert.match(error.message, message)
          assert.equal(`${error.facts['line']}:${error.facts['column']}`, place, error.message)
          return true
        },
      )
    })
  }

  test('what would change rows is refused with who writes them, with and without writing', () => {
    for (const text of [
      'INSERT INTO t VALUES (1)',
      'UPDATE t SET a = 1',
      'DELETE FROM t',
      'MERGE INTO t USING u ON 1=1',
      'TRUNCATE TABLE t',
    ]) {
      for (const writes of [true, false]) {
        assert.throws(() => parseStatements(text, { writes }), {
          kind: 'unsupported',
          message: /Streams .* write them/,
        })
      }
    }
  })

  test('without writing every statement that changes something is refused with the option that runs it', () => {
    const texts = [
      'CREATE DATABASE a',
      'CREATE TABLE t (a int)',
      'CREATE TABLE t (a',
      'ALTER TABLE t ADD COLUMN a int',
      'DROP TABLE t',
      'DROP DATABASE a',
      'CREATE OR REPLACE TABLE t (a int)',
    ]
    for (const text of texts) {
      assert.throws(() => parseStatements(text), { kind: 'unsupported', message: /tidewater sql --write/ })
    }
  })
})

describe('any text', () => {
  /** Reads it; what is wrong must be a fault, and a place must be inside the text. */
  const read = (text: string): Ddl | null => {
    try {
      const [statement] = parseStatements(text, { writes: true })
      return statement?.kind === 'ddl' ? statement.ddl : null
    } catch (error) {
      assert.ok(error instanceof Fault, `${text}\n${error instanceof Error ? error.stack : error}`)
      const { line, column } = error.facts
      if (line === undefined) return null
      const lines = text.split('\n')
      assert.ok(Number(line) >= 1 && Number(line) <= lines.length, error.message)
      assert.ok(Number(column) >= 1 && Number(column) <= lines[Number(line) - 1]!.length + 1, error.message)
      return null
    }
  }
  const words = (
    'CREATE TABLE DATABASE ALTER DROP COLUMN COLUMNS ADD RENAME TO SET UNSET TBLPROPERTIES PARTITIONED BY LOCATION COMMENT ' +
    'NOT NULL PRIMARY KEY ENFORCED USING iceberg IF EXISTS TYPE int string array<int> map<string,int> struct<a:int> decimal(9,2) ' +
    'a b `a b` \'x\' "y" 7 ( ) < > , . = ; :: -> bucket(4,a) day(a) timestamp WITH TIME ZONE AFTER FIRST CHANGE -- \n'
  ).split(' ')

  test('words in any order are read or refused with a place', () => {
    const starts = fc.constantFrom('CREATE TABLE t (a int', 'CREATE TABLE t (a int)', 'CREATE', 'ALTER TABLE t', 'DROP')
    fc.assert(
      fc.property(starts, fc.array(fc.constantFrom(...words), { maxLength: 30 }), (start, rest) => {
        read([start, ...rest].join(' '))
      }),
      { numRuns: 2_000 },
    )
  })

  test('a statement with some of it lost or doubled is read or refused with a place', () => {
    const whole = golden('athena_table.sql')
    const cut = fc.record({
      from: fc.nat(whole.length),
      length: fc.nat(12),
      put: fc.constantFrom('', "'", '(', ')', '<', '`', ',', 'x ', '\n'),
    })
    fc.assert(
      fc.property(fc.array(cut, { minLength: 1, maxLength: 3 }), (cuts) => {
        let text = whole
        for (const { from, length, put } of cuts) text = text.slice(0, from) + put + text.slice(from + length)
        read(text)
      }),
      { numRuns: 2_000 },
    )
  })

  test('deep brackets are refused, not followed to the end of the stack', () => {
    for (const open of ['array<', '(', 'struct<a:']) read(`CREATE TABLE t (a ${open.repeat(50_000)}`)
    assert.equal(read(`CREATE TABLE t (a ${'array<'.repeat(60)}int${'>'.repeat(60)})`)?.kind, 'create-table')
  })

  const name = fc.stringMatching(/^[A-Za-z][\w `"é日-]{0,12}$/)
  const text = fc
    .string({ unit: 'binary', maxLength: 20 })
    .filter((each) => each.isWellFormed() && !each.includes('\0'))
  const primitive = fc.constantFrom(
    'int',
    'long',
    'string',
    'boolean',
    'double',
    'date',
    'timestamp',
    'timestamptz',
    'decimal(9,2)',
    'uuid',
    'binary',
  )
  const typeText = fc.oneof(
    primitive,
    primitive.map((of) => `array<${of} not null>`),
    primitive.map((of) => `map<string, struct<a: ${of}, "b c": array<${of}>>>`),
  )
  const column = fc.record({ name, typeText, required: fc.boolean(), doc: fc.option(text, { nil: undefined }) })

  test('a table is the same after SHOW CREATE TABLE and its statement', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(column, { minLength: 1, maxLength: 6, selector: (each) => each.name.toLowerCase() }),
        fc.dictionary(
          text.filter(
            (each) =>
              each !== '' &&
              !/^(?:comment|format|tidewater\.|table_type|write\.format|vacuum|optimize|compression|__proto__)/i.test(
                each,
              ),
          ),
          text,
        ),
        fc.constantFrom('', 'identity', 'bucket', 'day'),
        fc.boolean(),
        (given, properties, term, keyed) => {
          let lastId = 0
          const fields = given.map(({ name: columnName, typeText: typed, required, doc }): NestedField => {
            const id = ++lastId
            return {
              id,
              name: columnName,
              required: required || keyed,
              type: parseTypeText(typed, () => ++lastId),
              ...(doc === undefined ? {} : { doc }),
            }
          })
          const first = fields[0]!
          const simple = typeof first.type === 'string' && first.type !== 'double' && first.type !== 'boolean'
          const schema: Schema = {
            type: 'struct',
            'schema-id': 0,
            fields,
            ...(keyed && simple ? { 'identifier-field-ids': [first.id] } : {}),
          }
          const quoted = `"${first.name.replaceAll('"', '""')}"`
          const timed = term === 'day' && ['date', 'timestamp', 'timestamptz'].includes(String(first.type))
          const terms = !simple
            ? ''
            : timed
              ? `day(${quoted})`
              : term === 'bucket'
                ? `bucket(7, ${quoted}) as shard`
                : term === 'identity'
                  ? quoted
                  : ''
          const metadata = newTableMetadata({
            schema,
            spec: parseSpecText(terms, schema),
            location: 'file:///w/d/t',
            properties,
            uuid: 'u',
            nowMs: 0,
          })
          const loaded: LoadedTable = { ident: { namespace: ['d'], name: 'it`s' }, metadataLocation: '', metadata }
          const again = table(createTableText(loaded))
          const remade = newTableMetadata({
            schema: again.schema,
            spec: again.spec,
            location: again.location ?? '',
            properties: again.properties,
            uuid: 'u',
            nowMs: 0,
          })
          assert.deepEqual(again.name, ['d', 'it`s'])
          assert.deepEqual(remade, metadata)
        },
      ),
      { numRuns: 300 },
    )
  })
})
