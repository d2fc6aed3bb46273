import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeyOrder } from './key-order.ts'

test('keys compare as their UTF-8 bytes do', () => {
  const key = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('a', '\uffff', '\ue000', '😀', '𐀀') }),
  )
  fc.assert(
    fc.property(key, key, (a, b) => {
      assert.equal(Math.sign(compareKeyOrder(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})
