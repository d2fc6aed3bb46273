import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { goldenTable, SAMPLE_UUID, sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import type { Snapshot, TableChange } from '../spec/table-metadata.ts'
import { applyChange } from '../spec/update.ts'
import { append } from './append.ts'
import { replace } from './replace.ts'
import { operationOf, rowDelta } from './row-delta.ts'
import { nextSequenceNumber, type SnapshotCounts, type SnapshotInput, summaryOf } from './snapshot.ts'

const input = (counts: SnapshotCounts, more: Partial<SnapshotInput> = {}): SnapshotInput => ({
  snapshotId: 42n,
  manifestList: 'file:///w/db/t/metadata/snap-42.avro',
  timestampMs: 5_000,
  counts,
  ...more,
})

function snapshotOf(change: TableChange): Snapshot {
  const [update] = change.updates
  assert.ok(update?.action === 'add-snapshot')
  return update.snapshot
}

test('the first snapshot has no parent and may not find one', () => {
  const change = append(
    sampleTable(),
    input({ addedDataFiles: 2, addedRecords: 30, addedFilesSizeBytes: 700, changedPartitionCount: 2 }),
  )
  assert.deepEqual(change, {
    requirements: [
      { type: 'assert-table-uuid', uuid: SAMPLE_UUID },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null },
    ],
    updates: [
      {
        action: 'add-snapshot',
        snapshot: {
          'sequence-number': 1,
          'snapshot-id': 42n,
          'timestamp-ms': 5_000,
          summary: {
            operation: 'append',
            'added-data-files': '2',
            'added-records': '30',
            'added-files-size': '700',
            'changed-partition-count': '2',
            'total-records': '30',
            'total-files-size': '700',
            'total-data-files': '2',
            'total-delete-files': '0',
            'total-position-deletes': '0',
            'total-equality-deletes': '0',
          },
          'manifest-list': 'file:///w/db/t/metadata/snap-42.avro',
          'schema-id': 0,
        },
      },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': 42n },
    ],
  })
})

test('the next snapshot follows the current one, and carries its totals on', () => {
  const table = withAppend(sampleTable(), 7n, 2_000)
  const change = rowDelta(
    table,
    input(
      { addedDataFiles: 1, addedRecords: 3, addedFilesSizeBytes: 50, addedDeleteFiles: 1, addedPositionDeletes: 3 },
      { summary: { 'tidewater.offset': '99', 'total-records': 'lies' } },
    ),
  )
  const snapshot = snapshotOf(change)
  assert.equal(snapshot['parent-snapshot-id'], 7n)
  assert.equal(snapshot['sequence-number'], 2)
  assert.equal(snapshot.summary.operation, 'overwrite')
  assert.equal(snapshot.summary['total-records'], '13')
  assert.equal(snapshot.summary['total-files-size'], '150')
  assert.equal(snapshot.summary['added-position-delete-files'], '1')
  assert.equal(snapshot.summary['total-delete-files'], '1')
  assert.equal(snapshot.summary['total-position-deletes'], '3')
  assert.equal(snapshot.summary['tidewater.offset'], '99')
  assert.ok(Object.values(snapshot.summary).every((value) => typeof value === 'string'))
})

test('two writers on one parent: the second conflicts', () => {
  const base = withAppend(sampleTable(), 7n, 2_000)
  const mine = append(base, input({ addedDataFiles: 1 }))
  const theirs = applyChange(base, append(base, input({ addedDataFiles: 1 }, { snapshotId: 43n })), { nowMs: 6_000 })
  assert.throws(
    () => applyChange(theirs, mine, { nowMs: 7_000 }),
    (error) => isFault(error, 'conflict'),
  )
})

const golden = readdirSync(new URL('../../../test/golden/metadata', import.meta.url)).map((file) =>
  file.replace('.json', ''),
)

test('summaries are those that other engines computed from the same counts', () => {
  let compared = 0
  for (const table of golden.map((name) => goldenTable(name))) {
    for (const snapshot of table.snapshots) {
      const parentId = snapshot['parent-snapshot-id']
      const parent = table.snapshots.find((other) => other['snapshot-id'] === parentId)
      if (parentId !== undefined && parent === undefined) continue
      const format = /^(added|deleted|removed|total)-|^changed-partition-count$/
      const theirs = Object.fromEntries(Object.entries(snapshot.summary).filter(([name]) => format.test(name)))
      const ours = summaryOf(countsFrom(snapshot.summary), parent)
      // Python's library does not count partitions of unpartitioned tables.
      if (theirs['changed-partition-count'] === undefined) delete ours['changed-partition-count']
      assert.deepEqual(ours, theirs)
      compared++
    }
  }
  assert.ok(compared >= 20, `${compared} snapshots compared`)
})

function countsFrom(summary: Record<string, string>): SnapshotCounts {
  const count = (name: string): number => Number(summary[name] ?? '0')
  return {
    addedDataFiles: count('added-data-files'),
    deletedDataFiles: count('deleted-data-files'),
    addedRecords: count('added-records'),
    deletedRecords: count('deleted-records'),
    addedFilesSizeBytes: count('added-files-size'),
    removedFilesSizeBytes: count('removed-files-size'),
    addedDeleteFiles: count('added-delete-files'),
    removedDeleteFiles: count('removed-delete-files'),
    addedEqualityDeleteFiles: count('added-equality-delete-files'),
    removedEqualityDeleteFiles: count('removed-equality-delete-files'),
    addedDvs: count('added-dvs'),
    removedDvs: count('removed-dvs'),
    addedPositionDeletes: count('added-position-deletes'),
    removedPositionDeletes: count('removed-position-deletes'),
    addedEqualityDeletes: count('added-equality-deletes'),
    removedEqualityDeletes: count('removed-equality-deletes'),
    changedPartitionCount: count('changed-partition-count'),
  }
}

test('a total that the parent does not know stays unknown', () => {
  const parent = {
    ...snapshotOf(append(sampleTable(), input({}))),
    summary: { operation: 'append' as const, 'total-records': '5', 'total-data-files': 'many' },
  }
  const summary = summaryOf({ addedRecords: 1, deletedRecords: 9, addedDataFiles: 1 }, parent)
  assert.equal('total-records' in summary, false)
  assert.equal('total-data-files' in summary, false)
  assert.equal('total-files-size' in summary, false)
})

test('the operation says what happened', () => {
  assert.equal(operationOf({}), 'append')
  assert.equal(operationOf({ addedDataFiles: 1 }), 'append')
  assert.equal(operationOf({ addedDeleteFiles: 1 }), 'delete')
  assert.equal(operationOf({ deletedDataFiles: 1 }), 'delete')
  assert.equal(operationOf({ addedDeleteFiles: 1, addedDataFiles: 1 }), 'overwrite')
  assert.equal(operationOf({ deletedDataFiles: 1, addedDataFiles: 1 }), 'overwrite')
  assert.equal(operationOf({ removedDeleteFiles: 1 }), 'overwrite')
  assert.equal(operationOf({ removedDeleteFiles: 1, addedDeleteFiles: 1 }), 'delete')
})

test('an append adds nothing but data files, and may add none', () => {
  assert.equal(snapshotOf(append(sampleTable(), input({}, { summary: { offset: '5' } }))).summary['offset'], '5')
  for (const counts of [{ addedDeleteFiles: 1 }, { deletedDataFiles: 1 }, { removedDeleteFiles: 1 }]) {
    assert.throws(
      () => append(sampleTable(), input(counts)),
      (error) => isFault(error, 'invalid'),
    )
  }
})

test('a rewrite never adds rows', () => {
  const table = withAppend(sampleTable(), 7n, 2_000)
  const change = replace(table, input({ addedDataFiles: 1, deletedDataFiles: 1, addedRecords: 9, deletedRecords: 10 }))
  assert.equal(snapshotOf(change).summary.operation, 'replace')
  assert.throws(
    () => replace(table, input({ addedDataFiles: 1, deletedDataFiles: 1, addedRecords: 11, deletedRecords: 10 })),
    (error) => isFault(error, 'invalid'),
  )
})

test('a clock that stepped back does not put a snapshot before its parent', () => {
  const table = withAppend(sampleTable(), 7n, 50_000)
  assert.equal(snapshotOf(append(table, input({}, { timestampMs: 10_000 })))['timestamp-ms'], 50_000)
})

test('a commit to a branch leaves main, and keeps the branch its retention', () => {
  const base = withAppend(sampleTable(), 7n, 2_000)
  const table = {
    ...base,
    refs: { ...base.refs, audit: { type: 'branch' as const, 'snapshot-id': 7n, 'max-ref-age-ms': 77 } },
  }
  const change = append(table, input({ addedDataFiles: 1 }, { branch: 'audit' }))
  const after = applyChange(table, change, { nowMs: 6_000 })
  assert.deepEqual(after.refs['audit'], { type: 'branch', 'snapshot-id': 42n, 'max-ref-age-ms': 77 })
  assert.equal(after['current-snapshot-id'], 7n)
  const tagged = { ...table, refs: { ...table.refs, v1: { type: 'tag' as const, 'snapshot-id': 7n } } }
  assert.throws(
    () => append(tagged, input({}, { branch: 'v1' })),
    (error) => isFault(error, 'invalid'),
  )
})

test('v1 snapshots have the sequence number 0, v3 ones their row ids', () => {
  assert.equal(nextSequenceNumber(sampleTable({ formatVersion: 1 })), 0)
  const v3 = withAppend(sampleTable({ formatVersion: 3 }), 7n, 2_000)
  const snapshot = snapshotOf(append(v3, input({ addedDataFiles: 1, addedRecords: 4 })))
  assert.equal(snapshot['first-row-id'], 10)
  assert.equal(snapshot['added-rows'], 4)
})

test('counts that are no counts are refused', () => {
  for (const addedRecords of [-1, 1.5, Number.NaN]) {
    assert.throws(
      () => append(sampleTable(), input({ addedRecords })),
      (error) => isFault(error, 'invalid'),
    )
  }
})
