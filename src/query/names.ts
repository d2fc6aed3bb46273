/**
 * What a name in a query means: a view of the session, a ready-made view, a table of the catalog, or one of a table's
 * metadata tables. Names are taken letter by letter first, then without regard to case if only one fits.
 */
import { Fault, isFault } from '../base/fault.ts'
import { type Catalog, formatIdent, type LoadedTable, type TableIdent } from '../iceberg/catalog/catalog.ts'
import { METADATA_TABLES, type MetadataTable } from './metadata-tables.ts'

/** The prefix that always means the session's catalog, whatever its own name is. */
export const CATALOG_PREFIX = 'catalog'
export const DEFAULT_NAMESPACE = 'default'
/** Tables looked through for near matches. */
const CANDIDATES_MAX = 2_000

export interface SessionView {
  name: string
  /** SQL text of its SELECT, as the user wrote it. */
  sql: string
  columns: readonly string[]
}

export type Target =
  | { kind: 'view'; view: SessionView }
  | { kind: 'table'; table: LoadedTable; ref: string | null }
  | { kind: 'metadata'; table: LoadedTable; name: MetadataTable }

export interface NameScope {
  catalog: Catalog
  /** By lower-case name; session views hide ready-made ones. */
  views: ReadonlyMap<string, SessionView>
  /** Loads a table once per statement, so that every mention of it is of one snapshot. @throws Fault `not-found` */
  load(ident: TableIdent): Promise<LoadedTable>
}

/** @throws Fault `not-found`, with names that are near */
export async function resolveName(scope: NameScope, parts: readonly string[]): Promise<Target> {
  if (parts.length === 1) {
    const view = scope.views.get(parts[0]!.toLowerCase())
    if (view !== undefined) return { kind: 'view', view }
  }
  for (const path of paths(scope, parts)) {
    const table = await find(scope, path)
    if (table !== null) return { kind: 'table', table, ref: null }
    const last = path.at(-1)!
    const metadata = METADATA_TABLES.find((name) => name === last.toLowerCase())
    const ref = /^(?:branch|tag)_(.+)$/.exec(last)?.[1]
    if (metadata === undefined && ref === undefined) continue
    for (const owner of path.length > 2 ? [path.slice(0, -1)] : []) {
      const owned = await find(scope, owner)
      if (owned === null) continue
      if (metadata !== undefined) return { kind: 'metadata', table: owned, name: metadata }
      if (ref !== undefined) return { kind: 'table', table: owned, ref }
    }
  }
  throw await notFound(scope, parts)
}

/**
 * The table itself that a name means.
 * @throws Fault `not-found`, `invalid` when it means a view, a metadata table, or the table at a branch or tag
 */
export async function ownTable(scope: NameScope, parts: readonly string[]): Promise<{ table: LoadedTable }> {
  const target = await resolveName(scope, parts)
  if (target.kind === 'table' && target.ref === null) return target
  const what = target.kind === 'view' ? 'a view' : target.kind === 'table' ? 'a branch or tag' : 'a metadata table'
  throw new Fault('invalid', `expected a table, but "${parts.join('.')}" is ${what}`)
}

/** The readings of a dotted name as namespace and table, likeliest first. */
function paths(scope: NameScope, parts: readonly string[]): string[][] {
  const readings: string[][] = []
  const prefixed = [CATALOG_PREFIX, scope.catalog.name].some((name) => name.toLowerCase() === parts[0]!.toLowerCase())
  if (prefixed && parts.length > 2) readings.push(parts.slice(1))
  if (prefixed && parts.length === 2) readings.push([DEFAULT_NAMESPACE, parts[1]!])
  if (parts.length > 1) readings.push([...parts])
  // `orders` is `default.orders`, and `orders.snapshots` is `default.orders.snapshots`.
  readings.push([DEFAULT_NAMESPACE, ...parts])
  return readings
}

async function find(scope: NameScope, path: readonly string[]): Promise<LoadedTable | null> {
  const ident = { namespace: path.slice(0, -1), name: path.at(-1)! }
  const exact = await load(scope, ident)
  if (exact !== null) return exact
  const wanted = formatIdent(ident).toLowerCase()
  const namespaces = (await scope.catalog.listNamespaces()).filter(
    (namespace) => namespace.join('.').toLowerCase() === ident.namespace.join('.').toLowerCase(),
  )
  const same: TableIdent[] = []
  for (const namespace of namespaces) {
    for (const other of await tablesOf(scope.catalog, namespace)) {
      if (formatIdent(other).toLowerCase() === wanted) same.push(other)
    }
  }
  if (same.length > 1) {
    throw new Fault(
      'invalid',
      `"${formatIdent(ident)}" could be ${same.map(formatIdent).join(' or ')}: write it exactly`,
    )
  }
  return same.length === 1 ? load(scope, same[0]!) : null
}

async function load(scope: NameScope, ident: TableIdent): Promise<LoadedTable | null> {
  try {
    return await scope.load(ident)
  } catch (error) {
    if (isFault(error, 'not-found')) return null
    // No table can have such a name, a path for instance. A table whose files are elsewhere is there, and cannot be read.
    if (isFault(error, 'invalid') && error.facts['location'] === undefined) return null
    throw error
  }
}

async function tablesOf(catalog: Catalog, namespace: readonly string[]): Promise<TableIdent[]> {
  try {
    return await catalog.listTables(namespace)
  } catch (error) {
    if (isFault(error, 'not-found')) return []
    throw error
  }
}

async function notFound(scope: NameScope, parts: readonly string[]): Promise<Fault> {
  const wanted = parts.join('.')
  const names = [...scope.views.values()].map((view) => view.name)
  for (const namespace of await scope.catalog.listNamespaces()) {
    for (const ident of await tablesOf(scope.catalog, namespace)) names.push(formatIdent(ident))
    if (names.length > CANDIDATES_MAX) break
  }
  const near = nearest(wanted, names)
  const hint =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : 'SHOW TABLES lists the tables; SQL reads tables of the catalog only, never files'
  return new Fault('not-found', `there is no table or view "${wanted}"; ${hint}`, { table: wanted })
}

/** Up to three names within a third of their length in edits, nearest first; the last parts are compared as well. */
export function nearest(wanted: string, names: readonly string[]): string[] {
  const short = wanted.split('.').at(-1)!.slice(0, 100).toLowerCase()
  const scored = names.map((name) => {
    const last = name.split('.').at(-1)!.slice(0, 100).toLowerCase()
    return {
      name,
      score: Math.min(editDistance(short, last), editDistance(wanted.slice(0, 100).toLowerCase(), name.toLowerCase())),
    }
  })
  return scored
    .filter(({ name, score }) => score <= Math.max(1, Math.floor(name.split('.').at(-1)!.length / 3)))
    .sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name)
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
