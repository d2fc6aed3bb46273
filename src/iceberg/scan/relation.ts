/**
 * A plan as SQL: the relation that reads the planned files by field id, deletes applied.
 */
import type { DuckSession } from '../../duck/duck.ts'
import type { FileIO } from '../file/file.ts'
import type { ScanPlan } from './scan.ts'

export interface ScanRelationOptions {
  /** Top-level columns wanted, in this order; default all of the plan's schema. */
  columns?: readonly string[]
  /** Adds `_file` (VARCHAR, the location as in the manifest) and `_pos` (BIGINT, from 0 in the file). */
  withPosition?: boolean
}

export interface ScanRelation {
  /** A SELECT; use as `FROM (${sql})`. Reads nothing but `localPaths`. */
  sql: string
  localPaths: string[]
}

export async function scanRelation(
  _session: DuckSession,
  _io: FileIO,
  _plan: ScanPlan,
  _options: ScanRelationOptions = {},
): Promise<ScanRelation> {
  throw new Error('not built yet')
}
