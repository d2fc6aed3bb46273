/**
 * Every bound, units last in the name, from one file for each area, and the relations between bounds asserted at load.
 * Configuration may lower or raise those that `app/settings/` lists; the others are properties of the design.
 */
import { assert } from './assert.ts'
import { extractLimits } from './limits/extract.ts'
import { objectLimits } from './limits/objects.ts'
import { serverLimits } from './limits/server.ts'
import { storeLimits } from './limits/stores.ts'
import { streamLimits } from './limits/streams.ts'
import { tableLimits } from './limits/tables.ts'

export const limits = {
  ...tableLimits,
  ...extractLimits,
  ...objectLimits,
  ...streamLimits,
  ...serverLimits,
  ...storeLimits,
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
