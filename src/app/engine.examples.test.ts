/** The recorded notifications that ship with the project: what they make of the tables, and that they are as their program makes them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { EngineBench } from '../../test/support/engine-bench.ts'
import { type IngestCounts, ingestEvents } from './ingest.ts'

const examples = fileURLToPath(new URL('../../examples', import.meta.url))
const notifications = join(examples, 'notifications.jsonl')

describe('the recorded notifications in examples', () => {
  let bench: EngineBench
  let counts: IngestCounts
  before(async () => {
    bench = await EngineBench.open()
    const objects = join(examples, 'objects')
    counts = await ingestEvents(bench.engine, {
      input: createReadStream(notifications),
      name: 'notifications',
      objects,
    })
  })
  after(() => bench.close())

  it('are eighteen events, two of them repeated and two of them late, a test message and a document not understood', () => {
    const { events, duplicates, late, ignored, problems, extractFaults } = counts
    assert.deepEqual(
      { events, duplicates, late, ignored, problems, extractFaults },
      { events: 18, duplicates: 2, late: 2, ignored: 1, problems: 1, extractFaults: 0 },
    )
  })

  it('leave what is in the three buckets', async () => {
    const rows = await bench.sql(
      'SELECT bucket, key, version_id, is_current, size FROM s3_metadata_coalesced ORDER BY bucket, key, version_id',
    )
    assert.deepEqual(
      rows.map((row) => `${row['bucket']}/${row['key']}@${row['version_id']} ${row['is_current']}`),
      [
        'archive/aurora + stars.jpg@B2nFy8DdQk5GaJ false',
        'archive/torres.jpg@R4kq0ZbJd7yVq1 false',
        'archive/torres.jpg@W9mCx2ULp3HsTe true',
        'holidays/kenya/acacia.jpg@null true',
        'holidays/kenya/balloons.jpg@null true',
        'holidays/lisboa/100% sun + sea.jpg@null true',
        'holidays/日本/富士山.jpg@null true',
        'studio/web/harbour.webp@null true',
      ],
    )
  })

  it('have the bytes that they tell of: every object has its size, and its etag joins the tables', async () => {
    const rows = await bench.sql(`SELECT count(*) AS objects, count(image_width) AS measured
      FROM s3_metadata_coalesced v JOIN default.s3_content_metadata c
      ON v.bucket = c.bucket AND v.key = c.key AND v.version_id = c."versionId" AND v.e_tag = c.etag`)
    assert.deepEqual(rows, [{ objects: 8n, measured: 8n }])
  })

  it('leave one dead letter: the document in a format that is not known', async () => {
    const rows = await bench.sql('SELECT stage, code, subject, status FROM tidewater.dead_letters')
    assert.deepEqual(rows, [{ stage: 'source', code: 'event-version', subject: 'notifications:19', status: 'open' }])
  })
})

describe('the program that makes them', () => {
  it('makes the same files', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidewater-notifications-'))
    try {
      await promisify(execFile)(process.execPath, [join(examples, 'make-notifications.mjs'), folder])
      assert.equal(await readFile(join(folder, 'notifications.jsonl'), 'utf8'), await readFile(notifications, 'utf8'))
      const made = (await readdir(join(folder, 'objects'), { recursive: true, withFileTypes: true })).filter((entry) =>
        entry.isFile(),
      )
      assert.equal(made.length, 8)
      for (const entry of made) {
        const path = join(entry.parentPath, entry.name)
        const kept = join(examples, 'objects', path.slice(join(folder, 'objects').length))
        assert.ok((await readFile(path)).equals(await readFile(kept)), path)
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
