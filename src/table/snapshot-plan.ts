/** From new and removed files to the change that makes a snapshot of them: manifests are written here, the rest is pure. */
import { snapshotId as newSnapshotId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { operationOf } from '../iceberg/action/row-delta.ts'
import { nextSequenceNumber, snapshotChange } from '../iceberg/action/snapshot.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { writeSnapshotFiles } from '../iceberg/file/snapshot-files.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import type { TableChange, TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { offsetProperty, SUMMARY } from './table.ts'

export interface SnapshotPlan {
  dataFiles: readonly DataFile[]
  deleteFiles: readonly DataFile[]
  /** Files that the snapshot no longer has, letter by letter. */
  removedPaths: ReadonlySet<string>
  /** True when the rows stay the same (compaction). */
  sameRows: boolean
  /** Manifests before small ones are merged; default `limits.manifestsMergeCount`. */
  mergeCount?: number
  nowMs: number
  summary: Record<string, string>
}

/** @throws Fault `conflict` when a removed file is no longer there */
export async function planSnapshot(io: FileIO, metadata: TableMetadata, plan: SnapshotPlan): Promise<TableChange> {
  const snapshotId = newSnapshotId()
  const { manifestList, counts } = await writeSnapshotFiles(io, {
    metadata,
    snapshotId,
    sequenceNumber: nextSequenceNumber(metadata),
    addedDataFiles: plan.dataFiles,
    addedDeleteFiles: plan.deleteFiles,
    removedPaths: plan.removedPaths,
    mergeCount: plan.mergeCount ?? limits.manifestsMergeCount,
    manifestBytesTarget: limits.manifestBytesTarget,
    dropOrphanedDeletes: plan.removedPaths.size > 0,
    nowMs: plan.nowMs,
  })
  const operation = plan.sameRows ? 'replace' : operationOf(counts)
  const change = snapshotChange(metadata, operation, {
    snapshotId,
    manifestList,
    counts,
    timestampMs: plan.nowMs,
    summary: plan.summary,
  })
  const offset = plan.summary[SUMMARY.offset]
  if (offset === undefined) return change
  const facts = { [offsetProperty(plan.summary[SUMMARY.log])]: offset }
  return { ...change, updates: [...change.updates, { action: 'set-properties', updates: facts }] }
}
