import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../base/fault.ts'
import type { Type } from './table-metadata.ts'
import { formatType } from './type.ts'
import { formatTypeText, parseTypeText } from './type-text.ts'

const parse = (text: string): Type => {
  let id = 0
  return parseTypeText(text, () => ++id)
}

test('types are read under the names of the common engines', () => {
  const cases: [string, string][] = [
    ['INTEGER', 'int'],
    ['int', 'int'],
    ['BIGINT', 'long'],
    ['LONG', 'long'],
    ['BOOLEAN', 'boolean'],
    ['STRING', 'string'],
    ['varchar(20)', 'string'],
    ['DOUBLE', 'double'],
    ['REAL', 'float'],
    ['DATE', 'date'],
    ['TIMESTAMP', 'timestamp'],
    ['TIMESTAMP(3)', 'timestamp'],
    ['TIMESTAMP(9)', 'timestamp_ns'],
    ['TIMESTAMPTZ', 'timestamptz'],
    ['timestamp(6) with time zone', 'timestamptz'],
    ['timestamp with local time zone', 'timestamptz'],
    ['timestamp without time zone', 'timestamp'],
    ['DECIMAL(9,2)', 'decimal(9,2)'],
    ['numeric( 9 )', 'decimal(9,0)'],
    ['decimal', 'decimal(10,0)'],
    ['BINARY', 'binary'],
    ['fixed[16]', 'fixed[16]'],
    ['uuid', 'uuid'],
    ['ARRAY<STRING>', 'list<string>'],
    ['array(varchar)', 'list<string>'],
    ['MAP<STRING,LONG>', 'map<string, long>'],
    ['STRUCT<a: STRING, b: ARRAY<INTEGER>>', 'struct<a: string, b: list<int>>'],
    ['ROW(a VARCHAR, "b c" BIGINT)', 'struct<a: string, b c: long>'],
    ['ARRAY<STRUCT<m:MAP<STRING,ARRAY<DECIMAL(38,10)>>>>', 'list<struct<m: map<string, list<decimal(38,10)>>>>'],
  ]
  for (const [text, type] of cases) assert.equal(formatType(parse(text)), type, text)
})

test('members are optional unless they say not null, and get ids in turn', () => {
  assert.deepEqual(parse('STRUCT<a: LONG NOT NULL, b: ARRAY<STRING NOT NULL>>'), {
    type: 'struct',
    fields: [
      { id: 1, name: 'a', required: true, type: 'long' },
      {
        id: 2,
        name: 'b',
        required: false,
        type: { type: 'list', 'element-id': 3, 'element-required': true, element: 'string' },
      },
    ],
  })
})

test('texts that are no type are refused with the place', () => {
  const cases: [string, RegExp][] = [
    ['', /expected a type, got the end/],
    ['WORD', /a type such as long.*, got "WORD" at character 1 /],
    ['ARRAY', /expected "<", got the end/],
    ['ARRAY<STRING', /expected ">", got the end/],
    ['MAP<STRING>', /expected ",", got ">"/],
    ['DECIMAL(39,0)', /1 to 38 digits/],
    ['STRING STRING', /expected the end of the type/],
    ['STRUCT<>', /expected the name of a field/],
    ['fixed[0]', /instead of fixed\[0\]/],
    [`${'ARRAY<'.repeat(100)}INT${'>'.repeat(100)}`, /at most 64 deep/],
  ]
  for (const [text, message] of cases) {
    assert.throws(
      () => parse(text),
      (error) => isFault(error, 'invalid') && message.test(error.message),
      text,
    )
  }
})

const types: fc.Arbitrary<Type> = fc.letrec<{ type: Type }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<Type>('int', 'long', 'string', 'decimal(9,2)', 'fixed[4]', 'timestamptz', 'uuid'),
    fc
      .record({ element: tie('type'), required: fc.boolean() })
      .map(({ element, required }): Type => ({ type: 'list', 'element-id': 0, 'element-required': required, element })),
    fc.record({ key: tie('type'), value: tie('type'), required: fc.boolean() }).map(
      ({ key, value, required }): Type => ({
        type: 'map',
        'key-id': 0,
        key,
        'value-id': 0,
        'value-required': required,
        value,
      }),
    ),
    fc
      .array(fc.record({ name: fc.string({ minLength: 1 }), type: tie('type'), required: fc.boolean() }), {
        minLength: 1,
        maxLength: 3,
      })
      .map((fields): Type => ({ type: 'struct', fields: fields.map((field) => ({ id: 0, ...field })) })),
  ),
})).type

test('a type written as text is read back', () => {
  fc.assert(
    fc.property(types, (type) =>
      assert.deepEqual(
        parseTypeText(formatTypeText(type), () => 0),
        type,
      ),
    ),
  )
})
