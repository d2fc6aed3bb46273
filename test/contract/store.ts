/** The contract of the object-store port: every adapter's test runs this suite. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import { compareKeyOrder } from '../../src/base/key-order.ts'
import type { ObjectInfo, Store } from '../../src/store/store.ts'

export interface StoreUnderTest<S extends Store = Store> {
  store: S
  close(): Promise<void>
}

export interface StoreContract {
  open(): Promise<StoreUnderTest>
  /** Whether each put makes a version with an id; otherwise the reason why it does not. */
  versions: true | { no: string }
  /** Whether any text can be a key; otherwise the reason why only file names can. */
  anyKey: true | { no: string }
  /** Why none of it can run here, as a whole. */
  skip?: string | false
  /** The order of a listing; default `utf16`. */
  order?: 'utf16' | 'utf8'
}

/** What every store says the same of an object, however it is asked; the time is not always known to better than this. */
const timeDifferenceMsMax = 5_000

export function assertSame(got: ObjectInfo | null | undefined, expected: ObjectInfo): void {
  assert.ok(got)
  const known = ({ key, sizeBytes, etag }: ObjectInfo) => ({ key, sizeBytes, etag })
  assert.deepEqual(known(got), known(expected))
  assert.ok(Math.abs(got.lastModifiedMs - expected.lastModifiedMs) <= timeDifferenceMsMax)
  if (got.versionId !== undefined && expected.versionId !== undefined) assert.equal(got.versionId, expected.versionId)
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export async function keysOf(store: Store, prefix?: string, after?: string): Promise<string[]> {
  const keys: string[] = []
  for await (const info of store.list(prefix, after === undefined ? {} : { after })) keys.push(info.key)
  return keys
}

const awkwardKeys = [
  'plain',
  'a/deep/er/path.txt',
  'with space',
  'plus+percent%20',
  'naïve-é-NFC',
  'naïve-é-NFD',
  '日本語/写真.jpg',
  '😀.png',
  '\uff5e-before-emoji-by-code-point',
  'quote"and\'s',
  'back\\slash',
  'tab\tnew\nline',
  '.hidden',
  '...',
  '-dash',
  'UPPER',
  'upper',
  '*?[x]',
  '~home',
  'a@v1',
  'x'.repeat(255),
]

export function storeContract(title: string, contract: StoreContract): void {
  const withStore = (name: string, body: (store: Store) => Promise<void>, skip?: string) =>
    test(name, skip === undefined ? {} : { skip }, async () => {
      const { store, close } = await contract.open()
      try {
        await body(store)
      } finally {
        await close()
      }
    })
  const noVersions = contract.versions === true ? undefined : contract.versions.no
  const noAnyKey = contract.anyKey === true ? undefined : contract.anyKey.no

  describe(title, { skip: contract.skip ?? false }, () => {
    withStore('what was put is what is got, head and list describe it', async (store) => {
      const before = Date.now()
      const info = await store.put('a/b.txt', utf8('hello'))
      assert.equal(info.key, 'a/b.txt')
      assert.equal(info.sizeBytes, 5)
      assert.ok(info.etag.length > 0 && !info.etag.includes('"'))
      assert.ok(Math.abs(info.lastModifiedMs - before) < 60_000)
      assert.equal(textOf(await store.get('a/b.txt')), 'hello')
      assertSame(await store.head('a/b.txt'), info)
      const listed = []
      for await (const each of store.list()) listed.push(each)
      assert.equal(listed.length, 1)
      assertSame(listed[0], info)
    })

    withStore('an empty object is an object', async (store) => {
      await store.put('empty', new Uint8Array())
      assert.equal((await store.get('empty')).length, 0)
      assert.equal((await store.head('empty'))?.sizeBytes, 0)
    })

    withStore('what is not there is null to head and fault not-found to get, copy and localFile', async (store) => {
      await store.put('folder/x', utf8('x'))
      for (const key of ['none', 'no/such/folder', 'folder', 'folder/x/y']) {
        assert.equal(await store.head(key), null, key)
        await assert.rejects(store.get(key), (error) => isFault(error, 'not-found'), key)
        await assert.rejects(store.copy(key, 'to'), (error) => isFault(error, 'not-found'), key)
        await assert.rejects(store.localFile(key), (error) => isFault(error, 'not-found'), key)
      }
      assert.deepEqual(await keysOf(store), ['folder/x'])
    })

    withStore('an empty key is fault invalid', async (store) => {
      for (const work of [store.head(''), store.get(''), store.put('', utf8('x')), store.putIfAbsent('', utf8('x'))]) {
        await assert.rejects(work, (error) => isFault(error, 'invalid'))
      }
    })

    withStore('the bytes kept are not the caller’s array, nor the bytes given back', async (store) => {
      const bytes = utf8('first')
      await store.put('k', bytes)
      bytes.fill(0)
      const got = await store.get('k')
      assert.equal(textOf(got), 'first')
      got.fill(0)
      assert.equal(textOf(await store.get('k')), 'first')
    })

    withStore('a put replaces the whole object and changes its etag, even within one clock tick', async (store) => {
      const etags = new Set<string>()
      for (let i = 10; i < 60; i++) etags.add((await store.put('k', utf8(`value ${i}`))).etag)
      assert.equal(textOf(await store.get('k')), 'value 59')
      assert.equal(etags.size, 50)
    })

    withStore('ranges are exact, an end past the object is cut, a start past it gives nothing', async (store) => {
      await store.put('k', utf8('0123456789'))
      const range = async (start: number, end: number) => textOf(await store.get('k', { range: { start, end } }))
      assert.equal(await range(0, 10), '0123456789')
      assert.equal(await range(2, 5), '234')
      assert.equal(await range(7, 100), '789')
      assert.equal(await range(10, 12), '')
      assert.equal(await range(100, 120), '')
      assert.equal(await range(3, 3), '')
      for (const [start, end] of [
        [-1, 2],
        [5, 4],
        [0.5, 2],
        [0, Number.NaN],
      ] as const) {
        await assert.rejects(range(start, end), (error) => isFault(error, 'invalid'), `${start}..${end}`)
      }
    })

    withStore('ifMatch refuses an object that was written again', async (store) => {
      const first = await store.put('k', utf8('one'))
      assert.equal(textOf(await store.get('k', { ifMatch: first.etag })), 'one')
      const second = await store.put('k', utf8('two'))
      await assert.rejects(store.get('k', { ifMatch: first.etag }), (error) => isFault(error, 'superseded'))
      assert.equal(textOf(await store.get('k', { ifMatch: second.etag, range: { start: 1, end: 2 } })), 'w')
      await assert.rejects(store.get('none', { ifMatch: first.etag }), (error) => isFault(error, 'not-found'))
    })

    withStore('putIfAbsent creates once and leaves what is there', async (store) => {
      assert.equal(await store.putIfAbsent('d/k', utf8('first')), true)
      assert.equal(await store.putIfAbsent('d/k', utf8('second')), false)
      assert.equal(textOf(await store.get('d/k')), 'first')
      await store.delete(['d/k'])
      assert.equal(await store.putIfAbsent('d/k', utf8('third')), true)
      assert.deepEqual(await keysOf(store), ['d/k'])
    })

    withStore('of many putIfAbsent at once exactly one wins, and its bytes stand', async (store) => {
      for (let round = 0; round < 5; round++) {
        const key = `race/${round}`
        const won = await Promise.all(Array.from({ length: 16 }, (_, i) => store.putIfAbsent(key, utf8(`writer ${i}`))))
        assert.equal(won.filter(Boolean).length, 1)
        assert.equal(textOf(await store.get(key)), `writer ${won.indexOf(true)}`)
      }
    })

    withStore('a reader beside writers sees one whole write', async (store) => {
      const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(20_000 + i))
      await store.put('k', utf8(contents[0]!))
      const writing = Promise.all(contents.map((content) => store.put('k', utf8(content))))
      let done = false
      void writing.finally(() => (done = true))
      for (let reads = 0; !done || reads < 3; reads++) assert.ok(contents.includes(textOf(await store.get('k'))))
      await writing
    })

    const inOrder = (keys: readonly string[]) =>
      contract.order === 'utf8' ? keys.toSorted(compareKeyOrder) : keys.toSorted()

    withStore('list gives keys in their order, with any prefix, and goes on after any key', async (store) => {
      const keys = ['a-b', 'a.txt', 'a/b', 'a/b-c/d', 'a/b0', 'a0', 'ab/c', 'b', 'Ä', '😀', '\uff5e', 'zz/a/b/c']
      for (const key of keys.toReversed()) await store.put(key, utf8(key))
      const sorted = inOrder(keys)
      assert.equal(
        sorted.indexOf('😀') < sorted.indexOf('\uff5e'),
        contract.order !== 'utf8',
        'only UTF-16 sorts a surrogate low',
      )
      assert.deepEqual(await keysOf(store), sorted)
      for (const prefix of [
        'a',
        'a/',
        'a/b',
        'a/b-',
        'zz/a/',
        'zz/a/b/c',
        'none',
        'none/',
        'b/',
        'a//',
        '../',
        './',
        '/',
      ]) {
        const expected = sorted.filter((key) => key.startsWith(prefix))
        assert.deepEqual(await keysOf(store, prefix), expected, `prefix ${prefix}`)
      }
      for (const [at, after] of sorted.entries()) {
        assert.deepEqual(await keysOf(store, '', after), sorted.slice(at + 1), `after ${after}`)
      }
      assert.deepEqual(await keysOf(store, 'a/', 'a/b'), ['a/b-c/d', 'a/b0'])
      assert.deepEqual(
        await keysOf(store, '', 'a/b1'),
        sorted.slice(sorted.indexOf('a0')),
        'after a key that is not there',
      )
    })

    withStore('awkward keys go in and come out letter by letter', async (store) => {
      for (const key of awkwardKeys) await store.put(key, utf8(`bytes of ${key}`))
      for (const key of awkwardKeys) {
        assert.equal(textOf(await store.get(key)), `bytes of ${key}`)
        assert.equal((await store.head(key))?.key, key)
      }
      assert.deepEqual(await keysOf(store), inOrder(awkwardKeys))
    })

    withStore(
      'keys that no file can have are keys all the same',
      async (store) => {
        const keys = ['a//b', '/a', 'a/', '../x', './y', 'a/../b', 'nul\0', 'l'.repeat(1000), 'k', 'k/below']
        for (const key of keys) await store.put(key, utf8(key))
        assert.deepEqual(await keysOf(store), inOrder(keys))
        for (const key of keys) assert.equal(textOf(await store.get(key)), key)
      },
      noAnyKey,
    )

    withStore('copy makes an independent object and replaces what was there', async (store) => {
      await store.put('from', utf8('original'))
      await store.put('to/x', utf8('old and longer than the new one'))
      const info = await store.copy('from', 'to/x')
      assert.equal(info.key, 'to/x')
      assert.equal(info.sizeBytes, 8)
      await store.put('from', utf8('changed'))
      assert.equal(textOf(await store.get('to/x')), 'original')
      assertSame(await store.head('to/x'), info)
      assert.equal(textOf(await store.get((await store.copy('to/x', 'to/x')).key)), 'original')
    })

    withStore('delete removes, and minds no missing key', async (store) => {
      for (const key of ['a', 'b/c', 'b/d', 'e']) await store.put(key, utf8(key))
      await store.delete(['a', 'b/c', 'none', 'no/folder', 'b', 'e/x'])
      assert.deepEqual(await keysOf(store), ['b/d', 'e'])
      assert.equal(await store.head('a'), null)
      await store.delete([])
      await store.delete(['e', 'e'])
      assert.deepEqual(await keysOf(store), ['b/d'])
      await assert.rejects(store.delete(['b/d', '']), (error) => isFault(error, 'invalid'))
      assert.deepEqual(await keysOf(store), ['b/d'])
    })

    withStore('putFile moves a local file in, localFile gives a path to the bytes', async (store) => {
      const folder = await mkdtemp(join(tmpdir(), 'tidewater-store-'))
      try {
        const local = join(folder, 'made.parquet')
        await writeFile(local, 'PAR1 and more')
        const info = await store.putFile('data/made.parquet', local)
        assert.equal(info.sizeBytes, 13)
        assertSame(await store.head('data/made.parquet'), info)
        await assert.rejects(stat(local), { code: 'ENOENT' })
        assert.equal(textOf(await store.get('data/made.parquet')), 'PAR1 and more')
        assert.equal(await readFile(await store.localFile('data/made.parquet'), 'utf8'), 'PAR1 and more')

        await writeFile(local, 'another')
        await store.putFile('data/made.parquet', local)
        assert.equal(await readFile(await store.localFile('data/made.parquet'), 'utf8'), 'another')
        await assert.rejects(store.putFile('data/none', join(folder, 'none')), (error) => isFault(error, 'not-found'))
        assert.equal(await store.head('data/none'), null)
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    withStore(
      'each put makes a version that stays readable after the next put and after a delete',
      async (store) => {
        const one = await store.put('k', utf8('one'))
        const two = await store.put('k', utf8('two'))
        assert.ok(one.versionId && two.versionId && one.versionId !== two.versionId)
        assert.equal((await store.head('k'))?.versionId, two.versionId)
        assert.equal(textOf(await store.get('k', { versionId: one.versionId })), 'one')
        await store.delete(['k'])
        assert.equal(await store.head('k'), null)
        assert.deepEqual(await keysOf(store), [])
        assertSame(await store.head('k', { versionId: two.versionId }), two)
        assert.equal(await store.head('k', { versionId: 'none' }), null)
        await assert.rejects(store.get('k', { versionId: 'none' }), (error) => isFault(error, 'not-found'))
      },
      noVersions,
    )
  })
}
