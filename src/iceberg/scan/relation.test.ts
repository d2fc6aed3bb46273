import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { metadataOf, schemaOf, specOf, withSnapshot } from '../../../test/support/table.ts'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import { Duck, type DuckSession, literal } from '../../duck/duck.ts'
import { writeDataFiles } from '../file/data-writer.ts'
import { writePositionDeletes } from '../file/delete-writer.ts'
import type { FileIO } from '../file/file.ts'
import { readManifestList } from '../file/manifest-list.ts'
import { type SnapshotFilesRequest, writeSnapshotFiles } from '../file/snapshot-files.ts'
import type { DataFile } from '../spec/manifest.ts'
import type { Schema, TableMetadata } from '../spec/table-metadata.ts'
import { isMissingFile } from './missing-file.ts'
import { planScan, type ScanRequest } from './plan.ts'
import { type ScanRelationOptions, scanRelation } from './relation.ts'

const schema = schemaOf([
  ['id', 'long', true],
  ['g', 'string'],
  ['n', 'int'],
])
const flat = specOf(0, [])
const byGroup = specOf(1, [[2, 'identity']])
let duck: Duck
let session: DuckSession
let io: FileIO
let close: () => Promise<void>
let metadata: TableMetadata
let lastId = 0n

before(async () => {
  duck = await Duck.open({ memoryMiB: 512, threads: 2 })
  session = await duck.connect()
  ;({ io, close } = await tempIo('file:///w'))
})
after(async () => {
  session.close()
  duck.close()
  await close()
})
beforeEach(() => {
  metadata = metadataOf(schema, [flat, byGroup])
})

async function commit(change: Partial<SnapshotFilesRequest>): Promise<void> {
  lastId += 1n
  const { manifestList } = await writeSnapshotFiles(io, {
    metadata,
    snapshotId: lastId,
    sequenceNumber: metadata['last-sequence-number'] + 1,
    addedDataFiles: [],
    addedDeleteFiles: [],
    removedPaths: new Set(),
    mergeCount: 100,
    manifestBytesTarget: 4_000_000,
    nowMs: 0,
    ...change,
  })
  metadata = withSnapshot(metadata, lastId, manifestList)
}

function insert(
  relationSql: string,
  spec = flat,
  wanted: Schema = schema,
  rowsPerFileMax?: number,
): Promise<DataFile[]> {
  const bound = rowsPerFileMax === undefined ? {} : { rowGroupRows: 2048, rowsPerFileMax }
  return writeDataFiles(session, io, {
    relationSql,
    schema: wanted,
    spec,
    location: metadata.location,
    nowMs: 0,
    ...bound,
  })
}

function marks(relationSql: string, files: readonly DataFile[]): Promise<DataFile[]> {
  const dataFiles = new Map(files.map((file) => [file.filePath, file]))
  const { schemas, 'partition-specs': specs, location } = metadata
  return writePositionDeletes(session, io, { relationSql, dataFiles, schema: schemas[0]!, specs, location, nowMs: 0 })
}

async function select(sql: string, request: ScanRequest = {}, options: ScanRelationOptions = {}): Promise<unknown[][]> {
  const relation = await scanRelation(session, io, await planScan(io, metadata, request), options)
  const rows = await session.rows(sql.replace('$t', () => `(${relation.sql})`))
  return rows.map((row) => Object.values(row).map((value) => (typeof value === 'bigint' ? Number(value) : value)))
}

test('a table without rows is an empty relation of the right types', async () => {
  const types = await select('SELECT column_name, column_type FROM (DESCRIBE FROM $t)', {}, { withPosition: true })
  const wanted = [
    ['id', 'BIGINT'],
    ['g', 'VARCHAR'],
    ['n', 'INTEGER'],
    ['_file', 'VARCHAR'],
    ['_pos', 'BIGINT'],
  ]
  assert.deepEqual(types, wanted)
  const [[numbered]] = (await select(
    'SELECT typeof(_file) FROM (SELECT NULL) LEFT JOIN $t ON true',
    {},
    { withPosition: true, fileIds: new Map() },
  )) as [[string]]
  assert.equal(numbered, 'INTEGER')
  await commit({ addedDataFiles: await insert("SELECT 1 AS id, 'x' AS g, 2 AS n") })
  assert.deepEqual(
    await select('SELECT column_name, column_type FROM (DESCRIBE FROM $t)', {}, { withPosition: true }),
    wanted,
  )
  const chosen = await select('FROM $t', {}, { columns: ['n', 'ID'] })
  assert.deepEqual(chosen, [[2, 1]])
  await assert.rejects(select('FROM $t', {}, { columns: ['nope'] }), (error) => isFault(error, 'invalid'))
})

test('marked positions are gone, in files with many, few and no marks, and positions name the rows left', async () => {
  const rows = "SELECT i AS id, 'g' || (i % 3) AS g, i::INTEGER AS n FROM range(10000) t(i)"
  const files = await insert(rows, flat, schema, 4096)
  assert.equal(files.length, 3)
  await commit({ addedDataFiles: files })
  const first = literal(files[0]!.filePath)
  const second = literal(files[1]!.filePath)
  await commit({
    addedDeleteFiles: await marks(
      `SELECT ${first} AS file_path, i AS pos FROM range(4096) t(i) WHERE i % 2 = 0`,
      files,
    ),
  })
  await commit({
    addedDeleteFiles: await marks(`SELECT ${second} AS file_path, 4095 AS pos UNION ALL SELECT ${first}, 1`, files),
  })
  const live = 'i >= 4096 AND i <> 8191 OR i < 4096 AND i % 2 = 1 AND i <> 1'
  const [[wrong]] = (await select(
    `SELECT count(*) FROM (SELECT id FROM $t) FULL JOIN (SELECT i FROM range(10000) t(i) WHERE ${live}) ON id = i WHERE id IS NULL OR i IS NULL`,
  )) as [[number]]
  assert.equal(wrong, 0)
  const found = await select(
    'SELECT id, _file, _pos FROM $t WHERE id IN (3, 4095, 4096, 9999) ORDER BY id',
    {},
    { withPosition: true, columns: ['id'] },
  )
  assert.deepEqual(found, [
    [3, files[0]!.filePath, 3],
    [4095, files[0]!.filePath, 4095],
    [4096, files[1]!.filePath, 0],
    [9999, files[2]!.filePath, 9999 - 8192],
  ])
  const fileIds = new Map(files.map((file, at) => [file.filePath, 70 + at]))
  const numbered = await select(
    'SELECT id, _file, _pos, typeof(_file) FROM $t WHERE id IN (3, 4095, 4096, 9999) ORDER BY id',
    {},
    { withPosition: true, fileIds, columns: ['id'] },
  )
  assert.deepEqual(
    numbered,
    found.map(([id, file, pos]) => [id, fileIds.get(String(file)), pos, 'INTEGER']),
  )
  const plan = await planScan(io, metadata)
  const deletesOf = (file: DataFile) => plan.tasks.find((task) => task.file.filePath === file.filePath)!.deletes.length
  assert.deepEqual([deletesOf(files[0]!), deletesOf(files[1]!)], [2, 1])
  // Names are random: the path of the third may lie between those of a delete file.
  assert.ok(deletesOf(files[2]!) <= 1)
})

test('marks apply to files of their partition that are not newer, and to paths letter by letter', async () => {
  const rows = (id: number, g: string) => `SELECT ${id} AS id, '${g}' AS g, 0 AS n`
  const [x] = await insert(rows(1, 'x'), byGroup)
  const [y] = await insert(rows(2, 'y'), byGroup)
  await commit({ addedDataFiles: [x!, y!] })
  const marked = async (path: string, partition: DataFile): Promise<DataFile> => {
    const [file] = await marks(`SELECT ${literal(path)} AS file_path, 0 AS pos`, [{ ...partition, filePath: path }])
    return file!
  }
  const ids = async () => (await select('SELECT id FROM $t ORDER BY id')).flat()
  const start = metadata
  const cases: [what: string, deletes: DataFile, left: number[]][] = [
    ['its own', await marked(x!.filePath, x!), [2]],
    ['another partition', await marked(x!.filePath, y!), [1, 2]],
    ['the same file by another text', await marked(x!.filePath.replace('file:///', 'file:/'), x!), [1, 2]],
    ['bounds unknown', { ...(await marked(x!.filePath, x!)), lowerBounds: new Map(), upperBounds: new Map() }, [2]],
  ]
  for (const [what, file, left] of cases) {
    metadata = start
    const { referencedDataFile, ...unnamed } = file
    for (const deletes of [file, unnamed]) {
      metadata = start
      await commit({ addedDeleteFiles: [deletes] })
      assert.deepEqual(await ids(), left, `${what}, ${referencedDataFile}`)
    }
  }
  metadata = { ...start, snapshots: [], 'last-sequence-number': 0 }
  delete metadata['current-snapshot-id']
  await commit({ addedDeleteFiles: [await marked(x!.filePath, x!)] })
  await commit({ addedDataFiles: [x!] })
  assert.deepEqual(await ids(), [1], 'the mark is older than the file')
})

test('files and manifests that a predicate excludes are not read', async () => {
  await commit({ addedDataFiles: await insert("SELECT i AS id, 'x' AS g, 0 AS n FROM range(10) t(i)", byGroup) })
  await commit({ addedDataFiles: await insert("SELECT i AS id, 'y' AS g, 0 AS n FROM range(10, 20) t(i)", byGroup) })
  const byPartition = await planScan(io, metadata, { predicate: { op: '=', column: 'g', value: 'y' } })
  assert.deepEqual([byPartition.manifestsRead, byPartition.manifestsSkipped, byPartition.tasks.length], [1, 1, 1])
  const byBounds = await planScan(io, metadata, { predicate: { op: '>', column: 'id', value: 15 } })
  assert.deepEqual([byBounds.manifestsRead, byBounds.filesSkipped, byBounds.tasks.length], [2, 1, 1])
  assert.equal((await planScan(io, metadata)).tasks.length, 2)
})

test('columns renamed, dropped, added and promoted since are read by field id, also inside structs, lists and maps', async () => {
  const inner = (fields: [number, string, string][]) => ({
    type: 'struct' as const,
    fields: fields.map(([id, name, type]) => ({ id, name, required: false, type })),
  })
  const list = (element: ReturnType<typeof inner>) => ({
    type: 'list' as const,
    'element-id': 20,
    'element-required': false,
    element,
  })
  const map = (value: ReturnType<typeof inner>) => ({
    type: 'map' as const,
    'key-id': 21,
    key: 'string',
    'value-id': 22,
    'value-required': false,
    value,
  })
  const old = schemaOf([
    ['id', 'int'],
    ['gone', 'string'],
    [
      'st',
      inner([
        [10, 'a', 'int'],
        [11, 'b', 'string'],
      ]),
    ],
    ['ls', list(inner([[12, 'a', 'int']]))],
    ['m', map(inner([[13, 'a', 'int']]))],
  ])
  metadata = metadataOf(old, [flat])
  const rows =
    "SELECT 1 AS id, 'old' AS gone, {'a': 7, 'b': 'bee'} AS st, [{'a': 8}, NULL] AS ls, MAP {'k': {'a': 9}} AS m UNION ALL SELECT 2, NULL, NULL, NULL, NULL"
  await commit({ addedDataFiles: await insert(rows, flat, old) })
  const now: Schema = {
    type: 'struct',
    'schema-id': 1,
    fields: [
      { id: 30, name: 'gone', required: false, type: 'date' },
      { id: 1, name: 'key', required: false, type: 'long' },
      // `a` is another field than before, the old one is now `z`.
      {
        id: 3,
        name: 'st',
        required: false,
        type: inner([
          [31, 'a', 'int'],
          [10, 'z', 'long'],
          [11, 'b', 'string'],
        ]),
      },
      {
        id: 4,
        name: 'ls',
        required: false,
        type: list(
          inner([
            [12, 'z', 'int'],
            [32, 'new', 'string'],
          ]),
        ),
      },
      { id: 5, name: 'm', required: false, type: map(inner([[13, 'z', 'long']])) },
    ],
  }
  metadata = { ...metadata, schemas: [old, now], 'current-schema-id': 1 }
  const texts = await select('SELECT gone::VARCHAR, key, st::VARCHAR, ls::VARCHAR, m::VARCHAR FROM $t ORDER BY key')
  assert.deepEqual(texts, [
    [null, 1, "{'a': NULL, 'z': 7, 'b': bee}", "[{'z': 8, 'new': NULL}, NULL]", "{k={'z': 9}}"],
    [null, 2, null, null, null],
  ])
  const past = await select('SELECT gone, st.a FROM $t ORDER BY id', { snapshotId: lastId })
  assert.deepEqual(past, [
    ['old', 7],
    [null, null],
  ])
  await commit({
    addedDataFiles: await insert(
      "SELECT DATE '2024-01-01' AS gone, 3 AS key, {'a': 1, 'z': 2, 'b': 'c'} AS st, [{'z': 4, 'new': 'n'}] AS ls, MAP {'k': {'z': 5}} AS m",
      flat,
      now,
    ),
  })
  assert.deepEqual(await select("SELECT key, st.a, st.z, ls[1].z, m['k'].z FROM $t ORDER BY key"), [
    [1, null, 7, 8, 9],
    [2, null, null, null, null],
    [3, 1, 2, 4, 5],
  ])
})

test('names that DuckDB takes for one, and fixed values, are written and read', async () => {
  const odd = schemaOf([
    ['a', 'int'],
    ['A', 'int'],
    ['f', 'fixed[16]'],
    ['dot.ted "q"', 'string'],
  ])
  metadata = metadataOf(odd, [flat])
  const rows = `SELECT 1 AS a, 2 AS c2, '\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\x09\\x0A\\x0B\\x0C\\x0D\\x0E\\xFF'::BLOB AS f, 'x' AS "dot.ted ""q"""`
  await commit({ addedDataFiles: await insert(rows, flat, odd) })
  assert.deepEqual(await select('SELECT a, c2, hex(f), "dot.ted ""q""" FROM $t'), [
    [1, 2, '000102030405060708090A0B0C0D0EFF', 'x'],
  ])
})

test('a file that the snapshot names and that is gone is damage, told with table, snapshot and file', async () => {
  const files = await insert("SELECT range AS id, 'x' AS g, 1 AS n FROM range(10)")
  const deletes = await marks(`SELECT '${files[0]!.filePath}' AS file_path, 3::BIGINT AS pos`, files)
  await commit({ addedDataFiles: files, addedDeleteFiles: deletes })
  const plan = await planScan(io, metadata)
  const list = metadata.snapshots.at(-1)!['manifest-list']
  const gone = [files[0]!.filePath, deletes[0]!.filePath, (await readManifestList(io, list))[0]!.manifestPath, list]
  for (const location of gone) {
    const bytes = await io.read(location)
    await io.delete([location])
    // The plan that was made before holds no manifest: it fails only by the files that it names itself.
    const work = location.endsWith('.parquet') ? scanRelation(session, io, plan) : planScan(io, metadata)
    await assert.rejects(work, (error) => {
      assert.ok(isFault(error, 'corrupt') && isMissingFile(error), String(error))
      const name = location.slice(location.lastIndexOf('/') + 1)
      for (const told of [metadata.location, String(lastId), name])
        assert.ok(error.message.includes(told), error.message)
      return true
    })
    await io.write(location, bytes)
  }
  await assert.rejects(planScan(io, metadata, { snapshotId: 4711n }), (error) => isFault(error, 'not-found'))
})
