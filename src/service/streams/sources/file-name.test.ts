import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formOf } from './file-name.ts'

const csv = { quote: '"', nullText: '' }

function form(path: string, more: Partial<Parameters<typeof formOf>[1]> = {}): string | null {
  const found = formOf(path, { csv, ...more })
  return found === null ? null : `${found.format} ${found.packing} ${JSON.stringify(found.delimiter)}`
}

test('a file’s name says its format and how it is packed', () => {
  assert.equal(form('a.ndjson'), 'ndjson none ","')
  assert.equal(form('x/y.z/a.b.JSONL.GZ'), 'ndjson gz ","')
  assert.equal(form('a.csv.zst'), 'csv zst ","')
  assert.equal(form('a.tsv'), 'csv none "\\t"')
  assert.equal(form('a.tsv', { csv: { ...csv, delimiter: ';' } }), 'csv none ";"')
  assert.equal(form('a.parquet'), 'parquet none ","')
  for (const name of ['a', 'a.txt', 'csv', 'a.parquet.gz', 'a.gz']) assert.equal(form(name), null, name)
})

test('names of files that are not whole yet, or hidden, are left alone, whatever is asked for', () => {
  for (const name of ['.a.csv', '.dir/a.csv', 'a.csv.tmp', 'a.csv.PART', 'a.csv~', 'a.csv.crdownload'])
    assert.equal(form(name, { format: 'csv', match: ['*'] }), null, name)
})

test('a format that is given counts for all names that are asked for', () => {
  assert.equal(form('x/log.1', { format: 'ndjson', match: ['log.?'] }), 'ndjson none ","')
  assert.equal(form('x/log.10', { format: 'ndjson', match: ['log.?'] }), null)
  assert.equal(form('x/log.10.gz', { format: 'ndjson', match: ['*.gz', 'log.?'] }), 'ndjson gz ","')
})

test('patterns match as a star and a question mark should', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
  fc.assert(
    fc.property(text, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }), (pattern, name) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name)
      assert.equal(form(name, { format: 'csv', match: [pattern] }) !== null, expected)
    }),
  )
})
