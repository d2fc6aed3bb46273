import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../../../base/limits.ts'
import type { KafkaMessage } from '../../../source/source.ts'
import { recordOfMessage } from './kafka-record.ts'

const partition = { topic: 'orders', topicId: 'id-1', partition: 3 }
const ALL = { topic: 't', partition: 'p', offset: 'o', timestamp: 'at', key: 'k', headers: 'h' }

function message(value: string | Uint8Array | null, more: Partial<KafkaMessage> = {}): KafkaMessage {
  return {
    offset: 7,
    key: null,
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: [],
    timestampMs: 1_764_000_000_123,
    ...more,
  }
}

function read(
  each: KafkaMessage,
  {
    columns = {},
    keys = 'text',
    uniqueKeys = [],
  }: { columns?: object; keys?: 'text' | 'json'; uniqueKeys?: string[] } = {},
) {
  const { data, operation, outcome } = recordOfMessage(each, partition, { columns, keys }, uniqueKeys)
  const problem = outcome?.kind === 'failed' ? outcome.problem.code : undefined
  return { text: Buffer.from(data).toString(), operation, problem }
}

test('a value passes as it is when no columns are asked for', () => {
  assert.deepEqual(read(message(' {"a": 1.50} ')), { text: ' {"a": 1.50} ', operation: undefined, problem: undefined })
})

test('what stands beside the value becomes columns where they are asked for', () => {
  const each = message('{"a":1}', {
    key: Buffer.from('k1'),
    headers: [
      ['trace', Buffer.from('ü')],
      ['binary', Buffer.from([0xff])],
      ['none', null],
    ],
  })
  assert.deepEqual(JSON.parse(read(each, { columns: ALL }).text), {
    a: 1,
    t: 'orders',
    p: 3,
    o: 7,
    at: '2025-11-24T16:00:00.123Z',
    k: 'k1',
    h: { trace: 'ü', binary: '/w==', none: null },
  })
  assert.equal(read(message(' { } \n'), { columns: { offset: 'o' } }).text, '{ "o":7}')
})

test('columns are added to any object, and any other value passes as it is', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom('', ' ', '\n\t'), (text, blank) => {
      const value: unknown = JSON.parse(text)
      const given = `${blank}${text}${blank}`
      const { text: got } = read(message(given), { columns: { offset: 'offset of it' } })
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        assert.deepEqual(JSON.parse(got), { ...value, 'offset of it': 7 })
      else assert.equal(got, given)
    }),
  )
  for (const broken of ['{', '}', '{"a":', '', 'null', '[{}]'])
    assert.equal(read(message(broken), { columns: ALL }).text.startsWith(broken.slice(0, -1)), true, broken)
})

test('a message without a value deletes what its key names', () => {
  const tombstone = (key: string | null, options: Parameters<typeof read>[1]) =>
    read(message(null, { key: key === null ? null : Buffer.from(key) }), options)
  const deleted = (text: string) => ({ text, operation: 'delete', problem: undefined })
  assert.deepEqual(tombstone('o-1', { uniqueKeys: ['id'] }), deleted('{"id":"o-1"}'))
  assert.deepEqual(tombstone('12', { uniqueKeys: ['id'] }), deleted('{"id":"12"}'))
  assert.deepEqual(tombstone('12', { uniqueKeys: ['id'], keys: 'json' }), deleted('{"id":12}'))
  assert.deepEqual(
    tombstone('{"id":12345678901234567890,"shop":"a"}', { uniqueKeys: ['id', 'shop'] }),
    deleted('{"id":12345678901234567890,"shop":"a"}'),
  )
  for (const [key, options] of [
    ['o-1', {}],
    [null, { uniqueKeys: ['id'] }],
    ['o-1', { uniqueKeys: ['id', 'shop'] }],
    ['{"id":1}', { uniqueKeys: ['id', 'shop'] }],
    ['{"id"', { uniqueKeys: ['id'] }],
    ['o-1', { uniqueKeys: ['id'], keys: 'json' }],
    ['[1]', { uniqueKeys: ['id', 'shop'], keys: 'json' }],
  ] as const)
    assert.equal(
      tombstone(key, { ...options, uniqueKeys: [...('uniqueKeys' in options ? options.uniqueKeys : [])] }).problem,
      'InvalidTombstone',
      `${key}`,
    )
})

test('a value larger than a record is refused by its beginning', () => {
  const each = read(message(Buffer.alloc(limits.streamRecordBytesMax + 5, 'x')))
  assert.deepEqual([each.problem, each.text.length], ['RecordTooLarge', limits.streamRecordBytesMax])
})
