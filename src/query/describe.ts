/**
 * SHOW and DESCRIBE: answered from the catalog, without DuckDB.
 */
import type { Catalog, LoadedTable } from '../iceberg/catalog/catalog.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import { formatType } from '../iceberg/spec/type.ts'
import { CATALOG_PREFIX, type NameScope } from './names.ts'
import type { Cell } from './values.ts'

/** A small result of text. */
export interface TextTable {
  columns: string[]
  rows: Cell[][]
}

/** Columns of the table as Iceberg has them. */
export function describeTarget(table: LoadedTable): TextTable {
  const schema = currentSchema(table.metadata)
  return {
    columns: ['column_name', 'type', 'required', 'comment'],
    rows: schema.fields.map((field) => [
      field.name,
      formatType(field.type),
      field.required ? 'yes' : 'no',
      field.doc ?? null,
    ]),
  }
}

export function showProperties({ metadata }: LoadedTable): TextTable {
  return { columns: ['key', 'value'], rows: Object.entries(metadata.properties).sort(byText) }
}

/** Tables of one namespace or of all, and the views that a bare name can mean. @throws Fault `not-found` */
export async function showTables(scope: NameScope, namespace: string[] | null): Promise<TextTable> {
  const rows: Cell[][] = []
  const named =
    namespace === null ? await scope.catalog.listNamespaces() : [await namespaceOf(scope.catalog, namespace)]
  for (const each of named) {
    for (const ident of await scope.catalog.listTables(each)) rows.push([each.join('.'), ident.name, 'table'])
  }
  if (namespace === null) for (const view of scope.views.values()) rows.push([null, view.name, 'view'])
  return { columns: ['namespace', 'name', 'kind'], rows: rows.sort(byText) }
}

export async function showNamespaces(catalog: Catalog): Promise<TextTable> {
  const rows = (await catalog.listNamespaces()).map((namespace): Cell[] => [namespace.join('.')])
  return { columns: ['namespace'], rows: rows.sort(byText) }
}

/** The namespace that a name means, as it is written in the catalog; as it is given when there is none of the name. */
export async function namespaceOf(catalog: Catalog, parts: readonly string[]): Promise<readonly string[]> {
  const prefixed = [CATALOG_PREFIX, catalog.name].includes(parts[0]!) && parts.length > 1
  const all = await catalog.listNamespaces()
  const wanted = parts.join('.').toLowerCase()
  const found = all.find((namespace) => namespace.join('.').toLowerCase() === wanted)
  return found ?? (prefixed ? parts.slice(1) : parts)
}

function byText(a: Cell[], b: Cell[]): number {
  const [left, right] = [a.join('.'), b.join('.')]
  return left < right ? -1 : left > right ? 1 : 0
}
