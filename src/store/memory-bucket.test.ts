import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketContract } from '../../test/contract/bucket.ts'
import { storeContract, utf8 } from '../../test/contract/store.ts'
import { openMemoryBucket } from './memory-bucket.ts'
import type { Versioning } from './store.ts'

for (const versioning of ['never', 'enabled', 'suspended'] satisfies Versioning[]) {
  storeContract(`memory bucket with versions ${versioning}`, {
    versions: versioning === 'enabled' || { no: 'this one makes no version of its own for each put' },
    anyKey: true,
    order: 'utf8',
    open: async () => {
      const store = openMemoryBucket({ versioning })
      return { store, close: () => store.close() }
    },
  })
}

bucketContract('memory bucket', async () => {
  const store = openMemoryBucket()
  return {
    store,
    setVersioning: async (versioning) => store.setVersioning(versioning),
    setTags: async (key, tags, versionId) => store.setTags(key, tags, versionId === undefined ? {} : { versionId }),
    deleteVersion: async (key, versionId) => store.deleteVersion(key, versionId),
    close: () => store.close(),
  }
})

test('a memory bucket copies what is said of an object, its tags too, and lets it be changed', async () => {
  const bucket = openMemoryBucket({ versioning: 'enabled' })
  const said = { contentType: 'image/png', userMetadata: { camera: 'x' }, encryptionStatus: 'SSE-S3' } as const
  const first = await bucket.putObject('k', utf8('bytes'), { ...said, tags: { project: 'y' } })
  await bucket.copy('k', 'k2')
  const copied = await bucket.head('k2')
  assert.deepEqual({ ...copied, ...said }, copied)
  assert.deepEqual(await bucket.tags('k2'), { project: 'y' })
  await bucket.put('k', utf8('newer'))
  bucket.describe('k', { storageClass: 'GLACIER' }, { versionId: first.versionId! })
  assert.equal((await bucket.head('k'))?.storageClass, 'STANDARD')
  assert.equal((await bucket.head('k', { versionId: first.versionId! }))?.storageClass, 'GLACIER')
})
