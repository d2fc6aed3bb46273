/** Objects whose bytes are not those that an event tells of: never another object's facts, never a lost row. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { EngineBench, eventOf, withEngine } from '../../test/support/engine-bench.ts'
import { md5Hex } from '../base/hash.ts'
import { replayLetters } from './replay.ts'

const golden = (name: string) => readFile(new URL(`../../test/golden/images/files/${name}`, import.meta.url))

/** Labels that are what the object says. */
const LABELLER = `
export const name = 'labeller'
export const appliesTo = () => true
export const extract = async (_subject, bytes) => ({ labels: [{ Name: new TextDecoder().decode(await bytes.read(0, 100)) }] })
`

const JOIN = `SELECT om.e_tag, cm.labels FROM s3_metadata_coalesced AS om
  LEFT JOIN catalog.default.s3_content_metadata AS cm
  ON om.bucket = cm.bucket AND om.key = cm.key AND om.e_tag = cm.etag`

async function labelling(): Promise<EngineBench> {
  const bench = await EngineBench.prepare()
  await writeFile(join(bench.dir, 'labeller.mjs'), LABELLER)
  return bench.restart({ objects: { extractors: [{ module: 'labeller.mjs' }] } })
}

describe('a picture of a cat that is overwritten by one of a dog', () => {
  const cat = eventOf({
    kind: 'create',
    key: 'img.jpeg',
    time: '2024-05-01T10:00:00.000Z',
    sequencer: '0066320E1F00000001',
    etag: 'aef123',
    tags: { foo: 'bar' },
  })
  const dog = eventOf({
    kind: 'create',
    key: 'img.jpeg',
    time: '2024-05-01T10:00:00.100Z',
    sequencer: '0066320E1F00000002',
    etag: 'ccd445',
    tags: { foo: 'baz' },
  })

  it('has no label while the content table lags behind the journal, and never that of the cat', async () => {
    const bench = await labelling()
    try {
      await bench.putObject('photos', 'img.jpeg', 'Cat')
      await bench.tell(cat)
      assert.deepEqual(await bench.sql(JOIN), [{ e_tag: 'aef123', labels: ['Cat'] }])

      await bench.putObject('photos', 'img.jpeg', 'Dog')
      const { objects, feeds } = bench.engine
      await objects.accept([dog])
      await objects.drain()
      await feeds.get('journal')!.drain()
      await feeds.get('inventory')!.drain()
      assert.deepEqual(await bench.sql(JOIN), [{ e_tag: 'ccd445', labels: null }])
      const [content] = await bench.sql('SELECT etag, labels FROM default.s3_content_metadata')
      assert.deepEqual(content, { etag: 'aef123', labels: ['Cat'] })

      await feeds.get('content')!.drain()
      assert.deepEqual(await bench.sql(JOIN), [{ e_tag: 'ccd445', labels: ['Dog'] }])
    } finally {
      await bench.close()
    }
  })

  it('is not labelled a dog under the etag of the cat when it is read too late', async () => {
    const bench = await labelling()
    try {
      await bench.putObject('photos', 'img.jpeg', 'Dog')
      const late = { ...cat, etag: md5Hex(Buffer.from('Cat')) }
      await bench.tell(late)
      assert.deepEqual(await bench.sql(JOIN), [{ e_tag: late.etag, labels: [] }])
      const [row] = await bench.sql(
        "SELECT get_json_object(metadata, '$.faults[0].kind') AS fault FROM default.s3_content_metadata",
      )
      assert.deepEqual(row, { fault: 'superseded' })

      const next = { ...dog, etag: md5Hex(Buffer.from('Dog')) }
      await bench.tell(next)
      assert.deepEqual(await bench.sql(JOIN), [{ e_tag: next.etag, labels: ['Dog'] }])
    } finally {
      await bench.close()
    }
  })
})

describe('objects whose bytes are gone or replaced', () => {
  it('have their row with the fault in it and a dead letter; a replay with the bytes there fixes the row and marks the letter', async () => {
    await withEngine({}, async (bench) => {
      const [first, second] = [await golden('gps-ne.jpg'), await golden('gps-se.jpg')]
      const told = { time: '2024-05-01T10:00:00Z', etag: md5Hex(first), sizeBytes: first.length }
      await bench.putObject('photos', 'replaced.jpg', second)
      await bench.tell(
        eventOf({ kind: 'create', key: 'missing.jpg', ...told }),
        eventOf({ kind: 'create', key: 'replaced.jpg', ...told }),
        eventOf({ kind: 'create', key: 'kept away.jpg', bucket: 'no-such-bucket', ...told }),
      )
      const rows = `SELECT key, etag, image_width AS width, get_json_object(metadata, '$.faults[0].kind') AS fault
        FROM default.s3_content_metadata ORDER BY key`
      const { etag } = told
      assert.deepEqual(await bench.sql(rows), [
        { key: 'kept away.jpg', etag, width: null, fault: 'missing' },
        { key: 'missing.jpg', etag, width: null, fault: 'missing' },
        { key: 'replaced.jpg', etag, width: null, fault: 'superseded' },
      ])
      const letters = 'SELECT subject, code, status FROM tidewater.dead_letters ORDER BY subject'
      const open = [
        { subject: 'no-such-bucket/kept away.jpg@null', code: 'missing', status: 'open' },
        { subject: 'photos/missing.jpg@null', code: 'missing', status: 'open' },
        { subject: 'photos/replaced.jpg@null', code: 'superseded', status: 'open' },
      ]
      assert.deepEqual(await bench.sql(letters), open)

      assert.deepEqual(await replayLetters(bench.engine, { ids: [] }), { replayed: 0, failed: 3, cut: 0 })
      assert.deepEqual(await bench.sql(letters), open)

      // The bytes are put where they are looked for, by a process that runs on.
      for (const [bucket, key] of [
        ['photos', 'missing.jpg'],
        ['photos', 'replaced.jpg'],
        ['no-such-bucket', 'kept away.jpg'],
      ] as const) {
        await bench.putObject(bucket, key, first)
      }
      const before = await bench.tables()
      assert.deepEqual(await replayLetters(bench.engine, { ids: [], stage: 'extract' }), {
        replayed: 3,
        failed: 0,
        cut: 0,
      })
      assert.deepEqual(
        await bench.sql(rows),
        ['kept away.jpg', 'missing.jpg', 'replaced.jpg'].map((key) => ({ key, etag, width: 96, fault: null })),
      )
      assert.deepEqual(
        await bench.sql(letters),
        open.map((letter) => ({ ...letter, status: 'replayed' })),
      )
      const after = await bench.tables()
      assert.deepEqual([after.journal, after.inventory], [before.journal, before.inventory])
      assert.deepEqual(await replayLetters(bench.engine, { ids: [] }), { replayed: 0, failed: 0, cut: 0 })
    })
  })

  it('that are deleted or replaced afterwards have nothing open: their letters are settled, also after a restart', async () => {
    await withEngine({}, async (bench) => {
      const at = (second: number) => ({ time: `2024-05-01T10:00:0${second}Z` })
      await bench.tell(
        eventOf({ kind: 'create', key: 'gone.jpg', etag: 'e', ...at(0) }),
        eventOf({ kind: 'create', key: 'replaced.jpg', etag: 'e', ...at(0) }),
        eventOf({ kind: 'create', key: 'stays.jpg', etag: 'e', ...at(0) }),
      )
      const letters = 'SELECT subject, code, status FROM tidewater.dead_letters ORDER BY subject, code'
      const statuses = async () => (await bench.sql(letters)).map(({ status }) => status)
      assert.deepEqual(await statuses(), ['open', 'open', 'open'])
      await bench.restart()
      // The same told again, and a tag, leave the bytes as they are.
      await bench.tell(
        eventOf({ kind: 'create', key: 'gone.jpg', etag: 'e', ...at(0) }),
        eventOf({ kind: 'update', key: 'stays.jpg', ...at(1) }),
      )
      assert.deepEqual(await statuses(), ['open', 'open', 'open'])
      await bench.tell(
        eventOf({ kind: 'delete', key: 'gone.jpg', ...at(2) }),
        eventOf({
          kind: 'create',
          key: 'replaced.jpg',
          ...at(2),
          ...(await bench.putObject('photos', 'replaced.jpg', 'x')),
        }),
      )
      // "replaced.jpg" is no image by its bytes, which is a letter of its own.
      assert.deepEqual(await bench.sql(letters), [
        { subject: 'photos/gone.jpg@null', code: 'missing', status: 'settled' },
        { subject: 'photos/replaced.jpg@null', code: 'invalid', status: 'open' },
        { subject: 'photos/replaced.jpg@null', code: 'missing', status: 'settled' },
        { subject: 'photos/stays.jpg@null', code: 'missing', status: 'open' },
      ])
      assert.deepEqual(await replayLetters(bench.engine, { ids: [] }), { replayed: 0, failed: 2, cut: 0 })
      assert.deepEqual((await bench.tables()).content.length, 2)
    })
  })
})
