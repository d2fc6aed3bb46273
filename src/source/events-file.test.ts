import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../base/limits.ts'
import { type EventsFileLine, readEventsFile } from './source.ts'

function record(key: string): string {
  const s3 = { bucket: { name: 'b' }, object: { key } }
  const common = { eventVersion: '2.1', eventSource: 'aws:s3', eventTime: '2024-05-01T10:00:00Z' }
  return JSON.stringify({ Records: [{ ...common, eventName: 'ObjectCreated:Put', s3 }] })
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function lines(...chunks: (string | Uint8Array)[]): Promise<EventsFileLine[]> {
  const input = chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
  return collect(readEventsFile(input))
}

async function keysByLine(...chunks: (string | Uint8Array)[]): Promise<[number, string][]> {
  return (await lines(...chunks)).map(({ line, result }) => {
    assert.deepEqual(result.problems, [])
    return [line, result.events.map((event) => event.key).join()]
  })
}

test('lines are counted from 1, blank ones included, and the last needs no line feed', async () => {
  const text = `${record('a')}\n\n  \r\n${record('b')}\r\n${record('c')}`
  assert.deepEqual(await keysByLine(text), [
    [1, 'a'],
    [4, 'b'],
    [5, 'c'],
  ])
  assert.deepEqual(await keysByLine(`${text}\n`), await keysByLine(text))
})

test('an empty input has no lines', async () => {
  assert.deepEqual(await lines(), [])
  assert.deepEqual(await lines('', '\n', '\n'), [])
})

test('byte order marks are dropped, at the start and where files were joined', async () => {
  assert.deepEqual(await keysByLine(`\ufeff${record('a')}\n\ufeff${record('b')}\n\ufeff`), [
    [1, 'a'],
    [2, 'b'],
  ])
})

test('a line that is not UTF-8 is a problem with its bytes, and reading goes on', async () => {
  const bad = Buffer.from([0x7b, 0xff, 0xfe, 0x7d])
  const [first, second] = await lines(bad, '\r\n', record('a'))
  const problem = first!.result.problems[0]!
  assert.equal(problem.reason, 'not-utf8')
  assert.equal(problem.encoding, 'base64')
  assert.deepEqual(Buffer.from(problem.payload, 'base64'), bad)
  assert.equal(problem.sha256, createHash('sha256').update(bad).digest('hex'))
  assert.deepEqual([second?.line, second?.result.events.length], [2, 1])
})

test('a line that is no JSON is a problem with its text, and reading goes on', async () => {
  const [first, second] = await lines(`oops\n${record('a')}\n`)
  assert.deepEqual([first?.result.problems[0]?.reason, first?.result.problems[0]?.payload], ['not-json', 'oops'])
  assert.equal(second?.result.events.length, 1)
})

test('of a line that is too long only the first bytes, the length and the hash are kept', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const count = limits.notificationBytesMax / chunk.length + 3
  async function* input() {
    yield Buffer.from(`${record('a')}\n`)
    for (let i = 0; i < count; i++) yield chunk
    yield Buffer.from(`\n${record('b')}\n`)
  }
  const read = await collect(readEventsFile(input()))
  assert.deepEqual(
    read.map(({ line, result }) => [line, result.events.length, result.problems.length]),
    [
      [1, 1, 0],
      [2, 0, 1],
      [3, 1, 0],
    ],
  )
  const problem = read[1]!.result.problems[0]!
  const hash = createHash('sha256')
  for (let i = 0; i < count; i++) hash.update(chunk)
  assert.deepEqual(
    [problem.reason, problem.sizeBytes, problem.sha256],
    ['too-large', count * chunk.length, hash.digest('hex')],
  )
  assert.deepEqual(Buffer.from(problem.payload, 'base64'), chunk.subarray(0, limits.deadLetterPayloadBytesMax))
})

test('a line of just the longest length is read, with LF and with CRLF', async () => {
  const long = record('a').padEnd(limits.notificationBytesMax, ' ')
  assert.deepEqual(await keysByLine(`${long}\r\n${long}\n${long}`), [
    [1, 'a'],
    [2, 'a'],
    [3, 'a'],
  ])
})

test('how the input is cut into chunks makes no difference', async () => {
  const whole = Buffer.from(`${record('ü/日本語 📷')}\r\n\n{"x":\n${record('b')}\n\ufeff${record('c')}`)
  const expected = await lines(whole)
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(whole.length), { maxLength: 30 }), async (cuts) => {
      const ends = [...cuts.sort((a, b) => a - b), whole.length]
      const chunks = ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
      assert.deepEqual(await lines(...chunks), expected)
    }),
  )
})

test('chunks may be reused by whoever gives them', async () => {
  const text = Buffer.from(record('abcdef'))
  const shared = Buffer.alloc(16)
  async function* input() {
    for (let start = 0; start < text.length; start += 16) {
      const length = text.copy(shared, 0, start)
      yield shared.subarray(0, length)
    }
  }
  const read = await collect(readEventsFile(input()))
  assert.equal(read[0]?.result.events[0]?.key, 'abcdef')
})
