/** What the catalog's tables are, as plain facts for people and programs. */
import { isFault } from '../base/fault.ts'
import { ident } from '../duck/duck.ts'
import { formatIdent, parseIdent, type TableIdent } from '../iceberg/catalog/catalog.ts'
import { currentSnapshot } from '../iceberg/spec/history.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import type { SortField, TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { formatType } from '../iceberg/spec/type.ts'
import { DEFAULT_NAMESPACE } from '../query/names.ts'
import type { Reader } from './reader.ts'

export interface TableFacts {
  table: string
  /** Live rows of the current snapshot, as digits; null when its summary does not say. */
  rows: string | null
  snapshots: number
}

export async function listTables({ catalog }: Reader): Promise<TableFacts[]> {
  const tables: TableFacts[] = []
  for (const namespace of await catalog.listNamespaces()) {
    for (const ident of await catalog.listTables(namespace)) {
      const { metadata } = await catalog.load(ident)
      const current = currentSnapshot(metadata)
      const summary: Record<string, string> = current?.summary ?? {}
      const { 'total-records': records, 'total-position-deletes': deletes } = summary
      const rows = records === undefined ? null : String(BigInt(records) - BigInt(deletes ?? '0'))
      tables.push({
        table: formatIdent(ident),
        rows: current === undefined ? '0' : rows,
        snapshots: metadata.snapshots.length,
      })
    }
  }
  return tables
}

/** @param table `namespace.name`. @throws Fault `invalid` for a name that is none */
export async function tableExists({ catalog }: Pick<Reader, 'catalog'>, table: string): Promise<boolean> {
  try {
    await catalog.load(parseIdent(table))
    return true
  } catch (error) {
    if (isFault(error, 'not-found')) return false
    throw error
  }
}

export interface ColumnFacts {
  id: number
  name: string
  type: string
  required: boolean
  /** It is one of the columns that identify a row. */
  key: boolean
}

export interface TableDescription {
  about: Record<string, unknown>
  columns: ColumnFacts[]
}

/** A name without a namespace is of the namespace `default`, as in SQL. @throws Fault `invalid` for a name that is none */
function identOf(name: string): TableIdent {
  return parseIdent(/^[^.]+$/.test(name) ? `${DEFAULT_NAMESPACE}.${name}` : name)
}

/** @throws Fault `invalid` (a name that is none), `not-found` */
export async function describeTable({ catalog }: Reader, name: string): Promise<TableDescription> {
  const table = identOf(name)
  const { metadata, metadataLocation } = await catalog.load(table)
  const schema = currentSchema(metadata)
  const key = new Set(schema['identifier-field-ids'] ?? [])
  const source = (id: number) => schema.fields.find((field) => field.id === id)?.name ?? `field ${id}`
  const snapshot = metadata['current-snapshot-id']
  return {
    about: {
      table: formatIdent(table),
      location: metadata.location,
      metadata: metadataLocation,
      'format-version': metadata['format-version'],
      uuid: metadata['table-uuid'],
      'current-snapshot-id': snapshot === undefined ? null : String(snapshot),
      partitioning: currentSpec(metadata).fields.map((field) => `${field.transform}(${source(field['source-id'])})`),
      'sort-order': currentOrder(metadata).map(
        (field) =>
          `${field.transform === 'identity' ? source(field['source-id']) : `${field.transform}(${source(field['source-id'])})`} ${field.direction} ${field['null-order']}`,
      ),
      properties: metadata.properties,
    },
    columns: schema.fields.map((field) => ({
      id: field.id,
      name: field.name,
      type: formatType(field.type),
      required: field.required,
      key: key.has(field.id),
    })),
  }
}

function currentOrder(metadata: TableMetadata): readonly SortField[] {
  const id = metadata['default-sort-order-id']
  return metadata['sort-orders'].find((order) => order['order-id'] === id)?.fields ?? []
}

/** A table name as SQL, each part quoted. @throws Fault `invalid` */
export function quotedName(name: string): string {
  const { namespace, name: table } = identOf(name)
  return [...namespace, table].map(ident).join('.')
}
