import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readCsvRecord } from './csv.ts'

const DIALECT = { delimiter: 0x2c, quote: 0x22 }
const MAX = 1_000

/** All records of a text that comes in pieces of `step` bytes. */
function readAll(text: string, step = 1_000_000, bytesMax = MAX): (string[] | string)[] {
  const bytes = Buffer.from(text)
  const records: (string[] | string)[] = []
  let window = Buffer.alloc(0)
  for (let at = 0; at < bytes.length || at === 0; at += step) {
    window = Buffer.concat([window, bytes.subarray(at, at + step)])
    const final = at + step >= bytes.length
    while (window.length > 0) {
      const record = readCsvRecord(window, 0, final, DIALECT, bytesMax)
      if (record === null) break
      records.push(record.problem ?? record.fields.map(({ bytes: field }) => field.toString()))
      window = window.subarray(record.length)
    }
    if (final) assert.equal(window.length, 0)
  }
  return records
}

test('what is written by the rules is read back, however it comes in pieces', () => {
  const field = fc.string({ unit: fc.constantFrom('a', 'b', '"', ',', '\n', '\r', 'é', ' '), maxLength: 6 })
  const rows = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(
      rows,
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      (wanted, step, end, last) => {
        const written = wanted.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join()).join(end)
        assert.deepEqual(readAll(last ? `${written}${end}` : written, step), wanted)
      },
    ),
  )
})

test('fields without quotes end at a delimiter or a line, and a quote in them is a quote', () => {
  assert.deepEqual(readAll('a,b c,\r\n1,5" pipe,\n,,'), [
    ['a', 'b c', ''],
    ['1', '5" pipe', ''],
    ['', '', ''],
  ])
})

test('a bad record is told, and the one behind its first line is read', () => {
  const problem = 'expected a delimiter behind a closing quote'
  for (const step of [1, 3, 1_000])
    assert.deepEqual(readAll('1,"bad"x,"3\nok,2\n"open\nstill,here\nlast,4\n', step), [
      problem,
      ['ok', '2'],
      'expected a quote that closes the field, found none',
      ['still', 'here'],
      ['last', '4'],
    ])
})

test('a record is not waited for beyond its bound', () => {
  const long = `"${'x'.repeat(200)}\n${'y'.repeat(200)}\nok,1\n`
  assert.deepEqual(readAll(long, 7, 100).at(-1), ['ok', '1'])
  assert.match(String(readAll(`${'z'.repeat(300)}\nok,1\n`, 7, 100)[0]), /at most 100 bytes/)
})

test('whatever the bytes, every one of them is in a record', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r'), maxLength: 40 })
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 5 }), (bytes, step) => {
      assert.deepEqual(readAll(bytes, step), readAll(bytes))
    }),
    { numRuns: 500 },
  )
})
