import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTableBench, type TableBench } from '../../test/support/table-bench.ts'
import { parseTypeText } from '../iceberg/spec/type-text.ts'
import { ensureTable } from './table-setup.ts'

let bench: TableBench
before(async () => {
  bench = await openTableBench()
})
after(() => bench.close())

async function ensure(name: string, type: string): Promise<void> {
  let id = 1
  const schema = {
    type: 'struct' as const,
    'schema-id': 0,
    fields: [{ id: 1, name: 'x', required: false, type: parseTypeText(type, () => ++id) }],
  }
  await ensureTable(
    bench.catalog,
    { ident: { namespace: ['default'], name }, key: [], mode: 'append', schema },
    bench.clock,
  )
}

const there: [found: string, wanted: string, fits: boolean][] = [
  ['LONG', 'INT', true],
  ['INT', 'LONG', false],
  ['DOUBLE', 'FLOAT', true],
  ['DECIMAL(12,2)', 'DECIMAL(9,2)', true],
  ['DECIMAL(12,2)', 'DECIMAL(9,1)', false],
  ['STRING', 'LONG', false],
  ['STRUCT<a: LONG, b: STRING>', 'STRUCT<a: INT>', true],
  ['STRUCT<a: LONG>', 'STRUCT<a: LONG, b: STRING>', false],
  ['ARRAY<STRUCT<a: LONG, b: LONG>>', 'ARRAY<STRUCT<a: LONG>>', true],
  ['MAP<STRING, LONG>', 'MAP<STRING, INT>', true],
  ['MAP<STRING, LONG>', 'ARRAY<INT>', false],
]

test('a table that has grown since still fits its definition, and one of other types does not', async () => {
  for (const [at, [found, wanted, fits]] of there.entries()) {
    await ensure(`t${at}`, found)
    if (fits) await ensure(`t${at}`, wanted)
    else await assert.rejects(ensure(`t${at}`, wanted), /but the configuration wants/, `${found} ${wanted}`)
  }
})
