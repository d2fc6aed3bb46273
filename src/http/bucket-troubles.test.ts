import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../base/limits.ts'
import { type BucketHolds, BucketTroubles, type BucketTurn, turnLine } from './bucket-troubles.ts'

function bench() {
  const turns: BucketTurn[] = []
  const time = { ms: 0 }
  const troubles = new BucketTroubles(
    () => time.ms,
    (turn) => turns.push(turn),
  )
  const fail = (times: number, bucket = 'photos') => {
    for (let n = 0; n < times; n++) troubles.sent(bucket, { outcome: 'refused', error: 'AccessDenied: no' })
  }
  return { turns, time, troubles, fail, kinds: () => turns.map(({ kind, bucket }) => `${kind} ${bucket}`) }
}

const MANY = limits.bucketFailuresTold

test('a bucket is told of once when its requests fail one after another, and once when it answers again', () => {
  const { turns, troubles, fail, kinds } = bench()
  fail(MANY - 1)
  troubles.sent('photos', { outcome: 'ok' })
  fail(MANY - 1)
  assert.deepEqual(kinds(), [], 'one that went well begins the count anew')
  fail(1)
  fail(3)
  fail(MANY, 'other')
  assert.deepEqual(kinds(), ['degraded photos', 'degraded other'])
  troubles.sent('photos', { outcome: 'missing' })
  troubles.sent('photos', { outcome: 'throttled' })
  assert.equal(turns.length, 2, 'neither says that the bucket answers')
  troubles.sent('photos', { outcome: 'condition' })
  troubles.sent('photos', { outcome: 'ok' })
  assert.deepEqual(kinds().slice(2), ['recovered photos'])
  assert.deepEqual(turns[2], {
    kind: 'recovered',
    bucket: 'photos',
    failures: MANY + 3,
    outcome: 'refused',
    error: 'AccessDenied: no',
  })
})

test('a bucket that goes to and fro is told of once in a while, with what it says, and never only of its recovery', () => {
  const { time, troubles, fail, kinds } = bench()
  for (let round = 0; round < 50; round++) {
    fail(MANY)
    troubles.sent('photos', { outcome: 'ok' })
    time.ms += limits.bucketToldEveryMs / 20
  }
  assert.deepEqual(kinds(), Array.from({ length: 3 }, () => ['degraded photos', 'recovered photos']).flat())
})

test('a bucket that fails on while nothing may be told is told of when it may', () => {
  const { time, troubles, fail, kinds } = bench()
  fail(MANY)
  troubles.sent('photos', { outcome: 'ok' })
  fail(MANY)
  assert.equal(kinds().length, 2)
  time.ms += limits.bucketToldEveryMs
  fail(1)
  assert.deepEqual(kinds().slice(2), ['degraded photos'])
})

test('both turns are sentences that name the bucket', () => {
  const turn = { bucket: 'photos', failures: 7, outcome: 'refused', error: 'AccessDenied: no' } as const
  assert.match(
    turnLine({ kind: 'degraded', ...turn }, 'objects'),
    /^bucket photos: 7 requests .*\(refused: AccessDenied: no\)/,
  )
  assert.match(turnLine({ kind: 'recovered', ...turn }, 'tables'), /^bucket photos answers again, after 7 requests/)
})

test('of a bucket that holds the warehouse it is told that commits wait, and not that its objects are known by events', () => {
  const turn = { kind: 'degraded', bucket: 'lake', failures: 7, outcome: 'timeout', error: null } as const
  const commits = /what is to be committed waits until it answers/
  const objects = /objects are known by their events alone/
  const said = (holds: BucketHolds) => [commits, objects].map((each) => each.test(turnLine(turn, holds)))
  assert.deepEqual(said('objects'), [false, true])
  assert.deepEqual(said('tables'), [true, false])
  assert.deepEqual(said('both'), [true, true])
})
