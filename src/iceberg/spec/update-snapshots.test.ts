import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { goldenTable, sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { parseMetadata, serializeMetadata } from './metadata-json.ts'
import type { Snapshot, TableMetadata, TableUpdate } from './table-metadata.ts'
import { applyChange } from './update.ts'

const apply = (table: TableMetadata, updates: TableUpdate[], nowMs = 9_000): TableMetadata =>
  applyChange(table, { requirements: [], updates }, { nowMs })

const toMain = (id: bigint): TableUpdate => ({
  action: 'set-snapshot-ref',
  'ref-name': 'main',
  type: 'branch',
  'snapshot-id': id,
})

const snapshot = (id: bigint, sequenceNumber: number, timestampMs: number, parent?: bigint): Snapshot => ({
  'snapshot-id': id,
  ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }),
  'sequence-number': sequenceNumber,
  'timestamp-ms': timestampMs,
  'manifest-list': `m${id}`,
  summary: { operation: 'append' },
  'schema-id': 0,
})

const three = withAppend(withAppend(withAppend(sampleTable(), 1n, 2_000), 2n, 3_000), 3n, 4_000)
const logOf = (table: TableMetadata): [bigint, number][] =>
  table['snapshot-log'].map((entry) => [entry['snapshot-id'], entry['timestamp-ms']])

test('a snapshot becomes current at the time it was made', () => {
  assert.equal(three['current-snapshot-id'], 3n)
  assert.equal(three['last-sequence-number'], 3)
  assert.deepEqual(logOf(three), [
    [1n, 2_000],
    [2n, 3_000],
    [3n, 4_000],
  ])
})

test('a rollback becomes current now', () => {
  const back = apply(three, [toMain(1n)], 9_000)
  assert.equal(back['current-snapshot-id'], 1n)
  assert.deepEqual(logOf(back).at(-1), [1n, 9_000])
  assert.equal(back['last-updated-ms'], 9_000)
})

test('a history that Spark made, rollback and all, is made again from its changes', () => {
  const golden = goldenTable('v2-history')
  let table: TableMetadata = {
    ...golden,
    'last-sequence-number': 0,
    'last-updated-ms': golden['metadata-log'][0]!['timestamp-ms'],
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    refs: {},
  }
  delete table['current-snapshot-id']
  const known = new Set<bigint>()
  for (const [at, entry] of golden['snapshot-log'].entries()) {
    const id = entry['snapshot-id']
    const added = golden.snapshots.find((other) => other['snapshot-id'] === id)!
    const updates: TableUpdate[] = known.has(id)
      ? [toMain(id)]
      : [{ action: 'add-snapshot', snapshot: added }, toMain(id)]
    known.add(id)
    const nowMs = golden['metadata-log'][at + 1]?.['timestamp-ms'] ?? golden['last-updated-ms']
    const metadataLocation = golden['metadata-log'][at]!['metadata-file']
    table = applyChange(table, { requirements: [], updates }, { nowMs, metadataLocation, metadataVersionsMax: 100 })
  }
  assert.deepEqual(table, golden)
})

test('expired snapshots take the log before them along', () => {
  assert.deepEqual(logOf(apply(three, [{ action: 'remove-snapshots', 'snapshot-ids': [1n] }])), [
    [2n, 3_000],
    [3n, 4_000],
  ])
  // Without 2, an entry of 1 would say that 1 was current until 4000.
  assert.deepEqual(logOf(apply(three, [{ action: 'remove-snapshots', 'snapshot-ids': [2n] }])), [[3n, 4_000]])
})

test('snapshots that were current only within the change leave no trace in the log', () => {
  const table = apply(three, [
    { action: 'add-snapshot', snapshot: snapshot(4n, 4, 5_000, 3n) },
    toMain(4n),
    { action: 'add-snapshot', snapshot: snapshot(5n, 5, 6_000, 4n) },
    toMain(5n),
  ])
  assert.deepEqual(logOf(table).slice(3), [[5n, 6_000]])
  assert.equal(table.snapshots.length, 5)
  assert.equal(table['last-updated-ms'], 9_000)
})

test('a snapshot staged on a branch is not in the log of the table', () => {
  const staged = withAppend(three, 7n, 5_000, 'audit')
  assert.equal(staged['current-snapshot-id'], 3n)
  assert.equal(logOf(staged).length, 3)
  assert.equal(staged['last-sequence-number'], 4)
  const published = apply(staged, [toMain(7n)], 8_000)
  assert.deepEqual(logOf(published).at(-1), [7n, 8_000])
})

test('a snapshot behind the table conflicts; one that is there already is refused', () => {
  const late = (table: TableMetadata, added: Snapshot) => () =>
    apply(table, [{ action: 'add-snapshot', snapshot: added }])
  assert.throws(
    late(three, snapshot(9n, 3, 5_000, 3n)),
    (error) => isFault(error, 'conflict') && /above 3, got 3/.test(error.message),
  )
  assert.throws(late(three, snapshot(3n, 4, 5_000, 2n)), (error) => isFault(error, 'invalid'))
})

test('a sequence number never goes back, not even for a snapshot without parent', () => {
  const table = apply(three, [{ action: 'add-snapshot', snapshot: snapshot(9n, 1, 5_000) }])
  assert.equal(table['last-sequence-number'], 3)
})

test('v1 tables have no sequence numbers', () => {
  const table = withAppend(withAppend(sampleTable({ formatVersion: 1 }), 1n, 2_000), 2n, 3_000)
  assert.equal(table['last-sequence-number'], 0)
  assert.equal(table.snapshots[1]?.['sequence-number'], 0)
  assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
})

test('v3 snapshots take row ids in turn', () => {
  const table = withAppend(withAppend(sampleTable({ formatVersion: 3 }), 1n, 2_000), 2n, 3_000)
  assert.deepEqual(
    table.snapshots.map((known) => known['first-row-id']),
    [0, 10],
  )
  assert.equal(table['next-row-id'], 20)
  const without = snapshot(3n, 3, 4_000, 2n)
  assert.throws(
    () => apply(table, [{ action: 'add-snapshot', snapshot: without }]),
    (error) => isFault(error, 'invalid'),
  )
  const behind = { ...without, 'first-row-id': 5, 'added-rows': 1 }
  assert.throws(
    () => apply(table, [{ action: 'add-snapshot', snapshot: behind }]),
    (error) => isFault(error, 'conflict'),
  )
})

test('references must find their snapshot and keep the rules of their kind', () => {
  const ref = (name: string, more: object): TableUpdate =>
    ({ action: 'set-snapshot-ref', 'ref-name': name, type: 'tag', 'snapshot-id': 1n, ...more }) as TableUpdate
  const refused = [
    ref('t', { 'snapshot-id': 99n }),
    ref('main', {}),
    ref('', {}),
    ref('t', { 'min-snapshots-to-keep': 2 }),
    ref('t', { 'max-ref-age-ms': 0 }),
  ]
  for (const update of refused)
    assert.throws(
      () => apply(three, [update]),
      (error) => isFault(error, 'invalid'),
    )
  const table = apply(three, [ref('__proto__', {}), ref('constructor', { 'max-ref-age-ms': 5 })])
  assert.deepEqual(Object.keys(table.refs).sort(), ['__proto__', 'constructor', 'main'])
  assert.deepEqual(parseMetadata(serializeMetadata(table)).refs, table.refs)
})

test('tags lose their place with their snapshot; the current snapshot is never removed in passing', () => {
  const tagged = apply(three, [{ action: 'set-snapshot-ref', 'ref-name': 'old', type: 'tag', 'snapshot-id': 1n }])
  assert.deepEqual(Object.keys(apply(tagged, [{ action: 'remove-snapshots', 'snapshot-ids': [1n] }]).refs), ['main'])
  assert.throws(
    () => apply(tagged, [{ action: 'remove-snapshots', 'snapshot-ids': [3n] }]),
    (error) => isFault(error, 'invalid'),
  )
})

test('without main the table has no current snapshot, and its snapshots stay', () => {
  const table = apply(three, [{ action: 'remove-snapshot-ref', 'ref-name': 'main' }])
  assert.equal(table['current-snapshot-id'], undefined)
  assert.equal(table.snapshots.length, 3)
  assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
})

test('a snapshot far before the last one is refused: readers would refuse the table', () => {
  const updates: TableUpdate[] = [{ action: 'add-snapshot', snapshot: snapshot(9n, 4, 100_000, 3n) }, toMain(9n)]
  const ahead = apply(three, updates, 100_000)
  const behind: TableUpdate[] = [{ action: 'add-snapshot', snapshot: snapshot(10n, 5, 1_000, 9n) }, toMain(10n)]
  assert.throws(
    () => apply(ahead, behind),
    (error) => isFault(error, 'invalid') && /clock/.test(error.message),
  )
})

/** Steps of a history: append, roll back to the nth snapshot kept, expire the nth kept but for the current. */
const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('append', 'stage', 'rollback', 'expire'),
    at: fc.nat(20),
    afterMs: fc.integer({ min: -30_000, max: 60_000 }),
  }),
  { maxLength: 40 },
)

test('after any history the log is in order, ends with the current snapshot, and names only what is there', () => {
  fc.assert(
    fc.property(steps, (history) => {
      let table = sampleTable()
      let nowMs = 1_000_000
      let id = 0n
      for (const { kind, at, afterMs } of history) {
        nowMs += afterMs
        const target = table.snapshots[at % Math.max(1, table.snapshots.length)]?.['snapshot-id']
        if (kind === 'append' || kind === 'stage')
          table = withAppend(table, ++id, nowMs, kind === 'stage' ? 'staged' : 'main')
        else if (target !== undefined && kind === 'rollback') table = apply(table, [toMain(target)], nowMs)
        else if (target !== undefined && target !== table['current-snapshot-id']) {
          table = apply(table, [{ action: 'remove-snapshots', 'snapshot-ids': [target] }], nowMs)
        }
        const known = new Set(table.snapshots.map((known) => known['snapshot-id']))
        const log = logOf(table)
        assert.equal(log.at(-1)?.[0], table['current-snapshot-id'])
        assert.ok(log.every(([logged]) => known.has(logged)))
        assert.ok(log.every(([, timeMs], i) => i === 0 || timeMs >= log[i - 1]![1]))
        assert.ok(log.every(([, timeMs]) => timeMs <= table['last-updated-ms']))
        assert.ok(table.snapshots.every((known) => known['timestamp-ms'] <= table['last-updated-ms']))
        assert.equal(new Set(table.snapshots.map((known) => known['sequence-number'])).size, table.snapshots.length)
        assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
      }
    }),
  )
})
