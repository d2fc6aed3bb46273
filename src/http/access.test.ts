import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { isFault } from '../base/fault.ts'
import { allows, allowsSome, parseKeys } from './access.ts'
import { KeyFile } from './key-file.ts'
import { RateLimiter } from './rates.ts'

const [, , , few] = parseKeys(
  [
    'reader secret-of-the-reader read # who looks',
    'boss secret-of-the-boss admin',
    'shop se#ret-of-the-shop write:web,read:web-*',
    'few secret-of-the-few write records=10/s bytes=1KiB/s',
  ].join('\n'),
  'test',
)
const [reader, boss, shop] = parseKeys(
  'reader secret-of-the-reader read\nboss secret-of-the-boss admin\nshop se#ret-of-the-shop write:web,read:web-*',
  'test',
)

test('a scope holds for all streams, for one, or for those that begin alike', () => {
  assert.ok(reader !== undefined && boss !== undefined && shop !== undefined)
  const held = (key: typeof reader) =>
    (['read', 'write', 'admin'] as const).map((scope) =>
      [null, 'web', 'web-2', 'other'].filter((stream) => allows(key, scope, stream)),
    )
  const all = [null, 'web', 'web-2', 'other']
  assert.deepEqual(held(reader), [all, [], []])
  assert.deepEqual(held(boss), [all, all, all])
  assert.deepEqual(held(shop), [['web-2'], ['web'], []])
  assert.deepEqual([allowsSome(shop, 'read'), allowsSome(shop, 'admin')], [true, false])
  assert.equal(shop.secret, 'se#ret-of-the-shop')
})

test('a list of keys with a mistake is refused without telling secrets', () => {
  for (const [text, complaint] of [
    ['a short read', /at least 16/],
    ['a secret-long-enough all', /scopes out of/],
    ['a secret-long-enough read:a/b', /scopes out of/],
    ['a secret-long-enough', /expected "<id> <secret> <scopes>"/],
    ['a secret-long-enough read\na secret-long-enough2 read', /line 2: there is a key "a" already/],
    ['a secret-long-enough read\nb secret-long-enough read', /line 2: another key has the same secret/],
    ['a secret-long-enough read records=0/s', /records=<n>\/s/],
    ['a secret-long-enough read records=1MiB/s', /records=<n>\/s/],
    ['a secret-long-enough read secret-long-too', /a word that is neither/],
  ] as const) {
    assert.throws(
      () => parseKeys(text, 'keys'),
      (error: Error) => complaint.test(error.message) && !error.message.includes('secret-long'),
      text,
    )
  }
})

test('a key sends at its rate on average, in requests of any size', () => {
  assert.ok(few !== undefined)
  let nowMs = 0
  const limiter = new RateLimiter({ nowMs: () => nowMs, sleep: () => Promise.resolve() })
  limiter.check(few)
  limiter.spend(few, 120, 0)
  assert.throws(
    () => limiter.check(few),
    (error) => isFault(error, 'unavailable') && error.facts['retryAfterMs'] === 10_001,
  )
  nowMs -= 5_000
  assert.equal(limiter.waitMs(few), 10_001, 'a clock that steps back fills nothing')
  nowMs += 10_001
  limiter.check(few)
  limiter.spend(few, 0, 1024 * 1024)
  assert.ok(limiter.waitMs(few) > 1_000_000)
  limiter.keepOnly([])
  limiter.check(few)
  limiter.check(null)
})

test('keys are read anew, and stay as they were when the file is wrong or empty', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-keys-'))
  try {
    const file = path.join(dir, 'keys')
    const told: string[] = []
    await assert.rejects(KeyFile.open({ file, text: '', onReload: () => undefined }), /cannot read/)
    await writeFile(file, 'one secret-of-number-one read\n')
    const keys = await KeyFile.open({
      file,
      text: 'env secret-of-the-variable write',
      onReload: (message) => told.push(message),
    })
    const ids = () => keys.current().map(({ id }) => id)
    assert.deepEqual(ids(), ['one', 'env'])
    await writeFile(file, 'two secret-of-number-two read\n')
    await keys.reload()
    assert.deepEqual(ids(), ['two', 'env'])
    await writeFile(file, 'two short read\n')
    await keys.reload()
    await rm(file)
    await keys.reload()
    assert.deepEqual(ids(), ['two', 'env'])
    assert.deepEqual(
      told.map((message) => message.slice(0, 18)),
      ['API keys read anew', 'API keys stay as t', 'API keys stay as t'],
    )
    keys.watch()
    await writeFile(file, 'three secret-of-number-three read\n')
    const deadline = Date.now() + 60_000
    while (!ids().includes('three') && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20))
    assert.deepEqual(ids(), ['three', 'env'])
    keys.close()

    await writeFile(file, 'only secret-of-the-only-one read\n')
    const alone = await KeyFile.open({ file, text: '', onReload: () => undefined })
    await writeFile(file, '')
    await alone.reload()
    assert.equal(alone.current().length, 1, 'no key at all would let everybody in')
  } finally {
    await rm(dir, { recursive: true })
  }
})
