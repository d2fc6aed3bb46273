import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goldenTable, schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import {
  assignFreshIds,
  currentSchema,
  currentSpec,
  fieldNamed,
  fieldNamedAnyCase,
  findById,
  findByName,
  flattenFields,
  freshSchema,
  highestFieldId,
  specById,
} from './schema.ts'
import type { Schema } from './table-metadata.ts'

const nested = schemaOf({
  id: 'LONG NOT NULL',
  address: 'STRUCT<city: STRING NOT NULL, geo: STRUCT<lat: DOUBLE, lon: DOUBLE>>',
  items: 'ARRAY<STRUCT<sku: STRING, prices: MAP<STRING, STRUCT<amount: LONG>>>>',
  tags: 'ARRAY<STRING>',
})

test('fields are found by dotted name, with and without the steps into lists and maps', () => {
  for (const name of ['id', 'address.city', 'address.geo.lat', 'items.element.sku', 'items.sku', 'tags.element']) {
    assert.ok(findByName(nested, name) !== undefined, name)
  }
  assert.equal(findByName(nested, 'items.prices.amount'), findByName(nested, 'items.element.prices.value.amount'))
  assert.equal(findByName(nested, 'Address.City'), undefined)
  assert.equal(fieldNamedAnyCase(nested, 'Address.City').name, 'address.city')
  assert.equal(findByName(nested, 'items.nothing'), undefined)
})

test('fields are found by id with their path, parent and nullability', () => {
  const city = fieldNamed(nested, 'address.city')
  assert.deepEqual(findById(nested, city.id), city)
  assert.deepEqual(city.path, ['address', 'city'])
  assert.equal(city.parentId, findByName(nested, 'address')?.id)
  assert.equal(city.required, true)
  assert.equal(city.repeated, false)
  assert.equal(fieldNamed(nested, 'items.sku').repeated, true)
})

test('a column that is not there is told with those that are', () => {
  assert.throws(
    () => fieldNamed(nested, 'adress'),
    (error) => isFault(error, 'not-found') && /adress.*id, address, items, tags/.test(error.message),
  )
})

test('fresh ids go to all fields of a struct before the members of any, as in the Java library', () => {
  const { schema, lastColumnId } = freshSchema({ ...nested, 'identifier-field-ids': [1] }, 0)
  const ids = Object.fromEntries(flattenFields(schema).map((field) => [field.name, field.id]))
  assert.deepEqual(ids, {
    id: 1,
    address: 2,
    'address.city': 5,
    'address.geo': 6,
    'address.geo.lat': 7,
    'address.geo.lon': 8,
    items: 3,
    'items.element': 9,
    'items.element.sku': 10,
    'items.element.prices': 11,
    'items.element.prices.key': 12,
    'items.element.prices.value': 13,
    'items.element.prices.value.amount': 14,
    tags: 4,
    'tags.element': 15,
  })
  assert.equal(lastColumnId, 15)
  assert.equal(highestFieldId(schema), 15)
  assert.deepEqual(schema['identifier-field-ids'], [1])
})

test('the ids that Spark gave to a nested table are those that we give', () => {
  const table = goldenTable('v2-nested')
  const schema = currentSchema(table)
  assert.deepEqual(freshSchema(schema, 0).schema.fields, schema.fields)
})

test('assigning ids leaves the input as it is', () => {
  const before = JSON.stringify(nested)
  let id = 100
  const fresh = assignFreshIds(nested as Schema, () => ++id)
  assert.equal(JSON.stringify(nested), before)
  assert.equal(fresh.fields[0]?.id, 101)
})

test('the current schema and specs are found in metadata; a missing spec is corruption', () => {
  const table = goldenTable('v2-partition-evolution')
  assert.equal(currentSchema(table)['schema-id'], table['current-schema-id'])
  assert.equal(currentSpec(table)['spec-id'], table['default-spec-id'])
  assert.throws(
    () => specById(table, 99),
    (error) => isFault(error, 'corrupt'),
  )
})

test('types nested without end are refused', () => {
  let type: Schema['fields'][number]['type'] = 'string'
  for (let depth = 0; depth < 70; depth++)
    type = { type: 'list', 'element-id': depth + 2, 'element-required': false, element: type }
  const schema: Schema = { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'deep', required: false, type }] }
  assert.throws(
    () => flattenFields(schema),
    (error) => isFault(error, 'limit'),
  )
})
