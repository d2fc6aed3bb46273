import assert from 'node:assert/strict'
import { access, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { plainLocation } from './file.ts'
import { storeIo } from './store-io.ts'

test('the ways to write a file location are one file, and text is not decoded', async () => {
  const { io, close } = await tempIo('file:///w/house')
  await io.write('file:///w/house/t/p=a%2Fb é/x', Buffer.from('1'))
  for (const location of ['file:/w/house/t/p=a%2Fb é/x', '/w/house/t/p=a%2Fb é/x']) {
    assert.equal(Buffer.from(await io.read(location)).toString(), '1')
    assert.ok(await io.exists(location))
  }
  assert.equal(await io.exists('file:///w/house/t/p=a/b é/x'), false)
  const listed: string[] = []
  for await (const { location } of io.list('file:/w/house/t')) listed.push(location)
  assert.deepEqual(listed, ['file:///w/house/t/p=a%2Fb é/x'])
  await close()
})

test('a location outside the root is refused, also one that begins alike', async () => {
  const { io, close } = await tempIo('file:///w/house')
  for (const location of ['file:///w/household/x', '/x', 's3://w/house/x', 'file:///w/house', 'file:///w/house/../x']) {
    await assert.rejects(io.read(location), (error) => isFault(error, 'invalid'), location)
  }
  await close()
})

test('a file is written once, and moved in from a scratch path that is then gone', async () => {
  const { io, close } = await tempIo('file:///w')
  await io.write('file:///w/a', Buffer.from('1'))
  await assert.rejects(io.write('file:///w/a', Buffer.from('2')), (error) => isFault(error, 'conflict'))
  assert.equal(Buffer.from(await io.read('file:///w/a')).toString(), '1')
  const scratch = await io.scratch('.parquet')
  await writeFile(scratch, 'abc')
  assert.equal(await io.putFile('file:///w/d/b.parquet', scratch), 3)
  await assert.rejects(access(scratch))
  await access(await io.localFile('file:///w/d/b.parquet'))
  await io.delete(['file:///w/a', 'file:///w/never'])
  await assert.rejects(io.read('file:///w/a'), (error) => isFault(error, 'not-found'))
  await assert.rejects(io.localFile('file:///w/a'), (error) => isFault(error, 'not-found'))
  await close()
})

test('small files are read from the store once, until the cache is full', async () => {
  const store = openMemoryStore()
  let gets = 0
  const counting = new Proxy(store, {
    get(target, key) {
      if (key === 'get') gets += 1
      const member = Reflect.get(target, key) as unknown
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const io = storeIo(counting, { root: 's3://bucket/t', scratchDir: '/nowhere', cacheBytes: 800 })
  for (let at = 0; at < 9; at++) await store.put(`f${at}`, Buffer.alloc(100, at))
  await store.put('large', Buffer.alloc(101))
  const readAll = async (from: number, to: number): Promise<number> => {
    const before = gets
    for (let at = from; at < to; at++) assert.equal((await io.read(`s3://bucket/t/f${at}`))[0], at)
    return gets - before
  }
  assert.equal(await readAll(0, 8), 8)
  assert.equal(await readAll(0, 8), 0)
  // One more: the least recently read leaves.
  assert.equal(await readAll(8, 9), 1)
  assert.equal(await readAll(1, 9), 0)
  assert.equal(await readAll(0, 1), 1)
  const before = gets
  await io.read('s3://bucket/t/large')
  await io.read('s3://bucket/t/large')
  assert.equal(gets - before, 2, 'a file above an eighth of the cache is not kept')
})

test('the spellings of a local location are one, and locations of other schemes stay as they are', () => {
  for (const location of ['file:/w/x', 'file://///w/x', 'file:///w/x', '/w/x'])
    assert.equal(plainLocation(location), '/w/x')
  assert.equal(plainLocation('s3://b//x/'), 's3://b//x')
  assert.equal(plainLocation('file:///'), '/')
  assert.equal(plainLocation('file:////w//x'), '/w//x')
})
