/** Which texts are taken for data, and what is inferred of their columns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../base/limits.ts'
import { csvColumns, jsonColumns } from './inferred-type.ts'
import { sniff } from './sniff.ts'
import { tableExtractor } from './table-extractor.ts'
import { textTable } from './text-sample.ts'

const of = (text: string | Uint8Array) => Buffer.from(text as string)

test('text that has the form of data is told by it, other text is nothing', async () => {
  const cases: [string | Uint8Array, string | null][] = [
    ['{"a": 1}', 'application/json'],
    ['\ufeff{"a": 1}\n', 'application/json'],
    ['[1, "two", {"three": [3]}]', 'application/json'],
    ['[ ]', 'application/json'],
    ['{"a": 1}\n{"a": 2}\n', 'application/x-ndjson'],
    ['{"a": "}{"}\r\n\r\n{"a": "\\"}"}', 'application/x-ndjson'],
    ['a,b\n1,2\n', 'text/csv'],
    ['a;b;c\r\n1;2,5;"x;\ny"\r\n', 'text/csv'],
    ['a\tb\n1\t2', 'text/tab-separated-values'],
    ['a|b|c\n1|2|3\n', 'text/csv'],
    [Buffer.from('\ufeffa,b\n1,2\n', 'utf16le'), 'text/csv'],
    // What only looks like it.
    ['{ color: red }', null],
    ['{"a": 1', null],
    ['{"a": 01}', null],
    ['[section]\nkey=value\n', null],
    ['{"a": 1} trailing', null],
    ['a,b\n', null],
    ['a,b\n1,2,3\n', null],
    ['a,b\n"1"x,2\n', null],
    ['just a line\nand another\n', null],
    ['Roses are red, violets are blue\nSugar is sweet, and so are you\n', null],
    ['#!/bin/sh\necho a, b\n', null],
    ['a,b\n1,\u0000\n', null],
    ['', null],
  ]
  for (const [text, want] of cases) assert.equal(await sniff(of(text)), want, JSON.stringify(String(text)))
})

test('of a text longer than the sample the last record is not believed', () => {
  const csv = textTable(of('a,b\n1,2\n3,4\n5'), false)
  assert.deepEqual(csv?.kind === 'csv' && csv.records, [
    ['a', 'b'],
    ['1', '2'],
    ['3', '4'],
  ])
  const quoted = textTable(of('a,b\n1,2\n3,"an open quo'), false)
  assert.equal(quoted?.kind === 'csv' && quoted.records.length, 2)
  const lines = textTable(of('{"a":1}\n{"a":2}\n{"a'), false)
  assert.equal(lines?.kind === 'ndjson' && lines.items.length, 2)
  const list = textTable(of('[{"a":1},{"a":2},{"a'), false)
  assert.equal(list?.kind === 'json' && list.items.length, 2)
  // One object that is longer than all that is looked at.
  assert.equal(textTable(of('{"a": [1, 2, '), false)?.kind, 'json')
  // A character cut in two.
  assert.equal(textTable(of('a,b\nx,ö\n1,ö').subarray(0, -1), false)?.kind, 'csv')
})

test('the narrowest type that holds all values is the type of the column', () => {
  const cases: [string[], string][] = [
    [['1', '-2', '+3'], 'long'],
    [['1', '2.5', '1e3'], 'double'],
    [['007', '008'], 'string'],
    [['12345678901234567890'], 'string'],
    [['true', 'FALSE'], 'boolean'],
    [['2024-05-06', '2024-12-31'], 'date'],
    [['2024-13-01'], 'string'],
    [['2024-05-06 07:08', '2024-05-06T07:08:09.123'], 'timestamp'],
    [['2024-05-06T07:08:09Z'], 'timestamptz'],
    [['1', 'x'], 'string'],
    [['2024-05-06', '2024-05-06T07:08:09Z'], 'string'],
    [['', ' '], 'unknown'],
  ]
  for (const [values, want] of cases) {
    const { columns } = csvColumns([['name', 'n'], ...values.map((value) => [value, '1'])])
    assert.deepEqual(columns[0], { name: 'name', type: want, nullable: values.includes('') }, values.join(' '))
  }
})

test('a first record is a header when it differs from what follows', () => {
  const header = (...records: string[][]) => csvColumns(records).header
  assert.equal(header(['id', 'place'], ['1', 'Husum']), true)
  assert.equal(header(['city', 'land'], ['Husum', 'SH'], ['Trier', 'RP']), true)
  assert.equal(header(['1', '2'], ['3', '4']), false)
  assert.equal(header(['id', 'id'], ['1', '2']), false)
  assert.equal(header(['yes', 'no'], ['yes', 'no']), false)
  assert.equal(header(['', 'b'], ['1', '2']), false)
})

test('types of JSON nest, and what is missing somewhere is nullable', () => {
  const rows = [
    { id: 1, tags: ['a'], at: { x: 1, y: null }, when: '2024-05-06' },
    { id: 2.5, tags: [], at: { x: 2 }, more: 10n ** 17n },
    { id: null, tags: [null], at: { x: 3, y: 'z' }, when: '2024-05-07' },
    7,
  ]
  assert.deepEqual(jsonColumns(rows), [
    { name: 'id', type: 'double', nullable: true },
    { name: 'tags', type: 'list<string>', nullable: false },
    { name: 'at', type: 'struct<x: long, y: string>', nullable: false },
    { name: 'when', type: 'date', nullable: true },
    { name: 'more', type: 'long', nullable: true },
  ])
})

test('JSON nested without end is no data, or told up to a depth', () => {
  for (const text of ['['.repeat(60_000), `${'[['.repeat(10_000)}1${']]'.repeat(10_000)}`, '{"a":'.repeat(10_000)]) {
    const table = textTable(of(text), true)
    if (table?.kind === 'json') jsonColumns(table.items)
    else assert.equal(table, null)
  }
  let deep: object = {}
  for (let i = 0; i < 200; i++) deep = { a: deep }
  assert.ok(jsonColumns([deep as { a: never }])[0]!.type.length < 200)
})

test('as many rows are sampled as may be, whether or not a line above them names the columns', async () => {
  const most = limits.tableSampleRecordsMax
  const lines = (count: number) => Array.from({ length: count }, (_, at) => `${at},${at}`)
  const cases: [what: string, text: string[], sampled: number, rows: number | null][] = [
    ['a header and fewer', ['a,b', ...lines(most - 1)], most - 1, most - 1],
    ['a header and as many', ['a,b', ...lines(most)], most, most],
    ['a header and more', ['a,b', ...lines(most + 1)], most, null],
    ['none and as many', lines(most), most, most],
    ['none and more', lines(most + 2), most, null],
  ]
  for (const [what, text, sampled, rows] of cases) {
    const bytes = Buffer.from(`${text.join('\n')}\n`)
    assert.ok(bytes.length < limits.tableSampleBytesMax, what)
    const subject = { bucket: 'b', key: 'k', versionId: 'null', sizeBytes: bytes.length, sniffed: 'text/csv' }
    const read = async (start: number, end: number) => bytes.subarray(start, end)
    const { table } = (await tableExtractor.extract(subject, { sizeBytes: bytes.length, read })) as {
      table: { sampled_rows: number; rows: number | null }
    }
    assert.deepEqual([table.sampled_rows, table.rows], [sampled, rows], what)
  }
})
