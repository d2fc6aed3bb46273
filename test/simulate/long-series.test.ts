/**
 * A long series of tiny keyed commits with upkeep between them: what a commit has to go through stays bounded. Counts, not time:
 * files and manifests in the snapshot, snapshots and bytes of the table's metadata, what lies in storage, rows of the row index.
 */
import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { must } from '../../src/base/assert.ts'
import { readManifestList } from '../../src/iceberg/file/manifest-list.ts'
import type { TableBounds } from '../../src/table/bounds.ts'
import type { TableWriter } from '../../src/table/writer.ts'
import { schemaOf } from '../support/table.ts'
import { type Change, openTableBench, type TableBench, upkeep } from '../support/table-bench.ts'

/** `TIDEWATER_COMMITS=n` makes another number of them, under the bounds that a process has. */
const asked = process.env['TIDEWATER_COMMITS']
const COMMITS = asked === undefined ? 400 : Number(asked)
/** Lowered so that everything comes round as often as in thousands of commits. */
const BOUNDS: Partial<TableBounds> =
  asked === undefined ? { filesPerStep: 3, manifestsMergeCount: 8, snapshotsKeptMax: 40, indexDeltaRowsMax: 100 } : {}
/** Enough to see that all of it grows. */
const COMMITS_UNKEPT = 90
const LOOKS = 60
const KEYS = 200

const definition = {
  ident: { namespace: ['db'], name: 'series' },
  mode: 'upsert' as const,
  key: ['id'],
  schema: {
    ...schemaOf([
      ['id', 'long', true],
      ['text', 'string'],
    ]),
    'identifier-field-ids': [1],
  },
}

/** What a commit and a reader have to go through. */
interface Size {
  manifests: number
  dataFiles: number
  deleteFiles: number
  snapshots: number
  metadataBytes: number
  /** In the table's folders. */
  files: number
  indexRows: number
  indexFiles: number
  indexDeletes: number
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
}

async function sizeOf(bench: TableBench, writer: TableWriter): Promise<Size> {
  const { metadata, metadataLocation } = await writer.load()
  const summary = must(
    metadata.snapshots.find((snapshot) => snapshot['snapshot-id'] === metadata['current-snapshot-id']),
    'the current snapshot',
  )
  const { index, session } = must(writer.indexContext, 'the row index')
  const count = async (relation: string) =>
    Number((await session.rows(`SELECT count(*) AS n FROM ${relation}`))[0]!['n'])
  return {
    manifests: (await readManifestList(bench.io, summary['manifest-list'] ?? '')).length,
    dataFiles: Number(summary.summary['total-data-files']),
    deleteFiles: Number(summary.summary['total-delete-files']),
    snapshots: metadata.snapshots.length,
    metadataBytes: (await stat(new URL(metadataLocation))).size,
    files: (await filesBelow(path.join(bench.dir, 'warehouse'))).length,
    indexRows: (await count(index.name('base'))) + (await count(index.name('delta'))),
    indexFiles: await count(index.name('files')),
    indexDeletes: await count(index.name('delete_files')),
  }
}

/** @throws AssertionError when something grows, or the table is not what was written */
async function series(commits: number, keep: (writer: TableWriter) => Promise<unknown>): Promise<void> {
  const bench = await openTableBench()
  try {
    const writer = await bench.openWriter(definition, BOUNDS)
    const rows = new Map<number, string>()
    const sizes: Size[] = []
    const lookEvery = Math.ceil(commits / LOOKS)
    for (let commit = 1; commit <= commits; commit++) {
      const changes = [0, 1, 2].map((at): Change => {
        const id = (commit * 7 + at * 131) % KEYS
        if ((commit + at) % 11 === 0) {
          rows.delete(id)
          return { op: 'delete', row: { id } }
        }
        rows.set(id, `${commit}`)
        return { op: 'upsert', row: { id, text: `${commit}` } }
      })
      await bench.append(changes)
      await bench.commitAll(writer)
      await bench.log.trim(await writer.committedOffset())
      await keep(writer)
      if (commit % lookEvery === 0) sizes.push(await sizeOf(bench, writer))
    }
    const read = await bench.rows(await writer.load(), 'id, text')
    assert.deepEqual(new Map(read.map(({ id, text }) => [Number(id), String(text)])), rows)
    assertBounded(sizes, writer.bounds)
    await writer.close()
  } finally {
    await bench.close()
  }
}

function assertBounded(sizes: readonly Size[], { snapshotsKeptMax, manifestsMergeCount }: TableBounds): void {
  // The first third fills up to the bounds; what stays in them does not grow from the second to the last.
  const third = Math.floor(sizes.length / 3)
  const grown = (Object.keys(sizes[0]!) as (keyof Size)[]).flatMap((what) => {
    const most = (part: readonly Size[]) => Math.max(...part.map((size) => size[what]))
    const [second, last] = [most(sizes.slice(third, 2 * third)), most(sizes.slice(2 * third))]
    return last <= second * 1.2 + 2 ? [] : [`${what}: at most ${second} in the second third, ${last} in the last`]
  })
  assert.deepEqual(grown, [])
  for (const { snapshots, manifests } of sizes) {
    assert.ok(snapshots <= snapshotsKeptMax * 1.2 + 2, `${snapshots} snapshots`)
    assert.ok(manifests <= manifestsMergeCount + 2, `${manifests} manifests`)
  }
}

test(`${COMMITS} commits of a few rows leave no more behind than a third of them did`, () => series(COMMITS, upkeep))

test('it can fail: without upkeep files, their snapshots and what the index knows of them grow', {
  skip: asked !== undefined && 'another number of commits was asked for',
}, async () => {
  const kept = async () => {}
  await assert.rejects(series(COMMITS_UNKEPT, kept), (error) => {
    assert.ok(error instanceof assert.AssertionError)
    for (const what of [
      'dataFiles',
      'deleteFiles',
      'snapshots',
      'metadataBytes',
      'files',
      'indexFiles',
      'indexDeletes',
    ])
      assert.match(error.message, new RegExp(`${what}: at most`))
    return true
  })
})
