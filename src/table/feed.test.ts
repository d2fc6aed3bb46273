import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Change, openTableBench } from '../../test/support/table-bench.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { TableFeed } from './feed.ts'
import type { FeedEvent, WriteMode } from './table.ts'

const schema: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'k', required: true, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'long' },
  ],
}

const fits = (k: string): Change => ({ op: 'upsert', row: { k, n: 1 } })

for (const mode of ['upsert', 'append'] as WriteMode[]) {
  test(`an entry that cannot even be read as a row of the table is passed over alone (${mode})`, async () => {
    const bench = await openTableBench()
    try {
      const writer = await bench.openWriter({
        ident: { namespace: ['default'], name: 'poisoned' },
        schema,
        key: mode === 'append' ? [] : ['k'],
        mode,
      })
      const refused: string[] = []
      const events: FeedEvent[] = []
      const open = () =>
        TableFeed.open({
          writer,
          log: bench.log,
          clock: bench.clock,
          onEvent: (event) => events.push(event),
          onPoison: async (text) => void refused.push((JSON.parse(text) as { row: { k: string } }).row.k),
        })
      await bench.append([
        fits('a'),
        { op: 'upsert', row: { k: 'bad', n: 'no number' } },
        fits('b'),
        fits('c'),
        { op: 'upsert', row: { k: 'worse', n: [1] } },
      ])
      const feed = await open()
      await feed.drain()
      await bench.append([fits('d')])
      await feed.drain()
      assert.deepEqual(refused, ['bad', 'worse'])
      const rows = await bench.rows(await writer.load(), 'k')
      assert.deepEqual(rows.map((row) => row['k']).sort(), ['a', 'b', 'c', 'd'])
      await writer.close()
    } finally {
      await bench.close()
    }
  })
}
