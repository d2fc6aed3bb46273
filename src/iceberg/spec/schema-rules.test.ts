import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { checkSchema, schemaProblems } from './schema-rules.ts'
import type { NestedField, Schema } from './table-metadata.ts'

const field = (id: number, name: string, type: NestedField['type'] = 'string', required = false): NestedField => ({
  id,
  name,
  required,
  type,
})
const schema = (fields: NestedField[], identifiers: number[] = []): Schema => ({
  type: 'struct',
  'schema-id': 0,
  'identifier-field-ids': identifiers,
  fields,
})

test('a sound schema has no problems', () => {
  const sound = schemaOf({
    id: 'LONG NOT NULL',
    tags: 'ARRAY<STRING>',
    m: 'MAP<STRING, LONG>',
    s: 'STRUCT<a: INTEGER>',
  })
  assert.deepEqual(schemaProblems({ ...sound, 'identifier-field-ids': [1] }), [])
})

test('each broken rule is told', () => {
  const cases: [Schema, RegExp][] = [
    [schema([field(1, 'a'), field(1, 'b')]), /id 1 is used by both "a" and "b"/],
    [schema([field(1, 'a'), field(2, 'a')]), /name "a" is used twice/],
    [schema([field(1, 'a.b'), field(2, 'a', { type: 'struct', fields: [field(3, 'b')] })]), /name "a.b" is used twice/],
    [schema([field(1, '')]), /id 1 has no name/],
    [schema([field(1, 'a', 'integer')]), /unknown type "integer"/],
    [schema([field(1, 'a', 'timestamp_ns')]), /needs format v3/],
    [schema([{ ...field(1, 'a'), 'initial-default': 'x' }]), /initial default, which needs format v3/],
    [schema([field(1, 'a')], [7]), /identifier field id 7 is no field/],
    [schema([field(1, 'a')], [1]), /identifier field "a" is optional/],
    [schema([field(1, 'a', 'double', true)], [1]), /is a double/],
    [
      schema([field(1, 's', { type: 'struct', fields: [field(2, 'k', 'string', true)] })], [2]),
      /inside the optional "s"/,
    ],
    [
      schema(
        [field(1, 'l', { type: 'list', 'element-id': 2, 'element-required': true, element: 'string' }, true)],
        [2],
      ),
      /inside a list or map/,
    ],
    [
      schema([field(1, 's', { type: 'struct', fields: [field(2, 'k')] }, true)], [1]),
      /identifier field "s" is a struct/,
    ],
  ]
  for (const [broken, problem] of cases) {
    assert.match(schemaProblems(broken).join('; '), problem)
  }
})

test('types and defaults of version 3 are allowed there', () => {
  const v3 = schema([field(1, 'a', 'timestamp_ns'), { ...field(2, 'b'), 'initial-default': 'x' }])
  assert.deepEqual(schemaProblems(v3, 3), [])
  assert.match(schemaProblems(schema([field(1, 'u', 'unknown', true)]), 3).join(), /unknown, so not required/)
})

test('all problems come in one fault', () => {
  assert.throws(
    () => checkSchema(schema([field(1, 'a', 'integer'), field(1, 'b', 'text')])),
    (error) => isFault(error, 'invalid') && /3 problem\(s\).*"integer".*used by both.*"text"/.test(error.message),
  )
})
