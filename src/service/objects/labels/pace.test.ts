import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../base/limits.ts'
import { Pace } from './pace.ts'

/** A clock that sleepers move. */
function clockOf() {
  let nowMs = 1_000_000
  return {
    nowMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms
    },
    step: (ms: number) => {
      nowMs += ms
    },
  }
}

test('calls come at their rate, and one that would wait too long gets no turn', async () => {
  const clock = clockOf()
  const pace = new Pace({ atOnce: 100, perSecond: 10, clock, random: () => 1 })
  const began = clock.nowMs()
  for (let i = 0; i < 11; i++) assert.ok(await pace.turn(10_000))
  assert.equal(clock.nowMs() - began, 1000)
  assert.ok(await pace.turn(100))
  assert.equal(await pace.turn(99), null)
  // It took nothing from the others.
  assert.ok(await pace.turn(100))
})

test('no more calls are under way than may be, and each end lets one in, once', async () => {
  const pace = new Pace({ atOnce: 2, perSecond: 1e6, clock: clockOf() })
  const first = await pace.turn(1000)
  await pace.turn(1000)
  let third = false
  const waiting = pace.turn(1000).then(() => {
    third = true
  })
  await new Promise((done) => setImmediate(done))
  assert.equal(third, false)
  first?.end()
  first?.end()
  await waiting
  let fourth = false
  void pace.turn(1000).then(() => {
    fourth = true
  })
  await new Promise((done) => setImmediate(done))
  assert.equal(fourth, false)
})

test('a service that turns calls away is asked half as fast, after a pause that grows; good calls bring the rate back', async () => {
  const clock = clockOf()
  const pace = new Pace({ atOnce: 9, perSecond: 16, clock, random: () => 0 })
  pace.slow()
  assert.equal(pace.perSecond, 8)
  const began = clock.nowMs()
  await pace.turn(60_000)
  assert.equal(clock.nowMs() - began, limits.labelBackoffMs / 2)
  for (let i = 0; i < 20; i++) pace.slow()
  assert.equal(pace.perSecond, 0.5)
  const slowedMs = clock.nowMs()
  await pace.turn(60_000)
  assert.equal(clock.nowMs() - slowedMs, limits.labelBackoffMaxMs / 2)
  for (let i = 0; i < 20; i++) pace.quicken()
  assert.equal(pace.perSecond, 16)
})

test('pauses before another try are doubled, bounded, and spread over their upper half', () => {
  const pauses = (random: number) => {
    const pace = new Pace({ atOnce: 1, perSecond: 1, clock: clockOf(), random: () => random })
    return [1, 2, 3, 50].map((failures) => pace.pauseMs(failures))
  }
  const { labelBackoffMs: first, labelBackoffMaxMs: most } = limits
  assert.deepEqual(pauses(1), [first, 2 * first, 4 * first, most])
  assert.deepEqual(pauses(0), [first / 2, first, 2 * first, most / 2])
})
