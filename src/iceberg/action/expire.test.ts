import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DAY_MS, sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import type { SnapshotRef, TableMetadata } from '../spec/table-metadata.ts'
import { applyChange } from '../spec/update.ts'
import { expireSnapshots } from './expire.ts'

/** Snapshots 1, 2, … one day apart; the last is made at `count` days. */
function daily(count: number, properties: Record<string, string> = {}): TableMetadata {
  let table = sampleTable({ properties })
  for (let day = 1; day <= count; day++) table = withAppend(table, BigInt(day), day * DAY_MS)
  return table
}

const withRef = (table: TableMetadata, name: string, ref: SnapshotRef): TableMetadata => ({
  ...table,
  refs: { ...table.refs, [name]: ref },
})
const keptAfter = (table: TableMetadata, request: Parameters<typeof expireSnapshots>[1]): number[] => {
  const plan = expireSnapshots(table, request)
  const after = applyChange(table, plan.change, { nowMs: request.nowMs })
  return after.snapshots.map((snapshot) => Number(snapshot['snapshot-id']))
}

test('the young and the newest few are kept', () => {
  const table = daily(10)
  const nowMs = 10 * DAY_MS
  assert.deepEqual(keptAfter(table, { nowMs, olderThanMs: 8 * DAY_MS, keepMin: 1 }), [8, 9, 10])
  assert.deepEqual(keptAfter(table, { nowMs, olderThanMs: 8 * DAY_MS, keepMin: 5 }), [6, 7, 8, 9, 10])
  assert.deepEqual(keptAfter(table, { nowMs, olderThanMs: nowMs + 1, keepMin: 1 }), [10])
  assert.deepEqual(keptAfter(table, { nowMs, olderThanMs: 0, keepMin: 1, keepMax: 4 }), [7, 8, 9, 10])
})

test('the properties of the table decide where the caller does not', () => {
  const properties = {
    'history.expire.max-snapshot-age-ms': String(2 * DAY_MS),
    'history.expire.min-snapshots-to-keep': '2',
  }
  const table = daily(10, properties)
  assert.deepEqual(keptAfter(table, { nowMs: 10 * DAY_MS }), [8, 9, 10])
  assert.deepEqual(keptAfter(table, { nowMs: 100 * DAY_MS }), [9, 10])
  assert.deepEqual(keptAfter(table, { nowMs: 100 * DAY_MS, keepMin: 3 }), [8, 9, 10])
})

test('what a branch or tag needs is kept, each by its own rules', () => {
  const table = withRef(withRef(daily(10), 'v1', { type: 'tag', 'snapshot-id': 2n }), 'audit', {
    type: 'branch',
    'snapshot-id': 6n,
    'min-snapshots-to-keep': 2,
    'max-snapshot-age-ms': DAY_MS,
  })
  assert.deepEqual(keptAfter(table, { nowMs: 20 * DAY_MS, olderThanMs: 20 * DAY_MS, keepMin: 1 }), [2, 5, 6, 10])
})

test('a branch or tag past its own age goes, main never', () => {
  const table = withRef(daily(4), 'v1', { type: 'tag', 'snapshot-id': 1n, 'max-ref-age-ms': DAY_MS })
  const plan = expireSnapshots(table, { nowMs: 30 * DAY_MS, keepMin: 1, olderThanMs: 3 * DAY_MS })
  assert.deepEqual(plan.refs, ['v1'])
  assert.deepEqual(plan.snapshotIds, [1n, 2n])
  const byProperty = daily(4, { 'history.expire.max-ref-age-ms': '1' })
  assert.deepEqual(expireSnapshots(byProperty, { nowMs: 30 * DAY_MS, keepMin: 1 }).refs, [])
})

test('snapshots that were rolled back go when they are old', () => {
  let table = daily(3)
  table = applyChange(
    table,
    {
      requirements: [],
      updates: [{ action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': 1n }],
    },
    { nowMs: 3 * DAY_MS },
  )
  table = withAppend(table, 4n, 4 * DAY_MS)
  assert.deepEqual(keptAfter(table, { nowMs: 4 * DAY_MS, olderThanMs: 3 * DAY_MS, keepMin: 10 }), [1, 3, 4])
  assert.deepEqual(keptAfter(table, { nowMs: 9 * DAY_MS, olderThanMs: 9 * DAY_MS, keepMin: 10 }), [1, 4])
})

test('snapshots asked for go, unless a branch or tag points to them', () => {
  const table = withRef(daily(4), 'v1', { type: 'tag', 'snapshot-id': 2n })
  assert.deepEqual(keptAfter(table, { nowMs: 4 * DAY_MS, snapshotIds: [1n] }), [2, 3, 4])
  for (const id of [2n, 4n]) {
    assert.throws(
      () => expireSnapshots(table, { nowMs: 4 * DAY_MS, snapshotIds: [id] }),
      (error) => isFault(error, 'invalid') && /points to/.test(error.message),
    )
  }
})

test('nothing to expire is a change without updates', () => {
  const plan = expireSnapshots(daily(3), { nowMs: 3 * DAY_MS })
  assert.deepEqual(plan.snapshotIds, [])
  assert.deepEqual(plan.change.updates, [])
  assert.deepEqual(expireSnapshots(sampleTable(), { nowMs: 5 }).change.updates, [])
})

test('a table that forbids it, and rules that make no sense, are refused', () => {
  const nowMs = 9 * DAY_MS
  assert.throws(
    () => expireSnapshots(daily(2, { 'gc.enabled': 'false' }), { nowMs }),
    (error) => isFault(error, 'unsupported'),
  )
  assert.throws(
    () => expireSnapshots(daily(2), { nowMs, keepMin: 0 }),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => expireSnapshots(daily(2), { nowMs, keepMin: 5, keepMax: 4 }),
    (error) => isFault(error, 'invalid'),
  )
})

test('a branch that moved meanwhile makes the plan void', () => {
  const table = daily(5)
  const plan = expireSnapshots(table, { nowMs: 50 * DAY_MS, keepMin: 1 })
  const moved = applyChange(
    table,
    {
      requirements: [],
      updates: [{ action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': 1n }],
    },
    { nowMs: 50 * DAY_MS },
  )
  assert.throws(
    () => applyChange(moved, plan.change, { nowMs: 50 * DAY_MS }),
    (error) => isFault(error, 'conflict'),
  )
})

test('expiry never takes what any branch or tag points to, nor leaves a gap in main', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 15 }),
      fc.array(fc.record({ at: fc.nat(14), type: fc.constantFrom<'branch' | 'tag'>('branch', 'tag') }), {
        maxLength: 4,
      }),
      fc.record({ keepMin: fc.integer({ min: 1, max: 6 }), oldDays: fc.nat(20), extra: fc.nat(5) }),
      (count, refs, rules) => {
        let table = daily(count)
        for (const [n, { at, type }] of refs.entries()) {
          table = withRef(table, `ref${n}`, { type, 'snapshot-id': BigInt((at % count) + 1) })
        }
        const request = {
          nowMs: 15 * DAY_MS,
          olderThanMs: rules.oldDays * DAY_MS,
          keepMin: rules.keepMin,
          keepMax: rules.keepMin + rules.extra,
        }
        const kept = keptAfter(table, request)
        for (const ref of Object.values(table.refs)) assert.ok(kept.includes(Number(ref['snapshot-id'])))
        for (let age = 0; age < Math.min(rules.keepMin, count); age++) assert.ok(kept.includes(count - age))
        if (refs.length === 0) {
          assert.deepEqual(
            kept,
            Array.from({ length: kept.length }, (_, at) => count - kept.length + 1 + at),
          )
          assert.ok(kept.length <= request.keepMax)
        }
      },
    ),
  )
})
