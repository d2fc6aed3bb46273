/** Several processes on one catalog file: no commit lost, none twice, killed at any moment or not. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { events, filesUnder, simpleTable } from '../../../test/contract/catalog.ts'
import { openFileStore } from '../../store/file.ts'
import { storeIo } from '../file/store-io.ts'
import type { LoadedTable } from './catalog.ts'
import { commitIdProperty } from './commit.ts'
import { openSqliteCatalog } from './sqlite.ts'

async function openCatalog(folder: string) {
  const store = await openFileStore({ root: join(folder, 'warehouse'), create: true })
  const warehouse = pathToFileURL(store.root).href
  const io = storeIo(store, { root: warehouse, scratchDir: join(folder, 'scratch') })
  return {
    io,
    warehouse,
    catalog: await openSqliteCatalog({ path: join(folder, 'catalog.db'), name: 'test', warehouse, io }),
  }
}

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-catalog-'))
  const opened = await openCatalog(folder)
  t.after(async () => {
    await opened.catalog.close()
    await rm(folder, { recursive: true })
  })
  await opened.catalog.createNamespace(['db'])
  await opened.catalog.create(events, simpleTable)
  return { folder, ...opened }
}

/** A process that commits ids `first`, `first + 1`, … and prints each with its outcome when it is acknowledged. */
function spawnCommitter(folder: string, first: number, count: number): ChildProcess {
  const source = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href)
  const script = `
    import { openFileStore } from ${source('../../store/file.ts')}
    import { storeIo } from ${source('../file/store-io.ts')}
    import { systemClock } from ${source('../../base/clock.ts')}
    import { openSqliteCatalog } from ${source('sqlite.ts')}
    import { commitChange, commitIdProperty } from ${source('commit.ts')}
    import { appendChange, events } from ${source('../../../test/contract/catalog.ts')}
    const [folder, warehouse] = ${JSON.stringify([folder, pathToFileURL(join(folder, 'warehouse')).href])}
    const store = await openFileStore({ root: folder + '/warehouse' })
    const io = storeIo(store, { root: warehouse, scratchDir: folder + '/scratch' })
    const catalog = await openSqliteCatalog({ path: folder + '/catalog.db', name: 'test', warehouse, io })
    for (let id = ${first}; id < ${first + count}; id++) {
      const commitId = 'commit-' + id
      const { outcome } = await commitChange(catalog, events, {
        commitId,
        clock: systemClock,
        attemptsMax: 1000,
        plan: async ({ metadata }) => appendChange(metadata, BigInt(id), { [commitIdProperty]: commitId }),
      })
      process.stdout.write(id + ' ' + outcome + '\\n')
    }
    await catalog.close()`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Collects the lines a process prints: `[id, outcome]`. */
function acknowledged(child: ChildProcess): { lines: () => string[][] } {
  let output = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  return {
    lines: () =>
      output
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split(' ')),
  }
}

/** The snapshots form one chain, numbered without gaps, each commit id once. Returns their ids. */
function checkChain({ metadata }: LoadedTable): number[] {
  const { snapshots } = metadata
  for (const [i, snapshot] of snapshots.entries()) {
    assert.equal(snapshot['sequence-number'], i + 1)
    assert.equal(snapshot['parent-snapshot-id'], snapshots[i - 1]?.['snapshot-id'])
    assert.equal(snapshot.summary[commitIdProperty], `commit-${snapshot['snapshot-id']}`)
  }
  const ids = snapshots.map((snapshot) => Number(snapshot['snapshot-id']))
  assert.equal(new Set(ids).size, ids.length)
  assert.equal(metadata['last-sequence-number'], ids.length)
  return ids
}

test('of two processes that commit to one table each loses races and neither loses a commit', async (t) => {
  const { folder, catalog, io, warehouse } = await setUp(t)
  const count = 25
  const children = [1000, 2000].map((first) => spawnCommitter(folder, first, count))
  const outputs = children.map(acknowledged)
  for (const [code] of await Promise.all(children.map((child) => once(child, 'close')))) assert.equal(code, 0)
  const ids = checkChain(await catalog.load(events))
  const expected = [1000, 2000].flatMap((first) => Array.from({ length: count }, (_, i) => first + i))
  assert.deepEqual(ids.toSorted(), expected)
  assert.deepEqual(
    outputs.flatMap(({ lines }) => lines()),
    expected.map((id) => [String(id), 'committed']),
  )
  // Files of lost races are gone: one is left for each commit, and that of the creation.
  const files = await filesUnder(io, warehouse)
  assert.equal(files.length, 2 * count + 1)
})

test('a process killed at any moment leaves the table whole; what it acknowledged is there, and goes on after it', async (t) => {
  const { folder, catalog } = await setUp(t)
  for (let round = 1; round <= 4; round++) {
    const first = round * 1000
    const child = spawnCommitter(folder, first, 1000)
    const output = acknowledged(child)
    while (output.lines().length < 3 * round) await new Promise((resolve) => setTimeout(resolve, 1))
    child.kill('SIGKILL')
    await once(child, 'close')

    const mine = checkChain(await catalog.load(events)).filter((id) => id >= first)
    const told = output.lines().map(([id]) => Number(id))
    assert.deepEqual(mine.slice(0, told.length), told)
    // At most the one in flight besides.
    assert.ok(mine.length - told.length <= 1, `${mine.length} committed, ${told.length} acknowledged`)

    // The same ids again: found or committed, never twice.
    const again = spawnCommitter(folder, first, mine.length + 1)
    const outcomes = acknowledged(again)
    assert.deepEqual((await once(again, 'close'))[0], 0)
    const expected = [...mine.map((id) => [String(id), 'found']), [String(first + mine.length), 'committed']]
    assert.deepEqual(outcomes.lines(), expected)
  }
})
