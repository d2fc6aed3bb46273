/** The store on a real S3 server: the contracts of every store and of buckets, and what only a server shows. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { isFault } from '../../src/base/fault.ts'
import { sha256Hex } from '../../src/base/hash.ts'
import { limits } from '../../src/base/limits.ts'
import { LocalCache } from '../../src/store/local-cache.ts'
import { openS3Store, type S3StoreOptions } from '../../src/store/s3.ts'
import type { SentRequest } from '../../src/store/s3-requests.ts'
import { bucketContract } from '../contract/bucket.ts'
import { keysOf, storeContract, utf8 } from '../contract/store.ts'
import { Minio, noMinio } from './minio.ts'

let minio: Minio
let buckets = 0

before(async () => {
  if (noMinio) return
  minio = await Minio.start()
})
after(async () => {
  await minio?.remove()
})

interface Opened {
  bucket: string
  store: ReturnType<typeof openS3Store>
  folder: string
  close(): Promise<void>
}

async function open(options: Partial<S3StoreOptions> & { versioning?: 'enabled' | 'suspended' } = {}): Promise<Opened> {
  const bucket = `bucket-${++buckets}`
  await minio.makeBucket(bucket, options.versioning)
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-s3-'))
  const cache = new LocalCache({ folder: join(folder, 'cache') })
  const store = openS3Store({ connection: minio.connection, bucket, cache, ...options })
  return { bucket, store, folder, close: () => rm(folder, { recursive: true, force: true }) }
}

for (const [title, options] of [
  ['a bucket', {}],
  ['a versioned bucket below a prefix', { versioning: 'enabled', prefix: 'some/pre fix/' }],
  ['a bucket of objects that never change', { immutable: true }],
] as const) {
  storeContract(`S3 store on MinIO: ${title}`, {
    versions: 'versioning' in options || { no: 'this bucket keeps none' },
    anyKey: { no: 'MinIO keeps objects as files and refuses keys that none can have' },
    order: 'utf8',
    skip: noMinio,
    open: () => open(options),
  })
}

bucketContract(
  'S3 store on MinIO',
  async () => {
    const { bucket, store, close } = await open()
    return {
      store,
      setVersioning: (versioning) => minio.setVersioning(bucket, versioning),
      setTags: (key, tags, versionId) => minio.setTags(bucket, key, tags, versionId),
      deleteVersion: (key, versionId) => minio.deleteVersion(bucket, key, versionId),
      close,
    }
  },
  noMinio,
)

test('a bucket that is not there is no empty one', { skip: noMinio }, async () => {
  const store = openS3Store({ connection: minio.connection, bucket: 'nobody-made-this' })
  for (const work of [
    () => store.head('k'),
    () => store.get('k'),
    () => store.headWithBytes('k', { bytesMax: 1 }),
    () => keysOf(store),
    () => store.put('k', utf8('x')),
  ]) {
    await assert.rejects(work, (error) => isFault(error, 'unavailable') && /bucket/.test(error.message))
  }
})

test('a wrong key says what to check', { skip: noMinio }, async () => {
  const connection = { ...minio.connection, credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' } }
  const store = openS3Store({ connection, bucket: 'any' })
  await assert.rejects(store.get('k'), (error) => isFault(error) && /s3\.access-key-id/.test(error.message))
})

test('what is said of an object with a checksum, metadata and a type is told', { skip: noMinio }, async () => {
  const { store, bucket, close } = await open({ versioning: 'enabled' })
  const put = await minio.client.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: 'k',
      Body: 'bytes',
      ContentType: 'image/png',
      ChecksumAlgorithm: 'SHA256',
      Metadata: { camera: 'x', title: '=?UTF-8?B?w6k=?=' },
    }),
  )
  const info = await store.head('k')
  assert.deepEqual(
    { ...info, lastModifiedMs: 0, etag: '' },
    {
      key: 'k',
      sizeBytes: 5,
      etag: '',
      lastModifiedMs: 0,
      versionId: put.VersionId,
      contentType: 'image/png',
      storageClass: 'STANDARD',
      isMultipart: false,
      checksumAlgorithm: 'SHA256',
      userMetadata: { camera: 'x', title: 'é' },
    },
  )
  assert.deepEqual((await store.headWithBytes('k', { bytesMax: 5 }))?.info, info)
  await close()
})

test('a large file goes up in parts and comes down in ranges, byte for byte, and no upload is left', {
  skip: noMinio,
}, async () => {
  const requests: SentRequest[] = []
  const { store, bucket, folder, close } = await open({ onRequest: (request) => requests.push(request) })
  const bytes = randomBytes(limits.s3PutBytesMax * 2 + 12_345)
  const local = join(folder, 'large.parquet')
  await writeFile(local, bytes)
  const info = await store.putFile('large.parquet', local)
  await assert.rejects(stat(local), { code: 'ENOENT' })
  assert.equal(info.sizeBytes, bytes.length)
  const head = await store.head('large.parquet')
  assert.equal(head?.isMultipart, true)
  assert.equal(head?.etag, info.etag)
  const count = (operation: string) => requests.filter((request) => request.operation === operation).length
  assert.equal(count('UploadPart'), 3)

  const other = openS3Store({
    connection: minio.connection,
    bucket,
    cache: new LocalCache({ folder: join(folder, 'other') }),
    onRequest: (request) => requests.push(request),
  })
  const before = count('GetObject')
  const paths = await Promise.all([other.localFile('large.parquet'), other.localFile('large.parquet')])
  assert.equal(paths[0], paths[1])
  assert.equal(sha256Hex(await readFile(paths[0])), sha256Hex(bytes))
  assert.equal(count('GetObject') - before, Math.ceil(bytes.length / limits.s3ReadBytes), 'two askers, one fetch')
  assert.equal((await minio.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))).Uploads, undefined)
  await close()
})

test('a listing of more than one page is whole, and so is a deletion', { skip: noMinio }, async () => {
  const { store, close } = await open()
  const keys = Array.from({ length: 1_050 }, (_, i) => `k/${String(i).padStart(5, '0')}`)
  for (let at = 0; at < keys.length; at += 50) {
    await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, utf8(key))))
  }
  assert.deepEqual(await keysOf(store), keys)
  await store.delete(keys)
  assert.deepEqual(await keysOf(store), [])
  await close()
})

test('a server that is away is waited for, and killed and started again it has what it acknowledged', {
  skip: noMinio,
}, async () => {
  const { store, close } = await open()
  await store.put('before', utf8('x'))
  await minio.stop('SIGKILL')
  const read = store.get('before')
  const created = store.putIfAbsent('during', utf8('y'))
  await minio.start()
  assert.equal((await read).length, 1)
  assert.equal(await created, true)
  assert.deepEqual(await keysOf(store), ['before', 'during'])
  await close()
})
