import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { elementsOf, membersOf, objectsOf, recordBytes, type Slice, textOf } from './json-slices.ts'

const bytes = (text: string) => Buffer.from(text)
const show = (data: Buffer, slices: readonly Slice[] | null) =>
  slices?.map(({ from, end }) => data.toString('utf8', from, end)) ?? null

const spaced = (value: unknown, space: number) => JSON.stringify(value, null, space)

test('elements of an array are its own values, however it is spaced', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.integer({ min: 0, max: 4 }), (values, space) => {
      const data = bytes(` ${spaced(values, space)}\n`)
      const found = elementsOf(data)
      assert.deepEqual(
        found?.map(({ from, end }) => JSON.parse(data.toString('utf8', from, end))),
        JSON.parse(JSON.stringify(values)),
      )
    }),
  )
})

test('members of an object are its own values by name, however it is spaced', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 0, max: 4 }), (value, space) => {
      const data = bytes(spaced(value, space))
      const found = membersOf(data)
      assert.ok(found !== null)
      const parsed = [...found].map(([name, { from, end }]) => [name, JSON.parse(data.toString('utf8', from, end))])
      assert.deepEqual(parsed, Object.entries(JSON.parse(JSON.stringify(value))))
    }),
  )
})

test('several objects in a row are found again, and one object or anything else is not split', () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue())
  const gap = fc.constantFrom('', '\n', ' ', '\r\n', '\n\n')
  fc.assert(
    fc.property(fc.array(fc.tuple(object, gap), { maxLength: 6 }), (parts) => {
      const data = bytes(parts.map(([value, space]) => JSON.stringify(value) + space).join(''))
      const expected = parts.length < 2 ? null : parts.map(([value]) => JSON.stringify(value))
      assert.deepEqual(show(data, objectsOf(data, 100)), expected)
    }),
  )
  for (const text of ['', '{"a":"}{"}', '{}{', '{}x{}', '{} 1', '[{}{}]', '{"a":"}{']) {
    assert.equal(objectsOf(bytes(text), 100), null, text)
  }
  assert.equal(objectsOf(bytes('{}{}{}'), 2), null, 'more than may be')
})

test('what is damaged inside of an element leaves the others alone', () => {
  const data = bytes('[{"a":1}, oops, 007 ,{"b":1.50}]')
  assert.deepEqual(show(data, elementsOf(data)), ['{"a":1}', 'oops', '007', '{"b":1.50}'])
})

test('brackets that do not match are no array and no object', () => {
  for (const text of ['', '[', '[1', '[1,', '["a', '[1] 2', '{"a":1}', '[{]', 'x'])
    assert.equal(elementsOf(bytes(text)), null, text)
  for (const text of ['', '{', '{"a"}', '{"a" 1}', '{a:1}', '{"a":1', '[]', '{"a":1} x', '{"a":1,}'])
    assert.equal(membersOf(bytes(text)), null, text)
})

test('a text stands for itself, and every other value for its own bytes', () => {
  const value = (text: string) => Buffer.from(recordBytes(bytes(text), { from: 0, end: bytes(text).length })).toString()
  assert.equal(value('"{\\"a\\":1}\\n"'), '{"a":1}\n')
  assert.equal(value('{"a":12345678901234567890.10}'), '{"a":12345678901234567890.10}')
  assert.equal(textOf(bytes('"a'), { from: 0, end: 2 }), null)
})
