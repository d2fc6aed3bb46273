import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VALUES } from '../../../test/support/value-arbitraries.ts'
import { isFault } from '../../base/fault.ts'
import type { Value } from './manifest.ts'
import { applyTransform, canTransform, formatTransform, hashValue, parseTransform, resultType } from './transform.ts'
import { valueFromJson } from './value-json.ts'
import { compareValues, type Present } from './value-order.ts'

const of = (type: string, json: string): Present => valueFromJson(type, json) as Present

test('hashes are those of Appendix B', () => {
  const vectors: [string, Present, number][] = [
    ['int', 34, 2017239379],
    ['long', 34n, 2017239379],
    ['decimal(9,2)', 1420n, -500754589],
    ['date', of('date', '2017-11-16'), -653330422],
    ['time', of('time', '22:31:08'), -662762989],
    ['timestamp', of('timestamp', '2017-11-16T22:31:08'), -2047944441],
    ['timestamp', of('timestamp', '2017-11-16T22:31:08.000001'), -1207196810],
    ['timestamptz', of('timestamptz', '2017-11-16T14:31:08-08:00'), -2047944441],
    ['timestamptz', of('timestamptz', '2017-11-16T14:31:08.000001-08:00'), -1207196810],
    ['timestamp_ns', of('timestamp_ns', '2017-11-16T22:31:08'), -2047944441],
    ['timestamp_ns', of('timestamp_ns', '2017-11-16T22:31:08.000001001'), -1207196810],
    ['timestamptz_ns', of('timestamptz_ns', '2017-11-16T14:31:08.000001001-08:00'), -1207196810],
    ['string', 'iceberg', 1210000089],
    ['uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7', 1488055340],
    ['fixed[4]', Uint8Array.of(0, 1, 2, 3), -188683207],
    ['binary', Uint8Array.of(0, 1, 2, 3), -188683207],
    ['boolean', true, 1392991556],
    ['float', 1, -142385009],
    ['float', 0, 1669671676],
    ['float', -0, 1669671676],
    ['double', 1, -142385009],
    ['double', -0, 1669671676],
  ]
  for (const [type, value, hash] of vectors) assert.equal(hashValue(type, value), hash, `${type} ${value}`)
})

test('a promoted column keeps its buckets', () => {
  fc.assert(
    fc.property(VALUES['int']!, fc.integer({ min: 1, max: 5000 }), (value, buckets) => {
      const transform = `bucket[${buckets}]`
      const bucket = applyTransform(transform, 'int', value)
      assert.equal(applyTransform(transform, 'long', BigInt(value as number)), bucket)
      assert.ok((bucket as number) >= 0 && (bucket as number) < buckets)
    }),
  )
})

test('values are truncated as the specification shows', () => {
  const cases: [string, string, Value, Value][] = [
    ['truncate[10]', 'int', 1, 0],
    ['truncate[10]', 'int', -1, -10],
    ['truncate[10]', 'long', 1n, 0n],
    ['truncate[10]', 'long', -1n, -10n],
    ['truncate[50]', 'decimal(9,2)', 1065n, 1050n],
    ['truncate[50]', 'decimal(9,2)', -1n, -50n],
    ['truncate[3]', 'string', 'iceberg', 'ice'],
    ['truncate[2]', 'string', '😀😀😀', '😀😀'],
    ['truncate[3]', 'binary', Uint8Array.of(1, 2, 3, 4, 5), Uint8Array.of(1, 2, 3)],
    ['truncate[10]', 'string', 'ice', 'ice'],
    // Java wraps round here, and partitions must be equal to its own.
    ['truncate[10]', 'int', -2_147_483_648, 2_147_483_646],
  ]
  for (const [transform, type, value, expected] of cases)
    assert.deepEqual(applyTransform(transform, type, value), expected)
})

test('times are cut downwards, also before 1970', () => {
  const cases: [string, string, string, number][] = [
    ['year', 'date', '2017-11-16', 47],
    ['year', 'date', '1969-12-31', -1],
    ['month', 'date', '2017-12-01', 575],
    ['month', 'date', '1969-12-31', -1],
    ['month', 'date', '1968-12-31', -13],
    ['day', 'date', '1969-12-31', -1],
    ['year', 'timestamp', '1969-12-31T23:59:59.999999', -1],
    ['month', 'timestamptz', '1970-01-01T00:30:00+01:00', -1],
    ['day', 'timestamp', '1969-12-31T23:59:59.999999', -1],
    ['day', 'timestamp_ns', '1969-12-31T23:59:59.999999999', -1],
    ['hour', 'timestamp', '1969-12-31T23:59:59.999999', -1],
    ['hour', 'timestamp', '2017-12-01T10:12:55.038194', 420_034],
    ['hour', 'timestamptz_ns', '1970-01-01T01:00:00+00:00', 1],
  ]
  for (const [transform, type, text, expected] of cases) {
    assert.equal(applyTransform(transform, type, of(type, text)), expected, `${transform} ${text}`)
  }
})

test('null and void give null', () => {
  for (const transform of ['identity', 'bucket[4]', 'truncate[4]', 'void'])
    assert.equal(applyTransform(transform, 'string', null), null)
  assert.equal(applyTransform('void', 'string', 'x'), null)
})

test('transforms that keep order keep it', () => {
  const types: [string, string][] = [
    ['truncate[8]', 'int'],
    ['truncate[7]', 'string'],
    ['truncate[7]', 'binary'],
    ['truncate[7]', 'decimal(38,10)'],
    ['year', 'date'],
    ['month', 'date'],
    ['hour', 'timestamp'],
    ['day', 'timestamp_ns'],
  ]
  for (const [transform, type] of types) {
    const result = resultType(transform, type)
    fc.assert(
      fc.property(VALUES[type]!, VALUES[type]!, (a, b) => {
        const [low, high] = compareValues(type, a, b) <= 0 ? [a, b] : [b, a]
        const lowOut = applyTransform(transform, type, low) as Present
        const highOut = applyTransform(transform, type, high) as Present
        // Truncated decimals may have a digit more than their type.
        assert.ok(compareValues(result, lowOut, highOut) <= 0)
      }),
    )
  }
})

test('transforms are read in any case and written in one form; others are kept as they are', () => {
  for (const text of ['identity', 'bucket[16]', 'truncate[4]', 'year', 'month', 'day', 'hour', 'void']) {
    assert.equal(formatTransform(parseTransform(text)), text)
    assert.equal(formatTransform(parseTransform(text.toUpperCase())), text)
  }
  assert.deepEqual(parseTransform('zorder[4]'), { kind: 'unknown', text: 'zorder[4]' })
  assert.deepEqual(parseTransform('bucket[0]').kind, 'unknown')
})

test('a transform that is not defined for a type is refused', () => {
  assert.equal(canTransform('hour', 'date'), false)
  assert.equal(canTransform('bucket[4]', 'double'), false)
  assert.equal(canTransform('truncate[4]', 'uuid'), false)
  assert.equal(canTransform('zorder', 'long'), false)
  assert.throws(
    () => applyTransform('hour', 'date', 1),
    (error) => isFault(error, 'unsupported'),
  )
  assert.throws(
    () => applyTransform('bucket[4]', 'long', 1),
    (error) => isFault(error, 'invalid'),
  )
})

test('result types are those of the specification', () => {
  assert.equal(resultType('bucket[4]', 'string'), 'int')
  assert.equal(resultType('day', 'timestamptz'), 'date')
  assert.equal(resultType('month', 'date'), 'int')
  assert.equal(resultType('truncate[4]', 'decimal(9,2)'), 'decimal(9,2)')
  assert.equal(resultType('void', 'string'), 'string')
})
