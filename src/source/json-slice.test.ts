import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonSlices } from './json-slice.ts'

test('values come back letter by letter', () => {
  const slices = new JsonSlices(' { "a" : [ 1e5 , {"b\\"]":"x\\\\"} ,"\\u0041"], "c":{ } , "d":-0.50 } ')
  assert.equal(slices.at(['a', 0]), '1e5')
  assert.equal(slices.at(['a', 1, 'b"]']), '"x\\\\"')
  assert.equal(slices.at(['a', 2]), '"\\u0041"')
  assert.equal(slices.at(['c']), '{ }')
  assert.equal(slices.at(['d']), '-0.50')
})

test('of members of one name the last counts, as it does for JSON.parse', () => {
  assert.equal(new JsonSlices('{"a":1,"\\u0061":2}').at(['a']), '2')
})

test('elements may be asked for in any order', () => {
  const slices = new JsonSlices('[10,[20,21],30]')
  assert.deepEqual(
    [2, 0, 1, 1, 2].map((index) => slices.at([index])),
    ['30', '10', '[20,21]', '[20,21]', '30'],
  )
  assert.equal(slices.at([1, 1]), '21')
})

/** Every path into a value. */
function paths(value: unknown): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[]]
  const steps: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  const members = value as Record<string | number, unknown>
  return [[], ...steps.flatMap((step) => paths(members[step]).map((path) => [step, ...path]))]
}

test('any value in any JSON text is found', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('', ' ', '\t', '\n  '), (value, indent) => {
      const slices = new JsonSlices(JSON.stringify(value, null, indent))
      for (const path of paths(value)) {
        const expected = path.reduce<unknown>((at, step) => (at as Record<string | number, unknown>)[step], value)
        assert.deepEqual(JSON.parse(slices.at(path)), JSON.parse(JSON.stringify(expected)))
      }
    }),
  )
})
