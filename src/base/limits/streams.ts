/** Bounds of records: dead letters, streams, their sources, functions and routing. Composed in `../limits.ts`. */
import { KiB, MiB } from './units.ts'

export const streamLimits = {
  /** Dead letters keep at most this much of a payload (the rest is named by length and hash). */
  deadLetterPayloadBytesMax: 1 * MiB,
  /** Objects of refused records: those that come together within so long share one; letters that are known to have a line. */
  errorObjectLingerMs: 5_000,
  errorLinesKept: 1_000_000,
  /** Old dead letters are looked for so often, and so many are deleted at a time. */
  letterExpiryMs: 3600 * 1000,
  lettersExpiredAtOnce: 10_000,
  /** A replay reads so many letters at a time and so many bytes of them, and a server replays so many for one request. */
  replayPageLetters: 500,
  replayPageBytes: 8 * MiB,
  replayRequestLetters: 1_000,

  /** Streams: one record's bytes, records and bytes of one request (after unpacking), and how deep a record nests. */
  streamRecordBytesMax: 1000 * KiB,
  streamRequestRecordsMax: 5_000,
  streamRequestBytesMax: 16 * MiB,
  streamDepthMax: 32,
  /** Streams of one home, columns that a table may come to by itself, and problems told of one record. */
  streamsMax: 200,
  streamColumnsMax: 1_000,
  streamProblemsMax: 5,
  /** Records of a request whose columns are tried one by one, when those of all together cannot be. */
  streamEvolveTriesMax: 64,
  /** Schemas of streams: their text, the time to compile one, to check the records of a request or one of them, records that may
   * take too long in a request, and steps to check a record against Avro. */
  streamSchemaBytesMax: 256 * KiB,
  streamSchemaCompileMs: 5_000,
  streamSchemaCheckMs: 500,
  streamSchemaSlowMax: 4,
  streamSchemaStepsMax: 1_000_000,
  /** User agents whose facts a stream keeps, and how much of one is looked at. */
  streamUserAgentsKept: 10_000,
  streamUserAgentCharactersMax: 1_024,
  /** Tags of a stream. */
  streamTagsMax: 50,
  /** Bytes accepted that are not in the tables yet, from which on a stream, or all of them, take no more for the moment. */
  streamBacklogBytesMax: 1024 * MiB,
  streamsBacklogBytesMax: 8192 * MiB,
  /** Bytes of dead letters that are not in their table yet, from which on a stream takes no record that would be one. */
  streamLettersBytesMax: 1024 * MiB,
  /** Room on the disk below which streams take no more for the moment, and how often it is looked at. */
  streamFreeBytesMin: 256 * MiB,
  streamFreeCheckMs: 1_000,
  /** Tables of one stream. */
  streamTablesMax: 200,
  /** Streams opened at once, and how often one that cannot be opened is tried again. */
  streamsOpenedAtOnce: 8,
  streamReopenMs: 5_000,
  /**
   * What is remembered against repetition, per stream. Requests: for a day, and as many as 115 a second make of it, some 100
   * bytes each. Producers: one that was silent for a week is forgotten when there are more than half of these.
   */
  streamRequestsKept: 10_000_000,
  streamRequestAgeMaxMs: 24 * 3600 * 1000,
  streamProducersKept: 1_000_000,
  streamProducerAgeMinMs: 7 * 24 * 3600 * 1000,
  /** Rows forgotten at a time; a step of the clock counts as so much time at most. */
  streamForgottenAtOnce: 20_000,
  streamClockStepMaxMs: 3600 * 1000,
  /** What was taken and is not written to `state/streams.db` yet: producers and requests. */
  streamUnwrittenMax: 100_000,
  /** While others hold `state/streams.db`, SQLite itself waits so long, which keeps everybody waiting; and a change of it so long in all. */
  streamFileWaitMs: 10,
  streamFileBusyMs: 5_000,
  /** A table's columns are looked up again after so long: another engine may have changed them; and waited for, after so long. */
  streamSchemaAgeMs: 1_000,
  streamSchemaStaleMs: 10_000,

  /** Kafka: bytes of one fetch and of one partition in it, how long a fetch waits for more, and a request's time. */
  kafkaFetchBytesMax: 8 * MiB,
  kafkaPartitionBytesMax: 1 * MiB,
  kafkaFetchWaitMs: 500,
  kafkaRequestMs: 30_000,
  /** Topics of one source, and partitions of them all. */
  kafkaTopicsMax: 100,
  kafkaPartitionsMax: 10_000,
  /** How often topics are looked at (which are there, of how many partitions), and positions told to Kafka. */
  kafkaTopicsMs: 5_000,
  kafkaCommitMs: 5_000,
  /** A member that was silent for so long loses its partitions. */
  kafkaSessionMs: 30_000,
  kafkaHeartbeatMs: 3_000,
  /** Dropped files: bytes read at a time, rows and bytes handed over at a time, and how long a file has held still at least. */
  fileReadBytes: 256 * KiB,
  filePageRows: 5_000,
  filePageBytes: 8 * MiB,
  fileQuietMsMax: 3600 * 1000,
  /** Files remembered as taken, of which the oldest that are gone are forgotten first, so many at a time. */
  filesRememberedMax: 1_000_000,
  filesForgottenAtOnce: 1_000,
  /** Stretches of a stream's log in which a source's offsets follow each other, that are remembered until they are in tables. */
  sourceRunsMax: 100_000,

  /** Transform functions: tries beyond the first, time of one invocation, and heap of a worker. */
  transformRetriesMax: 300,
  transformTimeMs: 5_000,
  transformTimeMsMax: 900_000,
  transformHeapMiB: 256,
  /** Records handed to a worker at a time, and bytes of all that wait for one, per stream. */
  transformRecordsMax: 500,
  transformWaitingBytesMax: 64 * MiB,
  /** Pause before an invocation is tried again, doubled up to the maximum. */
  transformPauseMs: 50,
  transformPauseMaxMs: 2_000,
  /** A batch whose tries are used up is halved for so long, to find the records that fail it; then all that are left fail. */
  transformHalvingMs: 120_000,
  /** Workers that cannot be started are tried again after so long. */
  transformReopenMs: 1_000,
  /** What a stream tells of its function's bad habits, at most so often. */
  transformNoticeMs: 60_000,

  /** Rules of a stream's routing, and characters of an expression. */
  routeRulesMax: 64,
  routeExpressionMax: 1_000,
} as const
