import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type Change, openTableBench, type TableBench, upkeep } from '../../test/support/table-bench.ts'
import { must } from '../base/assert.ts'
import { append } from '../iceberg/action/append.ts'
import { expireSnapshots } from '../iceberg/action/expire.ts'
import { rollbackToSnapshot } from '../iceberg/action/set-ref.ts'
import type { Schema } from '../iceberg/spec/table-metadata.ts'
import { parseOrderText, parseSpecText } from '../iceberg/spec/term-text.ts'
import { compareIndex } from './index-upkeep.ts'
import type { TableDefinition, WriteMode } from './table.ts'
import { TableWriter } from './writer.ts'

const schema: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'k', required: true, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'long' },
    { id: 3, name: 'part', required: false, type: 'string' },
    {
      id: 4,
      name: 'tags',
      required: false,
      type: { type: 'map', 'key-id': 5, key: 'string', 'value-id': 6, 'value-required': false, value: 'string' },
    },
  ],
}

function definition(name: string, mode: WriteMode, partitioned = false): TableDefinition {
  return {
    ident: { namespace: ['default'], name },
    schema,
    key: mode === 'append' ? [] : ['k'],
    mode,
    ...(partitioned
      ? { spec: parseSpecText('part, bucket(3, k)', schema), sortOrder: parseOrderText('k', schema) }
      : {}),
  }
}

const upsert = (k: string, n: number, part = 'p'): Change => ({ op: 'upsert', row: { k, n, part, tags: { of: k } } })
const remove = (k: string): Change => ({ op: 'delete', row: { k } })

async function contents(bench: TableBench, writer: TableWriter): Promise<Record<string, string>> {
  const rows = await bench.rows(await writer.load(), "k, n || '/' || part AS v")
  assert.equal(new Set(rows.map((row) => row['k'])).size, rows.length, 'a key has one row')
  return Object.fromEntries(rows.map((row) => [String(row['k']), String(row['v'])]).toSorted())
}

async function assertIndexAgrees(writer: TableWriter): Promise<void> {
  assert.deepEqual(await compareIndex(must(writer.indexContext, 'index'), await writer.load()), {
    missing: 0,
    extra: 0,
  })
}

describe('the table writer', () => {
  let bench: TableBench
  before(async () => {
    bench = await openTableBench()
  })
  after(() => bench.close())

  test('tables whose names are alike have indexes of their own in one DuckDB', async () => {
    const { catalog, io, clock, duck } = bench
    const names = ['alike.b_c', 'alike_b.c', 'ALIKE.b_c'].map((name) => name.split('.') as [string, string])
    const writers: TableWriter[] = []
    for (const [at, [namespace, name]] of names.entries()) {
      const parts = { catalog, io, clock, session: await duck.connect() }
      const table = { ...definition(name, 'upsert'), ident: { namespace: [namespace], name } }
      writers.push(
        await TableWriter.open(parts, { definition: table, indexPath: `${bench.indexPath}-${at}`, logName: 'changes' }),
      )
    }
    for (const writer of writers) await writer.close()
  })

  test('an upsert replaces, a delete removes, within one commit and across commits', async () => {
    const writer = await bench.openWriter(definition('basics', 'upsert'))
    await bench.append([upsert('a', 1), upsert('b', 1), upsert('a', 2), upsert('c', 1), remove('c')])
    await bench.commitAll(writer)
    assert.deepEqual(await contents(bench, writer), { a: '2/p', b: '1/p' })
    await bench.append([remove('a'), upsert('b', 3), upsert('d', 1)])
    await bench.commitAll(writer)
    assert.deepEqual(await contents(bench, writer), { b: '3/p', d: '1/p' })
    await assertIndexAgrees(writer)
    await writer.close()
  })

  test('entries that were committed are never applied again, and nothing new makes no snapshot', async () => {
    const bench2 = await openTableBench()
    const writer = await bench2.openWriter(definition('again', 'upsert'))
    await bench2.append([upsert('a', 1)])
    const segments = await bench2.log.seal(0, 1e9)
    assert.notEqual(await writer.commit(segments, 0, 1), null)
    assert.equal(await writer.commit(segments, 0, 1), null)
    await bench2.append([remove('never there')])
    assert.equal(await writer.commit(await bench2.log.seal(1, 1e9), 1, 2), null)
    assert.equal((await writer.load()).metadata.snapshots.length, 1)
    await writer.close()
    await bench2.close()
  })

  test('insert-once keeps the first word on a key and only ever appends', async () => {
    const bench2 = await openTableBench()
    const writer = await bench2.openWriter(definition('journal', 'insert-once'))
    await bench2.append([upsert('a', 1), upsert('a', 2)])
    await bench2.commitAll(writer)
    await bench2.append([upsert('a', 3), upsert('b', 1)])
    await bench2.commitAll(writer)
    assert.deepEqual(await contents(bench2, writer), { a: '1/p', b: '1/p' })
    const { metadata } = await writer.load()
    assert.deepEqual(
      metadata.snapshots.map((snapshot) => snapshot.summary.operation),
      ['append', 'append'],
    )
    await writer.close()
    await bench2.close()
  })

  test('an append table takes every entry and needs no index', async () => {
    const bench2 = await openTableBench()
    const writer = await bench2.openWriter(definition('events', 'append'))
    await bench2.append([upsert('a', 1), upsert('a', 1)])
    await bench2.commitAll(writer)
    assert.equal((await bench2.rows(await writer.load())).length, 2)
    assert.equal(writer.indexContext, null)
    await writer.close()
    await bench2.close()
  })

  test('the offset is known even after somebody committed on top and expired every snapshot of ours', async () => {
    const bench2 = await openTableBench()
    const writer = await bench2.openWriter(definition('expired', 'upsert'))
    await bench2.append([upsert('a', 1), upsert('b', 1)])
    await bench2.commitAll(writer)
    const ours = await writer.load()
    const manifestList = must(ours.metadata.snapshots.at(-1), 'our snapshot')['manifest-list']
    const theirs = await bench2.catalog.commit(
      ours,
      append(ours.metadata, { snapshotId: 42n, manifestList, timestampMs: Date.now(), counts: {} }),
    )
    const { change } = expireSnapshots(theirs.metadata, {
      nowMs: Date.now() + 1e9,
      olderThanMs: Date.now() + 1e9,
      keepMin: 1,
    })
    const left = await bench2.catalog.commit(theirs, change)
    assert.deepEqual(
      left.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']),
      [42n],
    )
    assert.equal(await writer.committedOffset(), 2)
    await writer.close()
    await bench2.close()
  })

  test('what a rollback has undone stays undone, also after a restart that finds the entries still in the log', async () => {
    const bench2 = await openTableBench()
    let writer = await bench2.openWriter(definition('rolled-back', 'upsert'))
    await bench2.append([upsert('a', 1)])
    await bench2.commitAll(writer)
    const before = await writer.load()
    await bench2.append([upsert('a', 2), upsert('b', 1)])
    await bench2.commitAll(writer)
    const now = await writer.load()
    const target = must(before.metadata['current-snapshot-id'], 'a snapshot')
    await bench2.catalog.commit(now, rollbackToSnapshot(now.metadata, target))
    await writer.close()
    writer = await bench2.openWriter(definition('rolled-back', 'upsert'))
    assert.equal(await writer.committedOffset(), 3)
    await bench2.append([upsert('c', 1)])
    await bench2.commitAll(writer)
    assert.deepEqual(await contents(bench2, writer), { a: '1/p', c: '1/p' })
    await assertIndexAgrees(writer)
    await writer.close()
    await bench2.close()
  })

  test('a null in a required column is refused and nothing is committed', async () => {
    const bench2 = await openTableBench()
    const writer = await bench2.openWriter(definition('strict', 'upsert'))
    await bench2.append([{ op: 'upsert', row: { n: 1 } }])
    await assert.rejects(bench2.commitAll(writer), { name: 'Fault', kind: 'invalid' })
    assert.equal((await writer.load()).metadata['current-snapshot-id'], undefined)
    await writer.close()
    await bench2.close()
  })
})

type Step =
  | { kind: 'commit' }
  | { kind: 'reopen' }
  | { kind: 'lose-index' }
  | { kind: 'upkeep' }
  | { kind: 'change'; change: Change }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .record({
        k: fc.integer({ min: 0, max: 12 }),
        n: fc.integer({ min: 0, max: 99 }),
        part: fc.constantFrom('p', 'q'),
        gone: fc.boolean(),
      })
      .map(
        ({ k, n, part, gone }): Step => ({ kind: 'change', change: gone ? remove(`k${k}`) : upsert(`k${k}`, n, part) }),
      ),
  },
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'commit' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reopen' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'lose-index' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: 'upkeep' }) },
)

for (const partitioned of [false, true]) {
  test(`any history, split and restarts give the table that a plain map gives (${partitioned ? 'partitioned and sorted' : 'unpartitioned'})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60 }),
        fc.constantFrom(0, 3, 300_000),
        async (steps, indexDeltaRowsMax) => {
          const bench = await openTableBench()
          const wanted = new Map<string, string>()
          let writer = await bench.openWriter(definition('model', 'upsert', partitioned), { indexDeltaRowsMax })
          try {
            for (const one of [...steps, { kind: 'commit' as const }]) {
              switch (one.kind) {
                case 'change': {
                  const { op, row } = one.change
                  if (op === 'delete') wanted.delete(String(row['k']))
                  else wanted.set(String(row['k']), `${row['n']}/${row['part']}`)
                  await bench.append([one.change])
                  break
                }
                case 'commit':
                  await bench.commitAll(writer)
                  assert.deepEqual(await contents(bench, writer), Object.fromEntries([...wanted].toSorted()))
                  break
                case 'upkeep':
                  await upkeep(writer)
                  break
                case 'reopen':
                case 'lose-index':
                  await writer.close()
                  if (one.kind === 'lose-index') await rm(bench.indexPath)
                  writer = await bench.openWriter(definition('model', 'upsert', partitioned), { indexDeltaRowsMax })
                  break
              }
            }
            await assertIndexAgrees(writer)
            await writer.close()
          } finally {
            await bench.close()
          }
        },
      ),
      { numRuns: 12, endOnFailure: true },
    )
  })
}
