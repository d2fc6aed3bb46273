import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTable } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { currentSpec } from '../spec/schema.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import { applyChange } from '../spec/update.ts'
import { evolveSpec, type SpecEdit, setSortOrder } from './evolve-spec.ts'

const evolve = (table: TableMetadata, ...edits: SpecEdit[]): TableMetadata =>
  applyChange(table, evolveSpec(table, edits), { nowMs: 2_000 })
const fieldsOf = (table: TableMetadata): [string, string, number][] =>
  currentSpec(table).fields.map((field) => [field.name, field.transform, field['field-id']])

test('fields are added, renamed and dropped, and keep their ids', () => {
  const added = evolve(
    sampleTable(),
    { edit: 'add', term: 'day(at)' },
    { edit: 'add', term: 'bucket(8, key)', name: 'shard' },
  )
  assert.deepEqual(fieldsOf(added), [
    ['at_day', 'day', 1000],
    ['shard', 'bucket[8]', 1001],
  ])
  const renamed = evolve(added, { edit: 'rename', field: 'shard', to: 'part' })
  assert.deepEqual(fieldsOf(renamed), [
    ['at_day', 'day', 1000],
    ['part', 'bucket[8]', 1001],
  ])
  const dropped = evolve(renamed, { edit: 'drop', field: 'day(at)' })
  assert.deepEqual(fieldsOf(dropped), [['part', 'bucket[8]', 1001]])
  const back = evolve(dropped, { edit: 'add', term: 'day(at)' }, { edit: 'add', term: 'region' })
  assert.deepEqual(fieldsOf(back), [
    ['part', 'bucket[8]', 1001],
    ['at_day', 'day', 1000],
    ['region', 'identity', 1002],
  ])
  assert.equal(back['last-partition-id'], 1002)
})

test('a coarser time takes the place of a finer one', () => {
  const table = evolve(sampleTable({ partitioning: 'day(at), region' }), {
    edit: 'replace',
    terms: 'month(at), region',
  })
  assert.deepEqual(fieldsOf(table), [
    ['at_month', 'month', 1002],
    ['region', 'identity', 1001],
  ])
  const back = evolve(table, { edit: 'replace', terms: 'day(at), region' })
  assert.equal(back['default-spec-id'], 0)
  assert.equal(back['partition-specs'].length, 2)
  assert.deepEqual(fieldsOf(evolve(back, { edit: 'replace', terms: '' })), [])
})

test('v1 tables replace what is dropped by void', () => {
  const table = evolve(sampleTable({ partitioning: 'region, day(at)', formatVersion: 1 }), {
    edit: 'drop',
    field: 'region',
  })
  assert.deepEqual(fieldsOf(table), [
    ['region_1000', 'void', 1000],
    ['at_day', 'day', 1001],
  ])
  const replaced = evolve(sampleTable({ partitioning: 'region', formatVersion: 1 }), {
    edit: 'replace',
    terms: 'day(at)',
  })
  assert.deepEqual(fieldsOf(replaced), [
    ['region_1000', 'void', 1000],
    ['at_day', 'day', 1001],
  ])
})

test('what is wrong is told', () => {
  const table = sampleTable({ partitioning: 'day(at)' })
  const cases: [SpecEdit, 'conflict' | 'invalid' | 'not-found'][] = [
    [{ edit: 'add', term: 'day(at)' }, 'conflict'],
    [{ edit: 'add', term: 'hour(at)' }, 'invalid'],
    [{ edit: 'add', term: 'bucket(4, key)', name: 'region' }, 'invalid'],
    [{ edit: 'add', term: 'day(nothing)' }, 'not-found'],
    [{ edit: 'add', term: 'region, key' }, 'invalid'],
    [{ edit: 'drop', field: 'region' }, 'not-found'],
    [{ edit: 'drop', field: 'month(at)' }, 'not-found'],
    [{ edit: 'rename', field: 'at_day', to: 'key' }, 'invalid'],
  ]
  for (const [edit, kind] of cases)
    assert.throws(
      () => evolveSpec(table, [edit]),
      (error) => isFault(error, kind),
      JSON.stringify(edit),
    )
})

test('edits that come to nothing change nothing; two at once conflict', () => {
  const table = sampleTable({ partitioning: 'day(at)' })
  assert.deepEqual(evolveSpec(table, [{ edit: 'replace', terms: 'day(at)' }]).updates, [])
  const mine = evolveSpec(table, [{ edit: 'add', term: 'region' }])
  const theirs = evolve(table, { edit: 'add', term: 'key' })
  assert.throws(
    () => applyChange(theirs, mine, { nowMs: 3_000 }),
    (error) => isFault(error, 'conflict'),
  )
})

test('the sort order is set, set back and taken away', () => {
  const sort = (table: TableMetadata, text: string): TableMetadata =>
    applyChange(table, setSortOrder(table, text), { nowMs: 2_000 })
  const one = sort(sampleTable(), 'key, at desc')
  assert.equal(one['default-sort-order-id'], 1)
  const two = sort(one, 'region')
  assert.equal(two['default-sort-order-id'], 2)
  assert.equal(sort(two, 'key, at desc')['default-sort-order-id'], 1)
  assert.equal(sort(two, '')['default-sort-order-id'], 0)
  assert.deepEqual(setSortOrder(two, 'region').updates, [])
})
