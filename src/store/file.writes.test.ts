/** Writes that must hold through crashes, races between processes, and other programs in the same folder. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { keysOf, textOf, utf8 } from '../../test/contract/store.ts'
import { isFault } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import { type FileStoreOptions, openFileStore } from './file.ts'

async function setUp(t: TestContext, options: Omit<FileStoreOptions, 'root'> = {}) {
  const root = await mkdtemp(join(tmpdir(), 'tidewater-file-store-'))
  t.after(() => rm(root, { recursive: true }))
  return { root, store: await openFileStore({ root, ...options }) }
}

/** Runs `body` as a module in a process of its own, with `store` open on `root`. */
function spawnWriter(root: string, body: string): ChildProcess {
  const door = pathToFileURL(join(import.meta.dirname, 'file.ts')).href
  const script = `import { openFileStore } from ${JSON.stringify(door)}
    const store = await openFileStore({ root: ${JSON.stringify(root)} })
    ${body}`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('a writer killed at any moment leaves whole objects, and all those it acknowledged', async (t) => {
  const { root, store } = await setUp(t)
  for (let round = 0; round < 3; round++) {
    const child = spawnWriter(
      root,
      `for (let i = 0; ; i++) {
        await store.put('k' + (i % 5), Buffer.alloc(200_000 + i, 97 + (i % 26)))
        process.stdout.write(i + '\\n')
      }`,
    )
    let acknowledged = ''
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (acknowledged += chunk))
    while (acknowledged.split('\n').length < 12 + 7 * round) await new Promise((resolve) => setTimeout(resolve, 1))
    child.kill('SIGKILL')
    await once(child, 'close')

    const last = Number(acknowledged.split('\n').at(-2))
    for (let i = last - 4; i <= last; i++) {
      const text = textOf(await store.get(`k${i % 5}`))
      const written = text.length - 200_000
      assert.ok(written === i || written === i + 5, `object ${i} holds write ${written}`)
      assert.equal(text, String.fromCharCode(97 + (written % 26)).repeat(200_000 + written))
    }
  }
  assert.deepEqual(await keysOf(store), ['k0', 'k1', 'k2', 'k3', 'k4'])
  await store.sweep(-60_000)
  assert.equal((await readdir(root)).length, 5)
})

test('of two processes that put the same keys if absent, each key has one winner', async (t) => {
  const { root, store } = await setUp(t)
  const keys = 60
  const race = (name: string) =>
    spawnWriter(
      root,
      `const won = []
      for (let i = 0; i < ${keys}; i++) if (await store.putIfAbsent('d/' + i, Buffer.from('${name}'))) won.push(i)
      process.stdout.write(JSON.stringify(won))`,
    )
  const outputs = await Promise.all(
    ['first', 'second'].map(async (name) => {
      const child = race(name)
      let output = ''
      child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
      const [code] = await once(child, 'close')
      assert.equal(code, 0)
      return { name, won: JSON.parse(output) as number[] }
    }),
  )
  assert.equal(outputs[0]!.won.length + outputs[1]!.won.length, keys)
  for (const { name, won } of outputs) {
    for (const i of won) assert.equal(textOf(await store.get(`d/${i}`)), name)
  }
})

test('a range near the end of a huge file reads only the range', async (t) => {
  const { root, store } = await setUp(t)
  const sizeBytes = 1024 ** 4
  await writeFile(join(root, 'sparse'), '')
  await truncate(join(root, 'sparse'), sizeBytes)
  const bytes = await store.get('sparse', { range: { start: sizeBytes - 3, end: sizeBytes + 10 } })
  assert.deepEqual([...bytes], [0, 0, 0])
  assert.equal((await store.head('sparse'))?.sizeBytes, sizeBytes)
})

test('putFile copies when the local file is on another file system', async (t) => {
  const { root, store } = await setUp(t)
  const other = await mkdtemp('/dev/shm/tidewater-').catch(() => null)
  if (other === null || (await stat(other)).dev === (await stat(root)).dev) {
    if (other !== null) await rm(other, { recursive: true })
    t.skip('no second file system at /dev/shm')
    return
  }
  t.after(() => rm(other, { recursive: true }))
  await writeFile(join(other, 'local'), 'from afar')
  const info = await store.putFile('deep/down/k', join(other, 'local'))
  assert.equal(info.sizeBytes, 9)
  assert.equal(textOf(await store.get('deep/down/k')), 'from afar')
  assert.deepEqual(await readdir(other), [])
})

test('etags by stat stay while the file stays, whoever opens the store', async (t) => {
  const { root, store } = await setUp(t)
  const { etag } = await store.put('k', utf8('abc'))
  assert.equal((await (await openFileStore({ root })).head('k'))?.etag, etag)
  await writeFile(join(root, 'k'), 'abd')
  await utimes(join(root, 'k'), 1, 1)
  assert.notEqual((await store.head('k'))?.etag, etag)
  await assert.rejects(store.get('k', { ifMatch: etag }), (error) => isFault(error, 'superseded'))
})

test('a put in the same clock tick as the one before it gets a later modification time', async (t) => {
  const { root, store } = await setUp(t)
  await store.put('k', utf8('abc'))
  // As if the tick of the file system's clock were half a second long.
  for (let ms = 0; ms < 20; ms++) {
    const tickMs = Date.now() + 500 + ms
    await utimes(join(root, 'k'), tickMs / 1000, tickMs / 1000)
    const before = await stat(join(root, 'k'), { bigint: true })
    const next = await store.put('k', utf8('abd'))
    const after = await stat(join(root, 'k'), { bigint: true })
    assert.ok(after.mtimeNs > before.mtimeNs && after.mtimeNs - before.mtimeNs < 2_001_000n)
    assert.deepEqual(await store.head('k'), next)
  }
  // A time far ahead is somebody's wrong clock, not a tick.
  const future = new Date(Date.now() + 3_600_000)
  await utimes(join(root, 'k'), future, future)
  assert.ok((await store.put('k', utf8('abe'))).lastModifiedMs < future.getTime())
})

test('etags by MD5 follow the bytes, even when size and modification time are set back', async (t) => {
  const { root, store } = await setUp(t, { etag: 'md5' })
  const time = new Date('2026-01-02T03:04:05Z')
  const path = join(root, 'k')
  assert.equal((await store.put('k', utf8('abc'))).etag, md5Hex('abc'))
  assert.equal((await store.copy('k', 'k2')).etag, md5Hex('abc'))
  for (const text of ['abd', 'abe', 'abf']) {
    await writeFile(path, text)
    await utimes(path, time, time)
    assert.equal((await store.head('k'))?.etag, md5Hex(text))
    assert.equal(textOf(await store.get('k', { ifMatch: md5Hex(text) })), text)
    await new Promise((resolve) => setTimeout(resolve, 20)) // the change time must tick
  }
})

test('with versions, a version is the file beside its key, else the key itself', async (t) => {
  const { root, store } = await setUp(t, { versions: true })
  await store.put('d/logo', utf8('newest'))
  await writeFile(join(root, 'd/logo@v1'), 'first')
  await writeFile(join(root, 'd/logo@2x.png'), 'a version by its name, since d/logo is there')
  await writeFile(join(root, 'd/icon@2x.png'), 'no version, since d/icon is not there')
  assert.equal(textOf(await store.get('d/logo', { versionId: 'v1' })), 'first')
  assert.equal((await store.head('d/logo', { versionId: 'v1' }))?.versionId, 'v1')
  assert.equal(textOf(await store.get('d/logo', { versionId: 'v2' })), 'newest')
  assert.equal((await store.head('d/logo', { versionId: 'v2' }))?.versionId, undefined)
  assert.equal(await store.head('none', { versionId: 'v1' }), null)
  assert.deepEqual(await keysOf(store), ['d/icon@2x.png', 'd/logo'])
  await assert.rejects(store.head('d/logo', { versionId: '../x' }), (error) => isFault(error, 'invalid'))
})

test('without versions, asking for one says what to do', async (t) => {
  const { store } = await setUp(t)
  await store.put('k', utf8('x'))
  const fault = (error: unknown) => isFault(error, 'unsupported') && /versions: true/.test(error.message)
  await assert.rejects(store.get('k', { versionId: 'v1' }), fault)
  await assert.rejects(store.head('k', { versionId: 'v1' }), fault)
})

test('delete leaves empty folders unless asked to prune them', async (t) => {
  const { root, store } = await setUp(t)
  await store.put('a/b/c', utf8('x'))
  await store.put('a/d', utf8('x'))
  await store.delete(['a/b/c'])
  assert.deepEqual(await readdir(join(root, 'a')), ['b', 'd'])
  const pruning = await openFileStore({ root, pruneEmpty: true })
  await pruning.put('a/b/c', utf8('x'))
  await pruning.delete(['a/b/c'])
  assert.deepEqual(await readdir(join(root, 'a')), ['d'])
  await pruning.delete(['a/d'])
  assert.deepEqual(await readdir(root), [])
})

test('writers go on while another prunes the folder they write to', async (t) => {
  const { store } = await setUp(t, { pruneEmpty: true })
  const work = async (name: string) => {
    for (let i = 0; i < 40; i++) {
      await store.put(`x/y/${name}`, utf8(name))
      await store.delete([`x/y/${name}`])
    }
  }
  await Promise.all([work('one'), work('two'), work('three')])
  assert.deepEqual(await keysOf(store), [])
})

test('a listing goes on when files and folders vanish beneath it', async (t) => {
  const { root, store } = await setUp(t)
  for (const key of ['a/1', 'b/1', 'b/2', 'c']) await store.put(key, utf8(key))
  await mkdir(join(root, 'empty'))
  const seen: string[] = []
  for await (const info of store.list()) {
    seen.push(info.key)
    await rm(join(root, 'b'), { recursive: true, force: true })
  }
  assert.ok(seen.includes('a/1') && seen.includes('c'))
  assert.deepEqual(await readFile(await store.localFile('c'), 'utf8'), 'c')
})
