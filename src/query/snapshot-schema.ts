import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { findSnapshot } from '../iceberg/spec/history.ts'
import { currentSchema, schemaById } from '../iceberg/spec/schema.ts'
import type { Schema, Snapshot } from '../iceberg/spec/table-metadata.ts'
import type { SnapshotChoice } from './as-of.ts'

/** The snapshot that a choice reads; null when the table has none yet. */
export function choiceSnapshot(table: LoadedTable, choice: SnapshotChoice): Snapshot | null {
  const id = choice.snapshotId ?? table.metadata['current-snapshot-id']
  return (id === undefined ? undefined : findSnapshot(table.metadata, id)) ?? null
}

/** The schema that rows are read with: the current one, or for an older snapshot its own. */
export function choiceSchema(table: LoadedTable, choice: SnapshotChoice): Schema {
  if (choice.schema !== undefined) return choice.schema
  if (choice.snapshotId === null) return currentSchema(table.metadata)
  const own = choiceSnapshot(table, choice)?.['schema-id']
  return own === undefined ? currentSchema(table.metadata) : schemaById(table.metadata, own)
}
