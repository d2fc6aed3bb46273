/** Keys that a folder cannot hold, and ways out of the folder. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { keysOf, textOf, utf8 } from '../../test/contract/store.ts'
import { type FaultKind, isFault } from '../base/fault.ts'
import { openFileStore } from './file.ts'
import { keyPath, keyProblem } from './key-path.ts'

/** A parent folder with `root` in it; `skipped` collects what listings pass over. */
async function setUp(t: TestContext) {
  const parent = await mkdtemp(join(tmpdir(), 'tidewater-file-store-'))
  t.after(() => rm(parent, { recursive: true }))
  const skipped: string[] = []
  const onSkip = (path: string, reason: string) => skipped.push(`${path.slice(parent.length)}: ${reason}`)
  const store = await openFileStore({ root: join(parent, 'base'), create: true, onSkip })
  return { parent, root: store.root, store, skipped }
}

/** Every one of `works` fails with a fault of `kind` whose message matches. */
async function assertAllFail(works: Promise<unknown>[], kind: FaultKind, what: string, message = /./): Promise<void> {
  for (const [i, result] of (await Promise.allSettled(works)).entries()) {
    assert.equal(result.status, 'rejected', `operation ${i} with ${what}`)
    assert.ok(
      isFault(result.reason, kind) && message.test(result.reason.message),
      `${i} with ${what}: ${result.reason}`,
    )
  }
}

const badKeys = [
  '/etc/passwd',
  '../outside',
  'a/../../outside',
  'a/..',
  '.',
  'a/./b',
  'a//b',
  'a/',
  '/',
  'a\0b',
  'lone \ud800 surrogate',
  'x'.repeat(256),
  'é'.repeat(128),
  '.tidewater-tmp-x',
  'a/.tidewater-tmp-x/b',
]

test('keys that cannot be files are fault invalid everywhere, and nothing is written', async (t) => {
  const { parent, root, store } = await setUp(t)
  await writeFile(join(parent, 'outside'), 'secret')
  await store.put('good', utf8('good'))
  for (const key of badKeys) {
    await assertAllFail(
      [
        store.head(key),
        store.get(key),
        store.put(key, utf8('x')),
        store.putIfAbsent(key, utf8('x')),
        store.copy(key, 'good'),
        store.copy('good', key),
        store.delete([key]),
        store.localFile(key),
        store.putFile(key, join(parent, 'outside')),
      ],
      'invalid',
      JSON.stringify(key),
    )
  }
  assert.deepEqual(await readdir(root), ['good'])
  assert.equal(await readFile(join(parent, 'outside'), 'utf8'), 'secret')
})

test('every key that is not refused has a path below the root, and no two share one', () => {
  const part = fc.oneof(fc.constantFrom('.', '..', '', 'a', 'A', '~', '\\', 'a\0'), fc.string({ unit: 'binary' }))
  const key = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
  fc.assert(
    fc.property(key, key, (a, b) => {
      if (keyProblem(a) !== null) {
        assert.throws(
          () => keyPath('/base/dir', a),
          (error) => isFault(error, 'invalid'),
        )
        return
      }
      assert.equal(keyPath('/base/dir', a), `/base/dir/${a}`)
      if (a !== b && keyProblem(b) === null) assert.notEqual(keyPath('/base/dir', a), keyPath('/base/dir', b))
    }),
  )
})

test('a path too long for the file system is fault invalid', async (t) => {
  const { store } = await setUp(t)
  const key = Array.from({ length: 30 }, () => 'x'.repeat(200)).join('/')
  await assert.rejects(
    store.put(key, utf8('x')),
    (error) => isFault(error, 'invalid') && /too long/.test(error.message),
  )
  await assert.rejects(store.head(key), (error) => isFault(error, 'invalid'))
})

test('a key cannot be both an object and the folder of others', async (t) => {
  const { store } = await setUp(t)
  await store.put('a/b', utf8('object'))
  const cannotHoldBoth = (error: unknown) => isFault(error, 'invalid') && /cannot hold both/.test(error.message)
  await assert.rejects(store.put('a', utf8('x')), cannotHoldBoth)
  await assert.rejects(store.put('a/b/c', utf8('x')), cannotHoldBoth)
  await assert.rejects(store.putIfAbsent('a/b/c', utf8('x')), cannotHoldBoth)
  assert.equal(await store.putIfAbsent('a', utf8('x')), false)
  await store.delete(['a'])
  assert.deepEqual(await keysOf(store), ['a/b'])
})

test('a link out of the root is neither read, nor listed, nor written through', async (t) => {
  const { parent, root, store, skipped } = await setUp(t)
  await mkdir(join(parent, 'elsewhere'))
  await writeFile(join(parent, 'elsewhere', 'secret'), 'secret')
  await symlink('../elsewhere/secret', join(root, 'file-link'))
  await symlink(join(parent, 'elsewhere'), join(root, 'folder-link'))
  await symlink('nowhere', join(root, 'dangling'))
  await symlink('loop', join(root, 'loop'))
  await store.put('real', utf8('real'))

  for (const key of ['file-link', 'folder-link/secret', 'loop']) {
    await assert.rejects(store.get(key), (error) => isFault(error), key)
  }
  await assert.rejects(store.head('file-link'), (error) => isFault(error, 'invalid'))
  await assertAllFail(
    [
      store.put('folder-link/new', utf8('x')),
      store.putIfAbsent('folder-link/deeper/new', utf8('x')),
      store.delete(['folder-link/secret']),
      keysOf(store, 'folder-link/'),
    ],
    'invalid',
    'a folder link',
    /links between folders/,
  )
  assert.equal(await store.head('dangling'), null)
  assert.deepEqual(await readdir(join(parent, 'elsewhere')), ['secret'])

  assert.deepEqual(await keysOf(store), ['real'])
  assert.deepEqual(skipped.map((each) => each.split(':')[0]).toSorted(), [
    '/base/dangling',
    '/base/file-link',
    '/base/folder-link',
    '/base/loop',
  ])

  await store.put('file-link', utf8('now a file'))
  assert.equal(await readFile(join(parent, 'elsewhere', 'secret'), 'utf8'), 'secret')
  assert.equal(textOf(await store.get('file-link')), 'now a file')
})

test('a link to a file below the root is an object; the root itself may be a link', async (t) => {
  const { parent, root } = await setUp(t)
  await symlink(root, join(parent, 'root-link'))
  const store = await openFileStore({ root: join(parent, 'root-link') })
  assert.equal(store.root, root)
  await store.put('a/real', utf8('real'))
  await symlink('a/real', join(root, 'link'))
  assert.equal(textOf(await store.get('link')), 'real')
  assert.equal(await store.localFile('link'), join(root, 'a/real'))
  assert.deepEqual(await keysOf(store), ['a/real', 'link'])
  await store.delete(['link'])
  assert.deepEqual(await keysOf(store), ['a/real'])
})

test('names that are not UTF-8, pipes and unfinished writes are no objects', async (t) => {
  const { root, store, skipped } = await setUp(t)
  await writeFile(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]), 'latin-1')
  await mkdir(Buffer.concat([Buffer.from(`${root}/d`), Buffer.from([0xff])]))
  await writeFile(join(root, '.tidewater-tmp-123'), 'half')
  execFileSync('mkfifo', [join(root, 'pipe')])
  await store.put('good', utf8('good'))
  assert.deepEqual(await keysOf(store), ['good'])
  assert.deepEqual(skipped.toSorted(), [
    '/base/café: its name is not UTF-8 (shown as Latin-1)',
    '/base/dÿ: its name is not UTF-8 (shown as Latin-1)',
    '/base/pipe: it is neither a file nor a folder (a device, pipe or socket)',
  ])
  assert.equal(await store.head('pipe'), null)
  await assert.rejects(store.get('pipe'), (error) => isFault(error, 'not-found'))
})

test('sweep removes old unfinished writes and nothing else', async (t) => {
  const { root, store } = await setUp(t)
  await store.put('a/b/object', utf8('stays'))
  await writeFile(join(root, 'a', '.tidewater-tmp-old'), 'half')
  assert.equal(await store.sweep(60_000), 0)
  assert.equal(await store.sweep(-60_000), 1)
  assert.deepEqual(await readdir(join(root, 'a')), ['b'])
  assert.deepEqual(await keysOf(store), ['a/b/object'])
})

test('a missing root is not-found, a file as root invalid, and a root that goes away unavailable, never empty', async (t) => {
  const { parent, root, store } = await setUp(t)
  await assert.rejects(openFileStore({ root: join(parent, 'typo') }), (error) => isFault(error, 'not-found'))
  await writeFile(join(parent, 'file'), '')
  for (const create of [false, true]) {
    await assert.rejects(openFileStore({ root: join(parent, 'file'), create }), (error) => isFault(error, 'invalid'))
  }
  await store.put('a/k', utf8('x'))
  await rm(root, { recursive: true })
  await assertAllFail(
    [store.head('a/k'), store.get('k'), store.put('a/k', utf8('x')), keysOf(store), keysOf(store, 'a/')],
    'unavailable',
    'no root',
  )
  await assert.rejects(stat(root), { code: 'ENOENT' })
})
