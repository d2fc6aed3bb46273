/** Transform functions in streams with everything around them: rows, dead letters with the bytes as they came, and who may name a file. */
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { EngineBench } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'
import { replayLetters, replayWhileServing } from './replay.ts'

const columns = { id: 'LONG NOT NULL', name: 'STRING' }

const clean = `export default (record, context) => {
  if (record.id === 0) return context.drop()
  if (record.id < 0) return context.fail('negative')
  if (record.name === 'throw') throw new Error('cannot')
  return { id: record.id, name: record.name.trim() }
}
`

/** A bench whose folder holds files, by their paths. */
async function withFiles(files: Record<string, string>, work: (bench: EngineBench) => Promise<void>): Promise<void> {
  const bench = await EngineBench.prepare()
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(bench.dir, name)
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, text)
    }
    await work(bench)
  } finally {
    await bench.close()
  }
}

test('a record that a function changed is a row, one that it failed is a dead letter with the bytes as they came', async () => {
  await withFiles({ 'clean.ts': clean }, async (bench) => {
    const transform = { module: './clean.ts', numberOfRetries: 0 }
    await bench.restart({ streams: { events: { table: 'demo.events', columns, transform } } })
    const records = recordsOf(
      { id: 1, name: ' a ', more: true },
      { id: 0 },
      { id: -1 },
      { id: 2, name: 'throw' },
      'not json',
      { id: 'x', name: 'b' },
    )
    const { results } = await bench.engine.streams.get('events').accept(records)
    assert.deepEqual(
      results.map((result) => ('code' in result ? result.code : result.kind)),
      ['accepted', 'dropped', 'TransformFailed', 'TransformThrew', 'InvalidJson', 'WrongType'],
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, name FROM demo.events'), [{ id: 1n, name: 'a' }])
    assert.deepEqual(
      await bench.sql('SELECT code, decode(payload) AS bytes FROM tidewater.dead_letters ORDER BY code'),
      [
        { code: 'InvalidJson', bytes: 'not json' },
        { code: 'TransformFailed', bytes: '{"id":-1}' },
        { code: 'TransformThrew', bytes: '{"id":2,"name":"throw"}' },
        { code: 'WrongType', bytes: '{"id":"x","name":"b"}' },
      ],
    )
  })
})

test('a dead letter says how often its function was tried, replays with it, and has its line in an object', async () => {
  await withFiles({ 'clean.ts': clean }, async (bench) => {
    const transform = { module: './clean.ts', numberOfRetries: 2 }
    const errorOutput = { directory: './errors', prefix: 'e/' }
    await bench.restart({ streams: { events: { table: 'demo.events', columns, transform, errorOutput } } })
    await bench.engine.streams.get('events').accept(recordsOf({ id: 2, name: 'throw' }))
    await bench.engine.drain()
    const letters = () => bench.sql('SELECT attempt, reason FROM tidewater.dead_letters')
    assert.deepEqual(await letters(), [{ attempt: 3, reason: 'the function threw: cannot (3 tries)' }])
    const [object] = await readdir(path.join(bench.dir, 'errors', 'e', 'processing-failed'))
    const line = await readFile(path.join(bench.dir, 'errors', 'e', 'processing-failed', object ?? ''), 'utf8')
    assert.equal((JSON.parse(line) as { attemptsMade: number }).attemptsMade, 3)
    await replayLetters(bench.engine, {})
    assert.deepEqual(await letters(), [{ attempt: 6, reason: 'the function threw: cannot (3 tries)' }])
  })
})

test('a function written for a delivery stream sends records to other tables, and deletes rows of keyed ones', async () => {
  const handler = `export const handler = async ({ records }) => ({ records: records.map(({ recordId, data }) => {
    const { id, to, op } = JSON.parse(Buffer.from(data, 'base64'))
    const otfMetadata = { destinationDatabaseName: 'demo', destinationTableName: to, operation: op }
    return { recordId, result: 'Ok', data: Buffer.from(JSON.stringify({ id })).toString('base64'), metadata: { otfMetadata } }
  }) })`
  await withFiles({ 'handler.mjs': handler }, async (bench) => {
    const settings = { table: 'demo.events', columns, uniqueKeys: ['id'], transform: { module: './handler.mjs' } }
    await bench.restart({
      streams: { events: { ...settings, route: { destinations: ['demo.*'], destinationsMax: 2 } } },
    })
    const { results } = await bench.engine.streams
      .get('events')
      .accept(
        recordsOf(
          { id: 1, to: 'events', op: 'insert' },
          { id: 1, to: 'orders', op: 'insert' },
          { id: 2, to: 'orders', op: 'update' },
          { id: 1, to: 'orders', op: 'delete' },
          { id: 3, to: 'more', op: 'insert' },
          { id: 4, to: 'a b', op: 'insert' },
        ),
      )
    assert.deepEqual(
      results.map((result) => ('code' in result ? result.code : result.kind)),
      ['accepted', 'accepted', 'accepted', 'accepted', 'TooManyDestinations', 'InvalidDestination'],
    )
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id FROM demo.events'), [{ id: 1n }])
    assert.deepEqual(await bench.sql('SELECT id FROM demo.orders'), [{ id: 2n }])
  })
})

test('settings that change take another function, for the requests that come then', async () => {
  const other = 'export default () => ({ id: 7, name: "other" })\n'
  await withFiles({ 'functions/clean.mjs': clean, 'functions/other.mjs': other }, async (bench) => {
    await bench.restart()
    const settings = { table: 'demo.events', columns, transform: { module: 'clean.mjs' } }
    const { stream } = await bench.engine.streams.create('events', settings)
    const under = stream.accept(recordsOf({ id: 1, name: ' a ' }))
    await bench.engine.streams.update('events', { ...settings, transform: { module: 'other.mjs' } })
    await stream.accept(recordsOf({ id: 2, name: 'b' }))
    await under
    await assert.rejects(bench.engine.streams.update('events', { ...settings, transform: { module: 'gone.mjs' } }), {
      kind: 'invalid',
    })
    await stream.accept(recordsOf({ id: 3, name: 'c' }))
    await bench.restart()
    await bench.engine.streams.get('events').accept(recordsOf({ id: 4, name: 'd' }))
    await bench.engine.drain()
    assert.deepEqual(await bench.sql('SELECT id, name FROM demo.events ORDER BY id'), [
      { id: 1n, name: 'a' },
      { id: 7n, name: 'other' },
      { id: 7n, name: 'other' },
      { id: 7n, name: 'other' },
    ])
  })
})

test('streams made through the API name files in the folder of functions, and no others', async () => {
  await withFiles({ 'secret.mjs': clean, 'functions/clean.mjs': clean }, async (bench) => {
    await symlink(path.join(bench.dir, 'secret.mjs'), path.join(bench.dir, 'functions', 'link.mjs'))
    await bench.restart()
    const make = (module: string) =>
      bench.engine.streams.create('events', { table: 'demo.events', columns, transform: { module } })
    for (const module of [
      '../secret.mjs',
      path.join(bench.dir, 'secret.mjs'),
      'link.mjs',
      'functions/../secret.mjs',
      '.',
    ]) {
      await assert.rejects(make(module), { kind: 'invalid' }, module)
    }
    const folder = path.join(bench.dir, 'functions')
    for (const module of ['gone.mjs', './functions/gone.mjs'])
      await assert.rejects(make(module), { kind: 'invalid', message: new RegExp(`no file .*gone.mjs" in ${folder}`) })
    assert.deepEqual(bench.engine.streams.list(), [])
    await make('clean.mjs')
  })
})

test('streams made through the API may say functions/ before the file, as the configuration does', async () => {
  const inner = 'export default () => ({ id: 7, name: "inner" })\n'
  await withFiles(
    { 'functions/clean.mjs': clean, 'functions/both.mjs': clean, 'functions/functions/both.mjs': inner },
    async (bench) => {
      await bench.restart()
      const make = (name: string, module: string) =>
        bench.engine.streams.create(name, { table: `demo.${name}`, columns, transform: { module } })
      const { stream } = await make('one', './functions/clean.mjs')
      await stream.accept(recordsOf({ id: 1, name: ' a ' }))
      // The folder's own file of that path comes first, whatever else comes to be there.
      const both = (await make('two', 'functions/both.mjs')).stream
      await both.accept(recordsOf({ id: 1, name: ' a ' }))
      await bench.restart()
      await bench.engine.drain()
      assert.deepEqual(await bench.sql('SELECT name FROM demo.one'), [{ name: 'a' }])
      assert.deepEqual(await bench.sql('SELECT name FROM demo.two'), [{ name: 'inner' }])
    },
  )
})

test('a replay uses the function as its file is now, and those after it too, of the configuration and of the API', async () => {
  const helper = 'export const name = (record) => { throw new Error("cannot") }\n'
  const fixed = 'export const name = (record) => record.name.trim()\n'
  const main = `import { name } from './helper.mjs'
export default (record) => ({ id: record.id, name: name(record) })\n`
  await withFiles({ 'functions/main.mjs': main, 'functions/helper.mjs': helper }, async (bench) => {
    const transform = { module: './functions/main.mjs', numberOfRetries: 0 }
    await bench.restart({ streams: { events: { table: 'demo.events', columns, transform } } })
    await bench.engine.streams.create('made', { table: 'demo.made', columns, transform })
    bench.engine.start(() => undefined)
    const send = (id: number) =>
      Promise.all(
        ['events', 'made'].map((name) => bench.engine.streams.get(name).accept(recordsOf({ id, name: ' a ' }))),
      )
    await send(1)
    const counts = async (request: object) => {
      const { next: _, ...rest } = await replayWhileServing(bench.engine, request)
      return rest
    }
    assert.deepEqual(await counts({}), { replayed: 0, failed: 2, cut: 0 })
    // One that is broken is told, and the letters stay as they are.
    await writeFile(path.join(bench.dir, 'functions/helper.mjs'), 'export const name = (\n')
    await assert.rejects(replayWhileServing(bench.engine, {}), { kind: 'invalid', message: /could not be loaded/ })
    await writeFile(path.join(bench.dir, 'functions/helper.mjs'), fixed)
    assert.deepEqual(await counts({}), { replayed: 2, failed: 0, cut: 0 })
    await send(2)
    await bench.engine.streams.drain()
    for (const table of ['demo.events', 'demo.made'])
      assert.deepEqual(await bench.sql(`SELECT id, name FROM ${table} ORDER BY id`), [
        { id: 1n, name: 'a' },
        { id: 2n, name: 'a' },
      ])
    assert.deepEqual(await bench.sql('SELECT DISTINCT attempt FROM tidewater.dead_letters'), [{ attempt: 2 }])
  })
})
