import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../base/limits.ts'
import { openMemoryLog } from '../../log/memory.ts'
import { appendTexts } from './append.ts'

test('texts that are too many or too large for one append go in several, in order', async () => {
  const log = openMemoryLog({ name: 'objects' })
  const long = Array.from({ length: limits.logBatchEntriesMax }, (_, n) => `{"n":${n},"key":"${'k'.repeat(4_096)}"}`)
  const many = Array.from({ length: limits.logBatchEntriesMax + 1 }, (_, n) => `{"n":${long.length + n}}`)
  assert.ok(long.reduce((sum, text) => sum + text.length, 0) > limits.logBatchBytesMax)
  await appendTexts(log, [...long, ...many])
  assert.equal(log.end, long.length + many.length)
  const [entry] = await log.read(long.length - 1, 1)
  assert.match(entry!.text, new RegExp(`"n":${long.length - 1},`))
  await appendTexts(log, [])
  assert.equal(log.end, long.length + many.length)
  await log.close()
})
