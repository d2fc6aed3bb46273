/** Transform functions in streams with everything around them: rows, dead letters with the bytes as they came, and who may name a file. */
import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { EngineBench } from '../../test/support/engine-bench.ts'
import { recordsOf } from '../../test/support/streams.ts'

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
    for (const module of ['../secret.mjs', path.join(bench.dir, 'secret.mjs'), 'link.mjs', 'gone.mjs', '.']) {
      await assert.rejects(make(module), { kind: 'invalid' }, module)
    }
    assert.deepEqual(bench.engine.streams.list(), [])
    await make('clean.mjs')
  })
})
