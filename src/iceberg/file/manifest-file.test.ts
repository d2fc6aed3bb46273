import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dataFile, metadataOf, schemaOf, specOf } from '../../../test/support/table.ts'
import { tempIo } from '../../../test/support/temp-io.ts'
import { isFault } from '../../base/fault.ts'
import type { DataFile, ManifestEntry, ManifestFile, Value } from '../spec/manifest.ts'
import { valueFromBytes } from '../spec/single-value.ts'
import { AvroFile } from './avro.ts'
import type { FileIO } from './file.ts'
import { type ManifestReadOptions, readManifest, writeManifest } from './manifest-file.ts'
import { readManifestList, writeManifestList } from './manifest-list.ts'

let io: FileIO
let close: () => Promise<void>
let serial = 0

before(async () => {
  ;({ io, close } = await tempIo('file:///w'))
})
after(() => close())

const TYPES: [type: string, a: Value, b: Value][] = [
  ['boolean', false, true],
  ['int', -2147483648, 2147483647],
  ['long', -(2n ** 63n), 2n ** 63n - 1n],
  ['float', -Infinity, 1.5],
  ['double', -0, 5e-324],
  ['decimal(9,2)', -999999999n, 999999999n],
  ['decimal(38,10)', -(10n ** 38n - 1n), 10n ** 38n - 1n],
  ['decimal(9,2)', 0n, 127n],
  ['date', -719162, 2932896],
  ['time', 0n, 86_399_999_999n],
  ['timestamp', -1n, 253_402_300_799_999_999n],
  ['timestamptz', -62_135_596_800_000_000n, 0n],
  ['string', '', 'é😀'],
  ['uuid', '00000000-0000-0000-0000-000000000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  ['uuid', '00000000-0000-0000-0000-000000000002', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
  ['fixed[3]', new Uint8Array([0, 0, 0]), new Uint8Array([255, 1, 2])],
  ['binary', new Uint8Array(), new Uint8Array([255])],
]
const schema = schemaOf(TYPES.map(([type], at) => [at === 0 ? 'dotted.na me' : `c${at}`, type]))
const spec = specOf(
  0,
  TYPES.map((_, at) => [at + 1, 'identity']),
)
spec.fields[0]!.name = 'dotted.na me'
spec.fields[1]!.name = '1st'
spec.fields[2]!.name = 'größe'
const metadata = metadataOf(schema, [spec])

const full: DataFile = {
  ...dataFile(
    'file:///w/db/t/data/ü p=%2F.parquet',
    TYPES.map(([, a]) => a),
  ),
  recordCount: 2 ** 53 - 2,
  columnSizes: new Map([[1, 100]]),
  valueCounts: new Map([
    [1, 3],
    [2, 2 ** 40],
  ]),
  nullValueCounts: new Map([[1, 0]]),
  nanValueCounts: new Map(),
  lowerBounds: new Map([[1, new Uint8Array([0])]]),
  upperBounds: new Map([[1, new Uint8Array()]]),
  splitOffsets: [4, 2 ** 35],
  equalityIds: [1, 2],
  sortOrderId: 7,
  referencedDataFile: 'file:///x',
}

function entry(file: DataFile, more: Partial<ManifestEntry> = {}): ManifestEntry {
  return { status: 'added', snapshotId: null, sequenceNumber: null, fileSequenceNumber: null, file, ...more }
}

async function write(entries: ManifestEntry[], content: 'data' | 'deletes' = 'data'): Promise<ManifestFile> {
  serial += 1
  const location = `file:///w/db/t/metadata/${serial}-m0.avro`
  return writeManifest(io, {
    location,
    table: metadata,
    specId: 0,
    content,
    snapshotId: 2n ** 62n + 1n,
    sequenceNumber: 9,
    entries,
  })
}

async function read(manifest: ManifestFile, options: ManifestReadOptions = {}): Promise<ManifestEntry[]> {
  const all: ManifestEntry[] = []
  for await (const block of readManifest(io, manifest, metadata, options)) all.push(...block)
  return all
}

/** Buffers and Uint8Arrays alike. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [key, plain(member)]))
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
  }
  return value
}

test('an entry comes back whole, with what it inherits filled in', async () => {
  const other = dataFile(
    'file:///w/b',
    TYPES.map(([, , b]) => b),
  )
  const nulls = dataFile(
    'file:///w/c',
    TYPES.map(() => null),
  )
  const manifest = await write([
    entry(full),
    entry(other, { sequenceNumber: 3 }),
    entry(nulls, { status: 'existing', snapshotId: 5n, sequenceNumber: 1, fileSequenceNumber: 2 }),
    entry(nulls, { status: 'deleted', snapshotId: 6n, sequenceNumber: 1, fileSequenceNumber: 1 }),
  ])
  const added = 2n ** 62n + 1n
  assert.deepEqual(
    plain(await read(manifest)),
    plain([
      { status: 'added', snapshotId: added, sequenceNumber: 9, fileSequenceNumber: 9, file: full },
      { status: 'added', snapshotId: added, sequenceNumber: 3, fileSequenceNumber: 9, file: other },
      { status: 'existing', snapshotId: 5n, sequenceNumber: 1, fileSequenceNumber: 2, file: nulls },
      { status: 'deleted', snapshotId: 6n, sequenceNumber: 1, fileSequenceNumber: 1, file: nulls },
    ]),
  )
  const { partitions, ...counts } = manifest
  assert.deepEqual(counts, {
    manifestPath: manifest.manifestPath,
    manifestLength: (await io.read(manifest.manifestPath)).length,
    partitionSpecId: 0,
    content: 'data',
    sequenceNumber: 9,
    minSequenceNumber: 1,
    addedSnapshotId: added,
    addedFilesCount: 2,
    existingFilesCount: 1,
    deletedFilesCount: 1,
    addedRowsCount: 2 ** 53 - 2 + 10,
    existingRowsCount: 10,
    deletedRowsCount: 10,
  })
  for (const [at, [type, a, b]] of TYPES.entries()) {
    const { containsNull, containsNan, lowerBound, upperBound } = partitions![at]!
    assert.deepEqual([containsNull, containsNan], [true, false])
    assert.deepEqual(plain([valueFromBytes(type, lowerBound!), valueFromBytes(type, upperBound!)]), plain([a, b]), type)
  }
})

test('statistics are read as far as they are asked for', async () => {
  const manifest = await write([
    entry(full),
    entry(full, { status: 'deleted', snapshotId: 1n, sequenceNumber: 1, fileSequenceNumber: 1 }),
  ])
  const { columnSizes, ...bounds } = full
  const { valueCounts, nullValueCounts, nanValueCounts, lowerBounds, upperBounds, ...none } = bounds
  assert.ok(columnSizes && valueCounts && nullValueCounts && nanValueCounts && lowerBounds && upperBounds)
  const files = async (options: ManifestReadOptions) => (await read(manifest, options)).map((each) => plain(each.file))
  assert.deepEqual(await files({ stats: 'bounds', liveOnly: true }), [plain(bounds)])
  assert.deepEqual(await files({ stats: 'none' }), [plain(none), plain(none)])
})

test('the header holds every key that the specification requires', async () => {
  const manifest = await write([entry(full)], 'data')
  const file = new AvroFile(await io.read(manifest.manifestPath), 'm')
  assert.equal(file.metadata.get('format-version'), '2')
  assert.equal(file.metadata.get('content'), 'data')
  assert.equal(file.metadata.get('partition-spec-id'), '0')
  assert.equal(file.metadata.get('schema-id'), '0')
  assert.deepEqual(JSON.parse(file.metadata.get('partition-spec')!), spec.fields)
  assert.deepEqual(JSON.parse(file.metadata.get('schema')!), schema)
  const text = JSON.stringify(file.schema)
  for (const name of ['dotted_x2Ena_x20me', '_1st', 'gr_xF6_xDFe']) assert.match(text, new RegExp(`"name":"${name}"`))
  assert.match(text, /"field-id":143/)
})

test('a manifest that is not what its list says is corrupt', async () => {
  const manifest = await write([entry(full), entry(full)])
  const bytes = Buffer.from(await io.read(manifest.manifestPath))
  const cases: [what: string, bytes: Buffer, listed: Partial<ManifestFile>, message: RegExp][] = [
    ['longer', bytes, { manifestLength: bytes.length - 1 }, /expected \d+ bytes/],
    ['cut in the block', bytes.subarray(0, -20), { manifestLength: bytes.length - 20 }, /ends inside a block/],
    ['no rows', bytes.subarray(0, bytes.indexOf(bytes.subarray(-16)) + 16), {}, /expected 2 added entries, got 0/],
    ['cut in the header', bytes.subarray(0, 100), {}, /ends inside the header/],
    ['not Avro', Buffer.from('{}'), {}, /magic/],
    [
      'a byte flipped',
      Buffer.from(bytes).fill(bytes.at(-40)! ^ 0xff, bytes.length - 40, bytes.length - 39),
      {},
      /damaged/,
    ],
    ['other counts', bytes, { addedFilesCount: 3 }, /expected 3 added entries, got 2/],
  ]
  for (const [what, damaged, listed, message] of cases) {
    serial += 1
    const manifestPath = `file:///w/db/t/metadata/bad-${serial}.avro`
    await io.write(manifestPath, damaged)
    const said = { ...manifest, manifestPath, manifestLength: damaged.length, ...listed }
    await assert.rejects(read(said), (error) => {
      assert.ok(isFault(error, 'corrupt'), what)
      assert.match(error.message, message, what)
      assert.ok(error.message.includes(manifestPath), what)
      return true
    })
  }
})

test('a manifest list comes back as it was written', async () => {
  const manifests = [await write([entry(full)]), { ...(await write([entry(full)], 'deletes')), minSequenceNumber: 4 }]
  const location = 'file:///w/db/t/metadata/snap-1.avro'
  await writeManifestList(io, { location, snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 9, manifests })
  assert.deepEqual(plain(await readManifestList(io, location)), plain(manifests))
  assert.equal(new AvroFile(await io.read(location), location).metadata.get('parent-snapshot-id'), 'null')
})

test('partition values of a column promoted since are read in its type of today', async () => {
  const before = metadataOf(schemaOf([['n', 'int']]), [specOf(0, [[1, 'identity']])])
  const now = metadataOf(schemaOf([['n', 'long']]), [specOf(0, [[1, 'identity']])])
  const location = 'file:///w/db/t/metadata/promoted-m0.avro'
  const entries = [entry(dataFile('file:///w/p', [7]))]
  const manifest = await writeManifest(io, {
    location,
    table: before,
    specId: 0,
    content: 'data',
    snapshotId: 1n,
    sequenceNumber: 1,
    entries,
  })
  const read: Value[][] = []
  for await (const block of readManifest(io, manifest, now)) read.push(...block.map((each) => each.file.partition))
  assert.deepEqual(read, [[7n]])
})

test('partition fields may have the names that objects have of themselves', async () => {
  const names = ['constructor', 'toString', '__proto__', 'a b', 'a_x20b']
  const terms = names.map((): [number, string] => [1, 'identity'])
  const spec = specOf(0, terms)
  for (const [at, name] of names.entries()) spec.fields[at]!.name = name
  const table = metadataOf(schemaOf([['n', 'string']]), [spec])
  const manifest = await writeManifest(io, {
    location: 'file:///w/db/t/metadata/names-m0.avro',
    table,
    specId: 0,
    content: 'data',
    snapshotId: 1n,
    sequenceNumber: 1,
    entries: [entry(dataFile('file:///w/p', ['v', 'w', 'x', 'y', 'z']))],
  })
  const read: Value[][] = []
  for await (const block of readManifest(io, manifest, table)) read.push(...block.map((each) => each.file.partition))
  assert.deepEqual(read, [['v', 'w', 'x', 'y', 'z']])
})

test('a manifest of many blocks keeps every entry, in order', async () => {
  const count = 20_000
  const many = metadataOf(schemaOf([['a', 'string']]), [specOf(0, [])])
  const path = (at: number) => `file:///w/db/t/data/${at}-${'x'.repeat(200)}.parquet`
  function* entries(): Generator<ManifestEntry> {
    for (let at = 0; at < count; at++) yield entry(dataFile(path(at)))
  }
  const location = 'file:///w/db/t/metadata/many-m0.avro'
  const snapshot = { snapshotId: 1n, sequenceNumber: 1 }
  const manifest = await writeManifest(io, {
    location,
    table: many,
    specId: 0,
    content: 'data',
    ...snapshot,
    entries: entries(),
  })
  let at = 0
  let blocks = 0
  for await (const block of readManifest(io, manifest, many)) {
    for (const { file } of block) assert.equal(file.filePath, path(at++))
    blocks += 1
  }
  assert.equal(at, count)
  assert.ok(blocks > 10)
})
