import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { withServer } from '../../test/support/http-bench.ts'
import { readTableChange } from '../change/table-change.ts'
import {
  type Identity,
  type IncomingRecord,
  PackedRecords,
  type RecordResult,
  type StreamInput,
} from '../service/streams/streams.ts'

const TEXTS = [
  '{"id":1,"name":"a"}',
  ' {"name":"é","id":2}\r',
  '{"id":3,"at":1655517600,"price":1.5}',
  '{"id":4,"at":"2022-06-18T02:00:00Z","price":"2.25"}',
  '{"id":1e1}',
  '{"id":5,"name":"\\ud83d\\udc7b"}',
  '{"id":"six"}',
  '{"id":7,"more":{"a":[1]}}',
  '{"id":8,"new_column":1}',
  '{"id":9,"new_column":"text"}',
  '{"id":10,"op":"delete"}',
  '{"id":10,"op":"update"}',
  '{"id":10,"op":"merge"}',
  '{"id":11,"name":"\xff"}',
  '{"name":"no id"}',
  '{"id":12}{"id":13}',
  '{"id":14,',
  '"name":"torn"}',
  '',
  'bad',
]

const settings = {
  columns: { id: 'LONG NOT NULL', name: 'STRING', at: 'TIMESTAMP', price: 'DECIMAL(9,2)' },
  epochUnit: 's',
} as const
const KINDS: Record<string, Partial<StreamInput>> = {
  plain: { ...settings, unknownFields: 'drop' },
  evolving: { ...settings, unknownFields: 'evolve', conflict: 'sibling' },
  keyed: { ...settings, uniqueKeys: ['id'], operationField: 'op' },
}

/** Without what names the stream. */
function toldOf(results: readonly RecordResult[]): unknown[] {
  return results.map((result) => (result.kind === 'dead-letter' ? { ...result, letter: '' } : result))
}

test('records that are packed become what they become one by one, in the log and in the answer', async () => {
  const streams = Object.fromEntries(
    Object.entries(KINDS).flatMap(([kind, given]) =>
      ['one', 'packed'].map((way) => [`${kind}-${way}`, { ...given, table: `${way}.${kind}` }]),
    ),
  )
  await withServer({ streams }, {}, async ({ bench }) => {
    const { engine } = bench
    for (const name of Object.keys(streams)) await engine.streams.pause(name)
    const requests = fc.record({
      kind: fc.constantFrom('plain', 'evolving', 'keyed'),
      texts: fc.array(fc.constantFrom(...TEXTS), { minLength: 1, maxLength: 9 }),
      operation: fc.constantFrom(undefined, undefined, 'insert' as const, 'update' as const),
      identity: fc.constantFrom<Identity>(
        {},
        {},
        { producer: { id: 'p', epoch: 0, sequence: 0 } },
        { producer: { id: 'p', epoch: 0, sequence: 3 } },
        { producer: { id: 'p', epoch: 1, sequence: 0 } },
        { idempotencyKey: 'k' },
      ),
    })
    await fc.assert(
      fc.asyncProperty(requests, async ({ kind, texts, operation, identity }) => {
        const one = engine.streams.get(`${kind}-one`)
        const packed = engine.streams.get(`${kind}-packed`)
        const datas = texts.map((text) => Buffer.from(text, text.includes('\xff') ? 'latin1' : 'utf8'))
        const records = datas.map((data): IncomingRecord => ({ data, operation }))
        const bounds: number[] = []
        for (const data of datas) {
          const from = bounds.length === 0 ? 0 : bounds.at(-1)! + 1
          bounds.push(from, from + data.length)
        }
        const bytes = Buffer.concat(datas.flatMap((data) => [data, Buffer.from('\n')]))
        const before = one.offsets.end
        assert.equal(packed.offsets.end, before)
        const attempt = async (stream: typeof one, some: IncomingRecord[] | PackedRecords) => {
          try {
            const { results, ...rest } = await stream.accept(some, identity, {
              origin: { receivedMs: 0, ip: null, userAgent: null },
            })
            return { ...rest, results: toldOf(results) }
          } catch (error) {
            return String(error).replace(stream.name, 'the stream')
          }
        }
        const answer = await attempt(one, records)
        assert.deepEqual(await attempt(packed, new PackedRecords(bytes, bounds, operation)), answer)
        const entries = await Promise.all(
          [one, packed].map(async ({ parts }) => (await parts.log.read(before, 100)).map(({ text }) => sameFor(text))),
        )
        assert.deepEqual(entries[1], entries[0])
      }),
      { numRuns: 60 },
    )
  })
})

/** An entry without what names the stream, or the time. */
function sameFor(text: string): unknown {
  const named = text.replace(/"to":"(one|packed)\./, '"to":"')
  if (!named.includes('"request":')) return named
  const entry = readTableChange(named)
  const { request } = entry
  const letters = request!.letters.map(([index, , code, message]) => [index, code, message])
  return { ...entry, request: { ...request, atMs: 0, letters } }
}
