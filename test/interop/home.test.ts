/**
 * The tables of a home, kept by the command line in processes that come and go, while Spark updates them, deletes from them
 * merge-on-read, compacts them and expires their snapshots in between. After each step all three readers give the same rows,
 * and those are the files that are there.
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cliOk } from '../support/cli.ts'
import { openSpark, pyicebergRead, type Spark } from './engines.ts'

const PHOTOS = fileURLToPath(new URL('../../examples/photos', import.meta.url))
const CONTENT = 'default.s3_content_metadata'
const INVENTORY = 'aws_s3_metadata.inventory'
/** Columns that all three write alike as JSON, besides the key. */
const COLUMNS: Record<string, string> = { [CONTENT]: 'key, etag, image_width', [INVENTORY]: 'key, e_tag, size' }

let dir: string
let photos: string
let home: string
let spark: Spark

before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'tidewater-home-'))
  photos = path.join(dir, 'photos')
  home = path.join(dir, 'home')
  await cp(PHOTOS, photos, { recursive: true })
  await ingest()
  spark = await openSpark(path.join(home, 'catalog.db'))
})
after(async () => {
  await spark?.close()
  await rm(dir, { recursive: true, force: true })
})

/** A process of its own. */
async function ingest(): Promise<void> {
  await cliOk(['ingest', photos, '--bucket', 'photos', '--home', home, '--json'])
}

async function ours(sql: string): Promise<string[]> {
  const text = await cliOk(['sql', sql, '--json', '--home', home])
  return text.trimEnd().split('\n').sort()
}

async function assertAgreement(): Promise<void> {
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const sql = `SELECT ${columns} FROM ${table}`
    assert.deepEqual((await spark.sql(sql)).rows.toSorted(), await ours(sql), `Spark reads ${table}`)
    const whole = await spark.sql(`SELECT * FROM ${table}`)
    assert.equal(
      (await pyicebergRead(path.join(home, 'catalog.db'), table)).sha256,
      whole.sha256,
      `PyIceberg: ${table}`,
    )
  }
}

/** Of rows that Spark deleted nothing is known here: an object has its row again when it changes. */
async function assertKeys(table: string, without: (key: string) => boolean = () => false): Promise<void> {
  const files = await readdir(photos, { recursive: true, withFileTypes: true })
  const keys = files
    .filter((file) => file.isFile())
    .map((file) => path.relative(photos, path.join(file.parentPath, file.name)))
  const rows = await ours(`SELECT key FROM ${table}`)
  assert.deepEqual(
    rows.map((line) => (JSON.parse(line) as { key: string }).key).sort(),
    keys.filter((key) => !without(key)).sort(),
  )
}

const change = (to: string) => cp(path.join(PHOTOS, '2025/web/waves.gif'), path.join(photos, to))

test('a home goes on being right while Spark updates, deletes, compacts and expires between its runs', async () => {
  await assertAgreement()

  await spark.sql(`UPDATE ${CONTENT} SET labels = array('X') WHERE key LIKE '2025/%'`)
  await assertAgreement()
  await change('2025/new.gif')
  await change('2025/web/harbour.webp')
  await ingest()
  await assertAgreement()
  await assertKeys(CONTENT)
  await assertKeys(INVENTORY)
  const labels = await ours(`SELECT key FROM ${CONTENT} WHERE labels = ['X']`)
  assert.ok(
    labels.length > 0 && !labels.join().includes('harbour.webp'),
    'what Spark set stays until the object changes',
  )

  await spark.sql(`ALTER TABLE ${CONTENT} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')`)
  await spark.sql(`DELETE FROM ${CONTENT} WHERE key LIKE 'scans/%'`)
  await rm(path.join(photos, '2025/new.gif'))
  await ingest()
  await assertAgreement()
  const isDeleted = (key: string) => key.startsWith('scans/')
  await assertKeys(CONTENT, isDeleted)
  await assertKeys(INVENTORY)

  for (const table of [CONTENT, INVENTORY]) {
    await spark.sql(
      `CALL tidewater.system.rewrite_data_files(table => '${table}', options => map('rewrite-all', 'true'))`,
    )
    await spark.sql(
      `CALL tidewater.system.expire_snapshots(table => '${table}', older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1)`,
    )
  }
  await assertAgreement()
  await change('2023/norway/aurora.jpg')
  await change('scans/old negative.tiff')
  await rm(path.join(photos, '2024/iceland/notes.txt'))
  await ingest()
  await assertAgreement()
  await assertKeys(CONTENT, (key) => isDeleted(key) && key !== 'scans/old negative.tiff')
  await assertKeys(INVENTORY)
  assert.deepEqual(await ours(`SELECT count(*) = count(DISTINCT key) AS once FROM ${CONTENT}`), ['{"once":true}'])
})
