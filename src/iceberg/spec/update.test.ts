import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SAMPLE_UUID, sampleTable, schemaOf, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { parseMetadata, serializeMetadata } from './metadata-json.ts'
import type { PartitionSpec, TableMetadata, TableUpdate } from './table-metadata.ts'
import { applyChange } from './update.ts'

const apply = (table: TableMetadata | null, updates: TableUpdate[], nowMs = 5_000): TableMetadata =>
  applyChange(table, { requirements: [], updates }, { nowMs })

const spec = (...fields: [number, string, string, number?][]): PartitionSpec => ({
  'spec-id': 0,
  fields: fields.map(([source, transform, name, id = -1]) => ({
    'source-id': source,
    'field-id': id,
    name,
    transform,
  })),
})

test('a table is made from updates alone', () => {
  const schema = schemaOf({ key: 'STRING NOT NULL', at: 'TIMESTAMP' })
  const table = applyChange(
    null,
    {
      requirements: [{ type: 'assert-create' }],
      updates: [
        { action: 'assign-uuid', uuid: SAMPLE_UUID },
        { action: 'upgrade-format-version', 'format-version': 2 },
        { action: 'add-schema', schema },
        { action: 'set-current-schema', 'schema-id': -1 },
        { action: 'add-spec', spec: spec([2, 'day', 'at_day']) },
        { action: 'set-default-spec', 'spec-id': -1 },
        { action: 'add-sort-order', 'sort-order': { 'order-id': 0, fields: [] } },
        { action: 'set-default-sort-order', 'sort-order-id': -1 },
        { action: 'set-location', location: 's3://b/t/' },
        { action: 'set-properties', updates: { a: '1' } },
      ],
    },
    { nowMs: 9 },
  )
  assert.equal(table['table-uuid'], SAMPLE_UUID)
  assert.equal(table.location, 's3://b/t')
  assert.equal(table['last-column-id'], 2)
  assert.equal(table['last-partition-id'], 1000)
  assert.equal(table['last-updated-ms'], 9)
  assert.deepEqual(table['metadata-log'], [])
  assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
})

test('a new table that lacks something says what', () => {
  assert.throws(
    () => apply(null, [{ action: 'assign-uuid', uuid: SAMPLE_UUID }]),
    (error) => isFault(error, 'invalid') && /set-location, add-schema/.test(error.message),
  )
})

test('the input is not touched, and a change without effect gives the same value', () => {
  const table = withAppend(sampleTable({ properties: { a: '1' } }), 5n, 2_000)
  const before = serializeMetadata(table)
  apply(table, [
    { action: 'set-properties', updates: { b: '2' } },
    { action: 'add-schema', schema: schemaOf({ key: 'STRING', more: 'LONG' }) },
    { action: 'add-spec', spec: spec([1, 'identity', 'key']) },
    { action: 'set-snapshot-ref', 'ref-name': 'tag', type: 'tag', 'snapshot-id': 5n },
    { action: 'remove-snapshot-ref', 'ref-name': 'main' },
  ])
  assert.equal(serializeMetadata(table), before)
  const nothing: TableUpdate[] = [
    { action: 'set-properties', updates: { a: '1' } },
    { action: 'remove-properties', removals: ['zzz'] },
    { action: 'assign-uuid', uuid: SAMPLE_UUID },
    { action: 'upgrade-format-version', 'format-version': 2 },
    { action: 'set-location', location: 'file:///w/db/t/' },
    { action: 'set-current-schema', 'schema-id': 0 },
    { action: 'add-schema', schema: table.schemas[0]! },
    { action: 'set-current-schema', 'schema-id': -1 },
    { action: 'remove-snapshot-ref', 'ref-name': 'nothing' },
    { action: 'remove-snapshots', 'snapshot-ids': [99n] },
    { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': 5n },
  ]
  assert.equal(apply(table, nothing), table)
})

test('properties are set and removed', () => {
  const table = sampleTable({ properties: { a: '1', b: '2' } })
  const changed = apply(table, [
    { action: 'set-properties', updates: { b: '3', constructor: 'x' } },
    { action: 'remove-properties', removals: ['a'] },
  ])
  assert.deepEqual(changed.properties, { b: '3', constructor: 'x' })
})

test('an equal schema is used again under its id, whatever id it comes with', () => {
  const table = sampleTable({ columns: { a: 'LONG' } })
  const wider = schemaOf({ a: 'LONG', b: 'STRING' })
  const evolved = apply(table, [
    { action: 'add-schema', schema: { ...wider, 'schema-id': 77 } },
    { action: 'set-current-schema', 'schema-id': -1 },
  ])
  assert.deepEqual(
    evolved.schemas.map((schema) => schema['schema-id']),
    [0, 1],
  )
  assert.equal(evolved['current-schema-id'], 1)
  assert.equal(evolved['last-column-id'], 2)
  const back = apply(evolved, [
    { action: 'add-schema', schema: schemaOf({ a: 'LONG' }) },
    { action: 'set-current-schema', 'schema-id': -1 },
  ])
  assert.equal(back['current-schema-id'], 0)
  assert.equal(back.schemas.length, 2)
  assert.equal(back['last-column-id'], 2)
})

test('schemas differ by docs, order of columns and identifier fields', () => {
  const table = sampleTable({ columns: { a: 'LONG NOT NULL', b: 'STRING' } })
  const [a, b] = table.schemas[0]!.fields
  const variants = [
    { ...table.schemas[0]!, fields: [b!, a!] },
    { ...table.schemas[0]!, fields: [{ ...a!, doc: 'the key' }, b!] },
    { ...table.schemas[0]!, 'identifier-field-ids': [1] },
  ]
  for (const schema of variants) assert.equal(apply(table, [{ action: 'add-schema', schema }]).schemas.length, 2)
})

test('-1 without anything added, and ids that are not there, are refused', () => {
  const table = sampleTable()
  const refused: TableUpdate[] = [
    { action: 'set-current-schema', 'schema-id': -1 },
    { action: 'set-current-schema', 'schema-id': 7 },
    { action: 'set-default-spec', 'spec-id': -1 },
    { action: 'set-default-spec', 'spec-id': 7 },
    { action: 'set-default-sort-order', 'sort-order-id': -1 },
    { action: 'set-default-sort-order', 'sort-order-id': 7 },
    { action: 'assign-uuid', uuid: 'another' },
    { action: 'upgrade-format-version', 'format-version': 1 },
    { action: 'remove-schemas', 'schema-ids': [0] },
    { action: 'remove-partition-specs', 'spec-ids': [0] },
  ]
  for (const update of refused)
    assert.throws(
      () => apply(table, [update]),
      (error) => isFault(error, 'invalid'),
      update.action,
    )
  assert.throws(
    () => apply(table, [{ action: 'upgrade-format-version', 'format-version': 4 }]),
    (error) => isFault(error, 'unsupported'),
  )
})

test('updates that are not known are refused, not ignored', () => {
  const update = { action: 'set-colour', colour: 'blue' } as unknown as TableUpdate
  assert.throws(
    () => apply(sampleTable(), [update]),
    (error) => isFault(error, 'unsupported') && /set-colour/.test(error.message),
  )
})

test('partition fields without id take that of an equal field, else the next', () => {
  const table = sampleTable({ partitioning: 'region' })
  const evolved = apply(table, [
    { action: 'add-spec', spec: spec([4, 'day', 'at_day'], [3, 'identity', 'region']) },
    { action: 'set-default-spec', 'spec-id': -1 },
  ])
  assert.equal(evolved['default-spec-id'], 1)
  assert.deepEqual(
    evolved['partition-specs'][1]!.fields.map((field) => field['field-id']),
    [1001, 1000],
  )
  assert.equal(evolved['last-partition-id'], 1001)
  const again = apply(evolved, [
    { action: 'add-spec', spec: spec([4, 'day', 'at_day']) },
    { action: 'set-default-spec', 'spec-id': -1 },
  ])
  assert.equal(again['partition-specs'][2]!.fields[0]!['field-id'], 1001)
  const same = apply(again, [
    { action: 'add-spec', spec: spec([3, 'identity', 'region']) },
    { action: 'set-default-spec', 'spec-id': -1 },
  ])
  assert.equal(same['default-spec-id'], 0)
  assert.equal(same['partition-specs'].length, 3)
})

test('a partition field id never comes to mean another column', () => {
  const table = sampleTable({ partitioning: 'region' })
  assert.throws(
    () => apply(table, [{ action: 'add-spec', spec: spec([4, 'day', 'at_day', 1000]) }]),
    (error) => isFault(error, 'invalid') && /1000, which "region" has/.test(error.message),
  )
})

test('a spec or order that the schema does not bear is refused', () => {
  assert.throws(
    () => apply(sampleTable(), [{ action: 'add-spec', spec: spec([9, 'day', 'x']) }]),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () =>
      apply(sampleTable({ partitioning: 'region' }), [
        { action: 'add-schema', schema: schemaOf({ key: 'STRING' }) },
        { action: 'set-current-schema', 'schema-id': -1 },
      ]),
    (error) => isFault(error, 'invalid') && /schema lacks/.test(error.message),
  )
})

test('sort orders are numbered from 1 and used again', () => {
  const order = (source: number) => ({
    'order-id': 9,
    fields: [
      { transform: 'identity', 'source-id': source, direction: 'asc' as const, 'null-order': 'nulls-first' as const },
    ],
  })
  const table = apply(sampleTable(), [
    { action: 'add-sort-order', 'sort-order': order(1) },
    { action: 'set-default-sort-order', 'sort-order-id': -1 },
    { action: 'add-sort-order', 'sort-order': order(2) },
  ])
  assert.deepEqual(
    table['sort-orders'].map((known) => known['order-id']),
    [0, 1, 2],
  )
  assert.equal(table['default-sort-order-id'], 1)
  const unsorted = apply(table, [
    { action: 'add-sort-order', 'sort-order': { 'order-id': 5, fields: [] } },
    { action: 'set-default-sort-order', 'sort-order-id': -1 },
  ])
  assert.equal(unsorted['default-sort-order-id'], 0)
  assert.equal(unsorted['sort-orders'].length, 3)
})

test('the file that is replaced joins the metadata log, which keeps its bound', () => {
  let table = sampleTable({ properties: { 'write.metadata.previous-versions-max': '3' } })
  for (let version = 0; version < 6; version++) {
    const change = {
      requirements: [],
      updates: [{ action: 'set-properties' as const, updates: { v: String(version) } }],
    }
    table = applyChange(table, change, { nowMs: 2_000 + version, metadataLocation: `v${version}` })
  }
  assert.deepEqual(table['metadata-log'], [
    { 'metadata-file': 'v3', 'timestamp-ms': 2_002 },
    { 'metadata-file': 'v4', 'timestamp-ms': 2_003 },
    { 'metadata-file': 'v5', 'timestamp-ms': 2_004 },
  ])
})

test('the bound of the metadata log comes from the property, the caller, or the limits', () => {
  const log = Array.from({ length: 200 }, (_, at) => ({ 'metadata-file': `f${at}`, 'timestamp-ms': at }))
  const change = { requirements: [], updates: [{ action: 'set-properties' as const, updates: { x: 'y' } }] }
  const kept = (properties: Record<string, string>, metadataVersionsMax?: number): number =>
    applyChange({ ...sampleTable({ properties }), 'metadata-log': log }, change, {
      nowMs: 2_000,
      metadataLocation: 'now',
      ...(metadataVersionsMax === undefined ? {} : { metadataVersionsMax }),
    })['metadata-log'].length
  assert.equal(kept({}), limits.metadataVersionsKept)
  assert.equal(kept({}, 7), 7)
  assert.equal(kept({ 'write.metadata.previous-versions-max': '9' }, 7), 9)
  assert.equal(kept({ 'write.metadata.previous-versions-max': '0' }), 1)
  assert.equal(kept({ 'write.metadata.previous-versions-max': 'many' }, 7), 7)
})

test('a clock that stepped back does not put the table before its own past', () => {
  const table = withAppend(sampleTable({ nowMs: 1_000 }), 5n, 90_000)
  const later = apply(table, [{ action: 'set-properties', updates: { a: 'b' } }], 50_000)
  assert.equal(later['last-updated-ms'], 90_000)
})

test('old schemas and specs are removed', () => {
  const table = apply(sampleTable({ columns: { a: 'LONG' } }), [
    { action: 'add-schema', schema: schemaOf({ a: 'LONG', b: 'LONG' }) },
    { action: 'set-current-schema', 'schema-id': -1 },
    { action: 'add-spec', spec: spec([1, 'identity', 'a']) },
    { action: 'set-default-spec', 'spec-id': -1 },
  ])
  const cleaned = apply(table, [
    { action: 'remove-schemas', 'schema-ids': [0] },
    { action: 'remove-partition-specs', 'spec-ids': [0] },
  ])
  assert.deepEqual(
    cleaned.schemas.map((schema) => schema['schema-id']),
    [1],
  )
  assert.deepEqual(
    cleaned['partition-specs'].map((known) => known['spec-id']),
    [1],
  )
})

test('an upgrade to v3 begins to count rows', () => {
  const table = apply(sampleTable(), [{ action: 'upgrade-format-version', 'format-version': 3 }])
  assert.equal(table['format-version'], 3)
  assert.equal(table['next-row-id'], 0)
})

test('statistics belong to one snapshot each, and go with it', () => {
  const table = withAppend(withAppend(sampleTable(), 5n, 2_000), 6n, 3_000)
  const statistics = (id: number, path: string) => ({ 'snapshot-id': id, 'statistics-path': path })
  const with2 = apply(table, [
    { action: 'set-statistics', statistics: statistics(5, 'a') },
    { action: 'set-statistics', statistics: statistics(6, 'b') },
    { action: 'set-statistics', statistics: statistics(5, 'c') },
    { action: 'set-partition-statistics', 'partition-statistics': statistics(6, 'd') },
  ])
  assert.deepEqual(with2.statistics, [statistics(6, 'b'), statistics(5, 'c')])
  const without = apply(with2, [{ action: 'remove-partition-statistics', 'snapshot-id': 6n }])
  assert.deepEqual(without['partition-statistics'], [])
  assert.deepEqual(apply(with2, [{ action: 'remove-snapshots', 'snapshot-ids': [5n] }]).statistics, [
    statistics(6, 'b'),
  ])
})
