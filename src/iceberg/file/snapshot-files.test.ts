import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dataFile, metadataOf, schemaOf, specOf, withSnapshot } from '../../../test/support/table.ts'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import type { DataFile, ManifestEntry } from '../spec/manifest.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import type { FileIO } from './file.ts'
import { readManifest } from './manifest-file.ts'
import { readManifestList } from './manifest-list.ts'
import { DELETE_FILE_PATH } from './position-deletes.ts'
import { type SnapshotCounts, type SnapshotFilesRequest, writeSnapshotFiles } from './snapshot-files.ts'

const schema = schemaOf([['p', 'string']])
let io: FileIO
let close: () => Promise<void>

before(async () => {
  ;({ io, close } = await tempIo('file:///w'))
})
after(() => close())

class Table {
  metadata: TableMetadata = metadataOf(schema, [specOf(0, []), specOf(1, [[1, 'identity']])])
  #id = 0n

  async commit(change: Partial<SnapshotFilesRequest>): Promise<SnapshotCounts> {
    this.#id += 1n
    const { manifestList, counts, written } = await writeSnapshotFiles(io, {
      metadata: this.metadata,
      snapshotId: this.#id,
      sequenceNumber: this.metadata['last-sequence-number'] + 1,
      addedDataFiles: [],
      addedDeleteFiles: [],
      removedPaths: new Set(),
      mergeCount: 100,
      manifestBytesTarget: 4_000_000,
      nowMs: 1_700_000_000_000,
      ...change,
    })
    for (const location of written) assert.ok(await io.exists(location))
    this.metadata = withSnapshot(this.metadata, this.#id, manifestList)
    return counts
  }

  async manifests() {
    return readManifestList(io, this.metadata.snapshots.at(-1)!['manifest-list'])
  }

  /** Entries as `status path data-sequence file-sequence snapshot`. */
  async entries(): Promise<string[]> {
    const lines: string[] = []
    for (const manifest of await this.manifests()) {
      for await (const block of readManifest(io, manifest, this.metadata)) lines.push(...block.map(line))
    }
    return lines.sort()
  }
}

function line(entry: ManifestEntry): string {
  return `${entry.status} ${entry.file.filePath} ${entry.sequenceNumber} ${entry.fileSequenceNumber} ${entry.snapshotId}`
}

function deletes(filePath: string, about: string): DataFile {
  return dataFile(filePath, [], 0, {
    content: 'position-deletes',
    recordCount: 2,
    lowerBounds: new Map([[DELETE_FILE_PATH, Buffer.from(about)]]),
    upperBounds: new Map([[DELETE_FILE_PATH, Buffer.from(about)]]),
  })
}

test('files added get the sequence number of their snapshot; older manifests are carried over untouched', async () => {
  const table = new Table()
  const counts = await table.commit({ addedDataFiles: [dataFile('a'), dataFile('b', ['x'], 1)] })
  const before = await table.manifests()
  assert.deepEqual(counts, {
    addedDataFiles: 2,
    deletedDataFiles: 0,
    addedDeleteFiles: 0,
    removedDeleteFiles: 0,
    addedRecords: 20,
    deletedRecords: 0,
    addedPositionDeletes: 0,
    removedPositionDeletes: 0,
    addedFilesSizeBytes: 2000,
    removedFilesSizeBytes: 0,
    changedPartitionCount: 2,
  })
  await table.commit({ addedDataFiles: [dataFile('c')], addedDeleteFiles: [deletes('d', 'a')] })
  assert.deepEqual(await table.entries(), ['added a 1 1 1', 'added b 1 1 1', 'added c 2 2 2', 'added d 2 2 2'])
  const after = await table.manifests()
  for (const manifest of before)
    assert.deepEqual(
      after.find((each) => each.manifestPath === manifest.manifestPath),
      manifest,
    )
  assert.deepEqual(
    after.map((each) => [each.content, each.partitionSpecId, each.sequenceNumber]),
    [
      ['data', 0, 2],
      ['deletes', 0, 2],
      ['data', 0, 1],
      ['data', 1, 1],
    ],
  )
})

test('a removed file is marked deleted once, its neighbours keep their sequence numbers, then it is gone', async () => {
  const table = new Table()
  await table.commit({ addedDataFiles: [dataFile('a'), dataFile('b')] })
  await table.commit({ addedDataFiles: [dataFile('c')] })
  const counts = await table.commit({
    removedPaths: new Set(['a']),
    addedDataFiles: [dataFile('a2')],
    addedDataSequenceNumber: 1,
  })
  assert.equal(counts.deletedDataFiles, 1)
  assert.equal(counts.deletedRecords, 10)
  assert.deepEqual(await table.entries(), ['added a2 1 3 3', 'added c 2 2 2', 'deleted a 1 1 3', 'existing b 1 1 1'])
  await table.commit({ removedPaths: new Set(['b']) })
  assert.deepEqual(await table.entries(), ['added a2 1 3 3', 'added c 2 2 2', 'deleted b 1 1 4'])
  // A manifest without live files is left behind by the next snapshot.
  await table.commit({})
  assert.deepEqual(await table.entries(), ['added a2 1 3 3', 'added c 2 2 2'])
})

test('removing a file that is not there is a conflict, which names it', async () => {
  const table = new Table()
  await table.commit({ addedDataFiles: [dataFile('a')] })
  await table.commit({ removedPaths: new Set(['a']) })
  for (const path of ['a', 'never']) {
    await assert.rejects(table.commit({ removedPaths: new Set([path]) }), (error) => {
      return isFault(error, 'conflict') && error.facts['path'] === path
    })
  }
})

test('delete files about removed data files only go with them when asked', async () => {
  const table = new Table()
  await table.commit({ addedDataFiles: [dataFile('a'), dataFile('b')] })
  await table.commit({ addedDeleteFiles: [deletes('da', 'a'), deletes('db', 'b')] })
  const kept = structuredClone(table.metadata)
  await table.commit({ removedPaths: new Set(['a']) })
  assert.deepEqual(await table.entries(), ['added da 2 2 2', 'added db 2 2 2', 'deleted a 1 1 3', 'existing b 1 1 1'])
  table.metadata = kept
  const counts = await table.commit({ removedPaths: new Set(['a']), dropOrphanedDeletes: true })
  assert.deepEqual(await table.entries(), [
    'deleted a 1 1 4',
    'deleted da 2 2 4',
    'existing b 1 1 1',
    'existing db 2 2 2',
  ])
  assert.deepEqual([counts.removedDeleteFiles, counts.removedPositionDeletes], [1, 2])
})

test('small manifests are merged, entries keep what they have, and what was deleted before is dropped', async () => {
  const table = new Table()
  const live: string[] = []
  for (let at = 1; at <= 24; at++) {
    await table.commit({
      addedDataFiles: [dataFile(`f${at}`)],
      mergeCount: 6,
      removedPaths: new Set(at === 20 ? ['f3'] : []),
    })
    const manifests = await table.manifests()
    assert.ok(manifests.length <= 6, `${manifests.length} manifests after commit ${at}`)
    const entries = await table.entries()
    const alive = entries
      .filter((entry) => !entry.startsWith('deleted'))
      .map((entry) => entry.split(' ').slice(1).join(' '))
    live.push(`f${at} ${at} ${at} ${at}`)
    const expected = at < 20 ? live : live.filter((entry) => !entry.startsWith('f3 '))
    assert.deepEqual(alive.sort(), expected.toSorted())
    assert.ok(entries.includes(`added f${at} ${at} ${at} ${at}`), 'the newest file is added, also in a merged manifest')
    const deleted = entries.filter((entry) => entry.startsWith('deleted'))
    if (at === 20) assert.deepEqual(deleted, ['deleted f3 3 3 20'])
    for (const manifest of manifests) {
      let least = Number.POSITIVE_INFINITY
      for await (const block of readManifest(io, manifest, table.metadata, { liveOnly: true })) {
        for (const entry of block) least = Math.min(least, entry.sequenceNumber!)
      }
      assert.ok(manifest.minSequenceNumber <= least)
    }
  }
})

test('tables of other format versions are refused', async () => {
  for (const version of [1, 3] as const) {
    const table = new Table()
    table.metadata['format-version'] = version
    await assert.rejects(table.commit({}), (error) => isFault(error, 'unsupported'))
  }
})
