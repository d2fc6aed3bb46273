/** From new and removed files to the change that makes a snapshot of them: manifests are written here, the rest is pure. */
import { snapshotId as newSnapshotId } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { operationOf } from '../iceberg/action/row-delta.ts'
import { nextSequenceNumber, snapshotChange } from '../iceberg/action/snapshot.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { writeSnapshotFiles } from '../iceberg/file/snapshot-files.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'
import type { TableChange, TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { offsetProperty, SUMMARY } from './table.ts'
import { tombstonesOf } from './tombstones.ts'

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
  /** The snapshot's statistics entry, when its tombstones are others than those of the one before; else they are passed on. */
  statistics?: (snapshotId: bigint, sequenceNumber: number) => Promise<Json>
  /** Is told of the files that were written for the snapshot beside the given ones, in case it is not committed. */
  written?: string[]
  /** What the summary says besides, and the table's properties too, for when others have expired the snapshots that told it. */
  facts?: Record<string, string>
}

/** @throws Fault `conflict` when a removed file is no longer there */
export async function planSnapshot(io: FileIO, metadata: TableMetadata, plan: SnapshotPlan): Promise<TableChange> {
  const snapshotId = newSnapshotId()
  const { manifestList, counts, written } = await writeSnapshotFiles(io, {
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
  plan.written?.push(...written)
  const operation = plan.sameRows ? 'replace' : operationOf(counts)
  const change = snapshotChange(metadata, operation, {
    snapshotId,
    manifestList,
    counts,
    timestampMs: plan.nowMs,
    summary: { ...plan.facts, ...plan.summary },
  })
  const updates = [...change.updates]
  const passedOn = tombstonesOf(metadata, metadata['current-snapshot-id'])
  if (plan.statistics !== undefined) {
    const statistics = await plan.statistics(snapshotId, nextSequenceNumber(metadata))
    updates.push({ action: 'set-statistics', statistics })
  } else if (passedOn !== null) {
    updates.push({ action: 'set-statistics', statistics: { ...passedOn, 'snapshot-id': snapshotId } })
  }
  const offset = plan.summary[SUMMARY.offset]
  if (offset !== undefined) {
    const facts = { ...plan.facts, [offsetProperty(plan.summary[SUMMARY.log])]: offset }
    updates.push({ action: 'set-properties', updates: facts })
  }
  return { ...change, updates }
}
