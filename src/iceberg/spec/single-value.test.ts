import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VALUES } from '../../../test/support/value-arbitraries.ts'
import { isFault } from '../../base/fault.ts'
import {
  decimalFromBytes,
  decimalToBytes,
  truncateLowerBound,
  truncateUpperBound,
  valueFromBytes,
  valueToBytes,
} from './single-value.ts'
import { compareValues, type Present } from './value-order.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

test('values have the bytes that Appendix D describes', () => {
  const cases: [string, Present, string][] = [
    ['boolean', true, '01'],
    ['boolean', false, '00'],
    ['int', 34, '22000000'],
    ['int', -1, 'ffffffff'],
    ['long', 34n, '2200000000000000'],
    ['date', -1, 'ffffffff'],
    ['float', 1, '0000803f'],
    ['double', -0, '0000000000000080'],
    ['timestamptz', -1n, 'ffffffffffffffff'],
    ['string', 'é', 'c3a9'],
    ['uuid', 'F79C3E09-677C-4BBD-A479-3F349CB785E7', 'f79c3e09677c4bbda4793f349cb785e7'],
    ['decimal(9,2)', 1420n, '058c'],
    ['decimal(9,2)', 0n, '00'],
    ['decimal(9,2)', -1n, 'ff'],
    ['decimal(9,2)', 127n, '7f'],
    ['decimal(9,2)', 128n, '0080'],
    ['decimal(9,2)', -128n, '80'],
    ['decimal(9,2)', -129n, 'ff7f'],
    ['fixed[3]', Uint8Array.of(1, 2, 3), '010203'],
    ['binary', Uint8Array.of(), ''],
  ]
  for (const [type, value, bytes] of cases) assert.equal(hex(valueToBytes(type, value)), bytes, `${type} ${value}`)
})

for (const [type, values] of Object.entries(VALUES)) {
  test(`every ${type} comes back from its bytes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const back = valueFromBytes(type, valueToBytes(type, value))
        assert.equal(compareValues(type, back, value), 0)
      }),
    )
  })
}

test('bounds written before a promotion are read by the type they had then', () => {
  assert.equal(valueFromBytes('long', valueToBytes('int', -7)), -7n)
  assert.equal(valueFromBytes('double', valueToBytes('float', 1.5)), 1.5)
  assert.equal(valueFromBytes('timestamp', valueToBytes('date', -1)), -86_400_000_000n)
  assert.equal(valueFromBytes('timestamp_ns', valueToBytes('date', 1)), 86_400_000_000_000n)
  assert.equal(valueFromBytes('decimal(18,2)', valueToBytes('decimal(9,2)', -1420n)), -1420n)
})

test('padded decimals are read too', () => {
  assert.equal(decimalFromBytes(Buffer.from('fffffffe', 'hex')), -2n)
  assert.equal(decimalFromBytes(Buffer.from('00000002', 'hex')), 2n)
  assert.equal(hex(decimalToBytes(-(10n ** 38n) + 1n)).length, 32)
})

test('values of another type or out of range are refused', () => {
  const wrong: [string, Present][] = [
    ['int', 2 ** 31],
    ['int', 1.5],
    ['int', 1n],
    ['long', 1],
    ['long', 2n ** 63n],
    ['decimal(4,2)', 10_000n],
    ['string', '\ud800'],
    ['uuid', 'not-a-uuid'],
    ['fixed[2]', Uint8Array.of(1, 2, 3)],
    ['boolean', 1],
  ]
  for (const [type, value] of wrong) {
    assert.throws(
      () => valueToBytes(type, value),
      (error) => isFault(error, 'invalid'),
      `${type} ${value}`,
    )
  }
})

test('bytes of the wrong length are corruption', () => {
  for (const [type, length] of [
    ['int', 3],
    ['long', 5],
    ['uuid', 15],
    ['boolean', 0],
    ['decimal(9,2)', 0],
  ] as const) {
    assert.throws(
      () => valueFromBytes(type, new Uint8Array(length)),
      (error) => isFault(error, 'corrupt'),
      type,
    )
  }
})

test('types without bytes are named as unsupported', () => {
  assert.throws(
    () => valueToBytes('variant', 'x'),
    (error) => isFault(error, 'unsupported'),
  )
  assert.throws(
    () => valueFromBytes('unknown', new Uint8Array(1)),
    (error) => isFault(error, 'unsupported'),
  )
})

for (const type of ['string', 'binary']) {
  test(`a cut bound of ${type} holds the value between its ends`, () => {
    fc.assert(
      fc.property(VALUES[type]!, fc.integer({ min: 1, max: 8 }), (value, length) => {
        const lower = truncateLowerBound(type, value, length)
        assert.ok(compareValues(type, lower, value) <= 0)
        assert.ok(sizeOf(lower) <= length)
        const upper = truncateUpperBound(type, value, length)
        if (upper === undefined) return
        assert.ok(compareValues(type, value, upper) <= 0)
        assert.ok(sizeOf(upper) <= length)
        assert.ok(typeof upper !== 'string' || upper.isWellFormed())
      }),
    )
  })
}

function sizeOf(value: Present): number {
  return typeof value === 'string' ? Array.from(value).length : (value as Uint8Array).length
}

test('upper bounds are rounded up over the places that have no successor', () => {
  assert.equal(truncateUpperBound('string', 'abc', 3), 'abc')
  assert.equal(truncateUpperBound('string', 'abcd', 3), 'abd')
  assert.equal(truncateUpperBound('string', 'ab\u{10ffff}d', 3), 'ac')
  assert.equal(truncateUpperBound('string', 'a\ud7ffx', 2), 'a\ue000')
  assert.equal(truncateUpperBound('string', '\u{10ffff}\u{10ffff}x', 2), undefined)
  assert.equal(truncateUpperBound('string', '😀😀😀', 2), '😀😁')
  assert.deepEqual(truncateUpperBound('binary', Uint8Array.of(1, 0xff, 9), 2), Uint8Array.of(2))
  assert.equal(truncateUpperBound('binary', Uint8Array.of(0xff, 0xff, 9), 2), undefined)
  assert.equal(truncateUpperBound('long', 5n, 2), 5n)
})
