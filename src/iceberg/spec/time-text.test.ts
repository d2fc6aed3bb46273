import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isFault } from '../../base/fault.ts'
import {
  civilFromDays,
  daysFromCivil,
  floorDiv,
  floorMod,
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
} from './time-text.ts'

test('dates agree with the platform calendar over eight thousand years', () => {
  fc.assert(
    fc.property(fc.integer({ min: -2_900_000, max: 2_900_000 }), (days) => {
      const date = new Date(days * 86_400_000)
      assert.deepEqual(civilFromDays(days), {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
      })
      assert.equal(daysFromCivil(civilFromDays(days)), days)
    }),
  )
})

test('date text is read as it was written, also far from now', () => {
  fc.assert(
    fc.property(fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }), (days) => {
      assert.equal(parseDate(formatDate(days)), days)
    }),
  )
  assert.equal(formatDate(0), '1970-01-01')
  assert.equal(formatDate(-1), '1969-12-31')
  assert.equal(formatDate(-719_529), '-00001-12-31')
  assert.equal(formatDate(2_932_897), '+10000-01-01')
})

test('timestamps are read as they were written, in both units', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      assert.equal(parseTimestamp(formatTimestamp(value), 'us', 'none'), value)
      assert.equal(parseTimestamp(formatTimestamp(value, 'ns'), 'ns', 'none'), value)
    }),
  )
  assert.equal(formatTimestamp(-1n), '1969-12-31T23:59:59.999999')
  assert.equal(formatTimestamp(0n), '1970-01-01T00:00:00')
})

test('an offset is taken into account, and asked for or refused by type', () => {
  const utc = parseTimestamp('2017-11-16T22:31:08+00:00', 'us', 'required')
  assert.equal(parseTimestamp('2017-11-16T14:31:08-08:00', 'us', 'required'), utc)
  assert.equal(parseTimestamp('2017-11-16 22:31:08Z', 'us', 'required'), utc)
  assert.equal(parseTimestamp('2017-11-16T22:31:08', 'us', 'none'), utc)
  assert.throws(
    () => parseTimestamp('2017-11-16T22:31:08', 'us', 'required'),
    (error) => isFault(error, 'invalid'),
  )
  assert.throws(
    () => parseTimestamp('2017-11-16T22:31:08Z', 'us', 'none'),
    (error) => isFault(error, 'invalid'),
  )
})

test('times of day are read and written', () => {
  assert.equal(parseTime('22:31:08.123456'), 81_068_123_456n)
  assert.equal(formatTime(81_068_123_456n), '22:31:08.123456')
  assert.equal(parseTime('22:31'), 81_060_000_000n)
})

test('what is no date or time is refused', () => {
  for (const text of ['2023-02-29', '2023-13-01', '2023-1-1', '23-01-01', 'today', '']) {
    assert.throws(
      () => parseDate(text),
      (error) => isFault(error, 'invalid'),
      text,
    )
  }
  for (const text of ['24:00:00', '12:60', '12:00:60', '12:00:00.1234567', '12']) {
    assert.throws(
      () => parseTime(text),
      (error) => isFault(error, 'invalid'),
      text,
    )
  }
})

test('floored division never leaves a negative remainder', () => {
  fc.assert(
    fc.property(fc.bigInt(), fc.bigInt({ min: 1n, max: 10n ** 12n }), (a, b) => {
      assert.equal(floorDiv(a, b) * b + floorMod(a, b), a)
      assert.ok(floorMod(a, b) >= 0n && floorMod(a, b) < b)
    }),
  )
})
