import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { openTableBench, type TableBench } from '../../../test/support/table-bench.ts'
import { limits } from '../../base/limits.ts'
import { rowChangeText } from '../../change/table-change.ts'
import { evolveSchema } from '../../iceberg/action/evolve-schema.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import { formatType } from '../../iceberg/spec/type.ts'
import { parseStream, type StreamInput, schemaOf, tableOf } from './definition.ts'
import { evolveFor } from './evolution.ts'
import { type EvolutionRules, planEdits } from './evolution-plan.ts'
import { type RecordObject, readRecord } from './record.ts'
import { compileRowReader, type ReadRow } from './row-reader.ts'

function parsed(text: string): RecordObject {
  const read = readRecord(Buffer.from(text))
  assert.ok(read.ok, text)
  return read.value
}

/** The edits that a record asks for, in short. */
function edits(columns: Record<string, string>, text: string, rules: Partial<EvolutionRules> = {}): string {
  const all: EvolutionRules = { unknownFields: 'evolve', conflict: 'sibling', ...rules }
  const [found = []] = planEdits([parsed(text)], schemaOf(columns, []), all)
  return found
    .map((edit) => {
      if (edit.edit === 'add')
        return `+${edit.parent === undefined ? '' : `${edit.parent}.`}${edit.name} ${formatType(edit.type)}`
      return edit.edit === 'widen' ? `${edit.column} -> ${formatType(edit.to)}` : edit.edit
    })
    .join(', ')
}

const CASES: [columns: Record<string, string>, record: string, edits: string, rules?: Partial<EvolutionRules>][] = [
  [{ a: 'INT' }, '{"a":1}', ''],
  [{ a: 'INT' }, '{"b":1,"c":"x","d":null,"e":[]}', '+b long, +c string'],
  [{ a: 'INT' }, '{"A":1}', ''],
  [{ a: 'INT' }, '{"b":1}', '', { unknownFields: 'dead-letter' }],
  [{ a: 'INT' }, '{"b":1}', '', { operationField: 'b' }],
  [{ s: 'STRUCT<a: INT>' }, '{"s":{"b":{"c":1}}}', '+s.b struct<c: long>'],
  [{ l: 'ARRAY<STRUCT<a: INT>>' }, '{"l":[{"a":1},{"b":1},{"c":"x"}]}', '+l.element.b long, +l.element.c string'],
  [{ m: 'MAP<STRING, STRUCT<a: INT>>' }, '{"m":{"k":{"b":true}}}', '+m.value.b boolean'],
  [{ a: 'INT' }, '{"a":2147483648}', 'a -> long'],
  [{ a: 'INT' }, '{"a":2147483648}', '', { conflict: 'dead-letter' }],
  [{ a: 'FLOAT' }, '{"a":1e39}', 'a -> double'],
  [{ a: 'DECIMAL(5,2)' }, '{"a":1234567.8}', 'a -> decimal(9, 2)'],
  [{ a: 'DECIMAL(5,2)' }, '{"a":"-12345678"}', 'a -> decimal(10, 2)'],
  [{ a: 'DECIMAL(5,2)' }, '{"a":1e37}', '+a__double double'],
  [{ a: 'DECIMAL(5,2)' }, '{"a":1.234}', '', { conflict: 'widen' }],
  [{ s: 'STRUCT<a: INT>' }, '{"s":{"a":2147483648}}', 's.a -> long'],
  [{ l: 'ARRAY<INT>' }, '{"l":[1,2147483648]}', 'l.element -> long'],
  [{ a: 'LONG' }, '{"a":"x"}', '+a__string string'],
  [{ a: 'LONG' }, '{"a":"x"}', '', { conflict: 'widen' }],
  [{ a: 'LONG' }, '{"a":"17"}', '', { strictness: 'convert' }],
  [{ a: 'LONG' }, '{"a":1.5}', '+a__double double'],
  [{ a: 'STRING' }, '{"a":{"b":[1]}}', '+a__json string'],
  [{ a: 'STRING' }, '{"a":17}', '+a__long long'],
  [{ a: 'TIMESTAMP' }, '{"a":true}', '+a__boolean boolean'],
  [{ a: 'LONG NOT NULL' }, '{"a":"x"}', ''],
  [{ a: 'LONG', a__string: 'STRING' }, '{"a":"x"}', ''],
  [{ a: 'LONG' }, '{"a":"x","a__string":"y"}', '+a__string string'],
  [{ s: 'STRUCT<a: INT>' }, '{"s":{"a":"x"}}', '+s.a__string string'],
  [{ s: 'STRUCT<a: INT>' }, '{"s":[1]}', '+s__json string'],
  [{ l: 'ARRAY<LONG>' }, '{"l":[1,"x"]}', '+l__json string'],
]

test('what a record asks of a table follows from its values and the policy', () => {
  for (const [columns, record, expected, rules] of CASES) {
    assert.equal(edits(columns, record, rules), expected, `${JSON.stringify(columns)} ${record}`)
  }
})

test('no more columns are asked for than a table of a stream may have', () => {
  const many = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, at) => [`c${at}`, 1])))
  const rules: EvolutionRules = { unknownFields: 'evolve', conflict: 'dead-letter' }
  const asked = planEdits([parsed(many(800)), parsed(many(2_000))], schemaOf({ a: 'INT' }, []), rules)
  assert.deepEqual(
    asked.map((edit) => edit.length),
    [800, limits.streamColumnsMax - 801],
  )
})

function entryText(row: ReadRow): string {
  assert.ok(row.ok)
  return rowChangeText({ input: 0, op: row.op }, row.rowText)
}

describe('a table', () => {
  let bench: TableBench
  beforeEach(async () => {
    bench = await openTableBench()
  })
  afterEach(() => bench.close())

  const columnsOf = (schema: Schema) => schema.fields.map(({ name, type }) => `${name} ${formatType(type)}`).sort()

  async function open(name: string, columns: Record<string, string>, more: Partial<StreamInput> = {}) {
    const input: StreamInput = {
      table: `default.${name}`,
      columns,
      unknownFields: 'evolve',
      conflict: 'sibling',
      ...more,
    }
    const settings = parseStream(name, input)
    const definition = tableOf(settings, schemaOf(columns, settings.uniqueKeys))
    const writer = await bench.openWriter(definition)
    const schema = async () => currentSchema((await writer.load()).metadata)
    const { catalog, clock } = bench
    const evolve = async (from: Schema, ...texts: string[]) =>
      evolveFor(
        texts.map((text) => ({ data: Buffer.from(text), value: parsed(text), changed: false, operation: undefined })),
        from,
        { catalog, clock, ident: definition.ident, settings },
      )
    return { settings, definition, writer, schema, evolve }
  }

  test('grows by what requests at the same time bring, and by what others add meanwhile', async () => {
    const { schema, evolve, definition } = await open('grown', { a: 'INT' })
    const before = await schema()
    const other = commitChange(bench.catalog, definition.ident, {
      commitId: 'other',
      clock: bench.clock,
      plan: async ({ metadata }) =>
        evolveSchema(metadata, [
          { edit: 'add', name: 'shared', type: 'string' },
          { edit: 'add', name: 'theirs', type: 'long' },
        ]),
    })
    await Promise.all([
      other,
      ...Array.from({ length: 6 }, (_, at) => evolve(before, `{"same":1,"own${at}":true,"a":${2 ** 31 + at}}`)),
    ])
    const evolved = await evolve(before, '{"shared":7}')
    assert.deepEqual(columnsOf(evolved), [
      'a long',
      ...Array.from({ length: 6 }, (_, at) => `own${at} boolean`),
      'same long',
      'shared string',
      'shared__long long',
      'theirs long',
    ])
    assert.equal(await evolve(evolved, '{"shared":8}'), evolved)
  })

  test('takes what the good records ask for when another one asks for what cannot be', async () => {
    const { schema, evolve } = await open('partly', { s: 'STRUCT<b: LONG>' })
    const evolved = await evolve(await schema(), '{"good":1}', '{"s.b":1}', '{"fine":1}')
    assert.deepEqual(columnsOf(evolved), ['fine long', 'good long', 's struct<b: long>'])
    assert.equal(await evolve(evolved, '{"s.b":1}').then(({ fields }) => fields.length), 3)
  })

  test('does not grow for a record that is no row all the same', async () => {
    const { schema, evolve } = await open('still', { a: 'INT NOT NULL', b: 'TIMESTAMP' }, { conflict: 'widen' })
    const before = await schema()
    assert.deepEqual(columnsOf(await evolve(before, '{"new":1}', '{"a":1,"newer":1,"b":"soon"}')), columnsOf(before))
    const after = await evolve(before, '{"new":"x"}', '{"a":1,"new":1}')
    assert.deepEqual(columnsOf(after), ['a int', 'b timestamp', 'new long'])
  })

  test('keeps one row for a key whose column was widened, in a partition of it', async () => {
    const columns = { k: 'INT NOT NULL', v: 'DECIMAL(4,1)' }
    const { schema, evolve, writer, settings } = await open('widened', columns, {
      uniqueKeys: ['k'],
      partitioning: ['k'],
    })
    const put = async (...texts: string[]) => {
      const reader = compileRowReader(await evolve(await schema(), ...texts), settings)
      const rows = texts.map((text) =>
        reader.read({ data: Buffer.from(text), value: null, changed: false, operation: undefined }),
      )
      await bench.log.append(rows.map(entryText))
      await bench.commitAll(writer)
    }
    await put('{"k":1,"v":1.5}', '{"k":2,"v":2.5}')
    await put('{"k":4294967296,"v":1234567.5}', '{"k":1,"v":7}')
    const rows = await bench.rows(await writer.load(), "k || ' ' || v AS v")
    assert.deepEqual(rows.map(({ v }) => v).sort(), ['1 7.0', '2 2.5', '4294967296 1234567.5'])
  })

  test('holds values in the columns that were made for them', async () => {
    const { schema, evolve, writer, settings } = await open('values', { n: 'INT', s: 'STRUCT<a: LONG>' })
    const texts = [
      '{"n":1,"s":{"a":1}}',
      '{"n":2147483648,"s":{"a":2,"b":"new"}}',
      '{"n":"many","s":{"a":"text"}}',
      '{"n":1.5,"s":[1, 2.50]}',
      '{"n":true}',
    ]
    const first = await schema()
    const put = async (from: Schema) => {
      const reader = compileRowReader(from, settings)
      const rows = texts.map((text) =>
        reader.read({ data: Buffer.from(text), value: null, changed: false, operation: undefined }),
      )
      return rows
    }
    assert.deepEqual(
      (await put(first)).map((row) => row.ok),
      [true, false, false, false, false],
    )
    const rows = await put(await evolve(first, ...texts))
    await bench.log.append(
      rows.map((row) => `{"input":0,"op":"upsert","row":${row.ok ? row.rowText : assert.fail(row.problem.message)}}`),
    )
    await bench.commitAll(writer)
    const found = await bench.rows(
      await writer.load(),
      "concat_ws('|', n, n__string, n__double, n__boolean, s.a, s.a__string, s.b, s__json) AS v",
    )
    assert.deepEqual(found.map(({ v }) => v).sort(), ['1.5|[1,2.50]', '1|1', '2147483648|2|new', 'many|text', 'true'])
  })
})
