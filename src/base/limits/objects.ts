/** Bounds of objects and of what tells of them: events, questions, queues, directories, comparisons with listings. Composed in `../limits.ts`. */
import { KiB, MiB } from './units.ts'

export const objectLimits = {
  /** Objects in flight to the extractor workers. */
  extractWindow: 256,

  /**
   * Rows made anew beside live events: at once, found by one statement, in the part of one request (or for so long), and passed on
   * before their commit is waited for.
   */
  reextractAtOnce: 16,
  reextractPageRows: 10_000,
  reextractPartRows: 1_000,
  reextractPartMs: 15_000,
  reextractStatementMs: 600_000,
  reextractWaitingMax: 20_000,
  /** Objects that stores are asked about at once; a bucket that has answered nothing for so long holds up no events of others. */
  describesAtOnce: 32,
  askPatienceMs: 3_000,
  /** Bytes fetched of a remote object behind those that were asked for, while it is read in order. */
  readAheadBytes: 256 * KiB,
  /**
   * Objects whose store did not answer, asked about again: at once of one bucket, and buckets at once; how often it is looked who is due.
   * A bucket that does not answer is left alone for such a pause, doubled up to the maximum; an object that is refused waits the
   * longer times, doubled too. Such reads at once in all, with those that somebody asked for.
   */
  askAgainAtOnce: 16,
  askAgainBucketsAtOnce: 8,
  askAgainMs: 1_000,
  askAgainPauseMaxMs: 20_000,
  askAgainRefusedMs: 60_000,
  askAgainRefusedMaxMs: 15 * 60_000,
  askAgainReadsMax: 256,
  /** Events that wait for the stage, from which on nothing is asked again for the moment. */
  askAgainBehindMax: 100_000,
  /** A look at what lies outside, before the start; how many are taken at once. */
  reachMs: 5_000,
  reachAtOnce: 16,
  /** A start waits so long for a warehouse that does not answer, and looks again after such a pause (doubled up to the maximum). */
  warehouseWaitMs: 10 * 60_000,
  warehouseBackoffMs: 1_000,
  warehouseBackoffMaxMs: 15_000,
  /** Requests to a bucket that fail one after another before `/health` and the log tell of it; the log does so again after so long. */
  bucketFailuresTold: 5,
  bucketToldEveryMs: 60_000,
  /** Buckets of object stores that are held open, and prefixes of keys that one may exclude. */
  bucketsOpenMax: 1_000,
  excludedPrefixesMax: 1_000,

  /** Notifications: one document or line of a file, envelopes in each other, records in all, and an object's key. */
  notificationBytesMax: 8 * MiB,
  notificationEnvelopesMax: 8,
  notificationRecordsMax: 10_000,
  objectKeyBytesMax: 4_096,

  /** Queues: receivers of one, how long a receipt waits for messages, and a request's time beside that. */
  queueReceiversMax: 32,
  queueWaitSeconds: 20,
  queueRequestMs: 15_000,
  /** Calls of one queue that delete, under way; how often such a call is tried. */
  queueDeletesAtOnce: 16,
  queueDeleteTries: 5,
  /** A queue that cannot be read is tried again after such a pause at most; how often its length is asked, and room looked for. */
  queueBackoffMaxMs: 60_000,
  queueLookMs: 30_000,
  queueRoomMs: 500,

  /** Events about objects that wait to be passed on, and changes that wait for one table, from which on sources take no more. */
  objectsBacklogEntriesMax: 500_000,
  objectsTableBacklogEntriesMax: 2_000_000,
  /** Room on the disk below which sources take no more for the moment, and how often it is looked at. */
  objectsFreeBytesMin: 256 * MiB,
  objectsFreeCheckMs: 1_000,

  /** Directory source: files compared per page, and how often a full comparison runs while watching. */
  scanPageFiles: 10_000,
  rescanIntervalMs: 5_000,
  /** Full comparisons of a large directory come less often: at most this share of the time goes into them. */
  rescanShareMax: 0.05,
  /** A file is taken when it has held still so long; one that never does, after the longer time. */
  watchQuietMs: 100,
  settleMaxMs: 2_000,
  /** Files of a directory that are no objects: how many are named, and remembered as named while watching. */
  skippedNamedMax: 5,
  skippedKept: 1_000,
  /**
   * Comparing a bucket with its listing: how far the clocks of the store and of this machine may be apart, versions of one key that
   * are compared, keys of a page of what is found, keys looked at again at once, and events that may wait for the stage.
   */
  reconcileClockSkewMs: 15_000,
  reconcileVersionsPerKeyMax: 200_000,
  reconcilePageKeys: 1_000,
  reconcileLooksAtOnce: 16,
  reconcileWaitingMax: 100_000,
  /** Parts of a listing that are read at once, keys that a part has shown before it is split, and looks for a place to split it. */
  reconcilePartsAtOnce: 8,
  reconcilePartsMax: 64,
  reconcileSplitKeys: 2_000,
  reconcileSplitProbesMax: 24,
  /** Differences that are named in an answer; all are counted. */
  reconcileNamedMax: 1_000,
  /** How often a bucket may be compared by itself at most. */
  reconcileEveryMsMin: 60_000,
  reconcileEveryMsMax: 365 * 24 * 3600 * 1000,
  /** A comparison that failed is tried again after such a pause (doubled up to the maximum); how far a listing has come is kept so often. */
  reconcileBackoffMs: 10_000,
  reconcileBackoffMaxMs: 3600 * 1000,
  reconcileKeepMs: 1_000,
  /** S3 Inventory: bytes of a manifest, its files, bytes of one of them and of one read of it. */
  inventoryManifestBytesMax: 64 * MiB,
  inventoryFilesMax: 100_000,
  inventoryFileBytesMax: 8192 * MiB,
  inventoryReadBytes: 8 * MiB,
  /** ORC: bytes of a file's tail, of one column of a stripe unpacked, and rows of a stripe. */
  orcTailBytesMax: 64 * MiB,
  orcStreamBytesMax: 512 * MiB,
  orcStripeRowsMax: 20_000_000,
  /** Folders watched, and how often a root that is gone is looked for. */
  watchFoldersMax: 16_384,
  watchRootPollMs: 250,
} as const
