/** A table as its definition wants it: created when missing, columns added when they are new. Nothing is ever dropped. */
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { evolveSchema, type SchemaEdit } from '../iceberg/action/evolve-schema.ts'
import { setProperties } from '../iceberg/action/set-properties.ts'
import { type Catalog, formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import type { Schema, TableChange, TableMetadata, Type } from '../iceberg/spec/table-metadata.ts'
import { formatType, isPromotable } from '../iceberg/spec/type.ts'
import { checkOrdering } from './ordering.ts'
import type { TableDefinition } from './table.ts'

/** @throws Fault `invalid` when a column is there with a type that the definition contradicts, or cannot order rows */
export async function ensureTable(catalog: Catalog, definition: TableDefinition, clock: Clock): Promise<LoadedTable> {
  checkOrdering(definition, definition.schema)
  const existing = await loadOrNull(catalog, definition)
  if (existing === null) return createTable(catalog, definition)
  const plan = (metadata: TableMetadata) => changeFor(metadata, definition)
  if (plan(existing.metadata) === null) return existing
  const { table } = await commitChange(catalog, definition.ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }) => plan(metadata),
  })
  return table
}

async function loadOrNull(catalog: Catalog, { ident }: TableDefinition): Promise<LoadedTable | null> {
  try {
    return await catalog.load(ident)
  } catch (error) {
    if (isFault(error, 'not-found')) return null
    throw error
  }
}

async function createTable(catalog: Catalog, definition: TableDefinition): Promise<LoadedTable> {
  const { ident, schema, spec, sortOrder, properties } = definition
  await catalog.createNamespace(ident.namespace)
  return catalog.create(ident, {
    schema,
    formatVersion: 2,
    properties: { 'write.parquet.compression-codec': 'zstd', ...properties },
    ...(spec === undefined ? {} : { spec }),
    ...(sortOrder === undefined ? {} : { sortOrder }),
  })
}

/** New columns and changed properties as one change; null when the table is as wanted. */
function changeFor(metadata: TableMetadata, definition: TableDefinition): TableChange | null {
  checkOrdering(definition, currentSchema(metadata))
  const columns = evolveSchema(metadata, newColumns(currentSchema(metadata), definition))
  const properties = setProperties(metadata, { updates: definition.properties ?? {} })
  const updates = [...columns.updates, ...properties.updates]
  return updates.length === 0 ? null : { requirements: columns.requirements, updates }
}

function newColumns(current: Schema, definition: TableDefinition): SchemaEdit[] {
  const edits: SchemaEdit[] = []
  for (const wanted of definition.schema.fields) {
    const found = current.fields.find((field) => field.name === wanted.name)
    if (found === undefined) edits.push({ edit: 'add', name: wanted.name, type: wanted.type })
    else if (!holds(found.type, wanted.type)) {
      throw new Fault(
        'invalid',
        `column ${wanted.name} of ${formatIdent(definition.ident)} has type ${formatType(found.type)}, but the configuration wants ${formatType(wanted.type)}; give the column another name, or keep its type`,
      )
    }
  }
  return edits
}

/** Whether a column of type `found` takes what `wanted` asks for: the table may have been widened and got new members since. */
function holds(found: Type, wanted: Type): boolean {
  if (typeof found === 'string' || typeof wanted === 'string') return isPromotable(wanted, found)
  if (found.type === 'list') return wanted.type === 'list' && holds(found.element, wanted.element)
  if (found.type === 'map') return wanted.type === 'map' && found.key === wanted.key && holds(found.value, wanted.value)
  return (
    wanted.type === 'struct' &&
    wanted.fields.every(({ name, type }) =>
      found.fields.some((field) => field.name === name && holds(field.type, type)),
    )
  )
}
