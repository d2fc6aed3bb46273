/** Columns that records bring, given to their table before their rows are written. */
import type { Clock } from '../../base/clock.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { evolveSchema } from '../../iceberg/action/evolve-schema.ts'
import type { Catalog, LoadedTable, TableIdent } from '../../iceberg/catalog/catalog.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import type { StreamSettings } from './definition.ts'
import { type NewColumn, newColumns } from './infer.ts'
import type { PipelineRecord } from './pipeline.ts'
import type { RecordObject } from './record.ts'

export interface EvolvingTable {
  catalog: Catalog
  clock: Clock
  ident: TableIdent
  settings: StreamSettings
}

/**
 * Called with the records that `schema` has no place for. Gives the table what they lack.
 * @returns the table's columns now; `schema` itself when nothing was to be done
 */
export async function evolveFor(
  records: readonly PipelineRecord[],
  schema: Schema,
  { catalog, clock, ident, settings }: EvolvingTable,
): Promise<Schema> {
  const values = records.flatMap(({ value }) => (value === null ? [] : [value]))
  if (missingColumns(values, schema, settings).length === 0) return schema
  const { table } = await commitChange(catalog, ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }: LoadedTable) => {
      const columns = missingColumns(values, currentSchema(metadata), settings)
      if (columns.length === 0) return null
      return evolveSchema(
        metadata,
        columns.map((column) => ({ edit: 'add', ...column })),
      )
    },
  })
  return currentSchema(table.metadata)
}

function missingColumns(
  values: readonly RecordObject[],
  schema: Schema,
  { operationField }: StreamSettings,
): NewColumn[] {
  const found: NewColumn[] = []
  for (const value of values) {
    const known = {
      ...schema,
      fields: [...schema.fields, ...found.map((column) => ({ id: 0, required: false, ...column }))],
    }
    found.push(...newColumns(value, known))
  }
  const room = Math.max(0, limits.streamColumnsMax - schema.fields.length)
  return found.filter(({ name }) => name !== operationField).slice(0, room)
}
