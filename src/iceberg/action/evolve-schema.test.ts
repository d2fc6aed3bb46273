import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleTable, schemaOf } from '../../../test/support/table-samples.ts'
import { isFault } from '../../base/fault.ts'
import { currentSchema, fieldNamed, flattenFields } from '../spec/schema.ts'
import type { Schema, TableMetadata } from '../spec/table-metadata.ts'
import { formatTypeText, parseTypeText } from '../spec/type-text.ts'
import { applyChange } from '../spec/update.ts'
import { evolveSchema, type SchemaEdit } from './evolve-schema.ts'

const base = sampleTable({
  columns: {
    key: 'STRING NOT NULL',
    size: 'INTEGER',
    price: 'DECIMAL(9,2)',
    address: 'STRUCT<city: STRING NOT NULL, zip: STRING>',
    items: 'ARRAY<STRUCT<sku: STRING, count: INTEGER>>',
    notes: 'MAP<STRING, STRUCT<text: STRING>>',
    tags: 'ARRAY<STRING>',
  },
})

const evolve = (table: TableMetadata, ...edits: SchemaEdit[]): TableMetadata =>
  applyChange(table, evolveSchema(table, edits), { nowMs: 2_000 })
const after = (...edits: SchemaEdit[]): Schema => currentSchema(evolve(base, ...edits))
const type = (text: string) => parseTypeText(text, () => 0)
const names = (schema: Schema): string => schema.fields.map((field) => field.name).join(' ')

test('a new column gets the next id, and what is in it those after', () => {
  const table = evolve(base, { edit: 'add', name: 'geo', type: type('STRUCT<lat: DOUBLE, lon: DOUBLE>'), doc: 'where' })
  const last = base['last-column-id']
  const geo = fieldNamed(currentSchema(table), 'geo')
  assert.equal(geo.id, last + 1)
  assert.equal(geo.doc, 'where')
  assert.equal(geo.required, false)
  assert.deepEqual(
    [fieldNamed(currentSchema(table), 'geo.lat').id, fieldNamed(currentSchema(table), 'geo.lon').id],
    [last + 2, last + 3],
  )
  assert.equal(table['last-column-id'], last + 3)
  assert.equal(table['current-schema-id'], 1)
  assert.equal(table.schemas.length, 2)
})

test('fields are added to structs, also those in lists and maps', () => {
  for (const [parent, path] of [
    ['address', 'address.x'],
    ['items', 'items.element.x'],
    ['items.element', 'items.x'],
    ['notes', 'notes.value.x'],
  ] as const) {
    const schema = after({ edit: 'add', parent, name: 'x', type: 'long' })
    assert.equal(fieldNamed(schema, path).id, base['last-column-id'] + 1, parent)
  }
  assert.throws(
    () => evolveSchema(base, [{ edit: 'add', parent: 'tags', name: 'x', type: 'long' }]),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => evolveSchema(base, [{ edit: 'add', parent: 'size', name: 'x', type: 'long' }]),
    (error) => isFault(error, 'invalid'),
  )
})

test('columns go where they are told', () => {
  assert.equal(
    names(after({ edit: 'add', name: 'x', type: 'long', place: 'first' })),
    'x key size price address items notes tags',
  )
  assert.equal(
    names(after({ edit: 'move', column: 'tags', place: { after: 'key' } })),
    'key tags size price address items notes',
  )
  assert.equal(
    names(after({ edit: 'move', column: 'key', place: { before: 'price' } })),
    'size key price address items notes tags',
  )
  const moved = after({ edit: 'move', column: 'address.zip', place: 'first' })
  assert.equal(formatTypeText(fieldNamed(moved, 'address').type), 'STRUCT<zip: STRING, city: STRING NOT NULL>')
  for (const place of [{ after: 'nothing' }, { before: 'size' }]) {
    assert.throws(
      () => evolveSchema(base, [{ edit: 'move', column: 'address.zip', place }]),
      (error) => isFault(error, 'not-found'),
    )
  }
})

test('a renamed column keeps its id, wherever it is', () => {
  for (const [column, to, now] of [
    ['size', 'bytes', 'bytes'],
    ['address.city', 'town', 'address.town'],
    ['items.sku', 'code', 'items.code'],
    ['notes.value.text', 'body', 'notes.body'],
  ] as const) {
    const schema = after({ edit: 'rename', column, to })
    assert.equal(fieldNamed(schema, now).id, fieldNamed(currentSchema(base), column).id)
    assert.equal(flattenFields(schema).length, flattenFields(currentSchema(base)).length)
  }
})

test('types are widened only as readers of old files can follow', () => {
  assert.equal(fieldNamed(after({ edit: 'widen', column: 'size', to: 'long' }), 'size').type, 'long')
  assert.equal(
    fieldNamed(after({ edit: 'widen', column: 'price', to: 'decimal(18,2)' }), 'price').type,
    'decimal(18,2)',
  )
  assert.equal(fieldNamed(after({ edit: 'widen', column: 'items.count', to: 'long' }), 'items.count').type, 'long')
  const refused: [string, string][] = [
    ['size', 'int64x'],
    ['key', 'long'],
    ['price', 'decimal(18,3)'],
    ['tags.element', 'binary'],
    ['address', 'string'],
  ]
  for (const [column, to] of refused) {
    assert.throws(
      () => evolveSchema(base, [{ edit: 'widen', column, to }]),
      (error) => isFault(error, 'invalid'),
      column,
    )
  }
})

test('columns become optional, described and undescribed', () => {
  assert.equal(fieldNamed(after({ edit: 'make-optional', column: 'key' }), 'key').required, false)
  assert.equal(fieldNamed(after({ edit: 'make-optional', column: 'address.city' }), 'address.city').required, false)
  const described = evolve(base, { edit: 'set-doc', column: 'size', doc: 'bytes' })
  assert.equal(fieldNamed(currentSchema(described), 'size').doc, 'bytes')
  assert.equal(
    fieldNamed(currentSchema(evolve(described, { edit: 'set-doc', column: 'size', doc: null })), 'size').doc,
    undefined,
  )
})

test('a dropped name may come back as another column', () => {
  const table = evolve(base, { edit: 'drop', column: 'size' }, { edit: 'add', name: 'size', type: 'string' })
  assert.equal(fieldNamed(currentSchema(table), 'size').id, base['last-column-id'] + 1)
  assert.equal(names(after({ edit: 'drop', column: 'address.zip' })), names(currentSchema(base)))
})

test('what others rest on is not dropped', () => {
  const keyed = evolve(base, { edit: 'set-identifier', columns: ['key'] })
  const parted = sampleTable({ partitioning: 'region' })
  const refused: [TableMetadata, SchemaEdit[]][] = [
    [keyed, [{ edit: 'drop', column: 'key' }]],
    [keyed, [{ edit: 'make-optional', column: 'key' }]],
    [parted, [{ edit: 'drop', column: 'region' }]],
    [
      base,
      [
        { edit: 'drop', column: 'address.city' },
        { edit: 'drop', column: 'address.zip' },
      ],
    ],
    [base, [{ edit: 'drop', column: 'tags.element' }]],
    [base, [{ edit: 'rename', column: 'tags.element', to: 'tag' }]],
  ]
  for (const [table, edits] of refused)
    assert.throws(
      () => evolveSchema(table, edits),
      (error) => isFault(error, 'invalid'),
      JSON.stringify(edits),
    )
  const released = evolve(keyed, { edit: 'set-identifier', columns: [] }, { edit: 'drop', column: 'key' })
  assert.equal(currentSchema(released).fields[0]?.name, 'size')
})

test('names that are taken, and columns that are not there, are told', () => {
  assert.throws(
    () => evolveSchema(base, [{ edit: 'add', name: 'key', type: 'long' }]),
    (error) => isFault(error, 'conflict'),
  )
  assert.throws(
    () => evolveSchema(base, [{ edit: 'rename', column: 'address.city', to: 'zip' }]),
    (error) => isFault(error, 'conflict'),
  )
  assert.throws(
    () => evolveSchema(base, [{ edit: 'drop', column: 'nothing' }]),
    (error) => isFault(error, 'not-found'),
  )
})

test('a required column needs a default, which needs v3', () => {
  const edit: SchemaEdit = { edit: 'add', name: 'n', type: 'long', required: true }
  assert.throws(
    () => evolveSchema(base, [edit]),
    (error) => isFault(error, 'invalid') && /default/.test(error.message),
  )
  assert.throws(
    () => evolveSchema(base, [{ ...edit, default: 7 }]),
    (error) => isFault(error, 'invalid') && /v3/.test(error.message),
  )
  const v3 = sampleTable({ formatVersion: 3 })
  const field = currentSchema(evolve(v3, { ...edit, default: 7 })).fields.at(-1)
  assert.deepEqual([field?.['initial-default'], field?.['write-default'], field?.required], [7, 7, true])
})

test('edits that come to nothing change nothing; those that lead back name the old schema', () => {
  assert.deepEqual(evolveSchema(base, []).updates, [])
  assert.deepEqual(
    evolveSchema(base, [
      { edit: 'rename', column: 'size', to: 'x' },
      { edit: 'rename', column: 'x', to: 'size' },
    ]).updates,
    [],
  )
  const renamed = evolve(base, { edit: 'rename', column: 'size', to: 'bytes' })
  assert.deepEqual(evolveSchema(renamed, [{ edit: 'rename', column: 'bytes', to: 'size' }]).updates, [
    { action: 'set-current-schema', 'schema-id': 0 },
  ])
})

test('two who add a column at once: the second conflicts and plans again', () => {
  const mine = evolveSchema(base, [{ edit: 'add', name: 'mine', type: 'long' }])
  const theirs = evolve(base, { edit: 'add', name: 'theirs', type: 'long' })
  assert.throws(
    () => applyChange(theirs, mine, { nowMs: 3_000 }),
    (error) => isFault(error, 'conflict'),
  )
  const again = evolve(theirs, { edit: 'add', name: 'mine', type: 'long' })
  assert.equal(fieldNamed(currentSchema(again), 'mine').id, base['last-column-id'] + 2)
})

test('a dropped column is in no schema but stays in the old ones', () => {
  const table = evolve(base, { edit: 'drop', column: 'tags' })
  assert.equal(table['last-column-id'], base['last-column-id'])
  assert.equal(
    names(table.schemas[0]!),
    names(
      schemaOf({
        key: 'STRING',
        size: 'LONG',
        price: 'LONG',
        address: 'LONG',
        items: 'LONG',
        notes: 'LONG',
        tags: 'LONG',
      }),
    ),
  )
})
