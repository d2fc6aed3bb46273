/**
 * A home whose tables are on a real S3 server: the command line fills them, Spark and PyIceberg read the same rows there, Spark writes
 * there too, and kills of ours and of the server's leave nothing wrong.
 */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { openS3Store } from '../../src/store/s3.ts'
import { cli, cliOk } from '../support/cli.ts'
import { openSpark, pyicebergRead, pyicebergRun, type Spark } from './engines.ts'
import { Minio, noMinio } from './minio.ts'

const PHOTOS = fileURLToPath(new URL('../../examples/photos', import.meta.url))
const CONTENT = 'default.s3_content_metadata'
const INVENTORY = 'aws_s3_metadata.inventory'
const JOURNAL = 'aws_s3_metadata.mdblogs3metadata'
const WAREHOUSE = 's3://lake/ware house'
/** Columns that all three write alike as JSON, besides the key. */
const COLUMNS: Record<string, string> = { [CONTENT]: 'key, etag, image_width', [INVENTORY]: 'key, e_tag, size' }

let minio: Minio
let dir: string
let photos: string
let home: string

before(async () => {
  if (noMinio) return
  minio = await Minio.start()
  await minio.makeBucket('lake')
  dir = await mkdtemp(path.join(tmpdir(), 'tidewater-s3-home-'))
  photos = path.join(dir, 'photos')
  home = path.join(dir, 'home')
  await cp(PHOTOS, photos, { recursive: true })
  await writeFile(
    path.join(dir, 'tidewater.config.yaml'),
    JSON.stringify({ s3: { default: minio.properties }, warehouse: { location: WAREHOUSE } }),
  )
})
after(async () => {
  await minio?.remove()
  if (dir !== undefined) await rm(dir, { recursive: true, force: true })
})

const ingestion = () => ['ingest', photos, '--bucket', 'photos', '--home', home, '--json']
const ingest = () => cliOk(ingestion(), { cwd: dir })

async function ours(sql: string): Promise<string[]> {
  const text = await cliOk(['sql', sql, '--json', '--home', home], { cwd: dir })
  return text.trimEnd().split('\n').sort()
}

async function photoKeys(): Promise<string[]> {
  const files = await readdir(photos, { recursive: true, withFileTypes: true })
  return files
    .filter((file) => file.isFile())
    .map((file) => path.relative(photos, path.join(file.parentPath, file.name)))
    .sort()
}

/** The tables hold exactly the files that are there, once each, and the journal has told each of them. */
async function assertRight(): Promise<void> {
  const keys = await photoKeys()
  for (const table of [CONTENT, INVENTORY]) {
    const rows = await ours(`SELECT key FROM ${table}`)
    assert.deepEqual(rows.map((line) => (JSON.parse(line) as { key: string }).key).sort(), keys, table)
  }
  const told = await ours(
    `SELECT count(*) = count(DISTINCT (key, sequence_number, record_type)) AS once FROM ${JOURNAL}`,
  )
  assert.deepEqual(told, ['{"once":true}'], 'no change is told twice')
}

async function assertAgreement(spark: Spark): Promise<void> {
  for (const [table, columns] of Object.entries(COLUMNS)) {
    const sql = `SELECT ${columns} FROM ${table}`
    assert.deepEqual((await spark.sql(sql)).rows.toSorted(), await ours(sql), `Spark reads ${table}`)
    const whole = await spark.sql(`SELECT * FROM ${table}`)
    const catalog = path.join(home, 'catalog.db')
    const theirs = await pyicebergRead(catalog, table, { properties: minio.properties })
    assert.equal(theirs.sha256, whole.sha256, `PyIceberg: ${table}`)
  }
}

test('Spark and PyIceberg read the tables of a home on S3, and Spark writes to them', { skip: noMinio }, async () => {
  await ingest()
  await assertRight()
  const location = await pyicebergRun(
    path.join(home, 'catalog.db'),
    `result = catalog.load_table('${CONTENT}').location()`,
    minio.properties,
  )
  assert.equal(location, `${WAREHOUSE}/default/s3_content_metadata`)
  const spark = await openSpark(path.join(home, 'catalog.db'), { warehouse: WAREHOUSE, properties: minio.properties })
  try {
    await assertAgreement(spark)
    await spark.sql(`UPDATE ${CONTENT} SET labels = array('X') WHERE key LIKE '2025/%'`)
    await cp(path.join(PHOTOS, '2025/web/waves.gif'), path.join(photos, '2025/new.gif'))
    await rm(path.join(photos, '2024/iceland/notes.txt'))
    await ingest()
    await assertAgreement(spark)
    await assertRight()
    const labelled = await ours(`SELECT key FROM ${CONTENT} WHERE labels = ['X']`)
    assert.ok(labelled.length > 0 && !labelled.join().includes('new.gif'))
    await cliOk(['table', 'expire', CONTENT, '--keep', '1', '--older-than', '2100-01-01', '--home', home], { cwd: dir })
    await assertAgreement(spark)
  } finally {
    await spark.close()
  }
})

test('a process that is killed between any two requests leaves tables that are right after the next run', {
  skip: noMinio,
}, async () => {
  for (const afterMs of [900, 1_300, 1_700, 2_100, 2_500]) {
    await cp(path.join(PHOTOS, '2025/web/waves.gif'), path.join(photos, `killed after ${afterMs}.gif`))
    const { signal } = await cli(ingestion(), {
      cwd: dir,
      onStart: (child) => void delay(afterMs).then(() => child.kill('SIGKILL')),
    })
    if (signal === null) continue // on a quick machine it was done by then
    await ours(`SELECT count(*) AS rows FROM ${CONTENT}`)
  }
  await ingest()
  await assertRight()
})

test('a store that is killed and comes back is waited for, and nothing is lost or told twice', {
  skip: noMinio,
}, async () => {
  await cp(path.join(PHOTOS, '2025/web/waves.gif'), path.join(photos, 'while the store was away.gif'))
  await minio.stop('SIGKILL')
  const ingesting = ingest()
  await delay(4_000)
  await minio.start()
  await ingesting
  await assertRight()
})

test('doctor finds the home right, and tells of a file that is gone from the bucket', { skip: noMinio }, async () => {
  const fine = await cli(['doctor', '--home', home], { cwd: dir })
  assert.equal(fine.code, 0, fine.stdout + fine.stderr)
  const rows = await ours(`SELECT file_path FROM ${INVENTORY}.files`)
  const { file_path: location } = JSON.parse(rows[0]!) as { file_path: string }
  assert.ok(location.startsWith(`${WAREHOUSE}/`))
  const store = openS3Store({ connection: minio.connection, bucket: 'lake' })
  await store.delete([location.slice('s3://lake/'.length)])
  const missing = await cli(['doctor', '--home', home], { cwd: dir })
  assert.notEqual(missing.code, 0)
  assert.match(missing.stdout, /is missing/)
})
