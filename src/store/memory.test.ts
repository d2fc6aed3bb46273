import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { storeContract, utf8 } from '../../test/contract/store.ts'
import { openMemoryStore } from './memory.ts'

for (const versions of [false, true]) {
  storeContract(`memory store${versions ? ' with versions' : ''}`, {
    versions: versions || { no: 'this one is opened without versions' },
    anyKey: true,
    open: async () => {
      const store = openMemoryStore({ versions })
      return { store, close: () => store.close() }
    },
  })
}

test('a memory store keeps content type, user metadata and tags, and copies them', async () => {
  const store = openMemoryStore()
  const extra = { contentType: 'image/png', userMetadata: { camera: 'x' }, tags: { project: 'y' } }
  await store.putObject('k', utf8('bytes'), extra)
  const { contentType, userMetadata, tags } = await store.copy('k', 'k2')
  assert.deepEqual({ contentType, userMetadata, tags }, extra)
})

test('closing a memory store removes its local files', async () => {
  const store = openMemoryStore()
  await store.put('a/b.parquet', utf8('bytes'))
  const path = await store.localFile('a/b.parquet')
  assert.ok(path.endsWith('b.parquet'))
  assert.equal(await store.localFile('a/b.parquet'), path)
  await store.close()
  await assert.rejects(stat(path), { code: 'ENOENT' })
})
