/** The contract of the catalog port: every adapter's test runs this suite. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFault } from '../../src/base/fault.ts'
import type { Catalog, CreateTable, LoadedTable, TableIdent } from '../../src/iceberg/catalog/catalog.ts'
import type { FileIO } from '../../src/iceberg/file/file.ts'
import { parseMetadata } from '../../src/iceberg/spec/metadata-json.ts'
import type { TableChange, TableMetadata } from '../../src/iceberg/spec/table-metadata.ts'

export interface CatalogUnderTest {
  /** Opened so that metadata files go as soon as they leave the log. */
  catalog: Catalog
  io: FileIO
  warehouse: string
  close(): Promise<void>
}

export const events: TableIdent = { namespace: ['db'], name: 'events' }

export const simpleTable: CreateTable = {
  schema: {
    type: 'struct',
    'schema-id': 0,
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'name', required: false, type: 'string' },
    ],
  },
}

/** A change that appends a snapshot without files, as an action would plan it. */
export function appendChange(metadata: TableMetadata, id: bigint, summary: Record<string, string> = {}): TableChange {
  const parent = metadata['current-snapshot-id']
  return {
    requirements: [
      { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
      { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': parent ?? null },
    ],
    updates: [
      {
        action: 'add-snapshot',
        snapshot: {
          'snapshot-id': id,
          ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }),
          'sequence-number': metadata['last-sequence-number'] + 1,
          'timestamp-ms': metadata['last-updated-ms'],
          'manifest-list': `${metadata.location}/metadata/snap-${id}.avro`,
          summary: { operation: 'append', ...summary },
          'schema-id': metadata['current-schema-id'],
        },
      },
      { action: 'set-snapshot-ref', 'ref-name': 'main', type: 'branch', 'snapshot-id': id },
    ],
  }
}

export function setProperty(name: string, value: string): TableChange {
  return { requirements: [], updates: [{ action: 'set-properties', updates: { [name]: value } }] }
}

const fault = (kind: Parameters<typeof isFault>[1]) => (error: unknown) => isFault(error, kind)

export async function filesUnder(io: FileIO, location: string): Promise<string[]> {
  const found: string[] = []
  for await (const file of io.list(location)) found.push(file.location)
  return found.sort()
}

/** A fresh catalog with namespace `db` and table `db.events`. */
async function withTable(catalog: Catalog): Promise<LoadedTable> {
  await catalog.createNamespace(['db'])
  return catalog.create(events, simpleTable)
}

export function catalogContract(title: string, open: () => Promise<CatalogUnderTest>): void {
  const withCatalog = (name: string, body: (under: CatalogUnderTest) => Promise<void>) =>
    test(name, async () => {
      const under = await open()
      try {
        await body(under)
      } finally {
        await under.close()
      }
    })

  describe(title, () => {
    withCatalog('namespaces are created once, listed with those above them, and in order', async ({ catalog }) => {
      assert.deepEqual(await catalog.listNamespaces(), [])
      await catalog.createNamespace(['db'], { owner: 'me' })
      await catalog.createNamespace(['db'])
      await catalog.createNamespace(['a', 'b', 'c'])
      await catalog.createNamespace(['a_b'])
      assert.deepEqual(await catalog.listNamespaces(), [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a_b'], ['db']])
    })

    withCatalog('a namespace is dropped when nothing is in it or below it', async ({ catalog }) => {
      await catalog.createNamespace(['db'])
      await catalog.createNamespace(['d'])
      await catalog.createNamespace(['a', 'b'])
      await assert.rejects(catalog.dropNamespace(['a']), fault('conflict'))
      await assert.rejects(catalog.dropNamespace(['none']), fault('not-found'))
      await catalog.create(events, simpleTable)
      await assert.rejects(catalog.dropNamespace(['db']), fault('conflict'))
      await catalog.drop(events)
      await catalog.dropNamespace(['db'])
      await catalog.dropNamespace(['a', 'b'])
      await assert.rejects(catalog.dropNamespace(['db']), fault('not-found'))
      // One whose name begins alike is another one.
      assert.deepEqual(await catalog.listNamespaces(), [['d']])
    })

    withCatalog('names that cannot be kept are fault invalid', async ({ catalog }) => {
      await catalog.createNamespace(['db'])
      for (const namespace of [[], [''], ['a', ''], ['a.b'], ['..'], ['a/b'], ['nul\0'], ['x'.repeat(256)]]) {
        await assert.rejects(catalog.createNamespace(namespace), fault('invalid'), namespace.join('|'))
        await assert.rejects(catalog.load({ namespace, name: 't' }), fault('invalid'))
      }
      for (const name of ['', '.', '..', 'a/b', 'nul\0', '\ud800', 'x'.repeat(256)]) {
        await assert.rejects(catalog.create({ namespace: ['db'], name }, simpleTable), fault('invalid'), name)
      }
      assert.deepEqual(await catalog.listTables(['db']), [])
    })

    withCatalog(
      'a table is created under the warehouse and loaded as it was created',
      async ({ catalog, io, warehouse }) => {
        const created = await withTable(catalog)
        assert.equal(created.metadata.location, `${warehouse}/db/events`)
        assert.match(created.metadataLocation, /\/db\/events\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/)
        assert.deepEqual(await catalog.load(events), created)
        const text = new TextDecoder().decode(await io.read(created.metadataLocation))
        assert.deepEqual(parseMetadata(text), created.metadata)
        assert.deepEqual(await catalog.listTables(['db']), [events])
      },
    )

    withCatalog(
      'location, properties, format version and a deep namespace are taken as given',
      async ({ catalog, warehouse }) => {
        const ident = { namespace: ['a', 'b'], name: 'deep' }
        await catalog.createNamespace(['a', 'b'])
        const deep = await catalog.create(ident, { ...simpleTable, properties: { p: 'q' }, formatVersion: 3 })
        assert.equal(deep.metadata.location, `${warehouse}/a/b/deep`)
        assert.equal(deep.metadata['format-version'], 3)
        assert.deepEqual(deep.metadata.properties, { p: 'q' })
        const there = `${warehouse}/elsewhere`
        const elsewhere = await catalog.create({ ...ident, name: 'e' }, { ...simpleTable, location: `${there}/` })
        assert.equal(elsewhere.metadata.location, there)
        assert.ok(elsewhere.metadataLocation.startsWith(`${there}/metadata/`))
        assert.deepEqual(await catalog.listTables(['a']), [])
      },
    )

    withCatalog(
      'creating needs the namespace and a free name, and a failure leaves no file',
      async ({ catalog, io, warehouse }) => {
        await assert.rejects(catalog.create(events, simpleTable), fault('not-found'))
        const created = await withTable(catalog)
        await assert.rejects(catalog.create(events, simpleTable), fault('conflict'))
        const bad = { ...simpleTable, spec: { 'spec-id': 0, fields: [partitionBy(99)] } }
        await assert.rejects(catalog.create({ ...events, name: 'bad' }, bad), fault('invalid'))
        assert.deepEqual(await filesUnder(io, warehouse), [created.metadataLocation])
      },
    )

    withCatalog('of many that create one name at once exactly one wins', async ({ catalog, io, warehouse }) => {
      await catalog.createNamespace(['db'])
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => catalog.create(events, simpleTable)))
      const won = all.filter((result) => result.status === 'fulfilled')
      assert.equal(won.length, 1)
      for (const result of all) if (result.status === 'rejected') assert.ok(isFault(result.reason, 'conflict'))
      assert.deepEqual(await catalog.load(events), won[0]!.value)
      assert.deepEqual(await filesUnder(io, warehouse), [won[0]!.value.metadataLocation])
    })

    withCatalog('what does not exist is fault not-found', async ({ catalog }) => {
      await catalog.createNamespace(['db'])
      await assert.rejects(catalog.load(events), fault('not-found'))
      await assert.rejects(catalog.drop(events), fault('not-found'))
      await assert.rejects(catalog.rename(events, { ...events, name: 'x' }), fault('not-found'))
      await assert.rejects(catalog.listTables(['none']), fault('not-found'))
      assert.deepEqual(await catalog.listTables(['db']), [])
    })

    withCatalog('a commit moves the table to a new file whose log names the old one', async ({ catalog, io }) => {
      const base = await withTable(catalog)
      const next = await catalog.commit(base, appendChange(base.metadata, 11n))
      assert.match(next.metadataLocation, /\/00001-[0-9a-f-]{36}\.metadata\.json$/)
      assert.equal(next.metadata['current-snapshot-id'], 11n)
      assert.deepEqual(next.metadata['metadata-log'], [
        { 'metadata-file': base.metadataLocation, 'timestamp-ms': base.metadata['last-updated-ms'] },
      ])
      assert.deepEqual(await catalog.load(events), next)
      assert.ok(await io.exists(base.metadataLocation))
      const text = new TextDecoder().decode(await io.read(next.metadataLocation))
      assert.deepEqual(parseMetadata(text), next.metadata)
      const again = await catalog.commit(next, appendChange(next.metadata, 12n))
      assert.deepEqual(
        again.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']),
        [11n, 12n],
      )
    })

    withCatalog(
      'a commit on what is no longer current is fault conflict and changes nothing',
      async ({ catalog, io, warehouse }) => {
        const base = await withTable(catalog)
        const next = await catalog.commit(base, appendChange(base.metadata, 11n))
        await assert.rejects(catalog.commit(base, appendChange(base.metadata, 12n)), fault('conflict'))
        await assert.rejects(catalog.commit(base, setProperty('a', 'b')), fault('conflict'))
        assert.deepEqual(await catalog.load(events), next)
        assert.deepEqual(await filesUnder(io, warehouse), [base.metadataLocation, next.metadataLocation].sort())
      },
    )

    withCatalog(
      'a requirement that fails is fault conflict, an illegal update fault invalid',
      async ({ catalog, io, warehouse }) => {
        const base = await withTable(catalog)
        const wrong: TableChange = {
          ...setProperty('a', 'b'),
          requirements: [{ type: 'assert-table-uuid', uuid: 'other' }],
        }
        await assert.rejects(catalog.commit(base, wrong), fault('conflict'))
        const illegal: TableChange = { requirements: [], updates: [{ action: 'set-current-schema', 'schema-id': 7 }] }
        await assert.rejects(catalog.commit(base, illegal), fault('invalid'))
        assert.deepEqual(await catalog.load(events), base)
        assert.deepEqual(await filesUnder(io, warehouse), [base.metadataLocation])
      },
    )

    withCatalog('a change without effect commits nothing', async ({ catalog, io, warehouse }) => {
      const base = await withTable(catalog)
      assert.deepEqual(await catalog.commit(base, { requirements: [], updates: [] }), base)
      const set = await catalog.commit(base, setProperty('a', 'b'))
      assert.deepEqual(await catalog.commit(set, setProperty('a', 'b')), set)
      assert.equal((await filesUnder(io, warehouse)).length, 2)
    })

    withCatalog('of many commits on one base exactly one wins', async ({ catalog, io, warehouse }) => {
      const base = await withTable(catalog)
      const ids = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n]
      const all = await Promise.allSettled(ids.map((id) => catalog.commit(base, appendChange(base.metadata, id))))
      const won = all.filter((result) => result.status === 'fulfilled')
      assert.equal(won.length, 1)
      for (const result of all) if (result.status === 'rejected') assert.ok(isFault(result.reason, 'conflict'))
      const now = await catalog.load(events)
      assert.deepEqual(now, won[0]!.value)
      assert.equal(now.metadata.snapshots.length, 1)
      assert.deepEqual(await filesUnder(io, warehouse), [base.metadataLocation, now.metadataLocation].sort())
    })

    withCatalog('metadata that was handed out cannot be changed', async ({ catalog }) => {
      const base = await withTable(catalog)
      const next = await catalog.commit(base, appendChange(base.metadata, 11n))
      for (const { metadata } of [base, next, await catalog.load(events)]) {
        assert.throws(() => (metadata.properties['x'] = 'y'), TypeError)
        assert.throws(() => metadata.snapshots.pop(), TypeError)
        assert.throws(() => (metadata.schemas[0]!.fields[0]!.name = 'x'), TypeError)
      }
    })

    withCatalog('metadata files that fell out of the log are removed', async ({ catalog, io, warehouse }) => {
      let table = await withTable(catalog)
      table = await catalog.commit(table, setProperty('write.metadata.previous-versions-max', '2'))
      const before = table
      for (let i = 0; i < 4; i++) table = await catalog.commit(table, setProperty('i', String(i)))
      const logged = table.metadata['metadata-log'].map((entry) => entry['metadata-file'])
      assert.equal(logged.length, 2)
      assert.deepEqual(await filesUnder(io, warehouse), [...logged, table.metadataLocation].sort())
      assert.equal(await io.exists(before.metadataLocation), false)
      assert.deepEqual(await catalog.load(events), table)
    })

    withCatalog('metadata files stay when the table says so', async ({ catalog, io, warehouse }) => {
      let table = await withTable(catalog)
      table = await catalog.commit(table, setProperty('write.metadata.previous-versions-max', '1'))
      table = await catalog.commit(table, setProperty('write.metadata.delete-after-commit.enabled', 'false'))
      for (let i = 0; i < 3; i++) table = await catalog.commit(table, setProperty('i', String(i)))
      assert.equal(table.metadata['metadata-log'].length, 1)
      assert.equal((await filesUnder(io, warehouse)).length, 6)
    })

    withCatalog('dropping forgets the table and keeps its files; the name is free again', async ({ catalog, io }) => {
      const base = await withTable(catalog)
      await catalog.drop(events)
      await assert.rejects(catalog.load(events), fault('not-found'))
      await assert.rejects(catalog.commit(base, setProperty('a', 'b')), fault('not-found'))
      assert.deepEqual(await catalog.listTables(['db']), [])
      assert.ok(await io.exists(base.metadataLocation))
      const again = await catalog.create(events, simpleTable)
      assert.notEqual(again.metadata['table-uuid'], base.metadata['table-uuid'])
      await assert.rejects(catalog.commit(base, setProperty('a', 'b')), fault('conflict'))
    })

    withCatalog('renaming moves the table, to another namespace too, if the new name is free', async ({ catalog }) => {
      const base = await withTable(catalog)
      const moved = { namespace: ['other', 'sub'], name: 'moved' }
      await assert.rejects(catalog.rename(events, moved), fault('not-found'))
      await catalog.createNamespace(moved.namespace)
      await catalog.rename(events, moved)
      await assert.rejects(catalog.load(events), fault('not-found'))
      const loaded = await catalog.load(moved)
      assert.deepEqual(loaded, { ...base, ident: moved })
      await catalog.commit(loaded, appendChange(loaded.metadata, 5n))
      const second = await catalog.create(events, simpleTable)
      assert.notEqual(second.metadata.location, base.metadata.location, 'two tables never share a folder')
      await assert.rejects(catalog.rename(events, moved), fault('conflict'))
      await catalog.rename(events, events)
      assert.equal((await catalog.load(moved)).metadata.snapshots.length, 1)
    })
  })
}

function partitionBy(sourceId: number) {
  return { 'source-id': sourceId, 'field-id': 1000, name: 'p', transform: 'identity' }
}
