import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DuckRow } from '../../duck/duck.ts'
import { nodeType, parquetColumns } from './parquet-tree.ts'

/** `name`, `children`, and what else matters, as `parquet_schema` gives it. */
function element(name: string, children: number | null, more: Partial<Record<string, string | number>> = {}): DuckRow {
  return {
    name,
    num_children: children,
    field_id: null,
    repetition_type: 'OPTIONAL',
    converted_type: null,
    duckdb_type: null,
    ...more,
  }
}
const leaf = (name: string, id: number | null) =>
  element(name, null, { duckdb_type: 'INTEGER', ...(id === null ? {} : { field_id: id }) })

test('lists of three and of two levels, maps and structs become one tree with ids', () => {
  const columns = parquetColumns([
    element('schema', 5),
    leaf('id', 1),
    element('new', 1, { converted_type: 'LIST', field_id: 2 }),
    element('list', 1, { repetition_type: 'REPEATED' }),
    leaf('element', 3),
    element('old', 1, { converted_type: 'LIST', field_id: 4 }),
    element('array', null, { repetition_type: 'REPEATED', duckdb_type: 'VARCHAR', field_id: 5 }),
    element('tuples', 1, { converted_type: 'LIST', field_id: 6 }),
    element('tuples_tuple', 1, { repetition_type: 'REPEATED', field_id: 7 }),
    leaf('x', 8),
    element('m', 1, { converted_type: 'MAP', field_id: 9 }),
    element('key_value', 2, { repetition_type: 'REPEATED' }),
    leaf('key', 10),
    element('value', 1, { field_id: 11 }),
    leaf('a "b"', null),
  ])
  assert.deepEqual(
    columns.map((node) => [node.name, node.id, node.kind, nodeType(node)]),
    [
      ['id', 1, 'leaf', 'INTEGER'],
      ['new', 2, 'list', 'INTEGER[]'],
      ['old', 4, 'list', 'VARCHAR[]'],
      ['tuples', 6, 'list', 'STRUCT("x" INTEGER)[]'],
      ['m', 9, 'map', 'MAP(INTEGER, STRUCT("a ""b""" INTEGER))'],
    ],
  )
  const [, list, old] = columns
  assert.deepEqual(
    [list, old].map((node) => node!.kind === 'list' && node!.element.id),
    [3, 5],
  )
})
