import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { Gate, type Pass } from './s3-gate.ts'

/** A clock that moves when it is told to. */
class HandClock implements Clock {
  #nowMs = 0
  #sleeping: { untilMs: number; wake: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => this.#sleeping.push({ untilMs: this.#nowMs + ms, wake }))
  }

  async pass(ms: number): Promise<void> {
    this.#nowMs += ms
    const due = this.#sleeping.filter(({ untilMs }) => untilMs <= this.#nowMs)
    this.#sleeping = this.#sleeping.filter(({ untilMs }) => untilMs > this.#nowMs)
    for (const { wake } of due) wake()
    await settled()
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

function open(atOnceMax: number, waitingMax = 1_000) {
  const clock = new HandClock()
  const gate = new Gate({ clock, random: () => 0.5, atOnceMax, waitingMax })
  const passes: Pass[] = []
  const enter = (count: number) => {
    for (let i = 0; i < count; i++) void gate.enter().then((pass) => passes.push(pass))
    return settled()
  }
  return { clock, gate, passes, enter }
}

test('no more than so many go at once, the others in the order in which they came', async () => {
  const { passes, enter } = open(3)
  await enter(5)
  assert.equal(passes.length, 3)
  passes[0]!.leave('answered')
  passes[0]!.leave('answered')
  await settled()
  assert.equal(passes.length, 4, 'a pass that is given back twice counts once')
})

test('a throttled bucket is closed for a pause, then asked by half as many, once for all that were under way', async () => {
  const { clock, gate, passes, enter } = open(8)
  await enter(8)
  for (const pass of passes.splice(0)) pass.leave('throttled')
  assert.equal(gate.atOnce, 4)
  await enter(8)
  assert.equal(passes.length, 0)
  await clock.pass(limits.s3BackoffMs)
  assert.equal(passes.length, 4)
})

test('each throttled round makes the pause longer, up to its bound, and what the store asks for is kept', async () => {
  const { clock, gate, passes, enter } = open(8)
  for (let round = 1; round <= 30; round++) {
    await enter(1)
    await clock.pass(limits.s3ThrottleMaxMs)
    passes.pop()!.leave('throttled', 1_000_000)
    await enter(1)
    await clock.pass(limits.s3ThrottleMaxMs - 1)
    assert.equal(passes.length, 0, 'the store asked for a long time, and gets the longest')
    await clock.pass(1)
    passes.pop()!.leave('answered')
  }
  assert.ok(gate.atOnce >= 1)
})

test('good answers open the gate again', async () => {
  const { clock, gate, passes, enter } = open(8)
  for (let round = 0; round < 5; round++) {
    await enter(1)
    passes.pop()!.leave('throttled')
    await clock.pass(limits.s3ThrottleMaxMs)
  }
  assert.equal(gate.atOnce, 1)
  for (let answers = 0; answers < 40; answers++) {
    await enter(1)
    passes.pop()!.leave('answered')
  }
  assert.equal(gate.atOnce, 8)
})

test('a queue that is full refuses', async () => {
  const { gate, enter } = open(1, 2)
  await enter(3)
  await assert.rejects(gate.enter(), (error) => isFault(error, 'limit'))
})

test('a bucket that has only been throttled for long is asked by one at a time, and refuses the others, until it answers', async () => {
  const { clock, gate, passes, enter } = open(8)
  await enter(1)
  passes.pop()!.leave('throttled')
  await clock.pass(limits.s3ThrottleMaxMs)
  await enter(1)
  passes.pop()!.leave('throttled')
  await clock.pass(limits.s3ThrottledGiveUpMs - 1)
  await enter(gate.atOnce)
  assert.equal(passes.length, 2)
  const waiting = gate.enter()
  const refused = (error: unknown) => isFault(error, 'unavailable') && Number(error.facts['retryAfterMs']) > 0
  // Whoever waits hears it too.
  const heard = assert.rejects(waiting, (error) => isFault(error, 'unavailable'))
  for (const pass of passes.splice(0)) pass.leave('throttled')
  await heard
  await assert.rejects(gate.enter(), refused)
  await clock.pass(limits.s3ThrottleMaxMs)
  await enter(1)
  passes.pop()!.leave('answered')
  await enter(2)
  assert.equal(passes.length, 2)
  await enter(2)
  assert.equal(passes.length, gate.atOnce, 'and again some may wait')
})

test('that a bucket was throttled long ago refuses nobody', async () => {
  const { clock, gate, passes, enter } = open(4)
  await enter(1)
  passes.pop()!.leave('throttled')
  await clock.pass(10 * limits.s3ThrottledGiveUpMs)
  await enter(3)
  assert.equal(passes.length, gate.atOnce)
  passes.pop()!.leave('throttled')
  await enter(1)
  await clock.pass(limits.s3ThrottleMaxMs)
  assert.equal(passes.length, gate.atOnce)
})

/** Of who asks again later. */
const PATIENCE_MS = 3_000

test('who asks again later is refused by a bucket that answers nothing, but for a probe after each pause, until it answers', async () => {
  const { clock, gate, passes, enter } = open(8)
  const impatient = async () => {
    const pass = await gate.enter(PATIENCE_MS)
    passes.push(pass)
    return pass
  }
  const refused = (error: unknown) => isFault(error, 'unavailable') && Number(error.facts['retryAfterMs']) > 0
  await impatient()
  await clock.pass(PATIENCE_MS - 1)
  passes.pop()!.leave('failed')
  assert.equal((await impatient()).isProbe, false, 'not yet: it may have been this one request')
  await clock.pass(1)
  passes.pop()!.leave('failed')
  for (let pauseMs = limits.s3SilentMs; pauseMs <= 4 * limits.s3SilentMs; pauseMs *= 2) {
    await assert.rejects(impatient(), refused)
    await clock.pass(pauseMs)
    assert.equal((await impatient()).isProbe, true)
    await assert.rejects(impatient(), (error) => isFault(error, 'unavailable'), 'one at a time')
    passes.pop()!.leave('failed')
  }
  await assert.rejects(impatient(), refused)
  await enter(1)
  assert.equal(passes.length, 1, 'who has patience goes as before')
  passes.pop()!.leave('answered')
  assert.equal((await impatient()).isProbe, false)
})

test('who asks again later does not wait for a throttled bucket longer than its patience, others do', async () => {
  const { clock, gate, passes, enter } = open(1)
  await enter(1)
  const waiting = gate.enter(PATIENCE_MS)
  const heard = assert.rejects(waiting, (error) => isFault(error, 'unavailable'))
  const patient = gate.enter()
  passes.pop()!.leave('throttled', limits.s3ThrottleMaxMs)
  await heard
  await assert.rejects(gate.enter(PATIENCE_MS), (error) => isFault(error, 'unavailable'))
  await clock.pass(limits.s3ThrottleMaxMs)
  ;(await patient).leave('answered')
  ;(await gate.enter(PATIENCE_MS)).leave('answered')
})

test('one request that is not answered beside others that are makes no bucket a silent one', async () => {
  const { clock, gate } = open(8)
  const slow = await gate.enter(PATIENCE_MS)
  await clock.pass(10 * PATIENCE_MS)
  ;(await gate.enter(PATIENCE_MS)).leave('answered')
  slow.leave('failed')
  assert.equal((await gate.enter(PATIENCE_MS)).isProbe, false)
})
