/** The bounds of a table's commits and upkeep: those of `base/limits.ts`, which a simulation lowers so that all happens often. */
import { limits } from '../base/limits.ts'
import type { CompactionBounds } from './compaction-choice.ts'

export interface TableBounds extends CompactionBounds {
  /** Manifests in a snapshot before small ones are merged. */
  manifestsMergeCount: number
  /** Snapshots kept by count. */
  snapshotsKeptMax: number
  /** Pause between two searches for files that nothing reaches, in ms. */
  orphanIntervalMs: number
  /** Rows of the row index's delta before it is merged into the base. */
  indexDeltaRowsMax: number
}

export const TABLE_BOUNDS: TableBounds = {
  filesPerStep: limits.compactFilesPerStep,
  targetBytes: limits.compactTargetBytes,
  turnBytesMax: limits.compactTurnBytesMax,
  turnRowsMax: limits.compactTurnRowsMax,
  deadShare: limits.compactDeadShare,
  manifestsMergeCount: limits.manifestsMergeCount,
  snapshotsKeptMax: limits.snapshotsKeptMax,
  orphanIntervalMs: limits.orphanIntervalMs,
  indexDeltaRowsMax: limits.indexDeltaRowsMax,
}
