import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { heldOf, partitionName, SOURCE_OWNER, SourcePositions, sourceFacts } from './source-positions.ts'

const partition = (number: number, topicId = 'id-1', topic = 'orders') => ({ topic, topicId, partition: number })
const nameOf = (...args: Parameters<typeof partition>) => `${SOURCE_OWNER} ${partitionName(partition(...args))}`
const KEY = 'tidewater.source.orders'

test('as of any offset of the log it is known how far each partition stands, whatever lies between', () => {
  const entry = fc.record({
    partition: fc.integer({ min: 0, max: 2 }),
    gap: fc.integer({ min: 0, max: 2 }),
    other: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 60 }), fc.nat(60), fc.nat(60), (entries, passed, end) => {
      const positions = new SourcePositions()
      const next = [0, 0, 0]
      const expected = new Map<string, number>()
      const until = Math.max(passed, end)
      for (const [offset, each] of entries.entries()) {
        if (each.other) {
          positions.saw(offset, 'somebody', offset)
          continue
        }
        const sequence = (next[each.partition] ?? 0) + each.gap
        next[each.partition] = sequence + 1
        positions.saw(offset, nameOf(each.partition), sequence)
        if (offset < until) expected.set(nameOf(each.partition), sequence + 1)
      }
      positions.passed(passed)
      assert.deepEqual(new Map([...positions.at(until)].map(([name, seen]) => [name, seen.next])), expected)
    }),
  )
})

test('a snapshot says what the one before said, and what came since', () => {
  const positions = new SourcePositions()
  positions.saw(0, nameOf(1), 4)
  positions.saw(1, nameOf(0), 9)
  const before = { [KEY]: '0:3,2:7;id=id-1', 'write.format.default': 'parquet' }
  assert.deepEqual(sourceFacts(positions.at(2), before), { [KEY]: '0:10,1:5,2:7;id=id-1' })
  assert.deepEqual(sourceFacts(positions.at(1), before), { [KEY]: '0:3,1:5,2:7;id=id-1' })
  assert.deepEqual(sourceFacts(new Map(), {}), {})
})

test('a topic that was made anew takes the place of the one before, however they lie in the log', () => {
  const positions = new SourcePositions()
  positions.saw(0, nameOf(0, 'id-2'), 0)
  positions.saw(1, nameOf(0, 'id-1'), 50)
  positions.saw(2, nameOf(1, 'id-2'), 1)
  const facts = sourceFacts(positions.at(3), { [KEY]: '0:40;id=id-1' })
  assert.deepEqual(heldOf(facts, partition(1, 'id-2')), 2)
  assert.equal(heldOf(facts, partition(0, 'id-1')), null)
})

test('what a table says is read back, also of the longest name of a topic, and nothing is made of what it does not say', () => {
  const topic = 't'.repeat(249)
  const positions = new SourcePositions()
  const uuid = '01234567-89ab-cdef-0123-456789abcdef'
  const name = partitionName({ topic, topicId: uuid, partition: 2_147_483_647 })
  assert.ok(name.length <= 200, `${name.length}`)
  positions.saw(0, `${SOURCE_OWNER} ${name}`, 11)
  const facts = sourceFacts(positions.at(1), {})
  assert.equal(heldOf(facts, { topic, topicId: uuid, partition: 2_147_483_647 }), 12)
  assert.equal(heldOf(facts, { topic: `${'t'.repeat(248)}u`, topicId: uuid, partition: 2_147_483_647 }), null)
  assert.equal(heldOf({ [KEY]: 'nonsense' }, partition(0)), null)
  assert.equal(heldOf({}, partition(0)), null)
})
