import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkErrorPrefix, errorKey } from './error-prefix.ts'

const object = {
  stream: 'web',
  version: 2,
  type: 'processing-failed',
  atMs: Date.UTC(2026, 10, 3, 4, 5, 6, 7),
  offset: 42,
} as const
const NAME = 'web-2-2026-11-03-04-05-06-0000000000000042'

test('a prefix says time in UTC and type, and what it does not say of the type is added', () => {
  for (const [prefix, expected] of [
    ['', `processing-failed/${NAME}`],
    ['errors', `errors/processing-failed/${NAME}`],
    ['/errors//', `errors/processing-failed/${NAME}`],
    ['!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/', `processing-failed/2026/11/03/04/${NAME}`],
    [
      'e/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/!{firehose:error-output-type}',
      `e/year=2026/month=11/day=03/hour=04/processing-failed${NAME}`,
    ],
    ["!{timestamp:yy-M-d'T'H:mm:ss.SSS}/", `26-11-3T4:05:06.007/processing-failed/${NAME}`],
  ] as const) {
    checkErrorPrefix(prefix)
    assert.equal(errorKey(prefix, object), expected)
  }
})

test('the random text of a prefix is the same whenever the same letters are written', () => {
  const prefix = '!{firehose:random-string}/'
  assert.match(errorKey(prefix, object), /^[0-9a-f]{11}\/processing-failed\//)
  assert.equal(errorKey(prefix, object), errorKey(prefix, object))
  assert.notEqual(errorKey(prefix, { ...object, offset: 43 }), errorKey(prefix, object))
})

test('an expression that is none is refused, with what was expected', () => {
  for (const [prefix, message] of [
    ['!{timestamp:qq}/', /expected yyyy, MM.*got "qq"/],
    ['!{partitionKeyFromQuery:a}/', /expected !\{timestamp:…\}.*got "!\{partitionKey/],
    ['a/!{timestamp:yyyy', /expected "\}"/],
    ['a/../b/', /without parts/],
  ] as const)
    assert.throws(() => checkErrorPrefix(prefix), message)
})
