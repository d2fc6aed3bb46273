import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf } from './code.ts'

const cases: readonly (readonly [string, string, string])[] = [
  ['a line comment', 'a // b\nc', 'a     \nc'],
  ['a block comment over lines', 'a /* b\nb */ c', 'a     \n     c'],
  ['a string with a comment in it', "x('// no') // yes", "x('     ')       "],
  ['an escaped quote', "'it\\'s' + y", "'     ' + y"],
  ['a template with code in it', '`a ${b + `c ${d}`} e` + f', '`  ${b + `  ${d}`}  ` + f'],
  ['braces inside a template’s code', '`${{ a: { b } }} x` y', '`${{ a: { b } }}  ` y'],
  ['a regular expression with quotes and slashes', 'a = /[\'"/]\\//g.test(b)', 'a = /       /g.test(b)'],
  ['a division is no regular expression', "a / b / c + 'd'", "a / b / c + ' '"],
  ['a regular expression after return', 'return /x"y/', 'return /   /'],
]

for (const [name, text, expected] of cases) {
  test(`the scanner blanks right in the case of ${name}`, () => {
    assert.equal(codeOf(text, 'comments and literals'), expected)
  })
}

test('the scanner can leave literals as they are', () => {
  assert.equal(codeOf("a('b') // c", 'comments'), "a('b')     ")
})
