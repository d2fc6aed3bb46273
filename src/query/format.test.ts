import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { formatCsv, formatJsonLines, formatTable, type Rows } from './format.ts'
import type { Cell } from './values.ts'

const table = (columns: string[], rows: Cell[][]): Rows => ({
  columns: columns.map((name) => ({ name, type: '?' })),
  rows,
})

describe('JSON lines', () => {
  it('are one document per row, long numbers as texts', () => {
    const text = formatJsonLines(
      table(
        ['a', 'b'],
        [
          [1n, 'x'],
          [9007199254740993n, null],
          [-9007199254740991n, [1n, { c: 2n }]],
        ],
      ),
    )
    assert.equal(text, '{"a":1,"b":"x"}\n{"a":"9007199254740993","b":null}\n{"a":-9007199254740991,"b":[1,{"c":2}]}\n')
  })
  it('keep columns of one name apart', () => {
    assert.equal(formatJsonLines(table(['a', 'a', 'a_2', 'a'], [[1, 2, 3, 4]])), '{"a":1,"a_2":2,"a_2_2":3,"a_3":4}\n')
    assert.equal(formatJsonLines(table(['__proto__'], [[1]])), '{"__proto__":1}\n')
  })
  it('are nothing for no rows', () => assert.equal(formatJsonLines(table(['a'], [])), ''))
})

describe('CSV', () => {
  it('quotes what needs it and tells null from the empty text', () => {
    const text = formatCsv(
      table(
        ['a,b', 'c'],
        [
          ['say "hi"', null],
          ['', 'x\ny'],
          [1.5, 10n],
          [true, ['z', 1n]],
          [' pad', '{}'],
        ],
      ),
    )
    assert.equal(text, '"a,b",c\r\n"say ""hi""",\r\n"","x\ny"\r\n1.5,10\r\ntrue,"[""z"",1]"\r\n" pad",{}\r\n')
  })
  it('can be read back', () => {
    const cell = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('"', ',', '\r\n', '', ' '))
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 2 })), (rows) => {
        assert.deepEqual(readCsv(formatCsv(table(['a', 'b'], rows))).slice(1), rows)
      }),
    )
  })
})

/** A strict reader of RFC 4180. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let at = 0
  while (at < text.length) {
    const row: string[] = []
    for (;;) {
      let field = ''
      if (text[at] === '"') {
        for (at += 1; ; at += 1) {
          if (text[at] !== '"') field += text[at]
          else if (text[at + 1] === '"') field += text[at++]
          else break
        }
        at += 1
      } else while (text[at] !== ',' && !text.startsWith('\r\n', at)) field += text[at++]
      row.push(field)
      if (text[at] !== ',') break
      at += 1
    }
    assert.ok(text.startsWith('\r\n', at))
    at += 2
    rows.push(row)
  }
  return rows
}

describe('a table for the terminal', () => {
  it('aligns texts to the left and numbers to the right', () => {
    const text = formatTable(
      table(
        ['key', 'size'],
        [
          ['a.jpg', 12n],
          ['long name.png', 5983132n],
          [null, null],
        ],
      ),
      { widthMax: 100 },
    )
    assert.equal(
      text,
      [
        '┌───────────────┬─────────┐',
        '│ key           │    size │',
        '├───────────────┼─────────┤',
        '│ a.jpg         │      12 │',
        '│ long name.png │ 5983132 │',
        '│ NULL          │    NULL │',
        '└───────────────┴─────────┘',
        '3 rows',
        '',
      ].join('\n'),
    )
  })
  it('shows nothing that could steer the terminal', () => {
    const text = formatTable(table(['a\u001b[2J'], [['\u001b]0;x\u0007\r\n\t\u202e']]), { widthMax: 100 })
    assert.match(text, /\\u001b\]0;x\\u0007\\r\\n\\t\\u202e/)
    assert.doesNotMatch(text, /[\u001b\u0007\r\t\u202e]/)
  })
  it('counts wide characters as two columns', () => {
    const lines = formatTable(table(['a'], [['日本'], ['👍🏽'], ['é'], ['e\u0301']]), { widthMax: 100 }).split('\n')
    assert.equal(lines[3], '│ 日本 │')
    assert.equal(lines[4], '│ 👍🏽   │')
    assert.equal(lines[5], '│ é    │')
  })
  it('is as wide as the terminal at most, the widest columns cut first', () => {
    const row: Cell[] = ['x'.repeat(90), 'short', 'y'.repeat(40)]
    for (const widthMax of [40, 60, 100]) {
      const lines = formatTable(table(['first', 'second', 'third'], [row]), { widthMax })
        .trimEnd()
        .split('\n')
        .slice(0, -1)
      for (const line of lines) assert.equal([...line].length, widthMax, line)
    }
    assert.match(formatTable(table(['a'], [['x'.repeat(900)]])), /x…/)
  })
  it('leaves out columns in the middle that do not fit, and says how many', () => {
    const names = Array.from({ length: 30 }, (_, index) => `column_${index}`)
    const wide = table(names, [names.map((name) => `of ${name}`)])
    const text = formatTable(wide, { widthMax: 80 })
    for (const line of text.trimEnd().split('\n').slice(0, -1)) assert.ok([...line].length <= 80, line)
    assert.match(text, /│ colum… │ colum….*│ … │.*│ colum… │\n/)
    assert.match(text, /\n1 row; 22 of 30 columns not shown/)
    assert.match(formatTable(wide), /of column_15/, 'who reads through a pipe gets all')
  })
  it('shows the first and last rows of many, and says how many are missing', () => {
    const rows = Array.from({ length: 50 }, (_, index): Cell[] => [index])
    const text = formatTable(table(['n'], rows), { rowsMax: 4, widthMax: 80 })
    assert.deepEqual(text.match(/\d+ │|…/g), ['0 │', '1 │', '…', '48 │', '49 │'])
    assert.match(text, /50 rows, 46 of them not shown/)
    assert.match(formatTable({ ...table(['n'], rows), truncated: true }), /first 50 rows, there are more/)
  })
  it('shows the drawing of EXPLAIN as it is', () => {
    const text = formatTable(table(['explain_key', 'explain_value'], [['plan', '┌─┐\n│x│\u001b']]))
    assert.equal(text, '┌─┐\n│x│\\u001b\n')
  })
  it('shows lists and objects as JSON with exact numbers', () => {
    assert.match(
      formatTable(table(['a'], [[{ b: [9007199254740993n, null, 'x'] }]])),
      /\{"b":\[9007199254740993,null,"x"\]\}/,
    )
  })
})
