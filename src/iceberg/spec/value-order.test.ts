import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VALUES } from '../../../test/support/value-arbitraries.ts'
import { isFault } from '../../base/fault.ts'
import { valueToBytes } from './single-value.ts'
import { compareText, compareValues } from './value-order.ts'

test('floats are ordered from minus infinity over both zeros to NaN', () => {
  const ordered = [Number.NEGATIVE_INFINITY, -1, -5e-324, -0, 0, 5e-324, 1, Number.POSITIVE_INFINITY, Number.NaN]
  for (const [i, a] of ordered.entries()) {
    for (const [j, b] of ordered.entries()) assert.equal(Math.sign(compareValues('double', a, b)), Math.sign(i - j))
  }
})

test('text is ordered as its UTF-8 bytes are', () => {
  fc.assert(
    fc.property(VALUES['string']!, VALUES['string']!, (a, b) => {
      const byBytes = Buffer.compare(Buffer.from(a as string), Buffer.from(b as string))
      assert.equal(Math.sign(compareText(a as string, b as string)), byBytes)
    }),
  )
})

for (const type of ['string', 'uuid', 'binary', 'fixed[5]', 'boolean']) {
  test(`the order of ${type} is that of its unsigned bytes`, () => {
    fc.assert(
      fc.property(VALUES[type]!, VALUES[type]!, (a, b) => {
        const byBytes = Buffer.compare(valueToBytes(type, a), valueToBytes(type, b))
        assert.equal(Math.sign(compareValues(type, a, b)), byBytes)
      }),
    )
  })
}

for (const [type, values] of Object.entries(VALUES)) {
  test(`the order of ${type} is total`, () => {
    fc.assert(
      fc.property(values, values, values, (a, b, c) => {
        const sign = (x: typeof a, y: typeof a): number => Math.sign(compareValues(type, x, y))
        assert.equal(sign(a, a), 0)
        assert.equal(sign(a, b) + sign(b, a), 0)
        if (sign(a, b) <= 0 && sign(b, c) <= 0) assert.ok(sign(a, c) <= 0)
      }),
    )
  })
}

test('values of different kinds do not compare', () => {
  assert.throws(
    () => compareValues('long', 1, 2),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => compareValues('geometry', 'a', 'b'),
    (error) => isFault(error, 'unsupported'),
  )
})
