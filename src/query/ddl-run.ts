/**
 * Doing what a DDL statement says, on the catalog.
 *
 * Invariant: a statement is one change of the catalog (a row of its own, or one compare-and-swap of the table's metadata), planned
 * anew when somebody else commits in between; so a process that writes the table meanwhile loses nothing. The exception is DROP
 * DATABASE … CASCADE, which is one change per table. What would take a column or the table from under its writer is refused.
 * Crash story: killed before the change nothing happened, but for a metadata file that nothing points to; after it, all of it.
 * No file of a table is ever deleted here.
 */
import { unreachable } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { evolveSchema, type SchemaEdit } from '../iceberg/action/evolve-schema.ts'
import { setProperties } from '../iceberg/action/set-properties.ts'
import { type Catalog, formatIdent, type LoadedTable, type TableIdent } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { currentSchema, fieldNamedAnyCase, flattenFields } from '../iceberg/spec/schema.ts'
import type { Schema, TableChange, TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { formatType } from '../iceberg/spec/type.ts'
import { sameSchema } from '../iceberg/spec/update-definitions.ts'
import type { CreateTableDdl, Ddl } from './ddl.ts'
import { LOCATION_PROPERTY } from './ddl-properties.ts'
import { namespaceOf, type TextTable } from './describe.ts'
import { CATALOG_PREFIX, DEFAULT_NAMESPACE, type NameScope, ownTable } from './names.ts'
import type { SqlWrites } from './query.ts'
import { placeTable } from './table-location.ts'

export interface DdlParts {
  catalog: Catalog
  clock: Clock
  io: FileIO
  writes: SqlWrites
  scope: NameScope
  signal: AbortSignal
}

/** @throws Fault `not-found`, `conflict` (the name is taken, or somebody writes the table), `invalid`, `unsupported` */
export async function runDdl(parts: DdlParts, ddl: Ddl): Promise<TextTable> {
  const said = await perform(parts, ddl)
  return { columns: ['status'], rows: said.map((line) => [line]) }
}

async function perform(parts: DdlParts, ddl: Ddl): Promise<string[]> {
  switch (ddl.kind) {
    case 'create-database':
      return createDatabase(parts, ddl)
    case 'drop-database':
      return dropDatabase(parts, ddl)
    case 'create-table':
      return createTable(parts, ddl)
    case 'drop-table':
      return dropTable(parts, ddl)
    case 'alter-columns':
      return alterColumns(parts, ddl.name, ddl.edits)
    case 'set-properties': {
      parts.writes.checkProperties(ddl.properties)
      const plan = (metadata: TableMetadata) => setProperties(metadata, { updates: ddl.properties })
      return [...(await alter(parts, (await ownTable(parts.scope, ddl.name)).table, plan)), ...ddl.notes]
    }
    case 'unset-properties':
      return unsetProperties(parts, ddl)
    default:
      return unreachable(ddl)
  }
}

async function createDatabase(
  { catalog }: DdlParts,
  ddl: Extract<Ddl, { kind: 'create-database' }>,
): Promise<string[]> {
  const { namespace, exists } = await namespaceNamed(catalog, ddl.name)
  const name = namespace.join('.')
  if (exists && ddl.ifNotExists) return [`database ${name} is there already`]
  if (exists) throw new Fault('conflict', `database ${name} is there already; write CREATE DATABASE IF NOT EXISTS`)
  await catalog.createNamespace(namespace, ddl.properties)
  return [`database ${name} created`]
}

async function dropDatabase(parts: DdlParts, ddl: Extract<Ddl, { kind: 'drop-database' }>): Promise<string[]> {
  const { catalog } = parts
  const { namespace, exists } = await namespaceNamed(catalog, ddl.name)
  const name = namespace.join('.')
  if (!exists && ddl.ifExists) return [`there is no database ${name}`]
  if (!exists) throw new Fault('not-found', `there is no database ${name}; SHOW DATABASES lists them`)
  const tables = await catalog.listTables(namespace)
  if (tables.length > 0 && !ddl.cascade) {
    const some = tables.slice(0, 5).map((table) => table.name)
    throw new Fault(
      'conflict',
      `database ${name} holds ${tables.length} tables (${some.join(', ')}${tables.length > 5 ? ', …' : ''}); drop them first, or write DROP DATABASE … CASCADE`,
    )
  }
  // All are asked for before the first is dropped.
  for (const table of tables) await refuseOwned(parts, await catalog.load(table))
  for (const table of tables) await catalog.drop(table)
  // A namespace that was there only because of its tables is gone with them.
  if ((await namespaceNamed(catalog, namespace)).exists) await catalog.dropNamespace(namespace)
  return [...tables.map((table) => `table ${formatIdent(table)} dropped; its files stay`), `database ${name} dropped`]
}

async function createTable(parts: DdlParts, ddl: CreateTableDdl): Promise<string[]> {
  const { catalog, io, writes } = parts
  for (const field of ddl.schema.fields) writes.checkType(field.type)
  writes.checkProperties(ddl.properties)
  const ident = await newIdent(catalog, ddl.name)
  const name = formatIdent(ident)
  const there = await sameName(catalog, ident)
  if (there !== null) return existing(there, ddl)
  const place =
    ddl.location === null ? null : await placeTable({ catalog, io, warehouse: writes.warehouse }, ddl.location)
  let table: LoadedTable
  try {
    table = await catalog.create(ident, {
      schema: ddl.schema,
      spec: ddl.spec,
      formatVersion: 2,
      properties: {
        'write.parquet.compression-codec': 'zstd',
        ...ddl.properties,
        ...(place?.kind === 'kept' ? { [LOCATION_PROPERTY]: place.location } : {}),
      },
      ...(place?.kind === 'served' ? { location: place.location } : {}),
    })
  } catch (error) {
    // Somebody else made it in between.
    if (isFault(error, 'conflict') && (await sameName(catalog, ident)) !== null) return existing(ident, ddl)
    throw error
  }
  const kept = `no configured store serves ${ddl.location}: it is kept as property ${LOCATION_PROPERTY}, the files are under ${table.metadata.location}`
  return [`table ${name} created`, ...(place?.kind === 'kept' ? [kept] : []), ...ddl.notes]
}

function existing(table: TableIdent, { ifNotExists }: CreateTableDdl): string[] {
  const name = formatIdent(table)
  if (ifNotExists) return [`table ${name} is there already`]
  throw new Fault('conflict', `table ${name} is there already; write CREATE TABLE IF NOT EXISTS, or DROP TABLE first`)
}

async function dropTable(parts: DdlParts, ddl: Extract<Ddl, { kind: 'drop-table' }>): Promise<string[]> {
  let table: LoadedTable
  try {
    ;({ table } = await ownTable(parts.scope, ddl.name))
  } catch (error) {
    if (!ddl.ifExists || !isFault(error, 'not-found')) throw error
    return [`there is no table ${ddl.name.join('.')}`]
  }
  await refuseOwned(parts, table)
  await parts.catalog.drop(table.ident)
  return [`table ${formatIdent(table.ident)} dropped; its files stay under ${table.metadata.location}`]
}

/** @throws Fault `conflict` when somebody writes the table */
async function refuseOwned({ writes }: DdlParts, table: LoadedTable): Promise<void> {
  const owner = await writes.writerOf(table)
  if (owner === null) return
  throw new Fault('conflict', `table ${formatIdent(table.ident)} is written by ${owner.name}; ${owner.remedy}`)
}

async function alterColumns(parts: DdlParts, name: readonly string[], edits: readonly SchemaEdit[]): Promise<string[]> {
  const { table } = await ownTable(parts.scope, name)
  for (const edit of edits) if (edit.edit === 'add') parts.writes.checkType(edit.type)
  const owner = await parts.writes.writerOf(table)
  return alter(parts, table, (metadata) => {
    const exact = exactEdits(currentSchema(metadata), edits)
    for (const edit of exact) {
      if (edit.edit === 'widen') parts.writes.checkType(edit.to)
      if (owner === null || !('column' in edit)) continue
      const [top = ''] = edit.column.split('.')
      const counts = owner.columns === 'all' || owner.columns.includes(top)
      if (edit.edit === 'rename' || ((edit.edit === 'drop' || edit.edit === 'widen') && counts)) {
        throw new Fault(
          'conflict',
          `column ${edit.column} of ${formatIdent(table.ident)} is written by ${owner.name} under this name and type; ${owner.remedy}`,
        )
      }
    }
    return evolveSchema(metadata, exact)
  })
}

/**
 * The edits with columns named as the table names them; without those that change nothing.
 * @throws Fault `not-found`, `conflict` for a new name that another column has but for case: SQL could not tell them apart
 */
function exactEdits(schema: Schema, edits: readonly SchemaEdit[]): SchemaEdit[] {
  const names = new Set(flattenFields(schema).map((field) => field.name.toLowerCase()))
  const claim = (name: string, old?: string): void => {
    if (old !== undefined) names.delete(old.toLowerCase())
    if (names.has(name.toLowerCase())) {
      throw new Fault('conflict', `expected a new column name, got "${name}", which is taken (case does not count)`)
    }
    names.add(name.toLowerCase())
  }
  const known = (name: string) => fieldNamedAnyCase(schema, name)
  return edits.flatMap((edit): SchemaEdit[] => {
    switch (edit.edit) {
      case 'add': {
        const parent = edit.parent === undefined ? undefined : known(edit.parent).name
        claim(parent === undefined ? edit.name : `${parent}.${edit.name}`)
        return [{ ...edit, ...(parent === undefined ? {} : { parent }) }]
      }
      case 'rename': {
        const { name, path } = known(edit.column)
        if (path.at(-1) === edit.to) return []
        claim([...path.slice(0, -1), edit.to].join('.'), name)
        return [{ ...edit, column: name }]
      }
      case 'widen': {
        const { name, type } = known(edit.column)
        return formatType(type) === formatType(edit.to) ? [] : [{ ...edit, column: name }]
      }
      case 'set-identifier':
        return [edit]
      default:
        return [{ ...edit, column: known(edit.column).name }]
    }
  })
}

async function unsetProperties(
  parts: DdlParts,
  { name, properties, ifExists }: Extract<Ddl, { kind: 'unset-properties' }>,
): Promise<string[]> {
  const { table } = await ownTable(parts.scope, name)
  return alter(parts, table, (metadata) => {
    const missing = properties.find((property) => !Object.hasOwn(metadata.properties, property))
    if (missing !== undefined && !ifExists) {
      throw new Fault(
        'not-found',
        `${formatIdent(table.ident)} has no property "${missing}"; write UNSET TBLPROPERTIES IF EXISTS`,
      )
    }
    return setProperties(metadata, { removals: properties })
  })
}

async function alter(
  { catalog, clock, signal }: DdlParts,
  { ident }: LoadedTable,
  plan: (metadata: TableMetadata) => TableChange,
): Promise<string[]> {
  let planned: Schema | null = null
  const { outcome } = await commitChange(catalog, ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    signal,
    plan: async ({ metadata }) => {
      // What took effect though its answer was lost is done: the table has the columns that the attempt before wanted.
      if (planned !== null && sameSchema(planned, currentSchema(metadata))) return null
      const change = plan(metadata)
      planned = change.updates.find((update) => update.action === 'add-schema')?.schema ?? null
      return change.updates.length === 0 ? null : change
    },
  })
  return [`table ${formatIdent(ident)} ${outcome === 'nothing' ? 'is so already' : 'altered'}`]
}

async function namespaceNamed(
  catalog: Catalog,
  parts: readonly string[],
): Promise<{ namespace: readonly string[]; exists: boolean }> {
  const namespace = await namespaceOf(catalog, parts)
  const all = await catalog.listNamespaces()
  return { namespace, exists: all.some((other) => other.join('.') === namespace.join('.')) }
}

/** The name of a table to be made: `t` is in `default`; a database is found without regard to case. */
async function newIdent(catalog: Catalog, parts: readonly string[]): Promise<TableIdent> {
  const dotted = parts.find((part) => part.includes('.'))
  if (dotted !== undefined)
    throw new Fault('invalid', `a name has no dots inside its quotes, got "${dotted}"; write \`a\`.\`b\``)
  const prefixed = parts.length > 2 && [CATALOG_PREFIX, catalog.name].includes(parts[0]!)
  const path = prefixed ? parts.slice(1) : parts.length === 1 ? [DEFAULT_NAMESPACE, ...parts] : parts
  const { namespace, exists } = await namespaceNamed(catalog, path.slice(0, -1))
  const name = namespace.join('.')
  // The one database that is always there.
  if (!exists && name === DEFAULT_NAMESPACE) await catalog.createNamespace(namespace)
  else if (!exists) throw new Fault('not-found', `there is no database ${name}; CREATE DATABASE ${name} makes it`)
  return { namespace, name: path.at(-1)! }
}

/** The table of that name, case not counting, or null. */
async function sameName(catalog: Catalog, { namespace, name }: TableIdent): Promise<TableIdent | null> {
  const tables = await catalog.listTables(namespace)
  return tables.find((table) => table.name.toLowerCase() === name.toLowerCase()) ?? null
}
