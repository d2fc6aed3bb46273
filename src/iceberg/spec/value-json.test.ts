import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VALUES } from '../../../test/support/value-arbitraries.ts'
import { isFault } from '../../base/fault.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import { valueFromBytes } from './single-value.ts'
import { formatDecimal, humanValue, parseDecimal, valueFromJson, valueToJson } from './value-json.ts'
import { compareValues, type Present } from './value-order.ts'

test('values have the JSON that Appendix D shows', () => {
  const cases: [string, Present, Json][] = [
    ['boolean', true, true],
    ['int', 34, 34],
    ['long', 34n, 34n],
    ['float', 1, 1],
    ['decimal(9,2)', 1420n, '14.20'],
    ['decimal(9,2)', -5n, '-0.05'],
    ['date', 17_486, '2017-11-16'],
    ['time', 81_068_123_456n, '22:31:08.123456'],
    ['timestamp', 1_510_871_468_123_456n, '2017-11-16T22:31:08.123456'],
    ['timestamptz', 1_510_871_468_123_456n, '2017-11-16T22:31:08.123456+00:00'],
    ['timestamp_ns', 1_510_871_468_123_456_789n, '2017-11-16T22:31:08.123456789'],
    ['timestamptz_ns', 1_510_871_468_123_456_789n, '2017-11-16T22:31:08.123456789+00:00'],
    ['string', 'iceberg', 'iceberg'],
    ['uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
    ['fixed[4]', Uint8Array.of(0, 1, 2, 255), '000102ff'],
    ['binary', Uint8Array.of(0, 1, 2, 255), '000102ff'],
  ]
  for (const [type, value, json] of cases) {
    assert.deepEqual(valueToJson(type, value), json, type)
    assert.equal(compareValues(type, valueFromJson(type, json) as Present, value), 0, type)
  }
  assert.equal(valueToJson('long', null), null)
  assert.equal(valueFromJson('long', null), null)
})

for (const [type, values] of Object.entries(VALUES)) {
  test(`every ${type} comes back from JSON text`, () => {
    fc.assert(
      fc.property(values, (value) => {
        if (typeof value === 'number' && !Number.isFinite(value)) return
        const text = stringifyJson(valueToJson(type, value))
        const back = valueFromJson(type, parseJson(text)) as Present
        // JSON text has no sign on zero.
        assert.equal(
          compareValues(
            type,
            typeof back === 'number' ? back + 0 : back,
            typeof value === 'number' ? value + 0 : value,
          ),
          0,
        )
      }),
    )
  })
}

test('JSON of another type is refused', () => {
  const wrong: [string, Json][] = [
    ['int', 2 ** 31],
    ['long', 1.5],
    ['decimal(9,2)', 14.2],
    ['decimal(9,2)', '14.201'],
    ['decimal(3,2)', '14.20'],
    ['fixed[4]', '00'],
    ['binary', 'xyz'],
    ['date', '2017-02-30'],
    ['boolean', 'true'],
  ]
  for (const [type, json] of wrong) {
    assert.throws(
      () => valueFromJson(type, json),
      (error) => isFault(error, 'invalid'),
      `${type} ${json}`,
    )
  }
  assert.throws(
    () => valueToJson('double', Number.NaN),
    (error) => isFault(error, 'unsupported'),
  )
})

test('decimals are exact at every scale', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
      fc.integer({ min: 0, max: 38 }),
      (unscaled, scale) => {
        assert.equal(parseDecimal(formatDecimal(unscaled, scale), 38, scale), unscaled)
      },
    ),
  )
  assert.equal(parseDecimal('1.5e3', 9, 2), 150_000n)
  assert.equal(parseDecimal('150.00e-2', 9, 2), 150n)
  assert.equal(parseDecimal('.5', 9, 2), 50n)
  for (const text of ['', '.', '1,5', '1e', 'NaN'])
    assert.throws(
      () => parseDecimal(text, 9, 2),
      (error) => isFault(error, 'invalid'),
    )
})

test('partition values read as people write them', () => {
  const cases: [string, string, Present | null, string][] = [
    ['year', 'date', 54, '2024'],
    ['year', 'date', -1, '1969'],
    ['month', 'date', 650, '2024-03'],
    ['month', 'date', -1, '1969-12'],
    ['day', 'timestamptz', 0, '1970-01-01'],
    ['hour', 'timestamptz', -1, '1969-12-31-23'],
    ['hour', 'timestamptz', 17, '1970-01-01-17'],
    ['bucket[16]', 'string', 3, '3'],
    ['identity', 'date', 0, '1970-01-01'],
    ['identity', 'decimal(9,2)', 1420n, '14.20'],
    ['identity', 'timestamptz', 0n, '1970-01-01T00:00:00+00:00'],
    ['identity', 'binary', Uint8Array.of(1, 2, 3), 'AQID'],
    ['truncate[10]', 'long', -10n, '-10'],
    ['identity', 'string', null, 'null'],
    ['identity', 'boolean', true, 'true'],
  ]
  for (const [transform, type, value, text] of cases) assert.equal(humanValue(transform, type, value), text)
})

test('bytes from a file and JSON give equal values', () => {
  assert.equal(valueFromBytes('decimal(9,2)', Buffer.from('058c', 'hex')), valueFromJson('decimal(9,2)', '14.20'))
})
