import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ProducerNumber, rowChangeText } from '../../change/table-change.ts'
import { encodeGroup } from '../../log/segment-group.ts'
import type { DeadLetter } from '../deadletter/deadletter.ts'
import { resultsOf } from './answers.ts'
import { PackedRecords, recordList } from './packed.ts'
import { LogEntries, type Reading, Readings, rowHead } from './readings.ts'
import { digestOf, type IncomingRecord, OPERATIONS } from './request.ts'

const HEADS = [rowHead('a.b', 'upsert'), rowHead('a.b', 'delete'), rowHead('ä."c', 'upsert')]
const LETTER = { stage: 'record', payload: Buffer.from('x') } as unknown as DeadLetter

const reading: fc.Arbitrary<Reading> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...HEADS), fc.json({ maxDepth: 2 }))
      .map(([head, text]): Reading => ({ kind: 'row', head, rowText: `{"é":${text}}` })),
  },
  fc.constant<Reading>({ kind: 'dropped' }),
  fc.constant<Reading>({
    kind: 'letter',
    problem: { code: 'WrongType', message: 'm' },
    letter: LETTER,
    id: 'l',
  }),
  fc.constant<Reading>({ kind: 'told', result: { kind: 'repeated', offset: 7 } }),
)

const marked = fc.option(
  fc.tuple(fc.constantFrom('p', 'owner p"\\'), fc.nat(), fc.nat()).map((mark): ProducerNumber => mark),
)

test('entries of a request are those of its records one by one, in their order', () => {
  const records = fc.array(fc.tuple(reading, marked, fc.boolean()), { maxLength: 12 })
  fc.assert(
    fc.property(records, fc.boolean(), fc.boolean(), fc.boolean(), (list, numbered, onlyRows, remembers) => {
      const some = onlyRows ? list.filter(([{ kind }]) => kind === 'row') : list
      const readings = new Readings(some.length)
      for (const [at, [reading, , asBytes]] of some.entries()) {
        // What was said before does not count.
        if (at % 3 === 0) readings.set(at, { kind: 'dropped' })
        if (reading.kind !== 'row' || !asBytes) readings.set(at, reading)
        else {
          const bytes = Buffer.from(`xé${reading.rowText}}`)
          readings.setRow(at, reading.head, { bytes, from: 3, end: bytes.length - 1 })
        }
      }
      assert.deepEqual(
        some.map((_, at) => readings.at(at)),
        some.map(([reading]) => reading),
      )
      const marks = numbered ? some.map(([, mark]) => mark) : null
      const behind = remembers ? ['{"input":0,"op":"none","row":{},"replayed":["é"]}'] : []
      const texts: string[] = []
      const offsets = some.map(([reading], at) => {
        const mark = marks?.[at] ?? null
        const sent = mark === null ? {} : { producer: mark }
        if (reading.kind === 'row') {
          const { to, op } = reading.head
          return texts.push(rowChangeText({ to, input: 0, op, ...sent }, reading.rowText)) - 1
        }
        return mark === null ? null : texts.push(rowChangeText({ input: 0, op: 'none', ...sent }, '{}')) - 1
      })
      texts.push(...behind)

      const entries = new LogEntries(readings, marks, behind)
      const lines = encodeGroup([entries], 98, 0).bytes.toString('utf8')
      assert.equal(lines, texts.map((text, at) => `{"offset":${98 + at},${text.slice(1)}\n`).join(''))
      assert.equal(entries.length, texts.length)
      assert.equal(
        entries.bytes,
        texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
      )
      assert.equal(entries.bytesMax, Math.max(0, ...texts.map((text) => Buffer.byteLength(text))))
      assert.deepEqual(
        some.map((_, at) => entries.place(at)),
        offsets,
      )
      assert.deepEqual(
        resultsOf(readings, (at) => 98 + entries.place(at)!),
        some.map(([reading], at) => {
          switch (reading.kind) {
            case 'row':
              return { kind: 'accepted', offset: 98 + offsets[at]! }
            case 'dropped':
              return { kind: 'dropped' }
            case 'letter':
              return { kind: 'dead-letter', letter: 'l', code: 'WrongType', message: 'm' }
            default:
              return reading.result
          }
        }),
      )
    }),
  )
})

test('readings of some records of a request stand in their places among the others', () => {
  const rows = Readings.of(['{"a":1}', '{"a":2}'].map((rowText) => ({ kind: 'row', head: HEADS[0]!, rowText })))
  const all = new Readings(3)
  all.set(1, { kind: 'dropped' })
  all.take(0, rows, 1)
  all.take(2, Readings.of([{ kind: 'dropped' }]), 0)
  assert.deepEqual([all.at(0), all.at(1), all.at(2)], [rows.at(1), { kind: 'dropped' }, { kind: 'dropped' }])
  assert.deepEqual(
    [...all.others()].map(([at]) => at),
    [1, 2],
  )
})

test('the digest of a request is that of its records with their operations and lengths, however they come', () => {
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(60_000, 65_500, 65_536, 70_000).map((n) => new Uint8Array(n)),
  )
  fc.assert(
    fc.property(fc.array(data, { maxLength: 8 }), fc.constantFrom(undefined, ...OPERATIONS), (datas, operation) => {
      const records = datas.map((bytes): IncomingRecord => ({ data: bytes, operation }))
      const hash = createHash('sha256')
      for (const bytes of datas) hash.update(`${operation ?? ''} ${bytes.length}\n`).update(bytes)
      assert.equal(digestOf(records), hash.copy().digest('hex'))
      const bounds: number[] = []
      for (const bytes of datas) {
        const from = bounds.at(-1) ?? 1
        bounds.push(from, from + bytes.length)
      }
      const packed = new PackedRecords(Buffer.concat([Buffer.from('x'), ...datas]), bounds, operation)
      assert.equal(digestOf(packed), hash.digest('hex'))
      assert.deepEqual(
        recordList(packed).map(({ data }) => Buffer.from(data)),
        datas.map((bytes) => Buffer.from(bytes)),
      )
    }),
  )
})
