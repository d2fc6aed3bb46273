import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isFault } from '../../../base/fault.ts'
import { CallBook } from './call-book.ts'

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidewater-calls-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

const HOUR = 3_600_000
const T = 1_700_000_000_000
const version = (key: string, versionId = 'null') => ({ bucket: 'b', key, versionId })

test('no hour has more calls than the cap, wherever it begins and however often the process does', () => {
  const path = join(folder, 'cap.db')
  let made: number[] = []
  // A call every five minutes for five hours, as far as they are allowed.
  for (let at = T; at < T + 5 * HOUR; at += 5 * 60_000) {
    const book = CallBook.open(path)
    if (book.take(at, 3)) made.push(at)
    book.close()
  }
  assert.ok(made.length >= 3 * 4, `${made.length} calls`)
  for (const from of made) assert.ok(made.filter((at) => at >= from && at < from + HOUR).length <= 3)
  made = []
})

test('a call that cost nothing is given back, and calls of another time do not go below nothing', () => {
  const book = CallBook.open(join(folder, 'back.db'))
  assert.equal(book.take(T, 1), true)
  assert.equal(book.take(T, 1), false)
  book.giveBack(T)
  assert.equal(book.take(T, 1), true)
  book.giveBack(T - 30 * 60_000)
  assert.equal(book.calls(T), 1)
  // The clock steps back: what was counted ahead of it counts.
  assert.equal(book.take(T - 2 * HOUR, 1), false)
  book.close()
})

test('what waits is there after a restart, the oldest first, once each, until it is forgotten', () => {
  const path = join(folder, 'waiting.db')
  let book = CallBook.open(path)
  for (const [at, key] of ['c', 'a', 'b'].entries()) book.wait(version(key), at)
  book.wait(version('c'), 7)
  book.close()
  book = CallBook.open(path)
  assert.deepEqual(book.waitingSince(7, 10), [version('a'), version('b'), version('c')])
  assert.deepEqual(book.waitingSince(2, 1), [version('a')])
  book.forget(version('a'))
  book.forget(version('none'))
  assert.equal(book.waitingCount(), 2)
  book.close()
})

test('a file that is no such book is a fault that names it', () => {
  const path = join(folder, 'text.db')
  writeFileSync(path, 'this is no database, but it is long enough to be looked at as one'.repeat(20))
  assert.throws(
    () => CallBook.open(path),
    (error) => isFault(error, 'unavailable') && error.message.includes(path),
  )
})
