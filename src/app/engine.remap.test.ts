import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventOf, TABLES, withEngine } from '../../test/support/engine-bench.ts'
import { parseConfig } from './config.ts'

const config = (columns: Record<string, { type: string; jpath: string }>) => ({ objects: { content: { columns } } })
const before = { size: { type: 'LONG', jpath: '$.text.size' } }
const parsed = (columns: Parameters<typeof config>[0]) => parseConfig(config(columns), 'the file')
const type = { type: 'STRING', jpath: '$.object.format' }

test('content columns are added and filled while events go on, with every event in the tables at the end', async () => {
  await withEngine(config(before), async (bench) => {
    const { engine } = bench
    const faults: string[] = []
    const put = async (n: number) => {
      const key = `${n % 40}.txt`
      const object = await bench.putObject('photos', key, `text ${n}`)
      const time = new Date(1_764_000_000_000 + n * 1_000).toISOString()
      const sequencer = n.toString(16).toUpperCase().padStart(16, '0')
      await engine.objects.accept([eventOf({ kind: 'create', key, time, sequencer, ...object })])
    }
    for (let n = 0; n < 60; n++) await put(n)
    await engine.drain()
    engine.start((fault) => faults.push(fault.message))
    const putting = (async () => {
      for (let n = 60; n < 300; n++) await put(n)
    })()
    const filled = await engine.remap(parsed({ ...before, etag_again: { type: 'STRING', jpath: '$.none' }, type }))
    assert.ok(filled.rows >= 40, `${filled.rows} rows were there`)
    // The same again changes nothing.
    assert.equal((await engine.remap(parsed({ ...before, type }))).rows >= 0, true)
    await putting
    await engine.finish()
    assert.deepEqual(faults, [])
    const content = await bench.sql(`SELECT key, etag FROM ${TABLES.content}`)
    const inventory = await bench.sql(`SELECT key, e_tag AS etag FROM ${TABLES.inventory}`)
    const lines = (rows: typeof content) => rows.map(({ key, etag }) => `${key} ${etag}`).sort()
    assert.equal(content.length, 40)
    assert.deepEqual(lines(content), lines(inventory), 'no row of before was put over a newer one')
    assert.equal((await bench.sql(`SELECT key FROM ${TABLES.journal}`)).length, 300)
    const columns = Object.keys((await bench.sql(`SELECT * FROM ${TABLES.content} LIMIT 1`))[0] ?? {})
    for (const name of ['size', 'etag_again', 'type']) assert.ok(columns.includes(name), `${name}: ${columns}`)
  })
})

test('columns that the table cannot have leave everything as it was', async () => {
  await withEngine(config(before), async (bench) => {
    const { engine } = bench
    engine.start(() => undefined)
    await assert.rejects(
      engine.remap(parsed({ size: { type: 'STRING', jpath: '$.none' } })),
      /give the column another name/,
    )
    const object = await bench.putObject('photos', 'a.txt', 'abc')
    await bench.engine.objects.accept([
      eventOf({ kind: 'create', key: 'a.txt', time: '2026-11-20T15:00:00Z', ...object }),
    ])
    await engine.finish()
    assert.equal((await bench.sql(`SELECT key FROM ${TABLES.content}`)).length, 1)
  })
})
