import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_UUID, sampleTable, schemaOf, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import { readChange, writeChange } from './change-json.ts'
import type { TableChange } from './table-metadata.ts'

const ID = 9_223_372_036_854_775_807n
const snapshot = withAppend(sampleTable(), ID, 2_000).snapshots[0]!

const every: TableChange = {
  requirements: [
    { type: 'assert-create' },
    { type: 'assert-table-uuid', uuid: SAMPLE_UUID },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': ID },
    { type: 'assert-ref-snapshot-id', ref: 'new', 'snapshot-id': null },
    { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 1 },
    { type: 'assert-current-schema-id', 'current-schema-id': 2 },
    { type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': 3 },
    { type: 'assert-default-spec-id', 'default-spec-id': 4 },
    { type: 'assert-default-sort-order-id', 'default-sort-order-id': 5 },
  ],
  updates: [
    { action: 'assign-uuid', uuid: SAMPLE_UUID },
    { action: 'upgrade-format-version', 'format-version': 3 },
    { action: 'add-schema', schema: schemaOf({ a: 'LONG NOT NULL', b: 'MAP<STRING, ARRAY<DECIMAL(9,2)>>' }) },
    { action: 'set-current-schema', 'schema-id': -1 },
    {
      action: 'add-spec',
      spec: {
        'spec-id': 0,
        fields: [
          { 'source-id': 1, 'field-id': -1, name: 'a', transform: 'identity' },
          { 'source-id': 1, 'field-id': 1001, name: 'b', transform: 'bucket[4]' },
        ],
      },
    },
    { action: 'set-default-spec', 'spec-id': -1 },
    {
      action: 'add-sort-order',
      'sort-order': {
        'order-id': 1,
        fields: [{ transform: 'identity', 'source-id': 1, direction: 'desc', 'null-order': 'nulls-last' }],
      },
    },
    { action: 'set-default-sort-order', 'sort-order-id': -1 },
    { action: 'add-snapshot', snapshot },
    { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': ID, 'min-snapshots-to-keep': 3 },
    { action: 'remove-snapshots', 'snapshot-ids': [ID, 1n] },
    { action: 'remove-snapshot-ref', 'ref-name': 'old' },
    { action: 'set-location', location: 's3://b/t' },
    { action: 'set-properties', updates: { a: 'b' } },
    { action: 'remove-properties', removals: ['a'] },
    { action: 'set-statistics', statistics: { 'snapshot-id': ID, 'statistics-path': 'p' } },
    { action: 'remove-statistics', 'snapshot-id': ID },
    { action: 'set-partition-statistics', 'partition-statistics': { 'snapshot-id': ID } },
    { action: 'remove-partition-statistics', 'snapshot-id': ID },
    { action: 'remove-partition-specs', 'spec-ids': [1] },
    { action: 'remove-schemas', 'schema-ids': [1] },
    { action: 'add-encryption-key', 'encryption-key': { 'key-id': 'k' } },
    { action: 'remove-encryption-key', 'key-id': 'k' },
  ],
}

test('every requirement and update comes back from the text of a request', () => {
  assert.deepEqual(readChange(parseJson(stringifyJson(writeChange(every)))), every)
})

test('partition fields to be numbered by the server have no id in the request', () => {
  const update = (writeChange(every)['updates'] as { spec?: { fields: object[] } }[])[4]
  assert.deepEqual(update?.spec?.fields[0], { 'source-id': 1, name: 'a', transform: 'identity' })
})

test('what is wrong in a request is told with its place', () => {
  const cases: [Json, 'invalid' | 'unsupported', RegExp][] = [
    [[], 'invalid', /an object at the top/],
    [{ updates: {} }, 'invalid', /updates/],
    [{ updates: [{ action: 'paint' }] }, 'unsupported', /"paint"/],
    [{ requirements: [{ type: 'assert-luck' }] }, 'unsupported', /"assert-luck"/],
    [{ updates: [{ action: 'set-location' }] }, 'invalid', /updates\[0\]\.location/],
    [
      {
        updates: [
          {
            action: 'add-schema',
            schema: { type: 'struct', fields: [{ id: 1, name: 'a', required: false, type: 'word' }] },
          },
        ],
      },
      'invalid',
      /updates\[0\]\.schema\.fields\[0\]\.type/,
    ],
    [{ updates: [{ action: 'set-statistics', statistics: {} }] }, 'invalid', /statistics\.snapshot-id/],
  ]
  for (const [json, kind, message] of cases) {
    assert.throws(
      () => readChange(json),
      (error) => isFault(error, kind) && message.test(error.message),
      JSON.stringify(json),
    )
  }
})
