import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'
import type { Clock } from './clock.ts'
import { Fault } from './fault.ts'
import { Follower, type Following, follow } from './follow.ts'

/** Time passes at once, but for a pause of `heldMs`, which only the signal ends. */
function quickClock(heldMs = Number.POSITIVE_INFINITY): Clock & { slept: number[] } {
  const slept: number[] = []
  return {
    slept,
    nowMs: () => 0,
    sleep: async (ms, signal) => {
      slept.push(ms)
      if (ms < heldMs) return later()
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    },
  }
}

/** Turns that end as told, and then the signal is aborted. */
function turns(outcomes: readonly (Error | 'done')[]) {
  const stop = new AbortController()
  const left = [...outcomes]
  const turn = async () => {
    await later()
    const outcome = left.shift()
    if (left.length === 0) stop.abort()
    if (outcome instanceof Error) throw outcome
  }
  return { turn, left, signal: stop.signal }
}

test('pauses grow with failures in a row up to the bound, and begin anew after a turn that went well', async () => {
  const clock = quickClock()
  const told: [string, string, number][] = []
  const onFault: Following['onFault'] = ({ kind, message }, ms) => told.push([kind, message, ms])
  const full = new Fault('limit', 'the disk is full')
  const { turn, left, signal } = turns([full, full, new Error('odd'), full, 'done', full, 'done'])
  await follow({ clock, turn, onFault, pause: { firstMs: 10, maxMs: 40 } }, signal)
  assert.deepEqual(told, [
    ['limit', 'the disk is full', 10],
    ['limit', 'the disk is full', 20],
    ['unavailable', 'odd', 40],
    ['limit', 'the disk is full', 40],
    ['limit', 'the disk is full', 10],
  ])
  assert.deepEqual(
    clock.slept,
    told.map(([, , ms]) => ms),
  )
  assert.equal(left.length, 0)
})

test('what fails because the work is to end is no failure', async () => {
  const clock = quickClock()
  const { turn, signal } = turns(['done', new Error('aborted')])
  await follow({ clock, turn, onFault: () => assert.fail('told') }, signal)
  assert.deepEqual(clock.slept, [])
})

test('no turn is taken when the work is to end already', async () => {
  const turn = () => assert.fail('a turn')
  await follow({ clock: quickClock(), turn, onFault: () => undefined }, AbortSignal.abort())
})

test('a follower takes one turn at a time however often it is started, ends after the one under way, and may be started again', async () => {
  let running = 0
  let taken = 0
  const turn = async () => {
    assert.equal(++running, 1)
    await later()
    running--
    taken++
  }
  const follower = new Follower({ clock: quickClock(), turn, onFault: (fault) => assert.fail(fault) })
  await follower.stop()
  for (let round = 0; round < 2; round++) {
    const before = taken
    follower.start()
    follower.start()
    await later()
    await follower.stop()
    assert.equal(running, 0)
    assert.ok(taken > before)
    const after = taken
    await later()
    assert.equal(taken, after)
  }
})

test('a follower that waits after a failure is stopped at once', async () => {
  const clock = quickClock(1)
  const failed = Promise.withResolvers<void>()
  const turn = () => Promise.reject(new Fault('unavailable', 'not there'))
  const follower = new Follower({ clock, turn, onFault: () => failed.resolve() })
  follower.start()
  await failed.promise
  await later()
  await follower.stop()
  assert.equal(clock.slept.length, 1)
})
