import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simpleTable } from '../../../test/contract/catalog.ts'
import { limits } from '../../base/limits.ts'
import { newTableMetadata } from '../spec/create.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'
import { droppedFromLog, MetadataTrim } from './metadata-trim.ts'

const folder = 'file:///w/t/metadata'

/** The i-th file was written at (i + 1) seconds, the table's own at `lastMs`. */
function withLog(lastMs: number, ...locations: string[]): TableMetadata {
  const metadata = newTableMetadata({ ...simpleTable, location: 'file:///w/t', uuid: 'u', nowMs: lastMs })
  const log = locations.map((location, i) => ({ 'metadata-file': location, 'timestamp-ms': (i + 1) * 1000 }))
  return { ...metadata, 'metadata-log': log }
}

test('files that fell out of the log are those of the table’s own folder, however spelt, that the new log lacks', () => {
  const [a, b, c, d] = [`${folder}/a`, 'file:/w/t/metadata/b', `${folder}/c`, 'file:/w/t/metadata/d']
  const base = withLog(9000, a, b, 'file:///w/other/metadata/e', c, d, `${folder}/below/f`)
  const next = withLog(10_000, `${folder}/d`, `${folder}/base`)
  assert.deepEqual(droppedFromLog(base, next, `${folder}/next`), [
    { location: a, replacedMs: 2000 },
    { location: b, replacedMs: 3000 },
    { location: c, replacedMs: 5000 },
  ])
  assert.deepEqual(droppedFromLog(withLog(9000, a), withLog(10_000), `${folder}/next`), [
    { location: a, replacedMs: 9000 },
  ])
})

test('a file goes when it was replaced long enough ago, and waits for a later commit until then', () => {
  const trim = new MetadataTrim(100)
  assert.deepEqual(
    trim.due(
      [
        { location: 'a', replacedMs: 1000 },
        { location: 'b', replacedMs: 1050 },
      ],
      1099,
    ),
    [],
  )
  assert.deepEqual(trim.due([{ location: 'old', replacedMs: 1 }], 1100), ['a', 'old'])
  assert.deepEqual(trim.due([], 1149), [])
  assert.deepEqual(trim.due([], 1150), ['b'])
  assert.deepEqual(trim.due([], 9999), [])
})

test('so many wait and no more', () => {
  const trim = new MetadataTrim(100)
  const files = Array.from({ length: limits.metadataTrimWaitingMax + 5 }, (_, i) => ({
    location: `${i}`,
    replacedMs: 0,
  }))
  trim.due(files, 0)
  const due = trim.due([], 100)
  assert.equal(due.length, limits.metadataTrimWaitingMax)
  assert.equal(due[0], '5')
})
