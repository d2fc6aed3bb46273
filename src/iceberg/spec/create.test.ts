import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_UUID, schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { newTableMetadata } from './create.ts'
import { parseMetadata, serializeMetadata } from './metadata-json.ts'
import { fieldNamed } from './schema.ts'
import type { Schema, SortOrder } from './table-metadata.ts'

/** Ids as a caller might number them: by place in the text, nested before the next column. */
const loose: Schema = {
  type: 'struct',
  'schema-id': 9,
  'identifier-field-ids': [70],
  fields: [
    {
      id: 50,
      name: 's',
      required: false,
      type: { type: 'struct', fields: [{ id: 60, name: 'at', required: false, type: 'date' }] },
    },
    { id: 70, name: 'key', required: true, type: 'string' },
  ],
}
const sortOrder: SortOrder = {
  'order-id': 4,
  fields: [{ transform: 'identity', 'source-id': 70, direction: 'asc', 'null-order': 'nulls-first' }],
}

test('a new table has fresh ids, and its spec and order follow them', () => {
  const table = newTableMetadata({
    schema: loose,
    spec: { 'spec-id': 3, fields: [{ 'source-id': 60, 'field-id': 1234, name: 'day', transform: 'day' }] },
    sortOrder,
    location: 's3://b/t/',
    uuid: SAMPLE_UUID,
    nowMs: 7,
  })
  const [schema] = table.schemas
  assert.equal(fieldNamed(schema!, 'key').id, 2)
  assert.equal(fieldNamed(schema!, 's.at').id, 3)
  assert.deepEqual(schema!['identifier-field-ids'], [2])
  assert.equal(table['last-column-id'], 3)
  assert.deepEqual(table['partition-specs'], [
    { 'spec-id': 0, fields: [{ 'source-id': 3, 'field-id': 1000, name: 'day', transform: 'day' }] },
  ])
  assert.equal(table['last-partition-id'], 1000)
  assert.deepEqual(table['sort-orders'], [{ 'order-id': 1, fields: [{ ...sortOrder.fields[0], 'source-id': 2 }] }])
  assert.equal(table['default-sort-order-id'], 1)
  assert.equal(table.location, 's3://b/t')
  assert.equal(table['last-updated-ms'], 7)
  assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
})

test('without spec and order the table is unpartitioned and unsorted', () => {
  const table = newTableMetadata({ schema: schemaOf({ a: 'LONG' }), location: 's3://b/t', uuid: SAMPLE_UUID, nowMs: 1 })
  assert.deepEqual(table['partition-specs'], [{ 'spec-id': 0, fields: [] }])
  assert.equal(table['last-partition-id'], 999)
  assert.deepEqual(table['sort-orders'], [{ 'order-id': 0, fields: [] }])
  assert.equal(table['format-version'], 2)
  assert.equal('next-row-id' in table, false)
})

test('a v3 table counts its rows from 0', () => {
  const table = newTableMetadata({
    schema: schemaOf({ a: 'LONG' }),
    location: 's3://b/t',
    uuid: SAMPLE_UUID,
    nowMs: 1,
    formatVersion: 3,
  })
  assert.equal(table['next-row-id'], 0)
})

test('a schema, spec or order that is not sound makes no table', () => {
  const base = { schema: schemaOf({ a: 'LONG' }), location: 's3://b/t', uuid: SAMPLE_UUID, nowMs: 1 }
  const refused = [
    { ...base, schema: { ...base.schema, fields: [{ id: 1, name: 'a', required: true, type: 'text' }] } },
    {
      ...base,
      spec: { 'spec-id': 0, fields: [{ 'source-id': 9, 'field-id': 1000, name: 'x', transform: 'identity' }] },
    },
    { ...base, spec: { 'spec-id': 0, fields: [{ 'source-id': 1, 'field-id': 1000, name: 'x', transform: 'hour' }] } },
    { ...base, sortOrder },
  ]
  for (const table of refused)
    assert.throws(
      () => newTableMetadata(table),
      (error) => isFault(error, 'invalid'),
    )
})
