/**
 * Columns that records bring, given to their table before their rows are written.
 *
 * Several requests, and other engines, may do so at the same time: what is lacking is found anew in the table as it is at each
 * attempt, so what somebody else has added meanwhile is taken, and no column is added twice. A record that asks for what no
 * table may have changes nothing, and nothing for the other records. A crash leaves the change made or not made.
 */
import type { Clock } from '../../base/clock.ts'
import { isFault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { evolveSchema, type SchemaEdit } from '../../iceberg/action/evolve-schema.ts'
import type { Catalog, LoadedTable, TableIdent } from '../../iceberg/catalog/catalog.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema, TableChange, TableMetadata } from '../../iceberg/spec/table-metadata.ts'
import type { StreamSettings } from './definition.ts'
import { type EvolutionRules, evolves, planEdits } from './evolution-plan.ts'
import type { PipelineRecord } from './pipeline.ts'
import type { RecordObject } from './record.ts'
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
  records: readonly Pick<PipelineRecord, 'value'>[],
  schema: Schema,
  { catalog, clock, ident, settings }: EvolvingTable,
): Promise<Schema> {
  if (!evolves(settings)) return schema
  const { unknownFields, conflict, operationField } = settings
  const required = new Set(schema.fields.flatMap((field) => (field.required ? [field.name] : [])))
  const rules: EvolutionRules = { ...scalarRules(settings), unknownFields, conflict, operationField, required }
  const values = records.flatMap(({ value }) => (value === null ? [] : [value]))
  if (planEdits(values, schema, rules).every((edits) => edits.length === 0)) return schema
  const { table } = await commitChange(catalog, ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }: LoadedTable) => planChange(values, metadata, rules),
  })
  return currentSchema(table.metadata)
}

function planChange(
  values: readonly RecordObject[],
  metadata: TableMetadata,
  rules: EvolutionRules,
): TableChange | null {
  const byRecord = planEdits(values, currentSchema(metadata), rules).filter((edits) => edits.length > 0)
  if (byRecord.length === 0) return null
  const all = tryChange(metadata, byRecord.flat())
  if (all !== null) return all
  // Some record asks for what no table may have: those before and after it count, each if it goes with those before.
  let taken: SchemaEdit[] = []
  for (const edits of byRecord) {
    const more = [...taken, ...edits]
    if (tryChange(metadata, more) !== null) taken = more
  }
  return taken.length === 0 ? null : tryChange(metadata, taken)
}

function tryChange(metadata: TableMetadata, edits: readonly SchemaEdit[]): TableChange | null {
  try {
    const change = evolveSchema(metadata, edits)
    return change.updates.length === 0 ? null : change
  } catch (error) {
    if (isFault(error, 'invalid') || isFault(error, 'conflict') || isFault(error, 'not-found')) return null
    throw error
  }
}
