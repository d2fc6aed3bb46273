import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { VALUES } from '../../../test/support/value-arbitraries.ts'
import { applyTransform, resultType } from './transform.ts'
import { type Comparison, projectComparison } from './transform-filter.ts'
import { compareValues, type Present } from './value-order.ts'

const COMPARISONS: Comparison[] = ['=', '!=', '<', '<=', '>', '>=']

function holds(type: string, op: Comparison, a: Present, b: Present): boolean {
  const sign = compareValues(type, a, b)
  switch (op) {
    case '=':
      return sign === 0
    case '!=':
      return sign !== 0
    case '<':
      return sign < 0
    case '<=':
      return sign <= 0
    case '>':
      return sign > 0
    case '>=':
      return sign >= 0
  }
}

const CASES: [string, string][] = [
  ['identity', 'long'],
  ['identity', 'string'],
  ['identity', 'int'],
  ['bucket[3]', 'string'],
  ['truncate[10]', 'int'],
  ['truncate[8]', 'int'],
  ['truncate[10]', 'long'],
  ['truncate[2]', 'string'],
  ['truncate[2]', 'binary'],
  ['year', 'date'],
  ['month', 'date'],
  ['day', 'timestamptz'],
  ['hour', 'timestamp'],
  ['void', 'long'],
]

for (const [transform, type] of CASES) {
  test(`no row that matches is outside the projection of ${transform} on ${type}`, () => {
    // Small values beside any, so that rows and filters often meet; the least int and long are among them.
    const near = type === 'int' ? fc.integer({ min: -25, max: 25 }) : VALUES[type]!
    const edge = type === 'int' ? fc.integer({ min: -(2 ** 31), max: -(2 ** 31) + 25 }) : VALUES[type]!
    const values = fc.oneof(near, edge, VALUES[type]!)
    fc.assert(
      fc.property(values, values, fc.constantFrom(...COMPARISONS), (row, literal, op) => {
        if (!holds(type, op, row, literal)) return
        const partition = applyTransform(transform, type, row) as Present
        for (const bound of projectComparison(transform, type, op, literal)) {
          assert.ok(holds(resultType(transform, type), bound.op, partition, bound.value), `${op} became ${bound.op}`)
        }
      }),
      { numRuns: 400 },
    )
  })
}

test('filters become filters on partitions', () => {
  assert.deepEqual(projectComparison('identity', 'string', '!=', 'eu'), [{ op: '!=', value: 'eu' }])
  assert.deepEqual(projectComparison('bucket[16]', 'string', '=', 'iceberg'), [{ op: '=', value: 1210000089 % 16 }])
  assert.deepEqual(projectComparison('bucket[16]', 'string', '<', 'iceberg'), [])
  assert.deepEqual(projectComparison('day', 'timestamptz', '>', 86_400_000_000n), [{ op: '>=', value: 1 }])
  assert.deepEqual(projectComparison('truncate[3]', 'string', '=', 'iceberg'), [{ op: '=', value: 'ice' }])
})

test('times before 1970 also find the partitions of writers that rounded towards zero', () => {
  assert.deepEqual(projectComparison('day', 'date', '=', -2), [
    { op: '>=', value: -2 },
    { op: '<=', value: -1 },
  ])
  assert.deepEqual(projectComparison('year', 'date', '<', -400), [{ op: '<=', value: -1 }])
})

test('the two zeros of a float are one for a filter', () => {
  assert.deepEqual(projectComparison('identity', 'double', '=', 0), [
    { op: '>=', value: -0 },
    { op: '<=', value: 0 },
  ])
  assert.deepEqual(projectComparison('identity', 'double', '<=', -0), [{ op: '<=', value: 0 }])
  assert.deepEqual(projectComparison('identity', 'double', '>=', 0), [{ op: '>=', value: -0 }])
  assert.deepEqual(projectComparison('identity', 'double', '<', 0), [{ op: '<', value: -0 }])
  assert.deepEqual(projectComparison('identity', 'double', '!=', 0), [])
})

test('filters that say nothing about partitions give none', () => {
  assert.deepEqual(projectComparison('void', 'string', '=', 'x'), [])
  assert.deepEqual(projectComparison('later[3]', 'string', '=', 'x'), [])
  assert.deepEqual(projectComparison('identity', 'double', '<', Number.NaN), [])
  assert.deepEqual(projectComparison('hour', 'date', '=', 1), [])
  assert.deepEqual(projectComparison('truncate[10]', 'int', '<', 5), [])
})
