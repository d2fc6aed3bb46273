import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NumberText, type RecordValue, readRecord, recordText } from './record.ts'

test('numbers keep their text wherever they stand', () => {
  for (const text of [
    '{"a":1.0,"b":[1e3,{"c":-0}],"d":"1","e":12345678901234567890}',
    '{"2":2.0,"1":1.0,"a":[0.10]}',
    '{"__proto__":1.50,"a":{"__proto__":[2.0]}}',
  ]) {
    const read = readRecord(Buffer.from(text))
    assert.ok(read.ok)
    const inOrder = text.startsWith('{"2"') ? '{"1":1.0,"2":2.0,"a":[0.10]}' : text
    assert.equal(recordText(read.value), inOrder)
  }
})

test('of a name that comes twice the last value counts, with its own text', () => {
  const read = readRecord(Buffer.from('{"a":"x","b":1.0,"a":1}'))
  assert.ok(read.ok)
  assert.deepEqual(read.value, { a: new NumberText('1'), b: new NumberText('1.0') })
})

test('any JSON text reads as the parser with a reviver reads it', () => {
  const name = fc.constantFrom('a', 'b', '1', '01', '__proto__', 'x"y', 'é', ':')
  const number = fc.constantFrom('0', '-0', '1.0', '1', '1e2', '1E+2', '123456789012345678901')
  const value = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      number,
      fc.constantFrom('"1,2:{"', '"\\"1"', 'null', 'true', '""'),
      fc.array(tie('any'), { maxLength: 3 }).map((items) => `[ ${items.join(' , ')}]`),
      object(tie('any')),
    ),
  })).any
  function object(member: fc.Arbitrary<string>): fc.Arbitrary<string> {
    return fc
      .array(fc.tuple(name, member), { maxLength: 4 })
      .map((members) => `{${members.map(([key, text]) => `${JSON.stringify(key)} :${text}`).join(',')}}`)
  }
  fc.assert(
    fc.property(object(value), (text) => {
      const read = readRecord(Buffer.from(text))
      const revived = JSON.parse(text, ((_name: string, member: unknown, context: { source: string }) =>
        typeof member === 'number' ? new NumberText(context.source) : member) as never) as RecordValue
      assert.ok(read.ok)
      assert.deepEqual(read.value, revived)
      assert.equal(recordText(read.value), recordText(revived))
    }),
    { numRuns: 500 },
  )
})
