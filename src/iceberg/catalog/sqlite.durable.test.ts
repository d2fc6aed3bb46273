/** What SQLite itself says of the connection by which a catalog commits: an acknowledged commit survives a power failure. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DatabaseSync } from '../../base/sqlite.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { storeIo } from '../file/store-io.ts'
import { openSqliteCatalog } from './sqlite.ts'

/** `PRAGMA synchronous`: the journal is synced, and the folder after its end was removed. */
const EXTRA = 3

test('every connection of a catalog syncs the journal and its folder before a commit is acknowledged', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-catalog-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const connections = new Set<DatabaseSync>()
  const { prepare } = DatabaseSync.prototype
  t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, sql: string) {
    connections.add(this)
    return prepare.call(this, sql)
  })
  const io = storeIo(openMemoryStore(), { root: 'file:///warehouse', scratchDir: folder })
  const catalog = await openSqliteCatalog({
    path: join(folder, 'catalog.db'),
    name: 'test',
    warehouse: 'file:///warehouse',
    io,
  })
  t.after(() => catalog.close())
  await catalog.createNamespace(['db'])
  assert.ok(connections.size > 0)
  for (const connection of [...connections]) {
    assert.deepEqual({ ...prepare.call(connection, 'PRAGMA synchronous').get() }, { synchronous: EXTRA })
    assert.deepEqual({ ...prepare.call(connection, 'PRAGMA journal_mode').get() }, { journal_mode: 'delete' })
  }
})
