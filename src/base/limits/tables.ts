/** Bounds of what is between an accepted change and a committed snapshot: the log, commits, metadata, upkeep, row indexes. Composed in `../limits.ts`. */
import { MiB } from './units.ts'

export const tableLimits = {
  /** One log entry, as text. Larger input is refused at the door. */
  logEntryBytesMax: 8 * MiB,
  /** One append call: entries and bytes that are made durable together. */
  logBatchEntriesMax: 10_000,
  logBatchBytesMax: 32 * MiB,
  /** A segment is sealed when it reaches this size. */
  logSegmentBytesMax: 64 * MiB,
  /** Appends of one log that wait to be written; more are refused for the moment. */
  logQueueBytesMax: 128 * MiB,

  /** Commits of all tables that run at once; beside them upkeep, of one table at a time. */
  commitsAtOnce: 4,
  /** One commit of a table takes at most so many log entries and bytes. */
  commitEntriesMax: 1_000_000,
  commitBytesMax: 256 * MiB,
  /** A commit waits so long for more entries after the first. */
  commitLingerMs: 200,
  /** Optimistic commits: tries, and the pause between them (doubled, with jitter, up to the maximum). */
  commitAttemptsMax: 20,
  commitBackoffMs: 25,
  commitBackoffMaxMs: 2_000,
  /** A stage or feed that failed tries again after such a pause (doubled up to the maximum), for as long as it takes. */
  stageBackoffMs: 100,
  stageBackoffMaxMs: 16_000,
  /** How long a commit waits for a catalog locked by another process. */
  catalogBusyMs: 90_000,
  /** Table metadata: one file unpacked, and what a catalog remembers of the files it has read. */
  metadataBytesMax: 512 * MiB,
  metadataCacheBytes: 32 * MiB,
  /** A metadata file out of the log stays so long after it was replaced, for whoever is about to open it. */
  metadataGraceMs: 60_000,
  metadataTrimWaitingMax: 4_096,

  /** Rows of one data file before the next is begun, and Parquet row group size. */
  dataFileRowsMax: 10_000_000,
  rowGroupRows: 122_880,
  /** Manifests in a snapshot before small ones are merged, and the size that counts as full. */
  manifestsMergeCount: 32,
  manifestBytesTarget: 4 * MiB,
  /** Avro files: one block unpacked. Small files of tables that are kept in memory, together. */
  avroBlockBytesMax: 64 * MiB,
  /** Compiled readers and writers of Avro schemas that are remembered. */
  avroCodecsKept: 256,
  fileCacheBytes: 64 * MiB,
  /** Distinct values whose partition is computed outside DuckDB, at a time. */
  partitionValuesPage: 10_000,
  /** Parquet footers read by one statement, and those whose schema is remembered. */
  footersAtOnce: 1_000,
  footersKept: 100_000,
  /** Files of a table put into or asked of its store at once. */
  filesAtOnce: 16,
  /** Compaction: files of one size step before they are merged, the size that counts as full, bytes rewritten in a turn. */
  compactFilesPerStep: 8,
  compactTargetBytes: 128 * MiB,
  compactTurnBytesMax: 512 * MiB,
  /** Rows rewritten in a turn: each has its place in the row index changed by one transaction, in memory. */
  compactTurnRowsMax: 4_000_000,
  /** Share of dead rows from which a file is rewritten by itself: a scan reads at most a third more rows than there are. */
  compactDeadShare: 0.25,
  /**
   * Compaction of a table that others change: swaps tried while commits wait, rounds of such swaps, and fresh starts in a turn; each
   * start takes half as many files as the one before, down to this share.
   */
  compactSwapsMax: 4,
  compactRoundsMax: 5,
  compactStartsMax: 3,
  compactHalvingsMax: 4,
  /** Turns of one `optimize`: each leaves fewer files or fewer dead rows than there were. */
  optimizeTurnsMax: 10_000,
  /** `optimize` takes dead rows out of files that have at least this share of them. */
  optimizeDeadShare: 0.05,
  /** Upkeep of a table comes at the latest so long after the last; after a failure after such a pause (doubled up to the maximum). */
  upkeepIntervalMs: 10 * 60_000,
  upkeepBackoffMs: 1_000,
  upkeepBackoffMaxMs: 10 * 60_000,
  /** Turns in a row of one table when a process waits for its upkeep before it ends. */
  upkeepTurnsAtEnd: 16,
  /** Rows of a row index's delta before it is merged into the base; a larger commit goes to the base at once. */
  indexDeltaRowsMax: 300_000,
  /** Deleted keys that a table with an ordering column remembers, by count and by age: each commit that deletes writes them anew. */
  tombstonesKeptMax: 250_000,
  tombstoneAgeMaxMs: 7 * 24 * 3600 * 1000,
  /** Snapshots kept by default, by count and by age. */
  snapshotsKeptMin: 20,
  snapshotsKeptMax: 500,
  snapshotAgeMaxMs: 5 * 24 * 3600 * 1000,
  metadataVersionsKept: 20,
  /**
   * A file that nothing reaches is removed when it is so old: longer than a commit of any engine may take from its first file
   * to its end (jobs of Spark run for hours).
   * How often a writing process looks for such files, and how many it removes at a time.
   */
  orphanGraceMs: 3 * 24 * 3600 * 1000,
  /** Nobody may ask for less: a commit of another engine that is under way would lose its files. */
  orphanGraceMinMs: 24 * 3600 * 1000,
  orphanIntervalMs: 6 * 3_600_000,
  /** A file may seem so much older than the table that it was written for: clocks step back. */
  clockStepMaxMs: 60_000,
  orphansAtOnce: 10_000,
  /** What reading the write-ahead log of a row index after a kill may take. */
  indexReplayMemoryMiB: 512,
} as const
