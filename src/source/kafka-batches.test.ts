import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readBatches, type WireBatch } from './kafka-batches.ts'

const TRANSACTIONAL = 16
const CONTROL = 32

function batch(firstOffset: number, values: string[], more: Partial<WireBatch> = {}): WireBatch {
  return {
    firstOffset: BigInt(firstOffset),
    lastOffsetDelta: values.length - 1,
    attributes: 0,
    firstTimestamp: 1_000n,
    maxTimestamp: 9_000n,
    partitionLeaderEpoch: 3,
    producerId: -1n,
    records: values.map((value, at) => ({
      timestampDelta: BigInt(at),
      offsetDelta: at,
      key: null,
      value: Buffer.from(value),
      headers: [],
    })),
    ...more,
  }
}

function marker(offset: number, producerId: bigint, commit: boolean): WireBatch {
  const key = Buffer.from([0, 0, 0, commit ? 1 : 0])
  const records = [{ timestampDelta: 0n, offsetDelta: 0, key, value: Buffer.alloc(6), headers: [] }]
  return { ...batch(offset, ['']), attributes: TRANSACTIONAL | CONTROL, producerId, records }
}

const valuesOf = (read: ReturnType<typeof readBatches>) =>
  read.messages.map(({ offset, value }) => `${offset} ${Buffer.from(value ?? []).toString()}`)

test('a batch that begins before the offset asked for gives only what comes from there on', () => {
  const read = readBatches([batch(10, ['a', 'b', 'c'])], [], 11)
  assert.deepEqual(valuesOf(read), ['11 b', '12 c'])
  assert.deepEqual([read.next, read.leaderEpoch], [13, 3])
})

test('nothing read leaves the offset where it was', () => {
  assert.deepEqual(readBatches([], [], 7), { messages: [], next: 7, leaderEpoch: null })
})

test('a batch that compaction has emptied is passed over to its last offset', () => {
  const emptied = { ...batch(5, ['x', 'y', 'z']), records: [] }
  assert.equal(readBatches([emptied], [], 5).next, 8)
  const emptiedMarker = { ...marker(8, 1n, false), records: [] }
  assert.equal(readBatches([emptied, emptiedMarker], [{ producerId: 1n, firstOffset: 5n }], 5).next, 9)
})

test('a transaction taken back is left out whether or not its marker is in the answer', () => {
  const mine = { attributes: TRANSACTIONAL, producerId: 1n }
  const other = { attributes: TRANSACTIONAL, producerId: 2n }
  const aborted = [{ producerId: 1n, firstOffset: 0n }]
  assert.deepEqual(valuesOf(readBatches([batch(0, ['a'], mine), batch(1, ['b'], other)], aborted, 0)), ['1 b'])
  const whole = [batch(0, ['a'], mine), batch(1, ['b'], other), marker(2, 1n, false), batch(3, ['c'], mine)]
  assert.deepEqual(valuesOf(readBatches(whole, aborted, 0)), ['1 b', '3 c'])
})

test('several transactions that one producer took back are all left out', () => {
  const mine = { attributes: TRANSACTIONAL, producerId: 1n }
  const batches = [
    batch(0, ['a'], mine),
    marker(1, 1n, false),
    batch(2, ['kept'], mine),
    marker(3, 1n, true),
    batch(4, ['b'], mine),
  ]
  const aborted = [
    { producerId: 1n, firstOffset: 4n },
    { producerId: 1n, firstOffset: 0n },
  ]
  assert.deepEqual(valuesOf(readBatches(batches, aborted, 0)), ['2 kept'])
})

test('the time is the producer’s, or the broker’s where the topic says so', () => {
  const [first, second] = readBatches([batch(0, ['a', 'b'])], [], 0).messages
  assert.deepEqual([first?.timestampMs, second?.timestampMs], [1_000, 1_001])
  const [appended] = readBatches([batch(0, ['a'], { attributes: 8 })], [], 0).messages
  assert.equal(appended?.timestampMs, 9_000)
})

test('whatever transactions do and wherever answers are cut, committed messages come once and others never', () => {
  const step = fc.record({
    producer: fc.integer({ min: 0, max: 2 }),
    kind: fc.constantFrom('plain', 'send', 'send', 'send', 'commit', 'abort'),
    count: fc.integer({ min: 1, max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.infiniteStream(fc.integer({ min: 1, max: 4 })), (steps, cuts) => {
      const log: WireBatch[] = []
      const aborted: { producerId: bigint; firstOffset: bigint; end: number }[] = []
      const open = new Map<number, { first: number; texts: string[] }>()
      const committed: string[] = []
      let end = 0
      const finish = (producer: number, commit: boolean) => {
        const transaction = open.get(producer)
        if (transaction === undefined) return
        open.delete(producer)
        log.push(marker(end, BigInt(producer), commit))
        if (commit) committed.push(...transaction.texts)
        else aborted.push({ producerId: BigInt(producer), firstOffset: BigInt(transaction.first), end })
        end++
      }
      for (const { producer, kind, count } of steps) {
        if (kind === 'commit' || kind === 'abort') finish(producer, kind === 'commit')
        else {
          const values = Array.from({ length: count }, (_, at) => `v${end + at}`)
          const texts = values.map((value, at) => `${end + at} ${value}`)
          if (kind === 'plain') {
            log.push(batch(end, values))
            committed.push(...texts)
          } else {
            const transaction = open.get(producer) ?? { first: end, texts: [] }
            transaction.texts.push(...texts)
            open.set(producer, transaction)
            log.push(batch(end, values, { attributes: TRANSACTIONAL, producerId: BigInt(producer) }))
          }
          end += count
        }
      }
      // A broker gives nothing of what is open.
      for (const producer of [0, 1, 2]) finish(producer, false)
      const seen: string[] = []
      const cut = cuts[Symbol.iterator]()
      for (let from = 0; from < end; ) {
        const first = log.findIndex(({ firstOffset, lastOffsetDelta }) => Number(firstOffset) + lastOffsetDelta >= from)
        const answer = log.slice(first, first + (cut.next().value as number))
        const last = answer.at(-1)!
        const upTo = Number(last.firstOffset) + last.lastOffsetDelta
        // As a broker does: those that reach into the answer.
        const told = aborted.filter((each) => each.end >= from && Number(each.firstOffset) <= upTo)
        const read = readBatches(answer, told, from)
        seen.push(...valuesOf(read))
        assert.ok(read.next > from)
        from = read.next
      }
      const byOffset = (one: string, other: string) => Number.parseInt(one, 10) - Number.parseInt(other, 10)
      assert.deepEqual(seen, committed.sort(byOffset))
    }),
  )
})
