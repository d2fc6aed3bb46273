import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import type { TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { applyChange } from '../spec/update.ts'
import {
  createRef,
  dropRef,
  fastForward,
  rollbackToSnapshot,
  rollbackToTime,
  setCurrentSnapshot,
  setRetention,
} from './set-ref.ts'

const three = withAppend(withAppend(withAppend(sampleTable(), 1n, 2_000), 2n, 3_000), 3n, 4_000)
const apply = (table: TableMetadata, change: TableChange): TableMetadata => applyChange(table, change, { nowMs: 9_000 })

test('tags and branches are made at the current snapshot or another', () => {
  const tagged = apply(three, createRef(three, { name: 'v1', type: 'tag', maxRefAgeMs: 5 }))
  assert.deepEqual(tagged.refs['v1'], { type: 'tag', 'snapshot-id': 3n, 'max-ref-age-ms': 5 })
  const branch = createRef(three, {
    name: 'audit',
    type: 'branch',
    snapshotId: 1n,
    minSnapshotsToKeep: 2,
    maxSnapshotAgeMs: 7,
  })
  assert.deepEqual(apply(three, branch).refs['audit'], {
    type: 'branch',
    'snapshot-id': 1n,
    'min-snapshots-to-keep': 2,
    'max-snapshot-age-ms': 7,
  })
})

test('a name in use is refused unless it may be replaced', () => {
  const tagged = apply(three, createRef(three, { name: 'v1', type: 'tag' }))
  assert.throws(
    () => createRef(tagged, { name: 'v1', type: 'tag' }),
    (error) => isFault(error, 'conflict'),
  )
  const replaced = apply(tagged, createRef(tagged, { name: 'v1', type: 'tag', snapshotId: 1n, replace: true }))
  assert.equal(replaced.refs['v1']?.['snapshot-id'], 1n)
})

test('two who make one name: the second conflicts', () => {
  const mine = createRef(three, { name: 'v1', type: 'tag' })
  const theirs = apply(three, createRef(three, { name: 'v1', type: 'tag', snapshotId: 1n }))
  assert.throws(
    () => apply(theirs, mine),
    (error) => isFault(error, 'conflict'),
  )
})

test('what is not there is not found', () => {
  const missing = [
    () => createRef(three, { name: 'v1', type: 'tag', snapshotId: 99n }),
    () => createRef(sampleTable(), { name: 'v1', type: 'tag' }),
    () => dropRef(three, 'v1'),
    () => dropRef(three, 'constructor'),
    () => setRetention(three, 'v1', {}),
    () => rollbackToSnapshot(three, 99n),
    () => rollbackToTime(three, 1_999),
    () => setCurrentSnapshot(three, 99n),
    () => fastForward(three, 'main', 'v1'),
  ]
  for (const plan of missing) assert.throws(plan, (error) => isFault(error, 'not-found'))
})

test('a tag is removed, main is not', () => {
  const tagged = apply(three, createRef(three, { name: 'v1', type: 'tag' }))
  assert.deepEqual(Object.keys(apply(tagged, dropRef(tagged, 'v1')).refs), ['main'])
  assert.throws(
    () => dropRef(three, 'main'),
    (error) => isFault(error, 'invalid'),
  )
})

test('the table goes back to a snapshot or a time', () => {
  assert.equal(apply(three, rollbackToSnapshot(three, 1n))['current-snapshot-id'], 1n)
  for (const [timeMs, id] of [
    [2_000, 1n],
    [3_999, 2n],
    [4_000, 3n],
    [99_000, 3n],
  ] as const) {
    assert.equal(apply(three, rollbackToTime(three, timeMs))['current-snapshot-id'], id)
  }
})

test('a rollback stays in its history; setting the snapshot may leave it', () => {
  const back = apply(three, rollbackToSnapshot(three, 1n))
  assert.throws(
    () => rollbackToSnapshot(back, 3n),
    (error) => isFault(error, 'invalid') && /setCurrentSnapshot/.test(error.message),
  )
  assert.equal(apply(back, setCurrentSnapshot(back, 3n))['current-snapshot-id'], 3n)
})

test('a rollback planned before somebody committed conflicts', () => {
  const change = rollbackToSnapshot(three, 1n)
  assert.throws(
    () => apply(withAppend(three, 4n, 5_000), change),
    (error) => isFault(error, 'conflict'),
  )
})

test('the retention of main stays when it moves', () => {
  const kept = apply(three, setRetention(three, 'main', { minSnapshotsToKeep: 9 }))
  assert.equal(kept['snapshot-log'].length, 3)
  const moved = apply(kept, rollbackToSnapshot(kept, 2n))
  assert.equal(moved.refs['main']?.['min-snapshots-to-keep'], 9)
  assert.equal(withAppend(moved, 8n, 10_000).refs['main']?.['min-snapshots-to-keep'], 9)
})

test('what was staged on a branch is published by moving main there', () => {
  const branched = apply(three, createRef(three, { name: 'audit', type: 'branch' }))
  const staged = withAppend(branched, 7n, 5_000, 'audit')
  assert.equal(apply(staged, fastForward(staged, 'main', 'audit'))['current-snapshot-id'], 7n)
  const diverged = withAppend(staged, 8n, 6_000)
  assert.throws(
    () => fastForward(diverged, 'main', 'audit'),
    (error) => isFault(error, 'invalid') && /ahead/.test(error.message),
  )
})
