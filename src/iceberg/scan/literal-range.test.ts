import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Literal, literalRange } from './literal-range.ts'

test('a literal is used for pruning only where its comparison is that of values', () => {
  const cases: [type: string, literal: Literal, low: unknown, high?: unknown][] = [
    ['int', 5, 5],
    ['int', 5n, 5],
    ['int', 5.5, null],
    ['int', 3_000_000_000, null],
    ['int', '5', null],
    ['long', 2 ** 53 - 1, 2n ** 53n - 1n],
    ['long', 2 ** 53, null],
    ['long', 2n ** 63n, null],
    ['double', 0.1, 0.1],
    ['double', 2n ** 60n, null],
    ['double', Number.NaN, null],
    ['float', 0.1, 0.1, Math.fround(0.1)],
    ['float', 0.3, 0.3, Math.fround(0.3)],
    ['decimal(9,2)', '1.5', 150n],
    ['decimal(9,2)', 3, 300n],
    ['decimal(9,2)', 1.5, null],
    ['decimal(9,2)', '1.555', null],
    ['decimal(38,10)', 3, null],
    ['date', '1970-01-02', 1],
    ['date', '1970-01-02 00:00:00', null],
    ['timestamp', '1970-01-02', 86_400_000_000n],
    ['timestamp', '1970-01-01 00:00:01', 1_000_000n],
    ['timestamp', '1970-01-01T00:00:01Z', null],
    ['timestamptz', '1970-01-01T00:00:01Z', 1_000_000n],
    ['timestamptz', '1970-01-01T01:00:01+01:00', 1_000_000n],
    ['timestamptz', '1970-01-01 00:00:01', null],
    ['string', 'x', 'x'],
    ['string', 1, null],
    ['string', '\ud800', null],
    ['uuid', 'F79C3E09-677C-4BBD-A479-3F349CB785E7', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
    ['uuid', 'x', null],
    ['boolean', true, true],
    ['binary', 'ab', null],
    ['fixed[2]', 'ab', null],
  ]
  for (const [type, literal, low, high] of cases) {
    const range = low === null ? null : { low, high: high ?? low }
    assert.deepEqual(literalRange(type, literal), range, `${type} ${String(literal)}`)
  }
})
