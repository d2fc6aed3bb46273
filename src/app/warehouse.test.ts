import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { FakeS3, type Seen } from '../../test/support/fake-s3.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { parseIdent } from '../iceberg/catalog/catalog.ts'
import { openSqliteCatalog } from '../iceberg/catalog/sqlite.ts'
import { removeOrphans } from '../table/orphans.ts'
import { parseConfig } from './config.ts'
import { type LakeOptions, openLake } from './lake.ts'
import { s3Place, s3Warehouse } from './warehouse.ts'

interface Scene {
  fake: FakeS3
  dir: string
  options: LakeOptions
}

async function scene(work: (scene: Scene) => Promise<void>): Promise<void> {
  const fake = await FakeS3.start()
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-warehouse-'))
  const { endpoint = '' } = fake.connection
  const s3 = { 's3.endpoint': endpoint, 's3.access-key-id': 'test', 's3.secret-access-key': 'test' }
  const catalog = path.join(dir, 'catalog.db')
  try {
    await work({
      fake,
      dir,
      options: { catalog, warehouse: 's3://lake/ware', s3, cache: path.join(dir, 'cache'), memoryMiB: 256 },
    })
  } finally {
    await fake.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** `PUT data`, `GET metadata`, …: the method and the folder of the table. */
function requestOf({ method, path: at, query }: Seen): string {
  if (query.has('list-type')) return 'LIST'
  if (query.has('delete')) return 'DELETE'
  return `${method} ${/\/(data|metadata)\//.exec(at)?.[1] ?? at}`
}

async function valuesOf(lake: Awaited<ReturnType<typeof openLake>>): Promise<string[]> {
  const values: string[] = []
  for await (const row of lake.sql('SELECT id, name FROM shop.orders ORDER BY id'))
    values.push(`${row['id']} ${row['name']}`)
  return values
}

test('a small keyed commit on S3 is six requests: rows, positions, two manifests, their list, the metadata, and no read', async () => {
  await scene(async ({ fake, options }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', {
      columns: { id: 'LONG NOT NULL', name: 'STRING' },
      key: ['id'],
    })
    await orders.upsert([{ id: 1, name: 'a' }])
    for (let round = 0; round < 3; round++) {
      fake.seen.length = 0
      await orders.upsert([
        { id: 1, name: `b${round}` },
        { id: 2 + round, name: 'c' },
      ])
      const requests = fake.seen.map(requestOf).sort()
      assert.deepEqual(
        requests,
        ['PUT data', 'PUT data', 'PUT metadata', 'PUT metadata', 'PUT metadata', 'PUT metadata'],
        `round ${round}`,
      )
    }
    fake.seen.length = 0
    assert.deepEqual(await valuesOf(lake), ['1 b2', '2 c', '3 c', '4 c'])
    assert.deepEqual(fake.seen.map(requestOf), [], 'what was written here is read from local copies')
    await lake.close()
  })
})

test('another process reads each file once, and then from its local copies', async () => {
  await scene(async ({ fake, options, dir }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', {
      columns: { id: 'LONG NOT NULL', name: 'STRING' },
      key: ['id'],
    })
    await orders.upsert([{ id: 1, name: 'a' }])
    await orders.upsert([{ id: 1, name: 'b' }])
    await lake.close()
    fake.seen.length = 0
    const other = await openLake({ ...options, cache: path.join(dir, 'other') })
    assert.deepEqual(await valuesOf(other), ['1 b'])
    const first = fake.seen.map(requestOf)
    assert.ok(
      first.every((request) => request.startsWith('GET')),
      first.join(),
    )
    assert.equal(new Set(fake.seen.map(({ path: at }) => at)).size, first.length, 'no file twice')
    fake.seen.length = 0
    assert.deepEqual(await valuesOf(other), ['1 b'])
    assert.deepEqual(fake.seen, [])
    await other.close()
  })
})

test('tables on S3 are located there, and their files are where their names say', async () => {
  await scene(async ({ fake, options }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', { columns: { id: 'LONG' } })
    await orders.append([{ id: 1 }])
    const [row] = await Array.fromAsync(lake.sql('SELECT file_path FROM shop.orders.files'))
    assert.match(String(row?.['file_path']), /^s3:\/\/lake\/ware\/shop\/orders\/data\/[^/]+\.parquet$/)
    assert.ok(fake.objects.has(`/${String(row?.['file_path']).slice('s3://'.length)}`))
    await lake.close()
  })
})

test('a commit whose metadata is written while the store stumbles is there once', async () => {
  await scene(async ({ fake, options }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', {
      columns: { id: 'LONG NOT NULL', name: 'STRING' },
      key: ['id'],
    })
    let requests = 0
    fake.trouble = () => {
      const at = requests++ % 3
      return at === 0 ? { kind: 'lost reply' } : at === 1 ? { kind: 'error', status: 500, code: 'InternalError' } : null
    }
    for (let round = 0; round < 3; round++) await orders.upsert([{ id: round, name: 'x' }])
    fake.trouble = () => null
    assert.deepEqual(await valuesOf(lake), ['0 x', '1 x', '2 x'])
    assert.equal((await orders.snapshots()).length, 3)
    await lake.close()
  })
})

test('a commit while the store is down fails for the moment, leaves the table as it was, and can be made again', async () => {
  await scene(async ({ fake, options, dir }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', {
      columns: { id: 'LONG NOT NULL', name: 'STRING' },
      key: ['id'],
    })
    await orders.upsert([{ id: 1, name: 'before' }])
    fake.trouble = ({ method, path: at }) =>
      method === 'PUT' && at.endsWith('.avro') ? { kind: 'error', status: 403, code: 'AccessDenied' } : null
    await assert.rejects(orders.upsert([{ id: 1, name: 'during' }]), (error) => isFault(error, 'unavailable'))
    assert.deepEqual(await valuesOf(lake), ['1 before'])
    fake.trouble = () => null
    await orders.upsert([{ id: 1, name: 'after' }])
    assert.deepEqual(await valuesOf(lake), ['1 after'])
    await lake.close()
    const left = await readdir(path.join(dir, 'cache'))
    assert.ok(!left.some((name) => name.startsWith('.tidewater-tmp-')), left.join())
  })
})

test('upkeep on S3 merges, expires and removes orphans', async () => {
  await scene(async ({ fake, options }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', {
      columns: { id: 'LONG NOT NULL', name: 'STRING' },
      key: ['id'],
    })
    for (let round = 0; round < 6; round++) await orders.upsert([{ id: round % 2, name: `r${round}` }])
    const files = () => [...fake.objects.keys()].filter((key) => key.includes('/data/')).length
    const before = files()
    await orders.optimize()
    assert.deepEqual(await valuesOf(lake), ['0 r4', '1 r5'])
    const expired = await orders.expireSnapshots({ olderThan: new Date(), keep: 1 })
    assert.ok(expired.files > 0 && files() < before, `${before} files, ${files()} now`)
    assert.deepEqual(await valuesOf(lake), ['0 r4', '1 r5'])
    await lake.close()
  })
})

test('a file that nothing reaches is removed from the bucket when it is old, and no other', async () => {
  await scene(async ({ fake, options, dir }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', { columns: { id: 'LONG' } })
    await orders.append([{ id: 1 }])
    await lake.close()
    const before = [...fake.objects.keys()].sort()
    const left = '/lake/ware/shop/orders/data/left-behind.parquet'
    fake.objects.set(left, { bytes: Buffer.from('left'), metadata: {} })
    fake.objects.set('/lake/ware/shop/orders/data/notes.txt', { bytes: Buffer.from('mine'), metadata: {} })
    const io = s3Warehouse({
      place: s3Place('s3://lake/ware')!,
      connection: fake.connection,
      cacheDir: path.join(dir, 'cache', 'files'),
      scratchDir: dir,
    })
    const warehouse = 's3://lake/ware'
    const catalog = await openSqliteCatalog({ path: options.catalog, name: 'tidewater', warehouse, io })
    const load = () => catalog.load(parseIdent('shop.orders'))
    assert.deepEqual(await removeOrphans({ io, load, nowMs: Date.now() }), [], 'it may belong to a commit under way')
    const later = Date.now() + limits.orphanGraceMs + 1_000
    assert.deepEqual(await removeOrphans({ io, load, nowMs: later }), [`s3:/${left}`])
    const now = [...fake.objects.keys()].filter((key) => !key.endsWith('notes.txt')).sort()
    assert.deepEqual(now, before)
    await catalog.close()
  })
})

test('a query whose files cannot be kept here at once is refused before anything is fetched', async () => {
  await scene(async ({ fake, options, dir }) => {
    const lake = await openLake(options)
    const orders = await lake.createTable('shop.orders', { columns: { id: 'LONG' } })
    await orders.append([{ id: 1 }])
    await lake.close()
    const small = await openLake({ ...options, cache: path.join(dir, 'small'), cacheMiB: 0.0001 })
    fake.seen.length = 0
    await assert.rejects(
      Array.fromAsync(small.sql('SELECT * FROM shop.orders')),
      (error) => isFault(error, 'limit') && /warehouse\.cacheMiB/.test(error.message),
    )
    assert.ok(!fake.seen.map(requestOf).includes('GET data'))
    await small.close()
  })
})

test('a location is understood as Iceberg’s programs write it, or refused', () => {
  for (const [location, uri, prefix] of [
    ['s3://lake', 's3://lake', ''],
    ['s3://lake/', 's3://lake', ''],
    ['s3a://lake/a b/c/', 's3://lake/a b/c', 'a b/c'],
  ] as const) {
    assert.deepEqual(s3Place(location), { bucket: 'lake', prefix, uri })
  }
  for (const location of ['lake', '/lake', 's3:/lake/x', 's3://', 's3://lake//x', 's3://lake/../x', 'gs://lake/x']) {
    assert.equal(s3Place(location), null, location)
  }
  for (const [warehouse, message] of [
    [{ location: 'gs://lake' }, /warehouse\.location: expected s3:\/\/bucket/],
    [{ location: 's3://lake', s3: 'none' }, /warehouse\.s3: expected the name of a connection/],
    [{ s3: 'default' }, /set warehouse\.location too/],
    [{ location: 's3://lake', cacheMiB: 1 }, /warehouse\.cacheMiB/],
  ] as const) {
    assert.throws(
      () => parseConfig({ warehouse }, 'the file'),
      (error) => isFault(error, 'invalid') && message.test(error.message),
    )
  }
})
