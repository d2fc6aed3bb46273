import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { simpleTable } from '../../../test/contract/catalog.ts'
import { isFault } from '../../base/fault.ts'
import { openMemoryStore } from '../../store/memory.ts'
import type { FileIO } from '../file/file.ts'
import { storeIo } from '../file/store-io.ts'
import { newTableMetadata } from '../spec/create.ts'
import { serializeMetadata } from '../spec/metadata-json.ts'
import { MetadataFiles, metadataLocation, metadataVersion } from './metadata-file.ts'

const metadata = newTableMetadata({ ...simpleTable, location: 'file:///w/db/t', uuid: 'u', nowMs: 1 })
const bytes = new TextEncoder().encode(serializeMetadata(metadata))

/** Files by location, and how often each was read. */
function countingIo(files: Record<string, Uint8Array>): { io: FileIO; reads: string[] } {
  const reads: string[] = []
  const io = storeIo(openMemoryStore(), { root: 'file:///w', scratchDir: '/nowhere' })
  const read = io.read.bind(io)
  io.read = async (location) => {
    reads.push(location)
    return files[location] ?? read(location)
  }
  return { io, reads }
}

test('versions are read from the names that engines give', () => {
  const uuid = 'f7db8727-9ffe-44c8-b2d0-bd9f9d2caf84'
  for (const [name, version] of [
    [`file:/w/db/t/metadata/00003-${uuid}.metadata.json`, 3],
    [`s3://b/t/metadata/00012-${uuid}.gz.metadata.json`, 12],
    [`123456-${uuid}.metadata.json`, 123456],
    ['file:///w/db/t/metadata/v7.metadata.json', 7],
    ['file:///w/db/t/metadata/v7.gz.metadata.json', 7],
    ['file:///w/12-x/metadata/current.json', -1],
    [`metadata/${uuid}.metadata.json`, -1],
    ['', -1],
  ] as const) {
    assert.equal(metadataVersion(name), version, name)
  }
})

test('a new file goes under the table’s location, or where write.metadata.path says', () => {
  assert.equal(metadataLocation(metadata, 7, 'x'), 'file:///w/db/t/metadata/00007-x.metadata.json')
  assert.equal(metadataLocation(metadata, 123456, 'x'), 'file:///w/db/t/metadata/123456-x.metadata.json')
  const elsewhere = { ...metadata, properties: { 'write.metadata.path': 'file:///m/' } }
  assert.equal(metadataLocation(elsewhere, 0, 'x'), 'file:///m/00000-x.metadata.json')
})

test('plain and gzip files are read, once each; a missing one is null every time', async () => {
  const { io, reads } = countingIo({ plain: bytes, packed: gzipSync(bytes) })
  const files = new MetadataFiles(io)
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await files.read('plain'), metadata)
    assert.deepEqual(await files.read('packed'), metadata)
    assert.equal(await files.read('file:///w/none'), null)
  }
  assert.deepEqual(reads, ['plain', 'packed', 'file:///w/none', 'file:///w/none'])
})

test('what is no metadata is fault corrupt and names the file', async () => {
  const { io } = countingIo({
    json: new TextEncoder().encode('{"a":'),
    latin1: Uint8Array.of(0x7b, 0xe9, 0x7d),
    cut: gzipSync(bytes).subarray(0, 40),
    empty: new Uint8Array(),
  })
  const files = new MetadataFiles(io)
  for (const location of ['json', 'latin1', 'cut', 'empty']) {
    await assert.rejects(
      files.read(location),
      (error) => isFault(error, 'corrupt') && error.message.includes(location),
      location,
    )
  }
})

test('what is remembered is bounded by bytes, the least recently used goes first', async () => {
  const { io, reads } = countingIo({ a: bytes, b: bytes, c: bytes })
  const files = new MetadataFiles(io, 2 * bytes.length)
  for (const location of ['a', 'b', 'a', 'c', 'a', 'b']) await files.read(location)
  assert.deepEqual(reads, ['a', 'b', 'c', 'b'])
  const tiny = countingIo({ a: bytes })
  const none = new MetadataFiles(tiny.io, bytes.length - 1)
  for (let i = 0; i < 3; i++) await none.read('a')
  assert.equal(tiny.reads.length, 3)
})
