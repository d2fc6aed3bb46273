/**
 * Plans a scan: manifest list → manifests → data files, each with the delete files that apply to it.
 */
import type { FileIO } from '../file/file.ts'
import type { Schema, TableMetadata } from '../spec/table-metadata.ts'
import type { Predicate, ScanPlan } from './scan.ts'

export interface ScanRequest {
  /** Default: the current snapshot. `snapshot-at.ts` finds ids by ref and time. */
  snapshotId?: bigint
  /** Default: the current schema for the current snapshot, else the snapshot's own. */
  schema?: Schema
  /** Files that cannot hold a matching row are left out; rows are not filtered. */
  predicate?: Predicate
}

/** @throws Fault `not-found` (no such snapshot), `corrupt`, `unsupported` (equality deletes, Avro or ORC files, vectors) */
export async function planScan(_io: FileIO, _metadata: TableMetadata, _request: ScanRequest = {}): Promise<ScanPlan> {
  throw new Error('not built yet')
}
