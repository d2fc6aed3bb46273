import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTableBench } from '../../test/support/table-bench.ts'
import { limits } from '../base/limits.ts'
import { setProperties } from '../iceberg/action/set-properties.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { removeOrphans } from './orphans.ts'

const schema: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'k', required: true, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'long' },
  ],
}
const GRACE_MS = limits.orphanGraceMs

async function openTable() {
  const bench = await openTableBench()
  const writer = await bench.openWriter({
    ident: { namespace: ['default'], name: 't' },
    schema,
    key: ['k'],
    mode: 'upsert',
  })
  for (const n of [1, 2, 3]) {
    await bench.append([{ op: 'upsert', row: { k: 'a', n } }])
    await bench.commitAll(writer)
  }
  const { location } = (await writer.load()).metadata
  const put = async (name: string) => {
    await bench.io.write(`${location}/${name}`, Buffer.from('left behind'))
    return `${location}/${name}`
  }
  const remove = (aheadMs: number, io: FileIO = bench.io) =>
    removeOrphans({ io, load: () => writer.load(), nowMs: Date.now() + aheadMs })
  const close = async () => {
    await writer.close()
    await bench.close()
  }
  return { bench, writer, put, remove, close, location }
}

function withChanges(io: FileIO, changes: Partial<FileIO>): FileIO {
  return {
    read: (location) => io.read(location),
    write: (location, bytes) => io.write(location, bytes),
    exists: (location) => io.exists(location),
    sizeOf: (location) => io.sizeOf(location),
    localBytesMax: io.localBytesMax,
    localFile: (location) => io.localFile(location),
    scratch: (suffix) => io.scratch(suffix),
    putFile: (location, path) => io.putFile(location, path),
    delete: (locations) => io.delete(locations),
    list: (location) => io.list(location),
    ...changes,
  }
}

test('files that nothing reaches are removed once they are older than a commit may take, and no others', async () => {
  const { bench, writer, put, remove, close } = await openTable()
  const left = [
    await put('data/part=p/0001.parquet'),
    await put('metadata/0002-m0.avro'),
    await put('metadata/00009-x.metadata.json'),
  ]
  assert.deepEqual(await remove(0.9 * GRACE_MS), [])
  assert.deepEqual((await remove(1.1 * GRACE_MS)).toSorted(), left.toSorted())
  for (const location of left) assert.equal(await bench.io.exists(location), false)
  const { metadata } = await writer.load()
  for (const { 'snapshot-id': id } of metadata.snapshots)
    assert.equal((await bench.rows(await writer.load(), 'k', id)).length, 1)
  for (const entry of metadata['metadata-log']) assert.equal(await bench.io.exists(entry['metadata-file']), true)
  assert.deepEqual(await remove(1.1 * GRACE_MS), [])
  await close()
})

test('what is no file of a table, or lies elsewhere, stays', async () => {
  const { bench, put, remove, close } = await openTable()
  const strangers = [
    await put('data/notes.txt'),
    await put('nested/data/0001.parquet'),
    await put('metadata/version-hint.text'),
  ]
  assert.deepEqual(await remove(2 * GRACE_MS), [])
  for (const location of strangers) assert.equal(await bench.io.exists(location), true)
  await close()
})

test('a file that a snapshot names by another spelling of its folder stays', async () => {
  const { bench, writer, remove, close } = await openTable()
  const spelt = withChanges(bench.io, {
    async *list(location: string) {
      for await (const file of bench.io.list(location)) {
        yield { ...file, location: file.location.replace('file:///', 'file:/') }
      }
    },
  })
  assert.deepEqual(await remove(2 * GRACE_MS, spelt), [])
  assert.equal((await bench.rows(await writer.load())).length, 1)
  await close()
})

test('nothing is removed when a manifest cannot be read, or the table forbids it', async () => {
  const { bench, writer, put, remove, close } = await openTable()
  const left = await put('data/0001.parquet')
  const broken = withChanges(bench.io, {
    read: async (location: string) => {
      if (location.endsWith('-m0.avro')) throw new Error('cannot be read')
      return bench.io.read(location)
    },
  })
  await assert.rejects(remove(2 * GRACE_MS, broken), /cannot be read/)
  assert.equal(await bench.io.exists(left), true)
  const table = await writer.load()
  await bench.catalog.commit(table, setProperties(table.metadata, { updates: { 'gc.enabled': 'false' } }))
  assert.deepEqual(await remove(2 * GRACE_MS), [])
  assert.equal(await bench.io.exists(left), true)
  await close()
})

test('a file committed between the listing and the look at the table stays', async () => {
  const { bench, writer, close } = await openTable()
  let loads = 0
  const removed = await removeOrphans({
    io: bench.io,
    nowMs: Date.now() + 2 * GRACE_MS,
    load: async () => {
      if (++loads === 2) {
        await bench.append([{ op: 'upsert', row: { k: 'b', n: 1 } }])
        await bench.commitAll(writer)
      }
      return writer.load()
    },
  })
  assert.deepEqual(removed, [])
  assert.equal((await bench.rows(await writer.load())).length, 2)
  await close()
})
