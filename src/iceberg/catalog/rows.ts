/**
 * The rows beneath a catalog: names of tables, each pointing to the table's current metadata file.
 *
 * `pointer-catalog.ts` has all that is said of tables; an adapter has only these few statements to offer.
 * Namespaces are text here, their parts joined by dots, as Java's JdbcCatalog and PyIceberg keep them.
 *
 * Faults: `unavailable` means that the statement certainly had no effect; `commit-unknown` that it may have had, and that
 * a `get` which succeeds afterwards shows whether it had: a statement never takes effect after it failed.
 */
export interface Rows {
  /** Every namespace that has a row of its own or a table, in any order. */
  namespaces(): Promise<string[]>
  /** Adds the namespace with these properties if it has no row yet. */
  insertNamespace(namespace: string, properties: Record<string, string>): Promise<void>
  /** Removes the namespace unless a table, a view or another namespace is in it. */
  deleteNamespace(namespace: string): Promise<'deleted' | 'missing' | 'in-use'>
  /** Names of the tables (not views) in exactly this namespace, in any order. */
  tables(namespace: string): Promise<string[]>
  /** Where the table's metadata is, or null when there is no such table. */
  get(namespace: string, name: string): Promise<string | null>
  /** False when the name is taken, by a table or a view. */
  insert(namespace: string, name: string, location: string): Promise<boolean>
  /** The compare-and-swap. False when the table is not there or points elsewhere than `from`. */
  swap(namespace: string, name: string, from: string, to: string): Promise<boolean>
  /** False when there was no such table. */
  delete(namespace: string, name: string): Promise<boolean>
  rename(from: RowName, to: RowName): Promise<'renamed' | 'missing' | 'taken'>
  close(): Promise<void>
}

export interface RowName {
  namespace: string
  name: string
}
