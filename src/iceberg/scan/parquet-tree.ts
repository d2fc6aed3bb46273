/**
 * The schema of a Parquet file as a tree of Iceberg-like nodes: names as in the file, field ids where the file has them.
 */
import type { DuckRow } from '../../duck/duck.ts'
import { ident } from '../../duck/duck.ts'

export type ParquetNode = { name: string; id: number | undefined } & (
  | { kind: 'leaf'; duckType: string }
  | { kind: 'struct'; fields: ParquetNode[] }
  | { kind: 'list'; element: ParquetNode }
  | { kind: 'map'; key: ParquetNode; value: ParquetNode }
)

interface Element {
  name: string
  id: number | undefined
  children: Element[]
  repeated: boolean
  annotation: string
  duckType: string
}

/** Rows of `parquet_schema` of one file, in order → the file's columns. */
export function parquetColumns(rows: readonly DuckRow[]): ParquetNode[] {
  let at = 0
  const next = (): Element => {
    const row = rows[at++]!
    const element: Element = {
      name: String(row['name']),
      id: row['field_id'] === null || row['field_id'] === undefined ? undefined : Number(row['field_id']),
      children: [],
      repeated: row['repetition_type'] === 'REPEATED',
      annotation: String(row['converted_type'] ?? row['logical_type'] ?? ''),
      duckType: String(row['duckdb_type'] ?? ''),
    }
    const children = Number(row['num_children'] ?? 0)
    for (let i = 0; i < children && at < rows.length; i++) element.children.push(next())
    return element
  }
  return rows.length === 0 ? [] : next().children.map(nodeOf)
}

function nodeOf(element: Element): ParquetNode {
  const { name, id, children } = element
  const only = children.length === 1 ? children[0] : undefined
  if (only?.repeated && /^(LIST|MAP|MAP_KEY_VALUE)/i.test(element.annotation)) {
    const [key, value] = only.children
    if (/^MAP/i.test(element.annotation) && key !== undefined && value !== undefined && only.children.length === 2) {
      return { name, id, kind: 'map', key: nodeOf(key), value: nodeOf(value) }
    }
    return { name, id, kind: 'list', element: elementOf(name, only) }
  }
  if (children.length > 0) return { name, id, kind: 'struct', fields: children.map(nodeOf) }
  return { name, id, kind: 'leaf', duckType: element.duckType }
}

/** Three levels as the format's writers make them; two as old writers did (Parquet's rules for reading lists). */
function elementOf(list: string, repeated: Element): ParquetNode {
  const [only] = repeated.children
  const twoLevels = repeated.children.length !== 1 || repeated.name === 'array' || repeated.name === `${list}_tuple`
  return nodeOf(twoLevels || only === undefined ? repeated : only)
}

/** The DuckDB type in which the file's own values arrive, with the file's own names. */
export function nodeType(node: ParquetNode): string {
  switch (node.kind) {
    case 'leaf':
      return node.duckType
    case 'list':
      return `${nodeType(node.element)}[]`
    case 'map':
      return `MAP(${nodeType(node.key)}, ${nodeType(node.value)})`
    case 'struct':
      return `STRUCT(${node.fields.map((field) => `${ident(field.name)} ${nodeType(field)}`).join(', ')})`
  }
}
