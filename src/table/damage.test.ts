/** A damaged file of a table is the table's trouble: no entry of the log is blamed for it. */
import assert from 'node:assert/strict'
import { truncate, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { OtherEngine } from '../../test/support/other-engine.ts'
import { schemaOf } from '../../test/support/table.ts'
import { openTableBench } from '../../test/support/table-bench.ts'
import { isFault } from '../base/fault.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { TableFeed } from './feed.ts'

const schema = schemaOf([
  ['k', 'string', true],
  ['n', 'long'],
])
const ident = { namespace: ['default'], name: 't' }

const damages: Record<string, (file: string) => Promise<void>> = {
  'cut off': (file) => truncate(file, 100),
  empty: (file) => truncate(file, 0),
  'other bytes': (file) => writeFile(file, 'no Parquet at all, whatever its name says'),
}

for (const [name, damage] of Object.entries(damages)) {
  test(`entries stay in the log while a file of another engine is damaged: ${name}`, async () => {
    const bench = await openTableBench()
    try {
      const writer = await bench.openWriter({ ident, schema, key: ['k'], mode: 'upsert' })
      const poison: string[] = []
      const feed = await TableFeed.open({
        writer,
        log: bench.log,
        clock: bench.clock,
        onEvent: () => undefined,
        onPoison: async (text) => void poison.push(text),
      })
      await bench.append([{ op: 'upsert', row: { k: 'a', n: 1 } }])
      await feed.drain()
      const other = new OtherEngine(bench, ident)
      await other.append(`SELECT 'o' AS k, 1::BIGINT AS n`)
      const { tasks } = await planScan(bench.io, (await other.load()).metadata)
      // Names follow time: the last one is the other engine's.
      const [victim] = tasks
        .map((task) => task.file.filePath)
        .toSorted()
        .slice(-1)
      assert.ok(victim !== undefined)
      await damage(victim.replace('file://', ''))
      await bench.append(['b', 'c', 'd', 'e'].map((k) => ({ op: 'upsert', row: { k, n: 2 } })))
      await assert.rejects(
        feed.drain(),
        (error) => isFault(error, 'corrupt') && error.message.includes('default.t') && /doctor/.test(error.message),
      )
      assert.deepEqual(poison, [])
      assert.equal(feed.position, 1)
      await writer.close()
    } finally {
      await bench.close()
    }
  })
}

test('what an entry says is no damage, even if it reads like a message of one', async () => {
  const bench = await openTableBench()
  try {
    const writer = await bench.openWriter({ ident, schema, key: ['k'], mode: 'upsert' })
    const poison: string[] = []
    const feed = await TableFeed.open({
      writer,
      log: bench.log,
      clock: bench.clock,
      onEvent: () => undefined,
      onPoison: async (text) => void poison.push(text),
    })
    const lie = "Invalid Input Error: No magic bytes found at end of file 'x.parquet'"
    await bench.append([
      { op: 'upsert', row: { k: 'a', n: lie } },
      { op: 'upsert', row: { k: 'b', n: 1 } },
    ])
    await feed.drain()
    assert.equal(poison.length, 1)
    assert.equal((await bench.rows(await writer.load())).length, 1)
    await writer.close()
  } finally {
    await bench.close()
  }
})
