/**
 * The catalog port: which tables there are, and the one compare-and-swap by which a commit happens.
 *
 * Invariants
 * 1. Only this room decides that a commit happened. `commit` either applies all of a change or none of it.
 * 2. A failure whose outcome is not known is fault `commit-unknown`, never `conflict`; `commit.ts` then looks for the
 *    commit's own id in the snapshot log before anything else. No file is deleted because of an error.
 * Adapters: `sqlite` (the `iceberg_tables` layout shared by PyIceberg and Java's JdbcCatalog), `memory`; the contract
 * suite is `test/contract/catalog.ts`.
 */
import { Fault } from '../../base/fault.ts'
import type { PartitionSpec, Schema, SortOrder, TableChange, TableMetadata } from '../spec/table-metadata.ts'

export interface TableIdent {
  /** Parts of the namespace, outermost first. */
  namespace: readonly string[]
  name: string
}

export interface LoadedTable {
  ident: TableIdent
  /** URI of the metadata file that `metadata` was read from. */
  metadataLocation: string
  metadata: TableMetadata
}

export interface CreateTable {
  /** Field ids may be any; they are assigned anew from 1, in order. */
  schema: Schema
  spec?: PartitionSpec
  sortOrder?: SortOrder
  /** Default: a folder of the namespace and name under the warehouse. */
  location?: string
  properties?: Record<string, string>
  /** Default 2. */
  formatVersion?: 1 | 2 | 3
}

export interface Catalog {
  /** The catalog's name, as in `iceberg_tables.catalog_name`. */
  readonly name: string
  /** All of them at every depth, those that exist only because of what is in them too, in order. */
  listNamespaces(): Promise<string[][]>
  /** Creates it if it is not there. */
  createNamespace(namespace: readonly string[], properties?: Record<string, string>): Promise<void>
  /**
   * Forgets an empty namespace.
   * @throws Fault `not-found`, `conflict` when something is in it: a table, a view or another namespace
   */
  dropNamespace(namespace: readonly string[]): Promise<void>
  /** Tables of exactly this namespace, in order. @throws Fault `not-found` when there is no such namespace */
  listTables(namespace: readonly string[]): Promise<TableIdent[]>
  /** @throws Fault `not-found` */
  load(ident: TableIdent): Promise<LoadedTable>
  /** @throws Fault `conflict` when it exists, `not-found` when the namespace does not */
  create(ident: TableIdent, table: CreateTable): Promise<LoadedTable>
  /**
   * Applies `change` to the table as it is now if every requirement holds and `base` is still its current metadata.
   * @throws Fault `conflict` (somebody else committed, or a requirement fails: load and plan again), `commit-unknown`,
   * `not-found`, `invalid` (the change itself is not legal)
   */
  commit(base: LoadedTable, change: TableChange): Promise<LoadedTable>
  /** Forgets the table; its files stay. @throws Fault `not-found` */
  drop(ident: TableIdent): Promise<void>
  /** @throws Fault `not-found` (the table, or the new namespace), `conflict` when the new name is taken */
  rename(from: TableIdent, to: TableIdent): Promise<void>
  close(): Promise<void>
}

/** Ident → `a.b.table`, for messages and commands. */
export function formatIdent(ident: TableIdent): string {
  return [...ident.namespace, ident.name].join('.')
}

/** `a.b.table` → ident; the last part is the name. @throws Fault `invalid` for fewer than two parts or an empty one */
export function parseIdent(text: string): TableIdent {
  const parts = text.split('.')
  if (parts.length < 2 || parts.some((part) => part === '')) {
    throw new Fault('invalid', `expected a table name such as default.s3_content_metadata, got "${text}"`)
  }
  return { namespace: parts.slice(0, -1), name: parts.at(-1)! }
}
