/**
 * Tables that follow a log.
 *
 * A writer takes a table's log from the offset that the table's own snapshot names, and commits what it finds:
 * the offset travels in the snapshot summary, so there is no second checkpoint to disagree with.
 *
 * Invariants
 * 1. The table at a snapshot equals the log applied up to that snapshot's offset, whatever was repeated or retried.
 * 2. One snapshot never holds two rows of one key, and no equality delete is ever written: the row index finds the
 *    old row wherever it is, and its position is marked (Parquet position deletes on format v2).
 * 3. The row index is a cache. It is stamped with the snapshot it describes and catches up, or is built anew from the
 *    table, whenever the table is at another one.
 *
 * Crash story: killed before the catalog's swap, nothing happened and the same entries are taken again; killed after
 * it, the next run reads the offset from the snapshot, goes on from there, and the index catches up from the files.
 */
import type { Fault } from '../base/fault.ts'
import type { TableIdent } from '../iceberg/catalog/catalog.ts'
import { commitIdProperty } from '../iceberg/catalog/commit.ts'
import type { PartitionSpec, Schema, SortOrder } from '../iceberg/spec/table-metadata.ts'

/** Summary properties that Tidewater's snapshots carry. */
export const SUMMARY = {
  /** End offset, exclusive, of the log that this snapshot holds. */
  offset: 'tidewater.offset',
  /** Identity of the commit, for looking up its outcome. */
  commitId: commitIdProperty,
  /** Name of the log that the offset belongs to. */
  log: 'tidewater.log',
  /** Followed by a topic: up to where the snapshot holds the topic's partitions, as `0:123,1:456;id=…`. */
  source: 'tidewater.source.',
} as const

/** The table property that repeats the offset of a log, for when others have expired the snapshots that told it. */
export function offsetProperty(log: string | undefined): string {
  return log === undefined ? SUMMARY.offset : `${SUMMARY.offset}.${log}`
}

/**
 * - `append`: every entry becomes a row
 * - `upsert`: the entry with the greatest offset (or ordering value, where there is an ordering column) decides a key's row;
 *   `delete` removes it
 * - `insert-once`: the first entry of a key stays for good, repetitions are dropped: an append-only table of
 *   facts that may be told more than once
 */
export type WriteMode = 'append' | 'upsert' | 'insert-once'

export interface TableDefinition {
  ident: TableIdent
  /** What the table is created with, and evolved to when columns were added since. */
  schema: Schema
  /** Columns that identify a row; empty for `append`. No entry has null there, also where the table would allow it. */
  key: readonly string[]
  mode: WriteMode
  /**
   * Mode `upsert` only: a required column (int, long, date, timestamp, timestamptz) whose value says which of two changes of a key is
   * the newer, whenever they arrive; of equal ones the later in the log. Every change has it, deletes too. A change older than
   * the row that its key has, or than the delete that took it, is dropped.
   */
  ordering?: string
  spec?: PartitionSpec
  sortOrder?: SortOrder
  properties?: Record<string, string>
}

export interface CommitReport {
  table: string
  snapshotId: bigint
  /** Log offsets [from, end) that this commit took. */
  from: number
  end: number
  entries: number
  /** Rows written, and rows of before that they replaced or that were deleted. */
  rowsWritten: number
  rowsRemoved: number
  /** Tables with an ordering column: changes since the report before that were older than what their key already had. */
  lateDropped: number
  /** Deleted keys that are remembered no longer: they were too many or too old (`limits.tombstonesKeptMax`, `tombstoneAgeMaxMs`). */
  tombstonesForgotten: number
  elapsedMs: number
}

/** How far a commit was behind. */
export interface CommitLag {
  /** Age of the oldest entry that it took, ms, when it was in a snapshot; null when that is not known. */
  oldestMs: number | null
  /** Entries of the log that wait for the next. */
  waitingEntries: number
}

/** What a feed tells while it follows its log. */
export type FeedEvent =
  | { kind: 'committed'; report: CommitReport & CommitLag }
  /** Entries came but changed nothing (all repetitions): no snapshot was made. */
  | { kind: 'unchanged'; table: string; from: number; end: number }
  /** A commit failed for a reason that may pass; the feed tries again after `retryInMs`. */
  | { kind: 'stalled'; table: string; fault: Fault; retryInMs: number }
  /** Upkeep did something: compaction, expiry, removal of files. */
  | { kind: 'upkeep'; table: string; what: string }
  /** Upkeep failed, which hinders no commit; it comes again after `retryInMs`. */
  | { kind: 'upkeep-failed'; table: string; fault: Fault; retryInMs: number }
