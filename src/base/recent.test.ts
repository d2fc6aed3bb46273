import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Recent } from './recent.ts'

test('what was used least recently leaves first', () => {
  const recent = new Recent<string, number>(2)
  recent.set('a', 1)
  recent.set('b', 2)
  assert.equal(recent.get('a'), 1)
  recent.set('c', 3)
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [1, undefined, 3])
})

test('a value heavier than the bound takes the old one away and is not kept', () => {
  const recent = new Recent<string, string>(10)
  recent.set('a', 'small', 4)
  recent.set('b', 'other', 4)
  recent.set('a', 'large', 11)
  assert.deepEqual([recent.get('a'), recent.get('b')], [undefined, 'other'])
})

test('the weight of what is kept never exceeds the bound, and the newest entry that fits is there', () => {
  const step = fc.record({
    key: fc.integer({ min: 0, max: 5 }),
    weight: fc.integer({ min: 0, max: 12 }),
    drop: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = new Recent<number, number>(10)
      for (const { key, weight, drop } of steps) {
        if (drop) recent.delete(key)
        else recent.set(key, weight, weight)
        const kept = [0, 1, 2, 3, 4, 5].flatMap((each) => recent.get(each) ?? [])
        assert.ok(kept.reduce((sum, each) => sum + each, 0) <= 10)
        assert.equal(recent.get(key), drop || weight > 10 ? undefined : weight)
      }
    }),
  )
})
