import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { bytesOf, PackedRecords } from '../service/streams/streams.ts'
import { lineParts, linesOf, type Part } from './pieces.ts'

const MAX = limits.streamRecordBytesMax

async function* chunked(body: Buffer, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const places = [0, ...cuts.map((cut) => Math.min(cut, body.length)).sort((one, other) => one - other), body.length]
  for (let at = 1; at < places.length; at++) yield Buffer.from(body.subarray(places[at - 1], places[at]))
}

/** What became of the lines: texts, and sizes of those that were refused. */
function piecesOf({ records, refused }: Part): (string | { refused: string })[] {
  assert.ok(records instanceof PackedRecords)
  let next = 0
  return Array.from({ length: records.length + refused.size }, (_, at) => {
    const refusal = refused.get(at)
    return refusal === undefined
      ? Buffer.from(records.record(next++).data).toString('latin1')
      : { refused: /got (\d+)/.exec(refusal.message)![1]! }
  })
}

async function read(body: Buffer, cuts: readonly number[] = [], expected = 0) {
  const parts: ReturnType<typeof piecesOf>[] = []
  const lasts: boolean[] = []
  let held = 0
  const hold = {
    grow: (bytes: number) => {
      held += bytes
    },
  }
  let bytes = 0
  for await (const { part, last } of lineParts(chunked(body, cuts), expected, hold)) {
    parts.push(piecesOf(part))
    lasts.push(last)
    bytes += bytesOf(part.records)
  }
  assert.equal(held, bytes)
  assert.deepEqual(lasts, [...parts.slice(1).map(() => false), true])
  return parts
}

test('lines are cut at line feeds alone, whatever chunks they come in; blank ones are left out', async () => {
  const line = fc.oneof(
    fc.constantFrom('', ' ', '\t ', '\r', '{"a":1}', '{"a":1}\r', '\r\r', ' x '),
    fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\n', '')),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 12 }),
      fc.boolean(),
      fc.array(fc.nat({ max: 200 }), { maxLength: 6 }),
      fc.nat({ max: 300 }),
      async (lines, ended, cuts, expected) => {
        const body = Buffer.from(lines.join('\n') + (ended ? '\n' : ''))
        const whole = body
          .toString('latin1')
          .split('\n')
          .map((text) => text.replace(/\r$/, ''))
          .filter((text) => !/^[ \t]*$/.test(text))
        assert.deepEqual((await read(body, cuts, expected)).flat(), whole)
        assert.deepEqual(piecesOf(linesOf(body)), whole)
      },
    ),
  )
})

test('a line that is too long for a record is refused by itself, with its length', async () => {
  const full = 'x'.repeat(MAX)
  const lines = ['1', full, `${full}\r`, `${full}x`, `${full}xx`, `${full}${full}${full}`, '2', `${full}xxx`]
  const expected = ['1', full, full, ...[MAX + 1, MAX + 2, MAX * 3].map((size) => ({ refused: String(size) })), '2']
  const body = Buffer.from(lines.join('\n'))
  const cuts = Array.from({ length: 200 }, (_, at) => at * 65_536)
  for (const some of [[], cuts, [MAX * 5, MAX * 6 + 7]])
    assert.deepEqual((await read(body, some)).flat(), [...expected, { refused: String(MAX + 3) }])
  assert.deepEqual(piecesOf(linesOf(body)), [...expected, { refused: String(MAX + 3) }])
})

test('parts end where a stream takes no more at once, in records or in bytes', async () => {
  const many = Array.from({ length: limits.streamRequestRecordsMax * 2 + 3 }, (_, at) => `{"n":${at}}`)
  const parts = await read(Buffer.from(many.join('\n')), [10, 50_000, 90_001])
  assert.deepEqual(
    parts.map((part) => part.length),
    [limits.streamRequestRecordsMax, limits.streamRequestRecordsMax, 3],
  )
  assert.deepEqual(parts.flat(), many)
  const large = Array.from({ length: 40 }, (_, at) => String.fromCharCode(65 + at).repeat(MAX))
  const some = await read(Buffer.from(large.join('\n')), [5, 7_000_000, 20_000_000])
  const each = Math.floor(limits.streamRequestBytesMax / MAX)
  assert.deepEqual(
    some.map((part) => part.length),
    [each, each, 40 - 2 * each],
  )
  assert.deepEqual(some.flat(), large)
})

test('a body without lines is one part with nothing in it', async () => {
  assert.deepEqual(await read(Buffer.from('')), [[]])
  assert.deepEqual(await read(Buffer.from('\n \n')), [[]])
})
