/** Rows made anew: which ones, in place, beside events that go on, and after a kill. */
import assert from 'node:assert/strict'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { EngineBench, eventOf } from '../../test/support/engine-bench.ts'
import { withServer } from '../../test/support/http-bench.ts'
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { countStale, type ReextractRequest, reextractAll, reextractPart } from './reextract.ts'

const picture = () => readFile(new URL('../../test/golden/images/files/gps-ne.jpg', import.meta.url))

/** An extractor of texts whose facts tell its version. */
async function shape(bench: EngineBench, version: number, body = 'return { shape: { v: version } }'): Promise<string> {
  const file = join(bench.dir, `shape-${version}.mjs`)
  await writeFile(
    file,
    `export const name = 'shape'
export const version = ${version}
export const appliesTo = ({ key }) => key.endsWith('.txt')
export async function extract({ key }, bytes) { ${body} }
`,
  )
  return file
}

const columns = {
  v: { type: 'INTEGER', jpath: '$.shape.v' },
  width: { type: 'INTEGER', jpath: '$.image.image_width' },
}

let seconds = 0
async function put(bench: EngineBench, key: string, bytes: Uint8Array | string) {
  const time = new Date(Date.UTC(2024, 4, 1) + 1000 * ++seconds).toISOString()
  return eventOf({ kind: 'create', key, time, ...(await bench.putObject('photos', key, bytes)) })
}

async function withTexts(count: number, work: (bench: EngineBench) => Promise<void>): Promise<void> {
  const bench = await EngineBench.prepare()
  try {
    const module = await shape(bench, 1)
    await bench.restart({ objects: { extractors: [{ module }], content: { columns } } })
    const keys = Array.from({ length: count }, (_, at) => `t${String(at).padStart(3, '0')}.txt`)
    const events = []
    for (const key of keys) events.push(await put(bench, key, key))
    await bench.tell(...events, await put(bench, 'photo.jpg', await picture()))
    await work(bench)
  } finally {
    await bench.close()
  }
}

const raise = async (bench: EngineBench, version: number, body?: string) =>
  bench.restart({ objects: { extractors: [{ module: await shape(bench, version, body) }], content: { columns } } })
const all = (bench: EngineBench, request: ReextractRequest = {}) => reextractAll(bench.engine, request, () => undefined)
const versions = async (bench: EngineBench) =>
  (await bench.sql('SELECT v, count(*) AS n FROM default.s3_content_metadata GROUP BY v ORDER BY v NULLS LAST')).map(
    ({ v, n }) => [v, Number(n)],
  )
const placeFile = (bench: EngineBench) => join(bench.dir, 'home', 'state', 'reextract.json')

describe('rows of older versions', () => {
  it('say which versions made them, and are made anew in place when one is raised; others are left alone', async () => {
    await withTexts(3, async (bench) => {
      const madeBy = await bench.sql(
        "SELECT get_json_object(metadata, '$._extractors') AS it FROM default.s3_content_metadata ORDER BY key LIMIT 2",
      )
      assert.deepEqual(madeBy, [{ it: '{"image":1,"exif":1}' }, { it: '{"shape":1}' }])
      assert.deepEqual({ ...(await all(bench)), examples: 0 }, none(0))

      await raise(bench, 2)
      assert.equal((await countStale(bench.engine))['shape'], 3)
      assert.deepEqual({ ...(await all(bench, { dryRun: true })) }, { ...none(3), examples: [], passed: 0 })
      assert.deepEqual(await versions(bench), [
        [1, 3],
        [null, 1],
      ])
      assert.deepEqual({ ...(await all(bench)), examples: 0 }, { ...none(3), done: 3, passed: 3 })
      assert.deepEqual(await versions(bench), [
        [2, 3],
        [null, 1],
      ])
      await assert.rejects(access(placeFile(bench)))
      assert.equal((await all(bench)).rows, 0)
      // The journal and the inventory tell of what happened to objects: nothing has.
      assert.equal((await bench.sql('SELECT 1 FROM aws_s3_metadata.mdblogs3metadata')).length, 4)
    })
  })

  it('are chosen by SQL, whatever made them, or by what one extractor has not made', async () => {
    await withTexts(3, async (bench) => {
      await raise(bench, 2)
      assert.equal((await all(bench, { where: "key = 't001.txt' -- only this" })).done, 1)
      assert.deepEqual(await versions(bench), [
        [1, 2],
        [2, 1],
        [null, 1],
      ])
      // The picture too: the extractor has never applied to it.
      assert.equal((await all(bench, { extractor: 'shape', dryRun: true })).rows, 3)
      assert.equal((await all(bench, { extractor: 'shape', where: "key LIKE '%.txt'" })).done, 2)
      assert.deepEqual(await versions(bench), [
        [2, 3],
        [null, 1],
      ])
      assert.equal((await all(bench, { where: 'true' })).done, 4)
      for (const [request, kind] of [
        [{ where: 'no_such_column = 1' }, 'invalid'],
        [{ where: 'true) OR (' }, 'invalid'],
        [{ extractor: 'none' }, 'not-found'],
      ] as const)
        await assert.rejects(all(bench, request), (error) => isFault(error, kind))
    })
  })

  it('without raw metadata are chosen by SQL alone', async () => {
    const bench = await EngineBench.prepare()
    try {
      const configured = async (version: number) =>
        bench.restart({
          objects: {
            extractors: [{ module: await shape(bench, version) }],
            content: { includeRawMetadata: false, columns },
          },
        })
      await configured(1)
      await bench.tell(await put(bench, 'a.txt', 'a'))
      await configured(2)
      await assert.rejects(all(bench), (error) => isFault(error, 'invalid') && /--where true/.test(error.message))
      assert.equal((await all(bench, { where: 'v < 2' })).done, 1)
      assert.deepEqual(await versions(bench), [[2, 1]])
    } finally {
      await bench.close()
    }
  })
})

describe('what cannot be made anew', () => {
  it('keeps its row and stops nothing: an object that is not there, one that was replaced untold, one that fails', async () => {
    await withTexts(5, async (bench) => {
      await rm(join(bench.objectsDir, 'photos', 't001.txt'))
      await writeFile(join(bench.objectsDir, 'photos', 't002.txt'), 'other bytes')
      await raise(bench, 2, "if (key === 't003.txt') throw new Error('no'); return { shape: { v: version } }")
      const { done, faults, unread, examples } = await all(bench)
      assert.deepEqual({ done, faults, unread }, { done: 3, faults: 1, unread: 2 })
      assert.deepEqual(
        examples.map(({ subject }) => subject),
        ['photos/t001.txt@null', 'photos/t002.txt@null'],
      )
      assert.deepEqual(await bench.sql('SELECT key, v FROM default.s3_content_metadata ORDER BY key'), [
        { key: 'photo.jpg', v: null },
        { key: 't000.txt', v: 2 },
        { key: 't001.txt', v: 1 },
        { key: 't002.txt', v: 1 },
        { key: 't003.txt', v: null },
        { key: 't004.txt', v: 2 },
      ])
      const letters = 'SELECT subject, status FROM tidewater.dead_letters'
      assert.deepEqual(await bench.sql(letters), [{ subject: 'photos/t003.txt@null', status: 'open' }])

      // The mended extractor settles what the broken one left.
      await raise(bench, 3)
      assert.equal((await all(bench)).done, 3)
      assert.deepEqual(await bench.sql(letters), [{ subject: 'photos/t003.txt@null', status: 'settled' }])
    })
  })
})

describe('a run that was ended', () => {
  it('goes on where it was, in another process too, and begins anew when it is asked or chooses otherwise', async () => {
    await withTexts(40, async (bench) => {
      await raise(bench, 2)
      const first = await reextractOnce(bench)
      assert.equal(first.passed, limits.reextractAtOnce)
      assert.equal(JSON.parse(await readFile(placeFile(bench), 'utf8')).passed, limits.reextractAtOnce)
      // Killed: what is in the log is committed by the next, and not made twice.
      await bench.restart()
      const rest = await all(bench)
      assert.deepEqual([rest.rows, rest.done, rest.passed], [40, 40 - limits.reextractAtOnce, 40])
      assert.deepEqual(await versions(bench), [
        [2, 40],
        [null, 1],
      ])

      await raise(bench, 3)
      await reextractOnce(bench, { where: 'v > 0' })
      assert.equal((await all(bench, { where: 'v > 0', restart: true })).done, 40)
      await reextractOnce(bench, { where: 'v > 0' })
      assert.equal((await all(bench, { where: "key < 't005.txt'" })).done, 6)
    })
  })
})

/** So much of a run as a process does before it is killed: the place is saved after the first few rows, then the reading fails. */
async function reextractOnce(bench: EngineBench, request: ReextractRequest = {}) {
  const { objects } = bench.engine
  const redo = objects.redo.bind(objects)
  let count = 0
  objects.redo = (version, kept) =>
    ++count > limits.reextractAtOnce ? Promise.reject(new Error('killed')) : redo(version, kept)
  await assert.rejects(reextractPart(bench.engine, request), /killed/)
  objects.redo = redo
  return JSON.parse(await readFile(placeFile(bench), 'utf8')) as { passed: number }
}

describe('events that come meanwhile', () => {
  it('win: an object replaced or removed while its row is made anew has the row of its newest event', async () => {
    await withTexts(4, async (bench) => {
      // Slow enough that the events below come while the rows are being made.
      await raise(bench, 2, 'await new Promise((done) => setTimeout(done, 300)); return { shape: { v: version } }')
      const { engine } = bench
      engine.start((fault) => assert.fail(fault.message))
      const run = reextractPart(engine, {})
      const later = [
        await put(bench, 't000.txt', 'replaced'),
        eventOf({ kind: 'delete', key: 't001.txt', time: '2024-06-01T00:00:00Z' }),
      ]
      await engine.objects.accept(later)
      const part = await run
      assert.equal(part.done + part.overtaken + part.unread, 4)
      assert.ok(part.overtaken >= 1, JSON.stringify(part))
      await engine.finish()
      const rows = await bench.sql(
        'SELECT key, etag, v FROM default.s3_content_metadata WHERE v IS NOT NULL ORDER BY key',
      )
      assert.deepEqual(
        rows.map(({ key, v }) => [key, v]),
        [
          ['t000.txt', 2],
          ['t002.txt', 2],
          ['t003.txt', 2],
        ],
      )
      assert.equal(rows[0]?.['etag'], later[0]?.etag)
    })
  })

  it('find the run of a server that serves on, which tells how far it is and lets one run at a time', async () => {
    await withServer({}, {}, async ({ bench, send }) => {
      await bench.tell(await put(bench, 'p.jpg', await picture()))
      const ask = async (body: object) => (await send('POST', '/v1/reextract', JSON.stringify(body))).body
      const zero = { done: 0, faults: 0, unread: 0, overtaken: 0, isDone: true, examples: [] }
      assert.deepEqual(await ask({}), { rows: 0, passed: 0, ...zero })
      assert.deepEqual(await ask({ where: 'true', dryRun: true }), { rows: 1, passed: 0, ...zero })
      const [one, other] = await Promise.all([
        send('POST', '/v1/reextract', '{"where":"true"}'),
        send('POST', '/v1/reextract', '{"where":"true"}'),
      ])
      assert.deepEqual([one.status, other.status].sort(), [200, 409])
      assert.deepEqual(one.status === 200 ? one.body : other.body, { ...zero, rows: 1, passed: 1, done: 1 })
      assert.equal((await send('POST', '/v1/reextract', '{"wher":"true"}')).status, 400)
      assert.equal((await send('POST', '/v1/reextract', '{"where":"nonsense ("}')).status, 400)
    })
  })
})

function none(rows: number) {
  return { rows, passed: 0, done: 0, faults: 0, unread: 0, overtaken: 0, isDone: true, examples: 0 }
}
