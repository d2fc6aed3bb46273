/** What the catalogs do beside the contract: old files, readers that come late, faults of the file system. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { events, filesUnder, setProperty, simpleTable } from '../../../test/contract/catalog.ts'
import { systemClock } from '../../base/clock.ts'
import { Fault, isFault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { storeIo } from '../file/store-io.ts'
import { openMemoryCatalog, type RowsOperation } from './memory.ts'
import { PointerCatalog } from './pointer-catalog.ts'
import type { Rows } from './rows.ts'

const warehouse = 'file:///warehouse'

/** A catalog whose clock, statements and files are in the test's hands. */
async function setUp() {
  const time = { nowMs: 1_700_000_000_000 }
  const control: { on: (operation: RowsOperation, when: 'before' | 'after') => void | Promise<void> } = {
    on: () => undefined,
  }
  const io = storeIo(openMemoryStore(), { root: warehouse, scratchDir: '/nowhere' })
  const clock = { nowMs: () => time.nowMs, sleep: () => assert.fail('no reason to wait') }
  const catalog = openMemoryCatalog({ io, warehouse, clock, onStatement: (...args) => control.on(...args) })
  await catalog.createNamespace(['db'])
  const table = await catalog.create(events, simpleTable)
  return { time, control, io, catalog, table }
}

test('a metadata file out of the log stays for a while, for those about to open it', async () => {
  const { time, io, catalog, table } = await setUp()
  let now = await catalog.commit(table, setProperty('write.metadata.previous-versions-max', '1'))
  for (let i = 0; i < 3; i++) now = await catalog.commit(now, setProperty('i', String(i)))
  assert.equal((await filesUnder(io, warehouse)).length, 5)
  time.nowMs += limits.metadataGraceMs
  const later = await catalog.commit(now, setProperty('i', 'later'))
  assert.deepEqual(await filesUnder(io, warehouse), [now.metadataLocation, later.metadataLocation].sort())
})

/** Rows that answer `get` with these locations in turn, the last one for ever. */
function pointingTo(...locations: string[]): Rows {
  const unused = () => assert.fail('not asked for')
  return {
    namespaces: unused,
    insertNamespace: unused,
    deleteNamespace: unused,
    tables: unused,
    get: async () => (locations.length > 1 ? locations.shift()! : locations[0]!),
    insert: unused,
    swap: unused,
    delete: unused,
    rename: unused,
    close: unused,
  }
}

test('a load follows the pointer when the file it was about to read has gone', async () => {
  const { io, table } = await setUp()
  const open = (...locations: string[]) =>
    new PointerCatalog({
      name: 'n',
      warehouse,
      io,
      clock: systemClock,
      rows: pointingTo(...locations),
      metadataGraceMs: 0,
    })
  const gone = (i: number) => `${warehouse}/db/events/metadata/gone-${i}.metadata.json`
  assert.deepEqual(await open(gone(1), gone(2), table.metadataLocation).load(events), table)
  await assert.rejects(open(gone(1), gone(2)).load(events), (error) => isFault(error, 'corrupt'))
  await assert.rejects(open(...Array.from({ length: 100 }, (_, i) => gone(i))).load(events), (error) =>
    isFault(error, 'corrupt'),
  )
})

test('a commit stands when old files cannot be removed, and a lost one is still fault conflict', async () => {
  const { time, io, catalog, table } = await setUp()
  io.delete = async () => {
    throw new Fault('unavailable', 'the store is down')
  }
  let now = await catalog.commit(table, setProperty('write.metadata.previous-versions-max', '1'))
  now = await catalog.commit(now, setProperty('i', '1'))
  time.nowMs += limits.metadataGraceMs
  now = await catalog.commit(now, setProperty('i', '2'))
  assert.deepEqual(await catalog.load(events), now)
  const both = await Promise.allSettled([1, 2].map((i) => catalog.commit(now, setProperty('race', String(i)))))
  assert.deepEqual(both.map((result) => result.status).sort(), ['fulfilled', 'rejected'])
  for (const result of both) if (result.status === 'rejected') assert.ok(isFault(result.reason, 'conflict'))
})

test('when the metadata file cannot be written nothing is committed', async () => {
  const { io, catalog, table } = await setUp()
  const write = io.write
  io.write = async () => {
    throw new Fault('unavailable', 'the disk is full')
  }
  await assert.rejects(catalog.commit(table, setProperty('a', 'b')), (error) => isFault(error, 'unavailable'))
  await assert.rejects(catalog.create({ ...events, name: 'x' }, simpleTable), (error) => isFault(error, 'unavailable'))
  io.write = write
  assert.deepEqual(await catalog.load(events), table)
  assert.equal((await catalog.listTables(['db'])).length, 1)
})

test('a creation whose reply is lost and that cannot be looked up is unknown, and keeps its file', async () => {
  const { control, io, catalog, table } = await setUp()
  let isLost = false
  control.on = (operation, when) => {
    if (operation === 'insert' && when === 'after') {
      isLost = true
      throw new Fault('commit-unknown', 'the reply was lost')
    }
    if (operation === 'get' && isLost) throw new Fault('unavailable', 'the file is locked')
  }
  const made = { ...events, name: 'made' }
  await assert.rejects(catalog.create(made, simpleTable), (error) => isFault(error, 'commit-unknown'))
  isLost = false
  const { metadataLocation } = await catalog.load(made)
  assert.deepEqual(await filesUnder(io, warehouse), [metadataLocation, table.metadataLocation].sort())
})

test('a creation whose reply is lost stands if it took effect, and leaves nothing if it did not', async () => {
  const { control, io, catalog, table } = await setUp()
  const lose = (lost: 'before' | 'after') => {
    control.on = (operation, when) => {
      if (operation === 'insert' && when === lost) throw new Fault('commit-unknown', 'the reply was lost')
    }
  }
  lose('after')
  const made = await catalog.create({ ...events, name: 'made' }, simpleTable)
  assert.deepEqual(await catalog.load(made.ident), made)
  lose('before')
  const none = { ...events, name: 'none' }
  await assert.rejects(catalog.create(none, simpleTable), (error) => isFault(error, 'unavailable'))
  await assert.rejects(catalog.load(none), (error) => isFault(error, 'not-found'))
  assert.deepEqual(await filesUnder(io, warehouse), [made.metadataLocation, table.metadataLocation].sort())
})
