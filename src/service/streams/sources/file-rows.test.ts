import assert from 'node:assert/strict'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { limits } from '../../../base/limits.ts'
import { Duck } from '../../../duck/duck.ts'
import type { Type } from '../../../iceberg/spec/table-metadata.ts'
import { readParquet } from './file-parquet.ts'
import { type FileRow, readCsv, readLines } from './file-rows.ts'

async function inDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-rows-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function read(
  bytes: string | Uint8Array,
  rowsOf: (handle: Awaited<ReturnType<typeof open>>) => AsyncIterable<FileRow[]>,
): Promise<string[]> {
  return inDir(async (dir) => {
    const file = path.join(dir, 'file')
    await writeFile(file, bytes)
    await using handle = await open(file)
    const told: string[] = []
    for await (const page of rowsOf(handle))
      for (const { number, record } of page) {
        const problem = record.outcome?.kind === 'failed' ? ` ${record.outcome.problem.code}` : ''
        const text = Buffer.from(record.data).toString()
        told.push(`${number} ${text.length > 80 ? `${text.length} bytes` : text}${problem}`)
      }
    return told
  })
}

const csvOptions = { delimiter: ',', quote: '"', nullText: '', types: new Map() }

test('lines are numbered as an editor numbers them, and empty ones are passed over', async () => {
  assert.deepEqual(await read('\ufeff{"a":1}\r\n\n \n{"a":2}', (handle) => readLines(handle, 'none')), [
    '1 {"a":1}\r',
    '4 {"a":2}',
  ])
  assert.deepEqual(await read('', (handle) => readLines(handle, 'none')), [])
})

test('a line longer than a record is refused by its beginning, and those around it are read', async () => {
  const max = limits.streamRecordBytesMax
  const text = `{"a":1}\n${'x'.repeat(3 * max + 7)}\n{"a":2}\n${'y'.repeat(max + 1)}\n{"a":3}\n${'z'.repeat(2 * max)}`
  for (const packing of ['none', 'gz'] as const)
    assert.deepEqual(await read(packing === 'none' ? text : gzipSync(text), (handle) => readLines(handle, packing)), [
      '1 {"a":1}',
      `2 ${max} bytes RecordTooLarge`,
      '3 {"a":2}',
      `4 ${max} bytes RecordTooLarge`,
      '5 {"a":3}',
      `6 ${max} bytes RecordTooLarge`,
    ])
})

test('a row of CSV has the number of the line that it begins at, also behind quotes with lines in them', async () => {
  const text = 'id,text\n1,"a\nb"\n\n2,""\n3,\n4\n5,x'
  assert.deepEqual(await read(text, (handle) => readCsv(handle, 'none', csvOptions)), [
    '2 {"id":"1","text":"a\\nb"}',
    '5 {"id":"2","text":""}',
    '6 {"id":"3"}',
    '7 4\n InvalidRow',
    '8 {"id":"5","text":"x"}',
  ])
})

test('fields of CSV are values of their columns where they say such a value, and text where they do not', async () => {
  const types = new Map<string, Type>([
    ['l', 'long'],
    ['d', 'decimal(30, 2)'],
    ['b', 'boolean'],
    ['s', 'string'],
    ['a', { type: 'list', 'element-id': 1, element: 'int', 'element-required': false }],
  ])
  const text = 'l,d,b,s,a\n 12 ,12345678901234567890.10,True,12,"[1,2]"\n0x1,1e,yes,,[1\n'
  assert.deepEqual(await read(text, (handle) => readCsv(handle, 'none', { ...csvOptions, types })), [
    '2 {"l":12,"d":12345678901234567890.10,"b":true,"s":"12","a":[1,2]}',
    '3 {"l":"0x1","d":"1e","b":"yes","a":"[1"}',
  ])
})

test('bytes that are no UTF-8 are a bad row, with the bytes as they came', async () => {
  const bytes = Buffer.concat([Buffer.from('id\n'), Buffer.from([0xc3, 0x28, 0x0a]), Buffer.from('ok\n')])
  const told = await read(bytes, (handle) => readCsv(handle, 'none', csvOptions))
  assert.deepEqual([told[0]?.endsWith('InvalidEncoding'), told[1]], [true, '3 {"id":"ok"}'])
})

test('a line of CSV without end is refused by its beginning, and the next one is read', async () => {
  const max = limits.streamRecordBytesMax
  const told = await read(`id\n${'x'.repeat(3 * max)}\nok\n`, (handle) => readCsv(handle, 'none', csvOptions))
  assert.deepEqual(told, [`2 ${max} bytes RecordTooLarge`, '3 {"id":"ok"}'])
})

test('Parquet of every type is read with all its digits, from any row on', async () => {
  await inDir(async (dir) => {
    const duck = await Duck.open({ memoryMiB: 200, threads: 1 })
    const session = await duck.connect()
    const file = path.join(dir, 'a.parquet')
    await session.run(`COPY (SELECT
      9007199254740993::BIGINT + i AS l, 12345678901234567890.10::DECIMAL(22, 2) AS d, -0.05::DECIMAL(3, 2) AS small,
      'nan'::DOUBLE AS n, 1.5::FLOAT AS f, DATE '2026-02-28' AS day, TIME '01:02:03.000004' AS t,
      TIMESTAMP '2026-02-28 01:02:03.000004' AS ts, TIMESTAMPTZ '2026-02-28 01:02:03+00' AS tz,
      TIMESTAMP_NS '2026-02-28 01:02:03.000004' AS ns, 'ab'::BLOB AS b, NULL::INTEGER AS none,
      {'x': 1, 'y': [true, NULL]} AS s, MAP {'k': 2} AS m
      FROM range(3) r(i)) TO '${file}' (FORMAT parquet)`)
    const told: string[] = []
    for await (const page of readParquet(duck, file, 3))
      for (const { number, record } of page) told.push(`${number} ${Buffer.from(record.data).toString()}`)
    assert.deepEqual(told, [
      '3 {"l":9007199254740995,"d":12345678901234567890.10,"small":-0.05,"n":"NaN","f":1.5,"day":"2026-02-28",' +
        '"t":"01:02:03.000004","ts":"2026-02-28T01:02:03.000004","tz":"2026-02-28T01:02:03Z","ns":"2026-02-28T01:02:03.000004",' +
        '"b":"YWI=","s":{"x":1,"y":[true,null]},"m":{"k":2}}',
    ])
    await assert.rejects(async () => {
      await writeFile(file, 'no parquet at all')
      for await (const _page of readParquet(duck, file, 0)) assert.fail('a page')
    }, /parquet|Parquet/)
    session.close()
    duck.close()
  })
})
