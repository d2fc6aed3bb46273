import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { goldenTable, goldenText, sampleTable, withAppend } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import { metadataFromJson, metadataToJson, parseMetadata, serializeMetadata } from './metadata-json.ts'
import type { TableMetadata } from './table-metadata.ts'

const golden = readdirSync(new URL('../../../test/golden/metadata', import.meta.url)).map((file) =>
  file.replace('.json', ''),
)

/** JSON with members in one order and types in one form, for comparison. */
function comparable(json: Json): unknown {
  return parseJson(stringifyJson(json).replaceAll(/(decimal\(\d+), /g, '$1,'))
}

for (const name of golden) {
  test(`the ${name} table of another engine is read and written without loss`, () => {
    const text = goldenText(name)
    const table = parseMetadata(text)
    assert.deepEqual(parseMetadata(serializeMetadata(table)), table)
    const original = parseJson(text) as { [key: string]: Json }
    const written = parseJson(serializeMetadata(table)) as { [key: string]: Json }
    // Python's library leaves out the current snapshot of an empty table; we say -1, as Java's does.
    assert.deepEqual(comparable(written), comparable({ 'current-snapshot-id': -1, ...original }))
  })
}

test('there are tables of every format version among the golden files', () => {
  const versions = new Set(golden.map((name) => goldenTable(name)['format-version']))
  assert.deepEqual([...versions].sort(), [1, 2, 3])
})

const V1 = {
  'format-version': 1,
  location: 's3://b/t/',
  'last-updated-ms': 5,
  'last-column-id': 2,
  schema: {
    type: 'struct',
    fields: [
      { id: 1, name: 'x', required: true, type: 'long' },
      { id: 2, name: 'day', required: false, type: 'date' },
    ],
  },
  'partition-spec': [{ name: 'x', transform: 'identity', 'source-id': 1 }],
  'current-snapshot-id': 7,
  snapshots: [{ 'snapshot-id': 7, 'timestamp-ms': 4, 'manifest-list': 's3://b/t/m.avro' }],
} satisfies Json

test('a v1 table as the first writers made it gets the shape of v2', () => {
  const table = metadataFromJson(V1)
  assert.equal(table.location, 's3://b/t')
  assert.equal(table['table-uuid'], '')
  assert.equal(table.schemas[0]?.['schema-id'], 0)
  assert.equal(table['current-schema-id'], 0)
  assert.deepEqual(table['partition-specs'], [
    { 'spec-id': 0, fields: [{ 'source-id': 1, 'field-id': 1000, name: 'x', transform: 'identity' }] },
  ])
  assert.equal(table['last-partition-id'], 1000)
  assert.deepEqual(table['sort-orders'], [{ 'order-id': 0, fields: [] }])
  assert.equal(table['last-sequence-number'], 0)
  assert.deepEqual(table.refs, { main: { 'snapshot-id': 7n, type: 'branch' } })
  assert.equal(table.snapshots[0]?.['sequence-number'], 0)
  assert.equal(table.snapshots[0]?.summary.operation, 'overwrite')
  const written = metadataToJson(table)
  assert.deepEqual(written['partition-spec'], [{ 'source-id': 1, 'field-id': 1000, name: 'x', transform: 'identity' }])
  assert.equal(written['last-sequence-number'], undefined)
  assert.equal('table-uuid' in written, false)
})

test('a table without snapshot may say so by -1, null or nothing', () => {
  const empty = metadataToJson(sampleTable())
  for (const id of [-1, null, undefined]) {
    const json = { ...empty, 'current-snapshot-id': id } as unknown as Json
    const table = metadataFromJson(json)
    assert.equal(table['current-snapshot-id'], undefined)
    assert.deepEqual(table.refs, {})
  }
  assert.equal(metadataToJson(sampleTable())['current-snapshot-id'], -1)
  assert.equal(metadataToJson(sampleTable({ formatVersion: 3 }))['current-snapshot-id'], null)
})

test('what engines ask for is written, even when there is nothing in it', () => {
  const written = metadataToJson(sampleTable())
  for (const key of [
    'sort-orders',
    'default-sort-order-id',
    'last-partition-id',
    'refs',
    'snapshots',
    'snapshot-log',
    'metadata-log',
    'properties',
    'statistics',
    'partition-statistics',
    'last-sequence-number',
    'table-uuid',
  ]) {
    assert.ok(written[key] !== undefined, key)
  }
})

test('fields that lenient readers do without may be missing in v2', () => {
  const {
    'sort-orders': _a,
    'default-sort-order-id': _b,
    'last-partition-id': _c,
    refs: _d,
    'snapshot-log': _e,
    'metadata-log': _f,
    ...rest
  } = metadataToJson(withAppend(sampleTable({ partitioning: 'region' }), 5n, 2_000))
  const table = metadataFromJson(rest)
  assert.equal(table['last-partition-id'], 1000)
  assert.deepEqual(table['sort-orders'], [{ 'order-id': 0, fields: [] }])
  assert.equal(table.refs['main']?.['snapshot-id'], 5n)
})

test('numbers in summaries and properties become text', () => {
  const json = metadataToJson(withAppend(sampleTable(), 5n, 2_000))
  const [snapshot] = json['snapshots'] as { [key: string]: Json }[]
  const table = metadataFromJson({
    ...json,
    properties: { a: 1, b: true },
    snapshots: [{ ...snapshot, summary: { operation: 'append', n: 3 } }],
  })
  assert.deepEqual(table.properties, { a: '1', b: 'true' })
  assert.deepEqual(table.snapshots[0]?.summary, { operation: 'append', n: '3' })
})

test('ids beyond the safe integers are exact in both directions', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
      fc.integer({ min: 1_000, max: 2_000_000_000_000 }),
      (id, timeMs) => {
        const table = withAppend(sampleTable(), id, timeMs)
        const back = parseMetadata(serializeMetadata(table))
        assert.deepEqual(back, table)
        assert.equal(back['current-snapshot-id'], id)
      },
    ),
  )
})

test('names and texts of any kind survive', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.string()), fc.string({ minLength: 1 }), (properties, name) => {
      const table = sampleTable({ properties })
      table.schemas[0]!.fields[0]!.name = name
      assert.deepEqual(parseMetadata(serializeMetadata(table)), parseMetadata(serializeMetadata(table)))
      assert.deepEqual(parseMetadata(serializeMetadata(table)).schemas, table.schemas)
    }),
  )
})

test('damage is told with its place and file', () => {
  const good = metadataToJson(withAppend(sampleTable(), 5n, 2_000))
  const cases: [{ [key: string]: Json | undefined }, RegExp][] = [
    [{ 'format-version': 'two' }, /format-version/],
    [{ location: undefined }, /location, got nothing/],
    [{ 'last-updated-ms': 1.5 }, /last-updated-ms, got 1.5/],
    [{ 'current-schema-id': 9 }, /schema 9/],
    [{ 'default-spec-id': 9 }, /spec 9/],
    [{ 'default-sort-order-id': 9 }, /default-sort-order-id/],
    [{ snapshots: [] }, /refs\.main/],
    [{ refs: {}, 'current-snapshot-id': 9 }, /refs\.main/],
    [{ snapshots: [{ 'snapshot-id': 5, 'timestamp-ms': 'x', 'manifest-list': 'm' }] }, /snapshots\[0\]\.timestamp-ms/],
    [
      {
        schemas: [{ type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'a', required: true, type: 'nothing' }] }],
      },
      /schemas\[0\]\.fields\[0\]\.type/,
    ],
    [
      { snapshots: [{ 'snapshot-id': 5, 'timestamp-ms': 1, manifests: ['m'] }] },
      /manifests inside the metadata are not read/,
    ],
  ]
  for (const [change, message] of cases) {
    const json = { ...good, ...change } as unknown as Json
    assert.throws(
      () => metadataFromJson(json, 'file:///t/v1.json'),
      (error) =>
        isFault(error, 'corrupt') && message.test(error.message) && error.message.startsWith('file:///t/v1.json: '),
      JSON.stringify(Object.keys(change)),
    )
  }
  assert.throws(
    () => parseMetadata('{"format-version":'),
    (error) => isFault(error, 'corrupt'),
  )
  assert.throws(
    () => parseMetadata('[]'),
    (error) => isFault(error, 'corrupt'),
  )
})

test('a format version of the future is named as such', () => {
  const json = { ...metadataToJson(sampleTable()), 'format-version': 4 }
  assert.throws(
    () => metadataFromJson(json),
    (error) => isFault(error, 'unsupported') && /got 4/.test(error.message),
  )
})

test('transforms of the future are carried along', () => {
  const json = metadataToJson(sampleTable({ partitioning: 'region', formatVersion: 3 }))
  const specs = [
    { 'spec-id': 0, fields: [{ 'source-ids': [1, 3], 'field-id': 1000, name: 'z', transform: 'zorder[4]' }] },
  ]
  const table: TableMetadata = metadataFromJson({ ...json, 'partition-specs': specs })
  assert.equal(table['partition-specs'][0]?.fields[0]?.['source-id'], 1)
  assert.deepEqual(metadataToJson(table)['partition-specs'], specs)
})
