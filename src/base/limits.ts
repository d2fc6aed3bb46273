/**
 * Every bound in one place, units last in the name, and the relations between bounds asserted at load.
 * Configuration may lower or raise those that `app/settings/` lists; the others are properties of the design.
 */
import { assert } from './assert.ts'

const KiB = 1024
const MiB = 1024 * KiB

export const limits = {
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

  /** What one object may cost an extractor. */
  extractBytesMax: 16 * MiB,
  extractTimeMs: 5_000,
  extractReadMs: 30_000,
  extractOutputBytesMax: 380 * KiB,
  extractHeapMiB: 256,
  /** First fetch of an object, the least of each further one, and fetches in all. */
  extractHeadBytes: 64 * KiB,
  extractNextBytes: 16 * KiB,
  extractReadsMax: 512,
  /** What foreign parsers are given is fetched in pages of this size. */
  extractPageBytes: 32 * KiB,
  /** EXIF: entries looked at, tags without a known name kept, one value, and all values together (as JSON). */
  exifEntriesMax: 131_072,
  exifUnknownTagsMax: 128,
  exifValueBytesMax: 8 * KiB,
  exifOutputBytesMax: 96 * KiB,
  /** One metadata block: EXIF, XMP, IPTC or a colour profile, after inflating. */
  metadataBlockBytesMax: 2 * MiB,
  /** One text of an image's metadata (PNG text, XMP property), and items of a list. */
  metadataTextMax: 8 * KiB,
  metadataItemsMax: 256,
  /** Values in one extractor's output, and how deep they nest. */
  extractOutputNodesMax: 100_000,
  extractOutputDepthMax: 32,
  /** One text that somebody wrote into a document or a recording (a title, a tag), and such texts of one file. */
  factTextMax: 2 * KiB,
  factTagsMax: 64,
  /** PDF: pages looked at for the text, and characters of it that are kept. */
  pdfTextPagesMax: 3,
  pdfTextMax: 4_000,
  /** Archives: entries counted, bytes of a directory read, and entries that are listed by name. */
  archiveEntriesMax: 10_000,
  archiveDirectoryBytesMax: 8 * MiB,
  archiveListedMax: 100,
  archiveNameMax: 256,
  /** A packed archive is unpacked so far to list what is in it; unpacked to packed bytes from which it counts as a bomb. */
  archiveInflatedBytesMax: 32 * MiB,
  archiveRatioMax: 200,
  /** Office documents: one part (properties, relations) after inflating. */
  officePartBytesMax: 1 * MiB,
  /** Recordings: tracks told one by one. */
  mediaTracksMax: 32,
  /** Tables: columns told, bytes of a Parquet footer, bytes and records of text that a schema is inferred from. */
  tableColumnsMax: 1_000,
  tableFooterBytesMax: 8 * MiB,
  tableSampleBytesMax: 64 * KiB,
  tableSampleRecordsMax: 1_000,
  /** Levels of a nested type that are told. */
  tableDepthMax: 12,
  /** Pictures that are decoded: pixels, and time in the decoder. */
  imagePixelsMax: 100_000_000,
  imageDecodeMs: 4_000,
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
  /** Requests to a bucket that fail one after another before `/health` and the log tell of it; the log does so again after so long. */
  bucketFailuresTold: 5,
  bucketToldEveryMs: 60_000,
  /** Buckets of object stores that are held open, and prefixes of keys that one may exclude. */
  bucketsOpenMax: 1_000,
  excludedPrefixesMax: 1_000,

  /**
   * Labels by a service: bytes of a picture sent along, of one that it reads from S3, and of one that is made smaller first, by its side,
   * within such pixels and such a time.
   */
  labelBytesMax: 5 * MiB,
  labelS3BytesMax: 15 * MiB,
  labelShrinkBytesMax: 32 * MiB,
  labelSidePixels: 4_096,
  labelPixelsMax: 100_000_000,
  labelShrinkMs: 10_000,
  /** One call; tries of a picture, the pause between them (doubled up to the maximum), and how long its events may wait for all that. */
  labelCallMs: 15_000,
  labelAttemptsMax: 5,
  labelBackoffMs: 200,
  labelBackoffMaxMs: 5_000,
  labelTurnMs: 5_000,
  /** Calls at once that may be configured; no call after one that was refused for its credentials; how often what waits is looked at. */
  labelCallsAtOnceMax: 64,
  labelRefusedMs: 60_000,
  labelWaitingPollMs: 5_000,

  /** Labels by a model in a file: its bytes, and the default bounds of its workers for one picture. */
  onnxModelBytesMax: 2_048 * MiB,
  onnxTimeMs: 10_000,
  onnxMemoryMiB: 1_024,
  onnxBytesMax: 64 * MiB,

  /** What a worker thread's death may tell, in characters. */
  threadMessageMax: 2_000,

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

assert(limits.logEntryBytesMax <= limits.logBatchBytesMax, 'one full entry must fit a batch')
assert(limits.logBatchBytesMax <= limits.logQueueBytesMax, 'one full batch must fit the queue')
assert(limits.logBatchBytesMax <= limits.logSegmentBytesMax, 'one full batch must fit a segment')
assert(limits.logSegmentBytesMax <= limits.commitBytesMax, 'one full segment must fit a commit')
assert(limits.extractHeadBytes <= limits.extractBytesMax, 'the head must fit what one object may cost')
assert(limits.tableSampleBytesMax <= limits.extractHeadBytes, 'a sample of text is in the head, which is read anyway')
assert(limits.imageDecodeMs < limits.extractTimeMs, 'the decoder gives up before its worker is ended')
assert(limits.extractOutputBytesMax < limits.logEntryBytesMax, 'extracted facts must fit a log entry')
assert(limits.streamRequestBytesMax * 2 <= limits.logBatchBytesMax, 'one full request must fit an append')
assert(limits.streamRequestRecordsMax < limits.logBatchEntriesMax, 'one full request must fit an append')
assert(limits.streamBacklogBytesMax <= limits.streamsBacklogBytesMax, 'one stream at its bound must fit all of them')
assert(limits.streamRecordBytesMax <= limits.deadLetterPayloadBytesMax, 'a bad record must fit a dead letter')
assert(limits.deadLetterPayloadBytesMax * 2 < limits.logEntryBytesMax, 'a dead letter in hex must fit a log entry')
assert(limits.streamRequestBytesMax * 2 <= limits.httpInFlightBytesMax, 'full requests must fit what is in flight')
assert(limits.orphanGraceMinMs <= limits.orphanGraceMs, 'the default grace is no less than the least')
assert(limits.metadataGraceMs < limits.orphanGraceMinMs, 'a metadata file is let go before it is called an orphan')
assert(
  limits.catalogBusyMs * limits.commitAttemptsMax < limits.orphanGraceMinMs,
  'a commit ends before its files are orphans',
)
assert(limits.snapshotsKeptMin <= limits.snapshotsKeptMax, 'the least kept cannot exceed the most kept')
assert(
  limits.streamRequestBytesMax <= limits.transformWaitingBytesMax,
  'one full request must fit the wait for a worker',
)
assert(limits.filePageRows <= limits.streamRequestRecordsMax, 'one page of a file must fit a request')
assert(
  limits.filePageBytes + limits.streamRecordBytesMax <= limits.streamRequestBytesMax,
  'one page must fit a request',
)
assert(
  limits.s3ThrottleMaxMs < limits.s3ThrottledGiveUpMs,
  'a throttled bucket must be asked again before that is forgotten',
)
assert(
  limits.askAgainAtOnce * limits.askAgainBucketsAtOnce + limits.reextractAtOnce <= limits.askAgainReadsMax,
  'what is asked again by itself and by somebody must find its place among the reads',
)
assert(
  limits.askPatienceMs < limits.s3ThrottledGiveUpMs && limits.askAgainPauseMaxMs < limits.s3ThrottledGiveUpMs,
  'a bucket that answers nothing is asked again before that is forgotten',
)
assert(limits.s3RequestsAtOnce <= limits.s3SocketsMax, 'a request that may go must find a socket')
assert(limits.queryTimeMs < limits.localCacheKeepMs, 'a local copy outlives the statement that reads it')
assert(
  limits.compactTurnBytesMax * 2 <= limits.localCacheBytes,
  'what a compaction reads must fit among the local copies',
)
assert(limits.kafkaHeartbeatMs * 3 <= limits.kafkaSessionMs, 'some heartbeats may be lost before a member is')
