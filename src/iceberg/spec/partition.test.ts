import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goldenTable, schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { checkSpec, partitionColumns, partitionColumnsOf, partitionPath, sameSpec, specProblems } from './partition.ts'
import type { PartitionField, PartitionSpec } from './table-metadata.ts'
import { parseSpecText } from './term-text.ts'

const schema = schemaOf({
  key: 'STRING',
  at: 'TIMESTAMPTZ',
  amount: 'DECIMAL(9,2)',
  tags: 'ARRAY<STRING>',
  ratio: 'DOUBLE',
})
const field = (sourceId: number, transform: string, name: string, fieldId = 1000): PartitionField => ({
  'source-id': sourceId,
  'field-id': fieldId,
  name,
  transform,
})
const spec = (...fields: PartitionField[]): PartitionSpec => ({ 'spec-id': 0, fields })

test('the columns of a tuple have the types of the results', () => {
  const columns = partitionColumns(parseSpecText('day(at), bucket(16, key), amount', schema), schema)
  assert.deepEqual(
    columns.map(({ fieldId, name, type }) => [fieldId, name, type]),
    [
      [1000, 'at_day', 'date'],
      [1001, 'key_bucket', 'int'],
      [1002, 'amount', 'decimal(9,2)'],
    ],
  )
})

test('a source that was dropped is found in older schemas, and else is null', () => {
  const old = spec(field(9, 'identity', 'gone'))
  const older = schemaOf({ a: 'STRING' })
  older.fields[0]!.id = 9
  assert.equal(partitionColumns(old, schema, older)[0]?.type, 'string')
  assert.deepEqual(partitionColumns(old, schema)[0], {
    fieldId: 1000,
    name: 'gone',
    transform: 'void',
    sourceId: 9,
    sourceType: 'int',
    type: 'int',
  })
})

test('every spec of an evolved table has its columns', () => {
  const table = goldenTable('v2-partition-evolution')
  for (const known of table['partition-specs']) {
    const columns = partitionColumnsOf(table, known)
    assert.equal(columns.length, known.fields.length)
    for (const column of columns) assert.notEqual(column.transform, 'void', column.name)
  }
})

test('each broken rule is told', () => {
  const cases: [PartitionSpec, RegExp][] = [
    [spec(field(99, 'identity', 'x')), /column id 99, which the schema lacks/],
    [spec(field(4, 'identity', 'x')), /"tags", a list/],
    [spec(field(6, 'identity', 'x')), /inside a list or map/],
    [spec(field(5, 'bucket[4]', 'x')), /not defined/],
    [spec(field(1, 'zorder', 'x')), /not known here/],
    [spec(field(1, 'bucket[4]', 'at')), /also that of a column/],
    [spec(field(1, 'identity', 'x'), field(2, 'day', 'x', 1001)), /"x" is used twice/],
    [spec(field(1, 'identity', 'x'), field(2, 'day', 'y')), /id 1000 is used twice/],
    [spec(field(1, 'identity', 'x', 7)), /below 1000/],
    [spec(field(2, 'day', 'x'), field(2, 'hour', 'y', 1001)), /repeats the partitioning/],
    [spec(field(1, 'identity', '')), /has no name/],
  ]
  for (const [broken, problem] of cases) assert.match(specProblems(broken, schema).join('; '), problem)
  assert.throws(
    () => checkSpec(cases[0]![0], schema),
    (error) => isFault(error, 'invalid'),
  )
})

test('different buckets of one column, and void fields of any, are sound', () => {
  assert.deepEqual(specProblems(spec(field(1, 'bucket[4]', 'a'), field(1, 'bucket[8]', 'b', 1001)), schema), [])
  assert.deepEqual(specProblems(spec(field(99, 'void', 'gone'), field(1, 'identity', 'key', 1001)), schema), [])
})

test('specs are the same when sources, transforms and names are, whatever the ids', () => {
  assert.equal(
    sameSpec(spec(field(1, 'bucket[4]', 'a')), { 'spec-id': 3, fields: [field(1, 'bucket[4]', 'a', 1005)] }),
    true,
  )
  assert.equal(sameSpec(spec(field(1, 'bucket[4]', 'a')), spec(field(1, 'bucket[4]', 'b'))), false)
  assert.equal(sameSpec(spec(field(1, 'bucket[4]', 'a')), spec(field(1, 'bucket[5]', 'a'))), false)
})

test('paths name the partition for people', () => {
  const columns = partitionColumns(parseSpecText('day(at), key, bucket(16, amount)', schema), schema)
  assert.equal(partitionPath(columns, [19_783, 'a/b=c', 3]), 'at_day=2024-03-01/key=a%2Fb%3Dc/amount_bucket=3')
  assert.equal(partitionPath(columns, [null, null, null]), 'at_day=null/key=null/amount_bucket=null')
  assert.equal(partitionPath([], []), '')
})
