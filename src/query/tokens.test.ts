import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { extractReferences } from './references.ts'
import { parseStatements } from './statements.ts'
import { tokenize, untokenize } from './tokens.ts'

const kinds = (sql: string): string[] => tokenize(sql).map((token) => `${token.kind} ${token.value}`)

describe('tokens', () => {
  const examples: [string, string[]][] = [
    ['select a.b', ['word SELECT', 'word A', 'symbol .', 'word B']],
    ['"a ""b"" c"', ['quoted a "b" c']],
    ['`a "b`', ['quoted a "b']],
    ["'it''s; -- no comment'", ["string it's; -- no comment"]],
    ["e'a\\'b' x", ["string a\\'b", 'word X']],
    ["x'ff' X'0'", ['string ff', 'string 0']],
    ['$$a;b$$', ['string a;b']],
    ['$t$a$$b$t$', ['string a$$b']],
    ['$1', ['symbol $', 'number 1']],
    ['1.5e-3 .5 1_000 1..2', ['number 1.5e-3', 'number .5', 'number 1_000', 'number 1', 'symbol .', 'number .2']],
    ['a::int=>b->>c', ['word A', 'symbol ::', 'word INT', 'symbol =>', 'word B', 'symbol ->>', 'word C']],
    ['a -- b\nc', ['word A', 'word C']],
    ['a /* b /* c */ d */ e', ['word A', 'word E']],
    ['größe 日本', ['word GRÖSSE', 'word 日本']],
    ['a\u00a0\u2003b', ['word A', 'word B']],
  ]
  for (const [sql, expected] of examples)
    it(`reads ${JSON.stringify(sql)}`, () => assert.deepEqual(kinds(sql), expected))

  for (const sql of ["'a", '"a', '`a', '/* a', '$$a', '$t$a$$', "e'a\\'", "U&'\\0041'", 'U&"a"', 'a\0b', '\ud800']) {
    it(`refuses ${JSON.stringify(sql)}`, () => assert.throws(() => tokenize(sql), { name: 'Fault' }))
  }

  it('come back from their own text unchanged', () => {
    const part = fc.constantFrom(
      'a',
      '"b c"',
      "'d''e'",
      "e'\\''",
      '$$f$$',
      '1.5',
      '(',
      ')',
      ',',
      '.',
      '::',
      ' ',
      '\n',
      '-- x\n',
      '/* y */',
      ';',
      '=>',
      'é',
    )
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const tokens = tokenize(parts.join(' '))
        assert.deepEqual(tokenize(untokenize(tokens)), tokens)
      }),
    )
  })

  it('never fail in another way than by a fault', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab "\'`$;-/*()[].,:=>@~\n\\é1e') }), (text) => {
        try {
          for (const statement of parseStatements(text)) if ('tokens' in statement) extractReferences(statement.tokens)
        } catch (error) {
          assert.equal((error as Error).name, 'Fault', `${text}: ${String(error)}`)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('statements', () => {
  it('are split at semicolons outside of quotes and comments', () => {
    const kindsOf = (sql: string): string[] => parseStatements(sql).map((statement) => statement.kind)
    assert.deepEqual(kindsOf("select ';'; -- ;\n;; from t /* ; */; values (1)"), ['select', 'select', 'select'])
    assert.deepEqual(
      kindsOf('create view v as select 1; drop view v; show tables; show schemas; desc t; explain select 1'),
      ['create-view', 'drop-view', 'show-tables', 'show-namespaces', 'describe', 'explain'],
    )
  })
  it('have views with names and columns', () => {
    const [view] = parseStatements('CREATE OR REPLACE TEMP VIEW IF NOT EXISTS "A b" (x, "y z") AS (SELECT 1, 2)')
    assert.ok(view?.kind === 'create-view')
    assert.deepEqual([view.name, view.columns, view.orReplace, view.ifNotExists], ['A b', ['x', 'y z'], true, true])
    assert.equal(untokenize(view.tokens).trim(), '(SELECT 1, 2)')
  })
  for (const sql of [
    'CREATE VIEW a.b AS SELECT 1',
    'CREATE VIEW v AS',
    'CREATE VIEW v AS INSERT INTO t VALUES (1)',
    'CREATE VIEW v (a b) AS SELECT 1',
    'CREATE VIEW v SELECT 1',
    'CREATE RECURSIVE VIEW v (a) AS SELECT 1',
    'DROP VIEW v CASCADE',
    'SHOW TABLES IN',
    'DESCRIBE t PARTITION (a)',
    'EXPLAIN',
    'EXPLAIN SUMMARIZE t',
  ]) {
    it(`are refused when they are ${sql}`, () => assert.throws(() => parseStatements(sql), { name: 'Fault' }))
  }
})

describe('references', () => {
  const rewritten = (sql: string): string => {
    const [statement] = parseStatements(sql)
    assert.ok(statement?.kind === 'select')
    const { tokens, references } = extractReferences(statement.tokens)
    const found = [...references].map(([schema, { parts, asOf }]) => {
      const time = asOf === null ? '' : ` ${asOf.unit} ${untokenize(asOf.tokens).trim()}`
      return `${schema}=${parts.join('.')}${time}`
    })
    return [untokenize(tokens).trim(), ...found].join(' | ')
  }
  const examples: [string, string][] = [
    ['select * from a.b', 'select * from "a"."b"'],
    ['select a.b.c.d from t', 'select a.b.c.d from t'],
    ['select x from c.n.t.files', 'select x from "@0"."files" | @0=c.n.t.files'],
    ['select x from t, c.n.t.files f', 'select x from t, "@0"."files" f | @0=c.n.t.files'],
    [
      'select x from t join c.n.t.files f on f.a = c.n.t.files',
      'select x from t join "@0"."files" f on f.a = c.n.t.files | @0=c.n.t.files',
    ],
    ['select x from (c.n.t.files)', 'select x from ("@0"."files") | @0=c.n.t.files'],
    ['select f(c.n.t.files), x from t', 'select f(c.n.t.files), x from t'],
    ['select extract(year from c.n.t.d) from t', 'select extract(year from c.n.t.d) from t'],
    ['select a is not distinct from c.n.t.d from t', 'select a is not distinct from c.n.t.d from t'],
    ['select default.t.a from default.t', 'select "default".t.a from "default"."t"'],
    ['select * from t for version as of 5 x', 'select * from "@0"."t" x | @0=t version 5'],
    ['select * from t as x for version as of 5', 'select * from "@0"."t" as x | @0=t version 5'],
    ['select * from t x version as of 5 where a', 'select * from "@0"."t" x where a | @0=t version 5'],
    ['select * from a.t at (version => 5) x, b', 'select * from "@0"."t" x, b | @0=a.t version 5'],
    [
      "select * from t timestamp as of '2024' - interval 1 day d",
      'select * from "@0"."t" d | @0=t timestamp \'2024\' - interval 1 day',
    ],
    ['select * from t timestamp as of f(a, (b)) + g() h', 'select * from "@0"."t" h | @0=t timestamp f(a, (b)) + g()'],
    [
      "select * from t timestamp as of '1'::timestamp(3) with time zone at time zone 'utc' x",
      'select * from "@0"."t" x | @0=t timestamp \'1\'::timestamp(3) with time zone at time zone \'utc\'',
    ],
  ]
  for (const [sql, expected] of examples) it(`of ${sql}`, () => assert.equal(rewritten(sql), expected))

  for (const sql of [
    'select * from (select 1) for version as of 5',
    'select * from t for version as of',
    'select * from t for version as of ,',
    'select * from t at (branch => 5)',
  ]) {
    it(`are refused in ${sql}`, () => assert.throws(() => rewritten(sql), { name: 'Fault' }))
  }
})
