/** The bounds of a table's commits and upkeep: those of `base/limits.ts`, which a simulation lowers so that all happens often. */
import { limits } from '../base/limits.ts'
import type { CompactionBounds } from './compaction-choice.ts'

export interface TableBounds extends CompactionBounds {
  /** Manifests in a snapshot before small ones are merged. */
  manifestsMergeCount: number
  /** Snapshots kept by count: so many at least, whatever their age, and at most. */
  snapshotsKeptMin: number
  snapshotsKeptMax: number
  /** Pause between two searches for files that nothing reaches, in ms. */
  orphanIntervalMs: number
  /** A file that nothing reaches is removed when it is older, in ms: longer than any commit takes. */
  orphanGraceMs: number
  /** Snapshots older than this may go, in ms, unless the table says otherwise. */
  snapshotAgeMaxMs: number
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
  snapshotsKeptMin: limits.snapshotsKeptMin,
  snapshotsKeptMax: limits.snapshotsKeptMax,
  orphanIntervalMs: limits.orphanIntervalMs,
  orphanGraceMs: limits.orphanGraceMs,
  snapshotAgeMaxMs: limits.snapshotAgeMaxMs,
  indexDeltaRowsMax: limits.indexDeltaRowsMax,
}
