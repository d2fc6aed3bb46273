import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ScanTask } from '../iceberg/scan/scan.ts'
import type { DataFile, Value } from '../iceberg/spec/manifest.ts'
import { boundsFor, chooseData, chooseDeletes } from './compaction-choice.ts'

const bounds = { filesPerStep: 4, targetBytes: 1e8, turnBytesMax: 1e9, turnRowsMax: 1e9, deadShare: 0.3 }

function file(filePath: string, fileSizeBytes: number, recordCount = 100, partition: Value[] = []): DataFile {
  return { content: 'data', filePath, fileFormat: 'parquet', specId: 0, partition, recordCount, fileSizeBytes }
}
const task = (name: string, bytes: number, rows?: number, partition?: Value[]): ScanTask => ({
  file: file(name, bytes, rows, partition),
  sequenceNumber: 1,
  deletes: [],
})
const names = (tasks: readonly ScanTask[] | undefined) => tasks?.map((one) => one.file.filePath)

describe('choosing data files to compact', () => {
  test('fewer files than a step holds are left alone', () => {
    assert.equal(chooseData([task('a', 1000), task('b', 1000), task('c', 1000)], null, bounds), null)
  })

  test('a file that the index does not know keeps its rows', () => {
    const live = new Map([['known', 0]])
    assert.deepEqual(names(chooseData([task('known', 1000), task('unknown', 1000)], live, bounds)?.drop), ['known'])
  })

  test('as many small files as a step holds become one', () => {
    const tasks = ['a', 'b', 'c', 'd'].map((name) => task(name, 1000))
    assert.deepEqual(names(chooseData(tasks, null, bounds)?.rewrite), ['a', 'b', 'c', 'd'])
  })

  test('small files do not drag a large one with them', () => {
    const tasks = [task('large', 50_000_000), ...['a', 'b', 'c', 'd'].map((name) => task(name, 1000))]
    assert.deepEqual(names(chooseData(tasks, null, bounds)?.rewrite), ['a', 'b', 'c', 'd'])
  })

  test('files of different partitions are never merged', () => {
    const tasks = ['a', 'b', 'c', 'd'].map((name, at) => task(name, 1000, 100, [at % 2]))
    assert.equal(chooseData(tasks, null, bounds), null)
  })

  test('full files are left alone however many there are', () => {
    assert.equal(
      chooseData(
        Array.from({ length: 10 }, (_, at) => task(`f${at}`, 2e8)),
        null,
        bounds,
      ),
      null,
    )
  })

  test('a file without a live row is taken out before anything else', () => {
    const live = new Map([
      ['dead', 0],
      ['alive', 1],
    ])
    const choice = chooseData([task('dead', 1000), task('alive', 1000)], live, bounds)
    assert.deepEqual([names(choice?.drop), names(choice?.rewrite)], [['dead'], []])
  })

  test('files whose share of dead rows passes the bound are rewritten together, before small ones are merged', () => {
    const live = new Map([
      ['a', 69],
      ['b', 50],
      ['c', 71],
    ])
    const tasks = [task('a', 1000), task('b', 1000), task('c', 1000), task('d', 1000)]
    assert.deepEqual(names(chooseData(tasks, live, bounds)?.rewrite), ['b', 'a'])
    assert.equal(chooseData([task('c', 1000)], live, bounds), null)
  })

  test('a file with dead rows is rewritten when as many delete files apply to it as the table says', () => {
    const marked = (name: string, deletes: number, partition?: Value[]) => ({
      ...task(name, 1000, 100, partition),
      deletes: Array.from({ length: deletes }, (_, at) => file(`${name}-d${at}`, 900)),
    })
    const live = new Map([
      ['worn', 99],
      ['beside', 99],
      ['whole', 100],
      ['few', 99],
    ])
    const tasks = [marked('worn', 3), marked('beside', 3, [1]), marked('whole', 9), marked('few', 2), marked('new', 3)]
    const wanted = boundsFor({ optimize_rewrite_delete_file_threshold: '3' }, { ...bounds, filesPerStep: 100 })
    assert.deepEqual(names(chooseData(tasks, live, wanted)?.rewrite), ['worn', 'new'])
    assert.deepEqual(names(chooseData(tasks, live, { ...wanted, turnRowsMax: 100 })?.rewrite), ['worn'])
    assert.equal(chooseData([marked('few', 2), marked('whole', 9)], live, wanted), null)
    assert.equal(chooseData(tasks, live, { ...boundsFor({}, bounds), filesPerStep: 100 }), null)
  })

  test('a threshold that is no whole number from 1 counts as none', () => {
    for (const value of ['', '0', '-1', '2.5', 'many', '1e3', '12345678'])
      assert.equal(boundsFor({ optimize_rewrite_delete_file_threshold: value }, bounds), bounds, value)
  })

  test('a turn rewrites no more rows than its bound', () => {
    const tasks = ['a', 'b', 'c', 'd'].map((name) => task(name, 50_000))
    const turnRowsMax = tasks[0]!.file.recordCount * 2
    assert.deepEqual(names(chooseData(tasks, null, { ...bounds, turnRowsMax })?.rewrite), ['a', 'b'])
  })

  test('a turn rewrites no more bytes than its bound', () => {
    const tasks = ['a', 'b', 'c', 'd'].map((name) => task(name, 40_000))
    assert.deepEqual(names(chooseData(tasks, null, { ...bounds, turnBytesMax: 100_000 })?.rewrite), ['a', 'b'])
  })
})

describe('choosing delete files to merge', () => {
  test('enough delete files of one step are merged, fewer are not', () => {
    const deletes = ['a', 'b', 'c', 'd'].map((name) => file(name, 900))
    assert.equal(chooseDeletes(deletes, null, bounds)?.length, 4)
    assert.equal(chooseDeletes(deletes.slice(1), null, bounds), null)
  })

  test('delete files of different partitions are never merged: they would come out as many as they went in', () => {
    const deletes = ['a', 'b', 'c', 'd'].map((name, at) => file(name, 900, 100, [at % 2]))
    assert.equal(chooseDeletes(deletes, null, bounds), null)
  })

  test('delete files most of whose marks are about rewritten files are merged before there are enough of them', () => {
    const deletes = [file('a', 900, 30_000), file('b', 900, 10_000), file('c', 900, 5_000, [1])]
    assert.deepEqual(
      chooseDeletes(deletes, 20_000, bounds)?.map(({ filePath }) => filePath),
      ['a', 'b'],
    )
    assert.equal(chooseDeletes(deletes, 40_000, bounds), null)
    assert.equal(chooseDeletes(deletes, null, bounds), null)
  })
})
