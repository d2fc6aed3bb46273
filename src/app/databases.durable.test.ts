/**
 * What SQLite itself says of every database of a home. That a transaction which was synced survives a power failure is SQLite's own
 * affair (docs/decisions/0010); that each database asks for the syncs that its acknowledgements rest on is ours.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { withEngine } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { DatabaseSync } from '../base/sqlite.ts'

/** `PRAGMA synchronous`. */
const [NORMAL, FULL, EXTRA] = [1, 2, 3]

/** As each is left between two transactions. `streams.db` holds what may be taken again; what must not be lost it writes with FULL. */
const EXPECTED: Record<string, { journal: string; synchronous: number; commits?: number }> = {
  'catalog.db': { journal: 'delete', synchronous: EXTRA },
  'objects.db': { journal: 'wal', synchronous: FULL },
  'error-output.db': { journal: 'wal', synchronous: FULL },
  'files.db': { journal: 'wal', synchronous: FULL },
  'streams.db': { journal: 'wal', synchronous: NORMAL, commits: FULL },
}

test('every database of a home syncs what its acknowledgements rest on', async (t) => {
  const { prepare, exec } = DatabaseSync.prototype
  const pragma = (database: DatabaseSync, name: string) =>
    Object.values(prepare.call(database, `PRAGMA ${name}`).get() ?? {})[0]
  const fileOf = (database: DatabaseSync) => path.basename(database.location() ?? '')
  const open = new Set<DatabaseSync>()
  /** The greatest `synchronous` with which each ended a transaction. */
  const commits = new Map<string, number>()
  t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, sql: string) {
    open.add(this)
    return prepare.call(this, sql)
  })
  t.mock.method(DatabaseSync.prototype, 'exec', function (this: DatabaseSync, sql: string) {
    open.add(this)
    if (sql === 'COMMIT') {
      const file = fileOf(this)
      commits.set(file, Math.max(commits.get(file) ?? 0, Number(pragma(this, 'synchronous'))))
    }
    return exec.call(this, sql)
  })
  const events = { table: 'demo.events', columns: { id: 'LONG NOT NULL' }, errorOutput: { directory: 'errors' } }
  const sources = { drop: { stream: 'events', files: { directory: 'drop', quietSeconds: 0.2 } } }
  await withEngine({ streams: { events } }, async (bench) => {
    await mkdir(path.join(bench.dir, 'drop'))
    await writeFile(path.join(bench.dir, 'drop', 'one.ndjson'), '{"id":1}\n')
    await bench.restart({ streams: { events }, sources })
    await bench.engine.streams.get('events').accept(recordsOf({ id: 2 }, 'no json'))
    await bench.engine.drain()
    const found = new Map<string, { journal: unknown; synchronous: unknown }>()
    for (const database of open) {
      if (!database.isOpen || database.location()?.startsWith(bench.dir) !== true) continue
      const file = fileOf(database)
      // Connections that only read need no more than their default.
      if (prepare.call(database, 'PRAGMA query_only').get()?.['query_only'] === 1) continue
      found.set(file, { journal: pragma(database, 'journal_mode'), synchronous: pragma(database, 'synchronous') })
    }
    for (const [file, { journal, synchronous, commits: least = synchronous }] of Object.entries(EXPECTED)) {
      assert.deepEqual(found.get(file), { journal, synchronous }, file)
      if (commits.has(file))
        assert.ok(commits.get(file)! >= least, `${file} ends transactions with ${commits.get(file)}`)
    }
    assert.equal(commits.get('streams.db'), FULL)
    assert.deepEqual(
      [...found.keys()].filter((file) => file.endsWith('.db') && !(file in EXPECTED)),
      [],
    )
  })
})
