/** Files that other engines made, files locked by them, and files that are something else. */
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { appendChange, events, filesUnder, setProperty, simpleTable } from '../../../test/contract/catalog.ts'
import { isFault } from '../../base/fault.ts'
import { DatabaseSync } from '../../base/sqlite.ts'
import { openMemoryStore } from '../../store/memory.ts'
import { storeIo } from '../file/store-io.ts'
import type { Catalog } from './catalog.ts'
import { openSqliteCatalog, type SqliteCatalogOptions } from './sqlite.ts'

const warehouse = 'file:///warehouse'

/** A folder for a catalog file, `raw` for another connection to it, and a way to open catalogs on it. */
async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tidewater-catalog-'))
  const path = join(folder, 'catalog.db')
  const io = storeIo(openMemoryStore(), { root: warehouse, scratchDir: folder })
  const opened: { close(): unknown }[] = []
  t.after(async () => {
    for (const each of opened) await each.close()
    await rm(folder, { recursive: true })
  })
  const open = async (options: Partial<SqliteCatalogOptions> = {}): Promise<Catalog> => {
    const catalog = await openSqliteCatalog({ path, name: 'test', warehouse, io, ...options })
    opened.push(catalog)
    return catalog
  }
  const raw = (): DatabaseSync => {
    const database = new DatabaseSync(path)
    opened.push({ close: () => database.isOpen && database.close() })
    return database
  }
  return { folder, path, io, open, raw }
}

/** As Java's JdbcCatalog creates it unless `jdbc.schema-version=V1`. */
const layoutV0 = `
  CREATE TABLE iceberg_tables(catalog_name VARCHAR(255) NOT NULL,table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,metadata_location VARCHAR(1000),previous_metadata_location VARCHAR(1000),
    PRIMARY KEY (catalog_name, table_namespace, table_name));
  CREATE TABLE iceberg_namespace_properties(catalog_name VARCHAR(255) NOT NULL,namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255),property_value VARCHAR(1000),
    PRIMARY KEY (catalog_name, namespace, property_key))`

test('a new file has the layout that other engines read, and its rows say what they expect', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db', 'sub'], { owner: 'me' })
  const base = await catalog.create({ namespace: ['db', 'sub'], name: 'events' }, simpleTable)
  const next = await catalog.commit(base, setProperty('a', 'b'))
  const database = raw()
  const rows = (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  assert.deepEqual(rows('SELECT * FROM iceberg_tables'), [
    {
      catalog_name: 'test',
      table_namespace: 'db.sub',
      table_name: 'events',
      metadata_location: next.metadataLocation,
      previous_metadata_location: base.metadataLocation,
      iceberg_type: 'TABLE',
    },
  ])
  const property = { catalog_name: 'test', namespace: 'db.sub' }
  assert.deepEqual(rows('SELECT * FROM iceberg_namespace_properties ORDER BY property_key'), [
    { ...property, property_key: 'exists', property_value: 'true' },
    { ...property, property_key: 'owner', property_value: 'me' },
  ])
  assert.deepEqual(rows('PRAGMA journal_mode'), [{ journal_mode: 'delete' }])
})

test('a file in layout V0 is read and written, also when another engine upgrades it meanwhile', async (t) => {
  const { open, raw } = await setUp(t)
  raw().exec(layoutV0)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  let table = await catalog.create(events, simpleTable)
  table = await catalog.commit(table, appendChange(table.metadata, 1n))

  raw().exec('ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)')
  table = await catalog.commit(table, appendChange(table.metadata, 2n))
  await catalog.create({ ...events, name: 'later' }, simpleTable)
  assert.deepEqual(await catalog.load(events), table)
  assert.equal((await catalog.listTables(['db'])).length, 2)
  const types = raw().prepare('SELECT table_name, iceberg_type FROM iceberg_tables ORDER BY 1').all()
  assert.deepEqual(
    types.map((row) => ({ ...row })),
    [
      { table_name: 'events', iceberg_type: null },
      { table_name: 'later', iceberg_type: 'TABLE' },
    ],
  )
  await catalog.drop(events)
  await catalog.drop({ ...events, name: 'later' })
  assert.deepEqual(await catalog.listTables(['db']), [])
})

test('views are no tables, but their names are taken', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  raw().exec("INSERT INTO iceberg_tables VALUES ('test', 'db', 'events', 'file:///v.json', NULL, 'VIEW')")
  assert.deepEqual(await catalog.listTables(['db']), [])
  await assert.rejects(catalog.load(events), (error) => isFault(error, 'not-found'))
  await assert.rejects(catalog.drop(events), (error) => isFault(error, 'not-found'))
  await assert.rejects(catalog.rename(events, { ...events, name: 'x' }), (error) => isFault(error, 'not-found'))
  await assert.rejects(catalog.create(events, simpleTable), (error) => isFault(error, 'conflict'))
  const other = { ...events, name: 'other' }
  await catalog.create(other, simpleTable)
  await assert.rejects(catalog.rename(other, events), (error) => isFault(error, 'conflict'))
})

test('namespaces exist by their tables and properties too, and only under this catalog’s name', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  raw().exec(`
    INSERT INTO iceberg_tables VALUES ('test', 'by.table', 't', 'file:///t.json', NULL, NULL);
    INSERT INTO iceberg_namespace_properties VALUES ('test', 'by_property', 'comment', 'x');
    INSERT INTO iceberg_namespace_properties VALUES ('other', 'foreign', 'exists', 'true')`)
  assert.deepEqual(await catalog.listNamespaces(), [['by'], ['by', 'table'], ['by_property']])
  assert.deepEqual(await (await open({ name: 'other' })).listNamespaces(), [['foreign']])
  await assert.rejects((await open({ name: 'other' })).load({ namespace: ['by', 'table'], name: 't' }), (error) =>
    isFault(error, 'not-found'),
  )
  // The pattern characters of LIKE are letters like others.
  await assert.rejects(catalog.listTables(['by%']), (error) => isFault(error, 'not-found'))
})

test('a row without a file, and a file that is not there, are fault corrupt and say so', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  raw().exec(`
    INSERT INTO iceberg_tables VALUES ('test', 'db', 'null', NULL, NULL, 'TABLE');
    INSERT INTO iceberg_tables VALUES ('test', 'db', 'gone', '${warehouse}/gone.metadata.json', NULL, 'TABLE')`)
  await assert.rejects(catalog.load({ ...events, name: 'null' }), (error) => isFault(error, 'corrupt'))
  await assert.rejects(catalog.load({ ...events, name: 'gone' }), (error) => isFault(error, 'corrupt'))
})

test('a file locked for a while is waited for, and the process goes on meanwhile', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  const other = raw()
  other.exec('BEGIN EXCLUSIVE')
  let ticks = 0
  const ticking = setInterval(() => ticks++, 5)
  setTimeout(() => other.exec('COMMIT'), 400)
  const next = await catalog.commit(base, appendChange(base.metadata, 1n))
  clearInterval(ticking)
  assert.ok(ticks >= 10, `the process was held up: ${ticks} ticks`)
  assert.deepEqual(await catalog.load(events), next)
})

test('a reader in the middle of a read delays a commit but does not break it', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  const other = raw()
  other.exec('BEGIN')
  other.prepare('SELECT count(*) FROM iceberg_tables').get()
  setTimeout(() => other.exec('COMMIT'), 200)
  const next = await catalog.commit(base, appendChange(base.metadata, 1n))
  assert.deepEqual(await catalog.load(events), next)
})

test('a file locked for too long is fault unavailable, nothing is changed, and no file stays behind', async (t) => {
  const { open, raw, io } = await setUp(t)
  const catalog = await open({ busyMs: 60 })
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  const files = await filesUnder(io, warehouse)
  const other = raw()
  // A reader holds the file: everything up to the commit itself goes well.
  other.exec('BEGIN')
  other.prepare('SELECT count(*) FROM iceberg_tables').get()
  await assert.rejects(catalog.commit(base, setProperty('a', 'b')), (error) => isFault(error, 'unavailable'))
  other.exec('COMMIT')
  other.exec('BEGIN EXCLUSIVE')
  for (const work of [() => catalog.load(events), () => catalog.createNamespace(['x']), () => open({ busyMs: 30 })]) {
    await assert.rejects(work, (error) => isFault(error, 'unavailable') && /locked/.test(error.message))
  }
  other.exec('COMMIT')
  assert.deepEqual(await catalog.load(events), base)
  assert.deepEqual(await filesUnder(io, warehouse), files)
  await catalog.commit(base, setProperty('a', 'b'))
})

test('an error after the swap took effect is looked up: the commit stands', async (t) => {
  const { open, raw } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  // FAIL keeps what the statement has done so far.
  raw().exec("CREATE TRIGGER t AFTER UPDATE ON iceberg_tables BEGIN SELECT RAISE(FAIL, 'disk on fire'); END")
  const next = await catalog.commit(base, appendChange(base.metadata, 1n))
  assert.deepEqual(await catalog.load(events), next)
  assert.equal(next.metadata.snapshots.length, 1)
})

test('an error that undid the swap is looked up: fault unavailable, and the new file goes', async (t) => {
  const { open, raw, io } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  raw().exec("CREATE TRIGGER t AFTER UPDATE ON iceberg_tables BEGIN SELECT RAISE(ABORT, 'disk on fire'); END")
  await assert.rejects(
    catalog.commit(base, setProperty('a', 'b')),
    (error) => isFault(error, 'unavailable') && /disk on fire/.test(error.message),
  )
  assert.deepEqual(await catalog.load(events), base)
  assert.deepEqual(await filesUnder(io, warehouse), [base.metadataLocation])
})

test('what is no SQLite file is fault corrupt, what cannot be opened unavailable', async (t) => {
  const { open, folder, path } = await setUp(t)
  await writeFile(path, 'certainly not a database, and long enough to have a header of its own'.repeat(20))
  await assert.rejects(open(), (error) => isFault(error, 'corrupt'))
  await mkdir(join(folder, 'folder'))
  await assert.rejects(open({ path: join(folder, 'folder') }), (error) => isFault(error, 'unavailable'))
  await assert.rejects(open({ path: join(folder, 'none', 'x.db') }), (error) => isFault(error, 'unavailable'))
})

test('a file that may only be read can be read', async (t) => {
  const { open, path } = await setUp(t)
  const catalog = await open()
  await catalog.createNamespace(['db'])
  const base = await catalog.create(events, simpleTable)
  await catalog.close()
  if (process.getuid?.() === 0) {
    t.skip('root may write every file')
    return
  }
  await chmod(path, 0o444)
  const reader = await open()
  assert.deepEqual(await reader.load(events), base)
  await assert.rejects(reader.commit(base, setProperty('a', 'b')), (error) => isFault(error, 'unavailable'))
})
