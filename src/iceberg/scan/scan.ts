/**
 * Which files a read needs at a snapshot, and the relation that reads them.
 *
 * `snapshot-at.ts` finds the snapshot, `plan.ts` the files, `relation.ts` makes SQL of them. Position deletes are applied;
 * what is not read here (equality deletes, deletion vectors, Avro and ORC files) is fault `unsupported`, never wrong rows.
 */
import type { DataFile } from '../spec/manifest.ts'
import type { Schema, Snapshot } from '../spec/table-metadata.ts'
import type { MappedField } from './name-mapping.ts'

/**
 * A filter that pruning understands; anything else is left to the engine. Columns are named as in the scan's relation,
 * members of structs by dots. Bounds are JSON scalars or bigint: dates and times as ISO text, zoned ones with their offset
 * (without it they are not used), decimals as text.
 */
export type Predicate =
  | { op: 'and' | 'or'; left: Predicate; right: Predicate }
  | { op: '=' | '!=' | '<' | '<=' | '>' | '>='; column: string; value: string | number | bigint | boolean }
  | { op: 'in'; column: string; values: (string | number | bigint | boolean)[] }
  | { op: 'is-null' | 'not-null'; column: string }
  | { op: 'true' }

export interface ScanTask {
  file: DataFile
  /** Sequence number of the data file. */
  sequenceNumber: number
  /** Position-delete files that may hold positions of this file. */
  deletes: DataFile[]
}

export interface ScanPlan {
  /** Location of the table, for messages. */
  table: string
  /** Null: the table has no snapshot, the scan gives no rows. */
  snapshot: Snapshot | null
  /** The schema that rows are read with. */
  schema: Schema
  tasks: ScanTask[]
  /** Field ids by name, for data files that have none; absent: the table has no name mapping. */
  nameMapping?: MappedField[]
  /** How planning went, for `EXPLAIN` and tests. */
  manifestsRead: number
  manifestsSkipped: number
  filesSkipped: number
}
