import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dataFile, schemaOf, specOf } from '../../../test/support/table.ts'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import { Duck, type DuckSession, literal } from '../../duck/duck.ts'
import { type FilePartition, writePositionDeletes } from './delete-writer.ts'
import type { FileIO } from './file.ts'
import { DELETE_FILE_PATH, DELETE_POS } from './position-deletes.ts'

const schema = schemaOf([['p', 'string']])
const specs = [specOf(0, []), specOf(1, [[1, 'identity']])]
const long = `file:///w/${'é'.repeat(300)}.parquet`
const dataFiles = new Map<string, FilePartition>([
  ['file:///w/a', dataFile('file:///w/a')],
  ['file:/w/b', dataFile('file:/w/b')],
  [long, dataFile(long)],
  ['x1', { specId: 1, partition: ['x'] }],
  ['x2', { specId: 1, partition: ['x'] }],
  ['y', { specId: 1, partition: ['y'] }],
  ['null', { specId: 1, partition: [null] }],
])
let duck: Duck
let session: DuckSession
let io: FileIO
let close: () => Promise<void>

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

function write(relationSql: string) {
  return writePositionDeletes(session, io, {
    relationSql,
    dataFiles,
    schema,
    specs,
    location: 'file:///w/db/t',
    nowMs: 0,
  })
}

async function rowsOf(location: string): Promise<[string, number][]> {
  const rows = await session.rows(`SELECT * FROM read_parquet(${literal(await io.localFile(location))})`)
  return rows.map((row) => [String(row['file_path']), Number(row['pos'])])
}

test('positions of one data file make one sorted file that names it, with full paths as bounds', async () => {
  const [file, ...more] = await write(`SELECT ${literal(long)} AS file_path, unnest([7, 0, 7, 3]) AS pos`)
  assert.equal(more.length, 0)
  assert.equal(file!.content, 'position-deletes')
  assert.equal(file!.recordCount, 3)
  assert.equal(file!.referencedDataFile, long)
  assert.equal(Buffer.from(file!.lowerBounds!.get(DELETE_FILE_PATH)!).toString(), long)
  assert.equal(Buffer.from(file!.upperBounds!.get(DELETE_FILE_PATH)!).toString(), long)
  assert.equal(Buffer.from(file!.upperBounds!.get(DELETE_POS)!).readBigInt64LE(), 7n)
  assert.equal(file!.sortOrderId, undefined)
  assert.deepEqual(await rowsOf(file!.filePath), [
    [long, 0],
    [long, 3],
    [long, 7],
  ])
  const local = literal(await io.localFile(file!.filePath))
  const ids = await session.rows(`SELECT name, field_id FROM parquet_schema(${local}) OFFSET 1`)
  assert.deepEqual(
    ids.map((row) => [row['name'], Number(row['field_id'])]),
    [
      ['file_path', DELETE_FILE_PATH],
      ['pos', DELETE_POS],
    ],
  )
})

test('there is one file per partition, each sorted by path and position', async () => {
  const relation = `SELECT path AS file_path, (i * 7919) % 20011 AS pos
    FROM range(20000) t(i), (SELECT unnest(['y', 'x2', 'file:/w/b', 'x1', 'file:///w/a', 'null']) AS path)`
  const files = await write(relation)
  assert.deepEqual(
    files.map((file) => [file.specId, file.partition, file.recordCount, file.referencedDataFile]).sort(),
    [
      [0, [], 40_000, undefined],
      [1, [null], 20_000, 'null'],
      [1, ['x'], 40_000, undefined],
      [1, ['y'], 20_000, 'y'],
    ],
  )
  for (const file of files) {
    const rows = await rowsOf(file.filePath)
    for (const [at, [path, pos]] of rows.entries()) {
      const [pathBefore, posBefore] = rows[at - 1] ?? ['', -1]
      assert.ok(path > pathBefore || (path === pathBefore && pos > posBefore))
    }
  }
  assert.match(
    files.find((file) => file.partition[0] === 'x')!.filePath,
    /^file:\/\/\/w\/db\/t\/data\/p0=x\/[0-9a-f-]+-deletes\.parquet$/,
  )
})

test('no rows make no file; an unknown path or a position that is none is refused', async () => {
  assert.deepEqual(await write('SELECT NULL::VARCHAR AS file_path, 0 AS pos WHERE false'), [])
  for (const row of ["'file:/w/a', 0", "'y', NULL", "'y', -1", 'NULL, 1']) {
    await assert.rejects(
      write(`SELECT * FROM (VALUES (${row})) AS t(file_path, pos)`),
      (error) => isFault(error, 'invalid'),
      row,
    )
  }
})

test('positions by file number make the same files as positions by path', async () => {
  const marks = [...dataFiles.keys()].flatMap((path, at) =>
    [5, 1, 3].map((pos) => ({ path, id: 70 - at, pos: pos * at })),
  )
  const byPath = marks.map(({ path, pos }) => `(${literal(path)}, ${pos})`).join(', ')
  const byId = marks.map(({ id, pos }) => `(${id}, ${pos})`).join(', ')
  const rows = async (files: readonly { filePath: string }[]) =>
    (await Promise.all(files.map((file) => rowsOf(file.filePath)))).toSorted()
  const expected = await rows(await write(`SELECT * FROM (VALUES ${byPath}) v(file_path, pos)`))
  const fileIds = new Map(marks.map(({ id, path }) => [id, path]))
  const request = { dataFiles, schema, specs, location: 'file:///w/db/t', nowMs: 0, fileIds }
  const relationSql = `SELECT * FROM (VALUES ${byId}) v(file, pos)`
  const numbered = await writePositionDeletes(session, io, { ...request, relationSql })
  assert.deepEqual(await rows(numbered), expected)
})
