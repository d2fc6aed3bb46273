import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_UUID, sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { checkRequirements } from './requirement.ts'
import type { TableRequirement } from './table-metadata.ts'

const table = withAppend(sampleTable({ partitioning: 'region' }), 5n, 2_000)

test('requirements that hold let a change pass', () => {
  const holding: TableRequirement[] = [
    { type: 'assert-table-uuid', uuid: SAMPLE_UUID.toUpperCase() },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 5n },
    { type: 'assert-ref-snapshot-id', ref: 'other', 'snapshot-id': null },
    { type: 'assert-ref-snapshot-id', ref: 'constructor', 'snapshot-id': null },
    { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 4 },
    { type: 'assert-current-schema-id', 'current-schema-id': 0 },
    { type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': 1000 },
    { type: 'assert-default-spec-id', 'default-spec-id': 0 },
    { type: 'assert-default-sort-order-id', 'default-sort-order-id': 0 },
  ]
  checkRequirements(table, holding)
  checkRequirements(null, [{ type: 'assert-create' }])
})

test('each requirement that does not hold is a conflict that says what was expected and what is', () => {
  const failing: [TableRequirement, string, string][] = [
    [{ type: 'assert-create' }, 'no table', `one with uuid ${SAMPLE_UUID}`],
    [{ type: 'assert-table-uuid', uuid: 'x' }, 'x', SAMPLE_UUID],
    [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': 4n }, '4', '5'],
    [{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null }, 'none', '5'],
    [{ type: 'assert-ref-snapshot-id', ref: 'audit', 'snapshot-id': 4n }, '4', 'none'],
    [{ type: 'assert-last-assigned-field-id', 'last-assigned-field-id': 3 }, '3', '4'],
    [{ type: 'assert-current-schema-id', 'current-schema-id': 1 }, '1', '0'],
    [{ type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': 999 }, '999', '1000'],
    [{ type: 'assert-default-spec-id', 'default-spec-id': 1 }, '1', '0'],
    [{ type: 'assert-default-sort-order-id', 'default-sort-order-id': 1 }, '1', '0'],
  ]
  for (const [requirement, expected, got] of failing) {
    assert.throws(
      () => checkRequirements(table, [requirement]),
      (error) => isFault(error, 'conflict') && error.facts['expected'] === expected && error.facts['got'] === got,
      requirement.type,
    )
  }
})

test('a table that is gone conflicts with everything but its creation', () => {
  assert.throws(
    () => checkRequirements(null, [{ type: 'assert-table-uuid', uuid: SAMPLE_UUID }]),
    (error) => isFault(error, 'conflict') && error.facts['got'] === 'none',
  )
})
