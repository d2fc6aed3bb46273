/** Reports that other programs wrote (`test/golden/inventory/make.py`) in the three formats give one listing. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isFault } from '../../base/fault.ts'
import { compareKeyOrder } from '../../base/key-order.ts'
import { Duck } from '../../duck/duck.ts'
import { type ListedKey, readManifest } from '../../source/source.ts'
import { inventoryListing } from './inventory-listing.ts'

const GOLDEN = join(import.meta.dirname, '../../../test/golden/inventory')
const FORMATS = ['csv', 'parquet', 'orc'] as const

interface Row {
  key: string
  version_id: string | null
  is_latest: boolean
  is_delete_marker: boolean
  size: number | null
  last_modified_date: number
  e_tag: string | null
  storage_class: string | null
}

describe('a report of S3 Inventory', () => {
  let duck: Duck
  let dir: string
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tidewater-inventory-'))
    duck = await Duck.open({ memoryMiB: 200, threads: 1, spillDir: dir })
  })
  after(() => {
    duck.close()
    rmSync(dir, { recursive: true })
  })

  async function listing(folder: string, prefix = ''): Promise<ListedKey[]> {
    const at = join(folder, '2024-06-01T01-00Z')
    const checksum = readFileSync(join(at, 'manifest.checksum'), 'utf8')
    const manifest = readManifest(readFileSync(join(at, 'manifest.json')), checksum, 'manifest.json')
    const session = await duck.connect()
    try {
      const parts = {
        session,
        manifest,
        prefix,
        scratch: async (extension: string) => join(dir, `scratch${extension}`),
        fetch: async (file: { key: string }) => ({
          path: join(folder, 'data', basename(file.key)),
          release: async () => undefined,
        }),
      }
      const keys: ListedKey[] = []
      for await (const key of inventoryListing(parts)) keys.push(key)
      return keys
    } finally {
      session.close()
    }
  }

  const rows = (JSON.parse(readFileSync(join(GOLDEN, 'rows.json'), 'utf8')) as Row[]).toSorted(
    (one, other) => compareKeyOrder(one.key, other.key) || other.last_modified_date - one.last_modified_date,
  )
  for (const format of FORMATS) {
    it(`of format ${format} lists every version in the order of a bucket`, async () => {
      const keys = await listing(join(GOLDEN, format))
      const got = keys.flatMap(({ versions }) => versions)
      assert.deepEqual(
        got.map((version) => ({
          key: version.key,
          version_id: version.versionId,
          is_latest: version.isLatest,
          is_delete_marker: version.isDeleteMarker,
          size: version.sizeBytes,
          last_modified_date: version.lastModifiedMs,
          e_tag: version.etag ?? null,
          storage_class: version.storageClass ?? null,
        })),
        rows.map(
          ({ key, version_id, is_latest, is_delete_marker, size, last_modified_date, e_tag, storage_class }) => ({
            key,
            version_id: version_id ?? 'null',
            is_latest,
            is_delete_marker,
            size: size ?? 0,
            last_modified_date,
            e_tag,
            storage_class,
          }),
        ),
      )
      assert.ok(keys.some(({ versions }) => versions.length === 2))
    })
  }

  it('is read for one prefix only where one is given', async () => {
    const keys = await listing(join(GOLDEN, 'csv'), 'photos/50%+')
    assert.deepEqual(
      keys.map(({ key }) => key),
      ['photos/50%+more.jpg'],
    )
  })

  it('of which a file is not what the manifest says gives nothing', async () => {
    const copy = join(dir, 'copy')
    cpSync(join(GOLDEN, 'csv'), copy, { recursive: true })
    const file = join(copy, 'data/rows.csv.gz')
    const bytes = readFileSync(file)
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(file, bytes)
    await assert.rejects(
      listing(copy),
      (error) => isFault(error, 'corrupt') && /rows\.csv\.gz: expected the MD5/.test(error.message),
    )
  })

  it('whose manifest is another than its checksum says is refused', () => {
    const bytes = readFileSync(join(GOLDEN, 'csv/2024-06-01T01-00Z/manifest.json'))
    assert.throws(
      () => readManifest(bytes, '0'.repeat(32), 'manifest.json'),
      (error) => isFault(error, 'corrupt'),
    )
  })

  const WRONG: [string, unknown][] = [
    ['no JSON', undefined],
    ['a list', []],
    ['another format', { fileFormat: 'XML' }],
    ['no time', { creationTimestamp: 'yesterday' }],
    ['no keys', { fileSchema: 'Bucket, Size' }],
    ['a file without checksum', { files: [{ key: 'a', size: 1 }] }],
  ]
  for (const [what, change] of WRONG) {
    it(`with ${what} is refused in words`, () => {
      const sound = JSON.parse(readFileSync(join(GOLDEN, 'csv/2024-06-01T01-00Z/manifest.json'), 'utf8')) as object
      const text =
        change === undefined
          ? '{'
          : JSON.stringify(Array.isArray(change) ? change : { ...sound, ...(change as object) })
      assert.throws(
        () => readManifest(Buffer.from(text), null, 'here.json'),
        (error) => isFault(error, 'invalid') && error.message.startsWith('here.json: expected the manifest.json'),
      )
    })
  }
})
