/**
 * Columns that records bring, given to their table before their rows are written.
 *
 * Several requests, and other engines, may do so at the same time: what is lacking is found anew in the table as it is at each
 * attempt, so what somebody else has added meanwhile is taken, and no column is added twice. A record that is no row with the
 * columns it asks for either changes nothing, and nothing for the other records. A crash leaves the change made or not made.
 */

import { must } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { isFault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { evolveSchema, type SchemaEdit } from '../../iceberg/action/evolve-schema.ts'
import type { Catalog, LoadedTable, TableIdent } from '../../iceberg/catalog/catalog.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema, TableChange, TableMetadata } from '../../iceberg/spec/table-metadata.ts'
import type { StreamSettings } from './definition.ts'
import { type EvolutionRules, evolves, planEdits } from './evolution-plan.ts'
import type { RecordObject } from './record.ts'
import { compileRowReader, type RowSource } from './row-reader.ts'
import { scalarRules } from './scalar-settings.ts'

export interface EvolvingTable {
  catalog: Catalog
  clock: Clock
  ident: TableIdent
  settings: StreamSettings
}

/**
 * Called with the records that `schema` has no place for. Gives the table what they lack, by the stream's policy.
 * @returns the table's columns now; `schema` itself when nothing was to be done
 * @throws Fault `unavailable`, `conflict` (others changed the table during each attempt), `commit-unknown`
 */
export async function evolveFor(
  records: readonly RowSource[],
  schema: Schema,
  { catalog, clock, ident, settings }: EvolvingTable,
): Promise<Schema> {
  if (!evolves(settings)) return schema
  const { unknownFields, conflict, operationField } = settings
  const required = new Set(schema.fields.flatMap((field) => (field.required ? [field.name] : [])))
  const rules: EvolutionRules = { ...scalarRules(settings), unknownFields, conflict, operationField, required }
  const lacking = records.filter(({ value }) => value !== null)
  if (planEdits(lacking.map(parsed), schema, rules).every((edits) => edits.length === 0)) return schema
  const isRow = (columns: Schema) => {
    const reader = compileRowReader(withRequired(columns, required), settings)
    return (record: RowSource) => reader.read(record).ok
  }
  const { table } = await commitChange(catalog, ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }: LoadedTable) => planChange(lacking, metadata, rules, isRow),
  })
  return currentSchema(table.metadata)
}

/** The change for the records that are rows with it; null when it comes to nothing. */
function planChange(
  records: readonly RowSource[],
  metadata: TableMetadata,
  rules: EvolutionRules,
  isRow: (columns: Schema) => (record: RowSource) => boolean,
): TableChange | null {
  const all = tryEdits(metadata, planEdits(records.map(parsed), currentSchema(metadata), rules).flat())
  if (all !== null && records.every(isRow(all.schema))) return all.change
  const rows = new Set(all === null ? [] : records.filter(isRow(all.schema)))
  let taken = tryEdits(metadata, planEdits([...rows].map(parsed), currentSchema(metadata), rules).flat())
  // The others may have stood in each other's way: some of them, one after the other, each on top of what is taken.
  for (const record of records.filter((one) => !rows.has(one)).slice(0, limits.streamEvolveTriesMax)) {
    const [edits = []] = planEdits([parsed(record)], taken?.schema ?? currentSchema(metadata), rules)
    const more = edits.length === 0 ? null : tryEdits(metadata, [...(taken?.edits ?? []), ...edits])
    if (more !== null && isRow(more.schema)(record)) taken = more
  }
  return taken?.change ?? null
}

interface SchemaChange {
  edits: readonly SchemaEdit[]
  change: TableChange
  /** The columns then. */
  schema: Schema
}

/** Null: they come to nothing, or to what no table may have. */
function tryEdits(metadata: TableMetadata, edits: readonly SchemaEdit[]): SchemaChange | null {
  try {
    const change = evolveSchema(metadata, edits)
    if (change.updates.length === 0) return null
    return { edits, change, schema: schemaAfter(metadata, change) }
  } catch (error) {
    if (isFault(error, 'invalid') || isFault(error, 'conflict') || isFault(error, 'not-found')) return null
    throw error
  }
}

/** A change that comes back to columns of before names their schema by its id. */
function schemaAfter(metadata: TableMetadata, { updates }: TableChange): Schema {
  for (const update of updates) {
    if (update.action === 'add-schema') return update.schema
    if (update.action !== 'set-current-schema') continue
    const known = metadata.schemas.find((schema) => schema['schema-id'] === update['schema-id'])
    if (known !== undefined) return known
  }
  return currentSchema(metadata)
}

function parsed({ value }: RowSource): RecordObject {
  return must(value, 'the value of a record that was read')
}

function withRequired(schema: Schema, required: ReadonlySet<string>): Schema {
  const fields = schema.fields.map((field) => (required.has(field.name) ? { ...field, required: true } : field))
  return { ...schema, fields }
}
