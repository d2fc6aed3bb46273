import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../base/fault.ts'
import { HybridClock } from './source.ts'

function clockAt(times: number[]) {
  let i = 0
  return { nowMs: () => times[Math.min(i++, times.length - 1)]!, sleep: async () => undefined }
}

test('a sequencer is the time in nanoseconds as 16 hex digits', () => {
  assert.equal(new HybridClock(clockAt([1_700_000_000_000])).next(), '17979CFE362A0000')
})

test('sequencers rise while the clock stands, steps back or jumps ahead', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000_000_000_000), { minLength: 2, maxLength: 50 }), (times) => {
      const sequencers = new HybridClock(clockAt(times))
      let last = ''
      for (const _ of times) {
        const next = sequencers.next()
        assert.match(next, /^[0-9A-F]{16}$/)
        assert.ok(next > last, `${next} after ${last}`)
        assert.equal(sequencers.last, next)
        last = next
      }
    }),
  )
})

test('what was given before, or is met in a table, is passed', () => {
  const sequencers = new HybridClock(clockAt([1]), '17979CFE362A0000')
  assert.equal(sequencers.next(), '17979CFE362A0001')
  sequencers.observe('18000000000000FF')
  sequencers.observe('0000000000000001')
  assert.equal(sequencers.next(), '1800000000000100')
  assert.equal(new HybridClock(clockAt([1])).last, undefined)
})

test('a sequencer in canonical form, without zeros on its right, is the same', () => {
  assert.equal(new HybridClock(clockAt([1]), '17979CFE362A').next(), '17979CFE362A0001')
})

test('a sequencer of another source is refused at the start, and passed over in a table', () => {
  assert.throws(
    () => new HybridClock(clockAt([1]), '00636B4222CBA01ADB'),
    (error) => isFault(error, 'invalid'),
  )
  const sequencers = new HybridClock(clockAt([1]))
  sequencers.observe('00636B4222CBA01ADB')
  sequencers.observe('x')
  assert.equal(sequencers.last, undefined)
})
