/** Bounds of what a server does for others: HTTP, metrics, SQL; and of its worker threads. Composed in `../limits.ts`. */
import { KiB, MiB } from './units.ts'

export const serverLimits = {
  /** What a worker thread's death may tell, in characters. */
  threadMessageMax: 2_000,

  /** HTTP: connections, and bytes of bodies held over all requests (unpacked, until they are answered). */
  httpConnectionsMax: 1_024,
  httpInFlightBytesMax: 256 * MiB,
  /** How long the head of a request may take, and a connection may wait for the next one. */
  httpHeadersMs: 10_000,
  httpKeepAliveMs: 72_000,
  /**
   * Bodies: the longest silence, and the time that a body may keep the server waiting in all, which is this and a second for every
   * so many bytes. After an early answer the rest of a body is read for so long.
   */
  httpBodySilenceMs: 10_000,
  httpBodyWaitMs: 30_000,
  httpBodyBytesPerSecondMin: 16 * KiB,
  httpLingerMs: 2_000,
  /** A body taken in parts may unpack to so many times its size beyond the bound of a request; zstd's window, as a power of two. */
  httpUnpackRatioMax: 256,
  httpZstdWindowLog: 23,
  /** A body taken in parts waits so long for room in the backlog or in its key's rate, and tells so many of its bad records. */
  httpPartWaitMs: 30_000,
  httpPartRetryMs: 250,
  httpProblemsMax: 1_000,
  /** Events of one request that are taken side by side. */
  httpEventsAtOnce: 100,
  /** Waiting for a commit: default, beside the time that the stream gathers records, and most. */
  httpCommitWaitMs: 30_000,
  httpCommitWaitMaxMs: 300_000,
  /** Entries of a stream's log in an answer, and how long an answer waits for some. */
  httpEntriesMax: 1_000,
  httpEntriesWaitMs: 25_000,
  /** Statements of `POST /sql` that run, and that wait for their turn. */
  httpStatementsMax: 4,
  httpStatementsWaiting: 32,
  /** What a rate allows at once, as time of its filling; how often the file of keys is looked at. */
  httpRateBurstMs: 2_000,
  httpKeysPollMs: 2_000,
  /** How often a server looks whether its configuration file has changed. */
  configPollMs: 2_000,
  /** Tables told apart in /metrics; further ones are counted together. */
  metricTablesMax: 1_000,
  /** Buckets told apart there, each with some ten operations and seven outcomes. */
  metricBucketsMax: 100,

  /** SQL: what one statement may use and return. */
  queryMemoryMiB: 1024,
  queryTimeMs: 60_000,
  queryRowsMax: 1_000_000,
  queryTextBytesMax: 1 * MiB,
  queryThreads: 2,
  querySpillMiB: 8192,
  queryStatementsMax: 100,
  queryTablesMax: 64,
  queryViewsMax: 200,
  /** Levels of the syntax tree as JSON; an expression takes two or three of them per level of its own. */
  queryTreeDepthMax: 2_000,
  /** Result held as text and numbers in memory, estimated. */
  queryResultBytesMax: 256 * MiB,
} as const
