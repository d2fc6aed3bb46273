/** Tables with an ordering column: what came first in time loses, whenever it arrives, and deletes are remembered with the table. */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, test } from 'node:test'
import fc from 'fast-check'
import { type Change, openTableBench, type TableBench, upkeep } from '../../test/support/table-bench.ts'
import { must } from '../base/assert.ts'
import { isFault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { expireSnapshots } from '../iceberg/action/expire.ts'
import { rollbackToSnapshot } from '../iceberg/action/set-ref.ts'
import { writeDataFiles } from '../iceberg/file/data-writer.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import { currentSchema, currentSpec } from '../iceberg/spec/schema.ts'
import type { Type } from '../iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../iceberg/spec/term-text.ts'
import { catchUp, compareIndex } from './index-upkeep.ts'
import { removeOrphans } from './orphans.ts'
import { planSnapshot } from './snapshot-plan.ts'
import type { TableDefinition } from './table.ts'
import { tombstonesOf } from './tombstones.ts'
import type { TableWriter } from './writer.ts'

function definition(name: string, type: Type = 'long', more: Partial<TableDefinition> = {}): TableDefinition {
  return {
    ident: { namespace: ['default'], name },
    schema: {
      type: 'struct',
      'schema-id': 0,
      fields: [
        { id: 1, name: 'k', required: true, type: 'string' },
        { id: 2, name: 'v', required: true, type },
        { id: 3, name: 'n', required: false, type: 'long' },
      ],
    },
    key: ['k'],
    mode: 'upsert',
    ordering: 'v',
    ...more,
  }
}

const upsert = (k: string, v: number | string, n = 0): Change => ({ op: 'upsert', row: { k, v, n } })
const remove = (k: string, v: number | string): Change => ({ op: 'delete', row: { k, v } })

async function contents(bench: TableBench, writer: TableWriter): Promise<string[]> {
  const rows = await bench.rows(await writer.load(), "k || ' ' || v || ' ' || n AS t")
  return rows.map((row) => String(row['t'])).toSorted()
}

async function assertIndexAgrees(writer: TableWriter): Promise<void> {
  const [index, table] = [must(writer.indexContext, 'index'), await writer.load()]
  await catchUp(index, table)
  assert.deepEqual(await compareIndex(index, table), { missing: 0, extra: 0 })
}

/** Another engine rewrites all rows into one file; it knows nothing of what our metadata says beside the format's own. */
async function compactByOthers(bench: TableBench, writer: TableWriter): Promise<void> {
  const { io, catalog, clock } = bench
  const table = await writer.load()
  const { metadata } = table
  const plan = await planScan(io, metadata)
  if (plan.tasks.length === 0) return
  const session = await bench.duck.connect()
  const { sql } = await scanRelation(session, io, plan)
  const dataFiles = await writeDataFiles(session, io, {
    relationSql: sql,
    schema: currentSchema(metadata),
    spec: currentSpec(metadata),
    location: metadata.location,
    nowMs: clock.nowMs(),
  })
  session.close()
  const removed = plan.tasks.flatMap(({ file, deletes }) => [file.filePath, ...deletes.map((each) => each.filePath)])
  const change = await planSnapshot(io, metadata, {
    dataFiles,
    deleteFiles: [],
    removedPaths: new Set(removed),
    sameRows: true,
    nowMs: clock.nowMs(),
    summary: { 'commit-id': uuidv7(clock.nowMs()) },
  })
  const updates = change.updates.filter(({ action }) => action !== 'set-statistics')
  await catalog.commit(table, { ...change, updates })
}

describe('a table with an ordering column', () => {
  let bench: TableBench
  beforeEach(async () => {
    bench = await openTableBench()
  })
  afterEach(() => bench.close())

  /** Commits `changes` in one batch; gives the report. */
  async function commit(writer: TableWriter, changes: Change[]) {
    const from = bench.log.end
    await bench.append(changes)
    return writer.commit(await bench.log.seal(from, Number.MAX_SAFE_INTEGER), from, bench.log.end)
  }

  test('an older change is dropped and counted, an equal one replaces, within one commit and across commits', async () => {
    const writer = await bench.openWriter(definition('basics'))
    await commit(writer, [upsert('a', 5, 1), upsert('a', 3, 2), upsert('b', -4, 1), upsert('b', -4, 2)])
    assert.deepEqual(await contents(bench, writer), ['a 5 1', 'b -4 2'])
    assert.equal(await commit(writer, [upsert('a', 4, 3), upsert('b', -5, 3), remove('a', 1)]), null)
    const report = await commit(writer, [upsert('a', 4, 3), upsert('b', -4, 4), upsert('c', 0, 0)])
    assert.deepEqual(await contents(bench, writer), ['a 5 1', 'b -4 4', 'c 0 0'])
    assert.equal(report?.lateDropped, 4)
    await assertIndexAgrees(writer)
    await writer.close()
  })

  test('a delete keeps what is older away, also when it came first, and after the index is lost', async () => {
    let writer = await bench.openWriter(definition('deletes'))
    assert.notEqual(await commit(writer, [remove('never', 7)]), null)
    await commit(writer, [upsert('a', 1), upsert('never', 6), upsert('b', 1)])
    await commit(writer, [remove('a', 2)])
    assert.deepEqual(await contents(bench, writer), ['b 1 0'])
    assert.equal(await commit(writer, [remove('a', 2), remove('never', 7)]), null, 'told again, it changes nothing')
    await writer.close()
    await rm(bench.indexPath)
    writer = await bench.openWriter(definition('deletes'))
    assert.equal(await commit(writer, [upsert('a', 1, 9), upsert('never', 6, 9)]), null)
    await commit(writer, [upsert('a', 3, 9), upsert('never', 8, 9)])
    assert.deepEqual(await contents(bench, writer), ['a 3 9', 'b 1 0', 'never 8 9'])
    await assertIndexAgrees(writer)
    await writer.close()
  })

  test('values of every type order rows, before 1970 and beyond what a double holds', async () => {
    const cases: [Type, string | number, string | number][] = [
      ['int', -2, 3],
      ['date', '1969-12-31', '1970-01-02'],
      ['timestamp', '1969-12-31 23:59:59.999998', '1969-12-31 23:59:59.999999'],
      ['timestamptz', '2024-01-01 00:00:00+02:00', '2023-12-31 23:00:00+00:00'],
    ]
    for (const [at, [type, older, newer]] of cases.entries()) {
      const writer = await bench.openWriter(definition(`type_${at}`, type))
      await commit(writer, [upsert('a', newer, 1), upsert('a', older, 2)])
      await commit(writer, [upsert('a', older, 3)])
      const [row] = await bench.rows(await writer.load(), 'n::INTEGER AS n')
      assert.equal(row?.['n'], 1, String(type))
      await writer.close()
    }
  })

  test('a change without a value is refused, a delete too, and nothing is committed', async () => {
    const writer = await bench.openWriter(definition('nulls'))
    for (const row of [
      { k: 'a', n: 1 },
      { k: 'a', v: null },
    ])
      for (const op of ['upsert', 'delete'] as const)
        await assert.rejects(
          commit(writer, [upsert('b', 1), { op, row }]),
          (error) => isFault(error, 'invalid') && /no value in the ordering column v/.test(error.message),
        )
    assert.deepEqual(await contents(bench, writer), [])
    await writer.close()
  })

  test('a column that cannot order rows is refused before the table is made', async () => {
    const one = definition('never')
    const optional = { ...one.schema, fields: one.schema.fields.map((field) => ({ ...field, required: false })) }
    const bad: [TableDefinition, RegExp][] = [
      [{ ...one, ordering: 'x' }, /one of its columns/],
      [definition('never', 'string'), /to be of type/],
      [{ ...one, schema: optional }, /to be required/],
      [{ ...one, mode: 'insert-once' }, /mode upsert only/],
    ]
    for (const [wrong, message] of bad)
      await assert.rejects(bench.openWriter(wrong), (error) => isFault(error, 'invalid') && message.test(error.message))
    await assert.rejects(bench.catalog.load(one.ident))
  })

  test('another engine that compacts and expires takes no tombstone away while the index is there', async () => {
    const { catalog, clock } = bench
    let writer = await bench.openWriter(definition('expired'))
    await commit(writer, [upsert('a', 1), upsert('b', 1)])
    await commit(writer, [remove('a', 5)])
    await compactByOthers(bench, writer)
    const { metadata } = await writer.load()
    const { change } = expireSnapshots(metadata, { nowMs: clock.nowMs(), keepMin: 1, keepMax: 1 })
    await catalog.commit(await writer.load(), change)
    assert.equal(tombstonesOf((await writer.load()).metadata, metadata['current-snapshot-id']), null)
    assert.equal(await commit(writer, [upsert('a', 4)]), null)
    await commit(writer, [upsert('b', 2)])
    await writer.close()
    await rm(bench.indexPath)
    writer = await bench.openWriter(definition('expired'))
    assert.equal(await commit(writer, [upsert('a', 4)]), null, 'the next commit told them to the table again')
    await writer.close()
  })

  test('a rollback brings the tombstones of its snapshot back, not those of later ones', async () => {
    const { catalog } = bench
    const writer = await bench.openWriter(definition('rolled'))
    await commit(writer, [remove('a', 5)])
    const early = must((await writer.load()).metadata['current-snapshot-id'], 'a snapshot')
    await commit(writer, [remove('b', 5)])
    const table = await writer.load()
    await catalog.commit(table, rollbackToSnapshot(table.metadata, early))
    await commit(writer, [upsert('a', 4), upsert('b', 4)])
    assert.deepEqual(await contents(bench, writer), ['b 4 0'])
    await writer.close()
  })

  test('the file of tombstones lives as long as a snapshot names it: upkeep and the search for orphans know it', async () => {
    const { io, clock } = bench
    const bounds = { snapshotsKeptMax: 3, filesPerStep: 3 }
    const writer = await bench.openWriter(definition('files'), bounds)
    const puffins = async () => {
      const found: string[] = []
      for await (const { location } of io.list(`${(await writer.load()).metadata.location}/metadata`))
        if (location.endsWith('.puffin')) found.push(location)
      return found.toSorted()
    }
    await commit(writer, [remove('a', 5)])
    const [first] = await puffins()
    for (let n = 0; n < 4; n++) {
      await commit(writer, [upsert('b', n)])
      await upkeep(writer)
    }
    assert.deepEqual(await puffins(), [first], 'it is passed on from snapshot to snapshot')
    assert.deepEqual(await removeOrphans({ io, load: () => writer.load(), nowMs: clock.nowMs() + 1, graceMs: 0 }), [])
    for (let n = 10; n < 16; n++) {
      await commit(writer, [remove('c', n)])
      await upkeep(writer)
    }
    const { metadata } = await writer.load()
    const named = new Set(
      metadata.snapshots.map((one) => tombstonesOf(metadata, one['snapshot-id'])?.['statistics-path']),
    )
    assert.deepEqual(await puffins(), [...named].toSorted())
    assert.equal(named.has(must(first, 'a file')), false)
    await writer.close()
  })

  test('what is too old is forgotten, and told', async () => {
    const clock = { ...bench.clock, nowMs: () => bench.clock.nowMs() + late }
    let late = 0
    const writer = await bench.openWriter(definition('forgotten'), {}, clock)
    await commit(writer, [remove('a', 5)])
    late = limits.tombstoneAgeMaxMs + 1000
    const report = await commit(writer, [remove('b', 5)])
    assert.equal(report?.tombstonesForgotten, 1)
    await commit(writer, [upsert('a', 1), upsert('b', 1)])
    assert.deepEqual(await contents(bench, writer), ['a 1 0'])
    await writer.close()
  })

  test('a table without an ordering column has no statistics', async () => {
    const { ordering: _, ...plain } = definition('plain')
    const writer = await bench.openWriter(plain)
    await commit(writer, [upsert('a', 5, 1), remove('b', 1)])
    await commit(writer, [remove('a', 1)])
    assert.deepEqual((await writer.load()).metadata.statistics, [])
    assert.deepEqual(await contents(bench, writer), [])
    await writer.close()
  })
})

/** What happens between two commits. */
const interlude = fc.constantFrom('nothing', 'restart', 'index lost', 'upkeep', 'others compact')

for (const partitioned of [false, true]) {
  test(`the same changes in any order, repeated and split, come to one table (${partitioned ? 'partitioned' : 'plain'})`, async () => {
    // Values of one key differ: of equal ones the order of arrival decides.
    const history = fc.uniqueArray(
      fc.record({
        k: fc.constantFrom('a', 'b', 'c', 'd'),
        v: fc.integer({ min: -20, max: 20 }),
        op: fc.constantFrom<Change['op']>('upsert', 'upsert', 'delete'),
      }),
      { minLength: 1, maxLength: 25, selector: ({ k, v }) => `${k} ${v}` },
    )
    const told = history.chain((changes) =>
      fc.record({
        changes: fc.constant(changes),
        order: fc.shuffledSubarray([...changes.keys(), ...changes.keys()], { minLength: 0 }),
        cuts: fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), interlude), { minLength: 1, maxLength: 6 }),
      }),
    )
    await fc.assert(
      fc.asyncProperty(told, async ({ changes, order, cuts }) => {
        const bench = await openTableBench()
        try {
          // Every change at least once, and some again, somewhere.
          const arrived = [...order, ...changes.keys()].map((at) => changeOf(changes[at]!))
          const writer = await arrive(bench, arrived, cuts, partitioned)
          const newest = new Map<string, Told>()
          for (const change of changes)
            if (change.v > (newest.get(change.k)?.v ?? Number.NEGATIVE_INFINITY)) newest.set(change.k, change)
          const expected = [...newest.values()].filter(({ op }) => op === 'upsert').map(({ k, v }) => `${k} ${v} 0`)
          assert.deepEqual(await contents(bench, writer), expected.toSorted())
          await assertIndexAgrees(writer)
          await writer.close()
        } finally {
          await bench.close()
        }
      }),
      { numRuns: 25, endOnFailure: true },
    )
  })
}

type Told = { k: string; v: number; op: Change['op'] }

function changeOf({ k, v, op }: Told): Change {
  return op === 'delete' ? remove(k, v) : upsert(k, v)
}

/** Commits changes in batches of the sizes that `cuts` gives, with what it says happening between them. */
async function arrive(
  bench: TableBench,
  arrived: readonly Change[],
  cuts: readonly [number, string][],
  partitioned: boolean,
): Promise<TableWriter> {
  const spec = partitioned ? { spec: parseSpecText('bucket(2, k)', definition('told').schema) } : {}
  const defined = definition('told', 'long', spec)
  const bounds = { filesPerStep: 2, indexDeltaRowsMax: 3 }
  let writer = await bench.openWriter(defined, bounds)
  for (let at = 0, turn = 0; at < arrived.length; turn++) {
    const [size, between] = cuts[turn % cuts.length]!
    await bench.append(arrived.slice(at, at + size))
    at += size
    await bench.commitAll(writer)
    if (between === 'upkeep') await upkeep(writer)
    if (between === 'others compact') await compactByOthers(bench, writer)
    if (between === 'restart' || between === 'index lost') {
      await writer.close()
      if (between === 'index lost') await rm(bench.indexPath)
      writer = await bench.openWriter(defined, bounds)
    }
  }
  return writer
}
