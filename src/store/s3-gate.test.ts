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
