import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { orderProblems, sameOrder } from './sort.ts'
import { parseOrderText, parseSpecText } from './term-text.ts'

const schema = schemaOf({
  bucket: 'STRING',
  key: 'STRING',
  record_timestamp: 'TIMESTAMPTZ',
  region: 'STRING',
  'odd name': 'STRING',
  geo: 'STRUCT<city: STRING>',
  desc: 'LONG',
})

test('partitionings are read as people write them', () => {
  const cases: [string, [string, string][]][] = [
    ['', []],
    ['region', [['region', 'identity']]],
    [
      'day(record_timestamp), bucket(16, key), region',
      [
        ['record_timestamp_day', 'day'],
        ['key_bucket', 'bucket[16]'],
        ['region', 'identity'],
      ],
    ],
    ['days(record_timestamp)', [['record_timestamp_day', 'day']]],
    ['BUCKET(key, 16)', [['key_bucket', 'bucket[16]']]],
    ['truncate(4, region) as prefix', [['prefix', 'truncate[4]']]],
    ['truncate(region, 4)', [['region_trunc', 'truncate[4]']]],
    ['identity(region)', [['region', 'identity']]],
    ['bucket', [['bucket', 'identity']]],
    ['bucket(4, bucket)', [['bucket_bucket', 'bucket[4]']]],
    ['"odd name"', [['odd name', 'identity']]],
    ['`odd name`', [['odd name', 'identity']]],
    ['geo.city', [['geo.city', 'identity']]],
    ['REGION', [['region', 'identity']]],
    ['date_hour(record_timestamp)', [['record_timestamp_hour', 'hour']]],
  ]
  for (const [text, fields] of cases) {
    const spec = parseSpecText(text, schema)
    assert.deepEqual(
      spec.fields.map((field) => [field.name, field.transform]),
      fields,
      text,
    )
    assert.deepEqual(
      spec.fields.map((field) => field['field-id']),
      fields.map((_, at) => 1000 + at),
    )
  }
})

test('what is wrong in a partitioning is told', () => {
  const cases: [string, 'invalid' | 'not-found', RegExp][] = [
    ['nothing', 'not-found', /"nothing"; its columns are bucket, key/],
    ['week(record_timestamp)', 'invalid', /"week"/],
    ['bucket(0, key)', 'invalid', /bucket of 1/],
    ['bucket(key)', 'invalid', /expected ",", got "\)"/],
    ['bucket(16, key', 'invalid', /expected "\)", got the end/],
    ['region region', 'invalid', /expected ",", got "region" at character 8/],
    ['hour(region)', 'invalid', /not defined/],
    ['region,', 'invalid', /expected a column, got the end/],
  ]
  for (const [text, kind, message] of cases) {
    assert.throws(
      () => parseSpecText(text, schema),
      (error) => isFault(error, kind) && message.test(error.message),
      text,
    )
  }
})

test('sort orders are read with directions and the place of nulls', () => {
  const order = parseOrderText(
    'bucket, key desc nulls first, day(record_timestamp) desc, "desc" asc nulls last',
    schema,
  )
  assert.deepEqual(
    order.fields.map((field) => [field['source-id'], field.transform, field.direction, field['null-order']]),
    [
      [1, 'identity', 'asc', 'nulls-first'],
      [2, 'identity', 'desc', 'nulls-first'],
      [3, 'day', 'desc', 'nulls-last'],
      [7, 'identity', 'asc', 'nulls-last'],
    ],
  )
  assert.equal(order['order-id'], 1)
  assert.deepEqual(parseOrderText('', schema), { 'order-id': 0, fields: [] })
  assert.throws(
    () => parseOrderText('key up', schema),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => parseOrderText('geo', schema),
    (error) => isFault(error, 'invalid'),
  )
})

test('orders are compared without their ids, and order 0 has no fields', () => {
  const order = parseOrderText('bucket, bucket(4, key) desc', schema)
  assert.equal(sameOrder(order, { ...order, 'order-id': 5 }), true)
  assert.equal(sameOrder(order, parseOrderText('bucket', schema)), false)
  assert.match(orderProblems({ ...order, 'order-id': 0 }, schema).join(), /order 0 stands for none/)
})
