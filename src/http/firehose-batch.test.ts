import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quickBatch } from './firehose-batch.ts'
import { documentsOf } from './pieces.ts'

const BOUNDS = { recordsMax: 6, recordBytesMax: 40, bytesMax: 120 }

/** What the body says, read as JSON; null where that way would refuse something, or find several records in one. */
function exactly(body: Buffer): { stream: string; datas: string[] } | null {
  let input: { DeliveryStreamName?: unknown; Records?: unknown }
  try {
    input = JSON.parse(body.toString('utf8')) as typeof input
  } catch {
    return null
  }
  const { DeliveryStreamName: stream, Records: records } = input
  if (typeof stream !== 'string' || !Array.isArray(records)) return null
  if (records.length < 1 || records.length > BOUNDS.recordsMax) return null
  const datas: Buffer[] = []
  for (const record of records as { Data?: unknown }[]) {
    const text = record?.Data
    if (typeof text !== 'string' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null
    const data = Buffer.from(text, 'base64')
    if (data.length > BOUNDS.recordBytesMax || documentsOf({ data }, '', true).length > 1) return null
    datas.push(data)
  }
  if (datas.reduce((sum, data) => sum + data.length, 0) > BOUNDS.bytesMax) return null
  return { stream, datas: datas.map((data) => data.toString('hex')) }
}

function quickly(body: Buffer): ReturnType<typeof exactly> {
  const batch = quickBatch(body, BOUNDS)
  if (batch === null) return null
  const { stream, records } = batch
  return {
    stream,
    datas: Array.from({ length: records.length }, (_, at) => Buffer.from(records.record(at).data).toString('hex')),
  }
}

const bodyOf = (stream: string, datas: readonly string[], indent?: number): Buffer =>
  Buffer.from(JSON.stringify({ DeliveryStreamName: stream, Records: datas.map((Data) => ({ Data })) }, null, indent))

const base64 = (text: string): string => Buffer.from(text).toString('base64')

test('batches in the usual form are read from their bytes', () => {
  const datas = ['{"a":1}', '', '{"a":{"b":"}"}}\n', 'no JSON', '{"é":"\\u00e9"}'].map(base64)
  for (const body of [
    bodyOf('s-1_x.y', datas),
    bodyOf('s', datas, 2),
    Buffer.from(` {"Records" : [ {"Data":"${datas[0]}"} , {"Data":"/+8="} ],"DeliveryStreamName":"s"}\r\n`),
  ]) {
    assert.notEqual(quickly(body), null, body.toString())
    assert.deepEqual(quickly(body), exactly(body))
  }
})

test('everything else is left to the exact way', () => {
  const one = base64('{"a":1}')
  const record = `{"Data":"${one}"}`
  for (const text of [
    '',
    '{}',
    '[]',
    `{"DeliveryStreamName":"s"}`,
    `{"Records":[${record}]}`,
    `{"DeliveryStreamName":"s","Records":[]}`,
    `{"DeliveryStreamName":"s","Records":[${record},]}`,
    `{"DeliveryStreamName":"s","Records":[${record}]`,
    `{"DeliveryStreamName":"s","Records":[${record}]} x`,
    `{"DeliveryStreamName":"s","Records":[${record}],"Other":1}`,
    `{"DeliveryStreamName":"s","DeliveryStreamName":"t","Records":[${record}]}`,
    `{"DeliveryStreamName":"s","Records":[${record}],"Records":[${record}]}`,
    `{"DeliveryStreamName":"s","Records":[{"Data":"${one}","Data":"${one}"}]}`,
    `{"DeliveryStreamName":"s","Records":[{"data":"${one}"}]}`,
    `{"DeliveryStreamName":"s","Records":[{"Data":null}]}`,
    `{"DeliveryStreamName":"s","Records":[{"Data":"${one.replace('=', '\\u003d')}"}]}`,
    `{"DeliveryStreamName":"\\u0073","Records":[${record}]}`,
    `{"DeliveryStreamName":"s/t","Records":[${record}]}`,
    `{"DeliveryStreamName":"${'s'.repeat(65)}","Records":[${record}]}`,
    `{"DeliveryStreamName":"s","Records":[${Array(7).fill(record).join(',')}]}`,
    bodyOf('s', [base64('x'.repeat(41))]).toString(),
    bodyOf('s', Array(4).fill(base64('x'.repeat(40)))).toString(),
    bodyOf('s', [base64('{"a":1}{"a":2}')]).toString(),
    bodyOf('s', [base64('{"a":1}'), base64('{"a":1} \n {"a":2}')]).toString(),
    bodyOf('s', ['_-8=']).toString(),
    bodyOf('s', ['QQ==QQ==']).toString(),
    bodyOf('s', ['QU JD QUJ']).toString(),
    bodyOf('s', ['QUI']).toString(),
    bodyOf('s', ['====']).toString(),
    bodyOf('s', ['QUJ\u00e9']).toString(),
  ])
    assert.equal(quickBatch(Buffer.from(text), BOUNDS), null, text)
})

test('what is read from bytes is what is read as JSON, for bodies of every kind', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 12 }).map(base64),
    fc.json({ maxDepth: 1 }).map(base64),
    fc.constantFrom('{"a":1}', '{"a":1}{"b":2}', '}{', '{"a":"}{"}').map(base64),
    fc.constantFrom('QQ==', 'QR==', 'QQ=', 'QQ', '_-8=', 'Q Q=', 'QQ==QQ==', 'A===', '====', 'QUJDQUJ='),
  )
  const change = fc.option(
    fc.record({
      at: fc.nat({ max: 400 }),
      byte: fc.constantFrom(...Buffer.from('"\\{}[],:=-_ \nA/\u0000\xff', 'latin1')),
    }),
  )
  let quick = 0
  let all = 0
  fc.assert(
    fc.property(fc.array(text, { maxLength: 7 }), fc.constantFrom(undefined, 1), change, (datas, indent, changed) => {
      const body = bodyOf('some-stream', datas, indent)
      if (changed !== null && changed.at < body.length) body[changed.at] = changed.byte
      const read = quickly(body)
      const exact = exactly(body)
      if (read !== null) assert.deepEqual(read, exact, body.toString('latin1'))
      if (exact !== null) all++
      if (read !== null) quick++
    }),
    { numRuns: 2_000 },
  )
  assert.ok(quick > all * 0.4, `${quick} of ${all} that are good`)
})
