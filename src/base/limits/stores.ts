/** Bounds of stores: files, S3, local copies. Composed in `../limits.ts`. */
import { KiB, MiB } from './units.ts'

export const storeLimits = {
  /** File store: names of one folder sorted at a time, files asked for their state at once, MD5 etags remembered. */
  storeNamesPage: 65_536,
  storeStatsAtOnce: 32,
  storeEtagsMax: 65_536,

  /** S3: sockets of one connection; requests of one bucket at once, and those that wait for their turn; buckets remembered. */
  s3SocketsMax: 128,
  s3RequestsAtOnce: 64,
  s3RequestsWaitingMax: 100_000,
  s3BucketsKept: 1_000,
  /** Tries of a request, and the pause between them (doubled up to the maximum, with full jitter); the longest pause of a throttled bucket. */
  s3AttemptsMax: 8,
  s3BackoffMs: 100,
  s3BackoffMaxMs: 10_000,
  s3ThrottleMaxMs: 20_000,
  /** A bucket that has been answered by nothing but "slow down" for so long is asked by one request after each pause; others are refused. */
  s3ThrottledGiveUpMs: 30_000,
  /**
   * A request of those who ask again later has such a time, or this one while the bucket answers nothing (and more for bytes that
   * travel); the pause between such probes, doubled up to the longest of a throttled bucket.
   */
  s3ImpatientRequestMs: 10_000,
  s3ProbeMs: 5_000,
  s3SilentMs: 500,
  /** Time to connect, and for a whole answer: this, and a second for every so many bytes that travel. */
  s3ConnectMs: 5_000,
  s3RequestMs: 30_000,
  s3BytesPerSecondMin: 64 * KiB,
  /** What is read of an answer that says no. */
  s3ErrorBytesMax: 64 * KiB,
  /** An object read whole, whose size is not known before, has the time of so many. */
  s3WholeReadBytes: 64 * MiB,
  /** Up to this size a file is put by one request; beyond in parts of this size or more, so many parts in all. Of all files so many
   * such bodies are in memory at once. */
  s3PutBytesMax: 16 * MiB,
  s3BodiesAtOnce: 6,
  s3PartsMax: 10_000,
  /** Bytes of one ranged read when a whole object is fetched to a local file, and such reads at once: of one object, and in all. */
  s3ReadBytes: 8 * MiB,
  s3ReadsAtOnce: 4,
  s3ReadsAtOnceInAll: 16,
  /** Objects of one page of a listing, and of one request to delete; such requests at once. */
  s3PageObjects: 1_000,
  s3DeleteObjects: 1_000,
  s3DeletesAtOnce: 4,
  /** Local copies of objects: bytes in all; one used within so long stays; what a crash left of unfinished ones goes after so long. */
  localCacheBytes: 8192 * MiB,
  localCacheKeepMs: 3 * 60_000,
  localCachePartMs: 6 * 3600 * 1000,
} as const
