import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../base/fault.ts'
import type { FeedEvent } from '../table/table.ts'
import { type LogFormat, StartLog } from './start-log.ts'

function logged(format: LogFormat): { log: StartLog; lines: string[] } {
  const lines: string[] = []
  const nowMs = () => Date.parse('2026-11-26T12:00:00.000Z')
  return { log: new StartLog({ format, write: (line) => lines.push(line), nowMs }), lines }
}

const committed: FeedEvent = {
  kind: 'committed',
  report: {
    table: 'a.b',
    snapshotId: 9_007_199_254_740_993n,
    from: 0,
    end: 3,
    entries: 3,
    rowsWritten: 3,
    rowsRemoved: 1,
    lateDropped: 0,
    tombstonesForgotten: 0,
    elapsedMs: 12,
    oldestMs: 1_500,
    waitingEntries: 4,
  },
}

test('as JSON every line is one object with time, level, event, message and facts', () => {
  const { log, lines } = logged('json')
  log.feed(committed)
  log.feed({ kind: 'stalled', table: 'a.b', fault: new Fault('unavailable', 'two\nlines'), retryInMs: 5 })
  log.feed({ kind: 'unchanged', table: 'a.b', from: 0, end: 1 })
  assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1))
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as object),
    [
      {
        time: '2026-11-26T12:00:00.000Z',
        level: 'info',
        event: 'committed',
        message: 'committed a.b: 3 rows written, 1 removed, 12 ms; its oldest record came 1.5 s before; 4 entries wait',
        table: 'a.b',
        snapshotId: '9007199254740993',
        rowsWritten: 3,
        rowsRemoved: 1,
        elapsedMs: 12,
        oldestMs: 1_500,
        waitingEntries: 4,
      },
      {
        time: '2026-11-26T12:00:00.000Z',
        level: 'warn',
        event: 'commit-stalled',
        message: 'a.b waits 5 ms: two\nlines',
        kind: 'unavailable',
        error: 'two\nlines',
        retryInMs: 5,
        table: 'a.b',
      },
    ],
  )
})

test('as text every line is a time and a sentence', () => {
  const { log, lines } = logged('text')
  log.tell('warn', 'notice', 'source a: receiving again', { any: 1 })
  assert.deepEqual(lines, ['2026-11-26T12:00:00.000Z source a: receiving again\n'])
})

test('objects that wait for their store are told once when they begin to, and once when none does any more', () => {
  const { log, lines } = logged('text')
  log.askedAgain({ kind: 'began', bucket: 'photos', waiting: 12, why: 'unanswered', reason: 'read: no answer' })
  log.askedAgain({ kind: 'asked', bucket: 'photos', outcomes: ['answered'] })
  log.askedAgain({ kind: 'ended', bucket: 'photos', answered: 12, gone: 0, failed: 0, settled: 0, elapsedMs: 34_000 })
  assert.deepEqual(lines, [
    '2026-11-26T12:00:00.000Z bucket photos did not answer about 12 objects; they are asked about again by themselves\n',
    '2026-11-26T12:00:00.000Z no object of bucket photos waits any more, 34.0 s after this process began to ask: 12 answered\n',
  ])
})

test('objects that are refused are told of with what the store said and what to mend, and at the end those that stay unread too', () => {
  const { log, lines } = logged('text')
  const reason = 'read: the store refuses (SignatureDoesNotMatch: no)'
  log.askedAgain({ kind: 'began', bucket: 'photos', waiting: 1, why: 'refused', reason })
  log.askedAgain({ kind: 'began', bucket: 'drawings', waiting: 2, why: 'named', reason: 'read: it is not named' })
  log.askedAgain({ kind: 'ended', bucket: 'photos', answered: 3, gone: 2, failed: 1, settled: 4, elapsedMs: 1_500 })
  assert.deepEqual(lines, [
    `2026-11-26T12:00:00.000Z bucket photos refused 1 object: mend rights or credentials, it is asked about again by itself; it said: ${reason}\n`,
    '2026-11-26T12:00:00.000Z bucket drawings is named in objects.buckets now: 2 objects that events told of before are asked about\n',
    '2026-11-26T12:00:00.000Z no object of bucket photos waits any more, 1.5 s after this process began to ask: 3 answered, 2 gone or replaced, 1 that cannot be read (deadletter list says why), at least 4 settled by newer events or by hand\n',
  ])
})

test('a bucket that fails is told of by what it is for', () => {
  const lines: string[] = []
  const holdsOf = (bucket: string) => (bucket === 'lake' ? 'tables' : 'objects')
  const log = new StartLog({ format: 'text', write: (line) => lines.push(line), nowMs: () => 0, holdsOf })
  for (const bucket of ['lake', 'photos'])
    log.bucket({ kind: 'degraded', bucket, failures: 5, outcome: 'timeout', error: null })
  assert.match(lines[0] ?? '', /bucket lake: .*what is to be committed waits until it answers\n$/)
  assert.match(lines[1] ?? '', /bucket photos: .*its objects are known by their events alone until it answers\n$/)
})
