/** Compaction while others commit: what lands during a rewrite is no reason to throw it away, unless it takes the same files. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OtherEngine } from '../../test/support/other-engine.ts'
import { schemaOf } from '../../test/support/table.ts'
import { type Change, openTableBench, type TableBench } from '../../test/support/table-bench.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { DuckSession } from '../duck/duck.ts'
import type { Catalog } from '../iceberg/catalog/catalog.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { TABLE_BOUNDS, type TableBounds } from './bounds.ts'
import { compareIndex } from './index-upkeep.ts'
import { reachableFiles } from './reachable.ts'
import type { WriteMode } from './table.ts'
import { TableUpkeep } from './upkeep.ts'
import { TableWriter } from './writer.ts'

const schema = schemaOf([
  ['k', 'string', true],
  ['n', 'long'],
])
const ident = { namespace: ['default'], name: 't' }
const upsert = (k: string, n: number): Change => ({ op: 'upsert', row: { k, n } })

/** A connection that lets something happen after each COPY: while files are being rewritten. */
class Watched extends DuckSession {
  after: (() => Promise<unknown>) | null = null

  override async rows(...args: Parameters<DuckSession['rows']>): ReturnType<DuckSession['rows']> {
    const result = await super.rows(...args)
    const after = this.after
    if (/^\s*COPY/i.test(args[0]) && after !== null) await after()
    return result
  }
}

interface Scene {
  bench: TableBench
  writer: TableWriter
  upkeep: TableUpkeep
  other: OtherEngine
  /** Runs during every rewrite. */
  during(what: (() => Promise<unknown>) | null): void
  /** One commit of the writer's. */
  commit(...changes: Change[]): Promise<void>
  /** Files below the table's location that no snapshot reaches, but for metadata files. */
  unreached(): Promise<string[]>
  rows(): Promise<string[]>
}

async function inScene(
  mode: WriteMode,
  work: (scene: Scene) => Promise<void>,
  options: { catalog?: (real: Catalog) => Partial<Catalog>; bounds?: Partial<TableBounds> } = {},
): Promise<void> {
  const bench = await openTableBench()
  try {
    const { io, clock } = bench
    const session = new Watched((await bench.duck.connect()).raw)
    const catalog: Catalog = Object.create(bench.catalog, {})
    Object.assign(catalog, {
      load: bench.catalog.load.bind(bench.catalog),
      commit: bench.catalog.commit.bind(bench.catalog),
      create: bench.catalog.create.bind(bench.catalog),
      createNamespace: bench.catalog.createNamespace.bind(bench.catalog),
      ...options.catalog?.(bench.catalog),
    })
    const writer = await TableWriter.open(
      { catalog, io, clock, session: await bench.duck.connect() },
      {
        definition: { ident, schema, key: mode === 'append' ? [] : ['k'], mode },
        indexPath: bench.indexPath,
        logName: 'changes',
        bounds: { ...TABLE_BOUNDS, filesPerStep: 4, ...options.bounds },
      },
    )
    await work({
      bench,
      writer,
      upkeep: new TableUpkeep(writer, session),
      other: new OtherEngine(bench, ident),
      during: (what) => {
        session.after = what
      },
      commit: async (...changes) => {
        await bench.append(changes)
        await bench.commitAll(writer)
      },
      unreached: async () => {
        const { metadata } = await bench.catalog.load(ident)
        const reached = await reachableFiles(io, metadata, metadata.snapshots)
        const left: string[] = []
        for await (const { location } of io.list(metadata.location))
          if (!reached.has(location) && !location.endsWith('.metadata.json')) left.push(location)
        return left
      },
      rows: async () => {
        const rows = await bench.rows(await bench.catalog.load(ident), 'k || n AS v')
        return rows.map((row) => String(row['v'])).toSorted()
      },
    })
    const context = writer.indexContext
    if (context !== null) {
      const table = await writer.load()
      if (context.index.snapshotId === table.metadata['current-snapshot-id'])
        assert.deepEqual(await compareIndex(context, table), { missing: 0, extra: 0 })
    }
    await writer.close()
  } finally {
    await bench.close()
  }
}

async function dataFiles({ bench }: Scene): Promise<number> {
  return (await planScan(bench.io, (await bench.catalog.load(ident)).metadata)).tasks.length
}

describe('compaction of a table that others change meanwhile', () => {
  for (const mode of ['upsert', 'append'] as const) {
    test(`an engine that appends during every rewrite does not keep it from being committed (${mode})`, () =>
      inScene(mode, async (scene) => {
        const { upkeep, other, commit } = scene
        for (let n = 0; n < 8; n++) await commit(upsert(`k${n}`, n))
        let appended = 0
        scene.during(() => other.append(`SELECT 'o${appended++}' AS k, 1::BIGINT AS n`))
        let compacted = 0
        for (let turn = 0; turn < 4; turn++) {
          compacted += (await upkeep.turn()).length
          for (let n = 0; n < 2; n++) await commit(upsert(`m${turn}${n}`, n))
        }
        assert.ok(compacted >= 2, `compacted only ${compacted} times`)
        assert.equal(appended, compacted, 'no rewrite was thrown away')
        assert.ok((await dataFiles(scene)) <= 6)
        assert.deepEqual(await scene.unreached(), [])
        assert.equal((await scene.rows()).length, 8 + 8 + appended)
      }))
  }

  test('rows that the writer replaces and deletes during a rewrite stay replaced and deleted, and its commits do not wait', () =>
    inScene('upsert', async (scene) => {
      const { upkeep, commit } = scene
      for (let n = 0; n < 4; n++) await commit(upsert(`a${n}`, n), upsert(`b${n}`, n), upsert(`c${n}`, n))
      let round = 0
      scene.during(async () => {
        scene.during(null)
        // Resolves while the rewrite goes on.
        await commit(upsert('a0', 10), { op: 'delete', row: { k: 'b1' } })
        await commit(upsert('a0', 20), upsert('c3', 30), { op: 'delete', row: { k: 'gone before' } })
        round++
      })
      assert.deepEqual(await upkeep.turn(), ['compacted 4 small files'])
      assert.equal(round, 1)
      const rows = ['a020', 'a11', 'a22', 'a33', 'b00', 'b22', 'b33', 'c00', 'c11', 'c22', 'c330']
      assert.deepEqual(await scene.rows(), rows)
      // The writer goes on from the index that learnt of it.
      await commit(upsert('a1', 40), { op: 'delete', row: { k: 'b2' } })
      assert.deepEqual(await scene.rows(), [...rows.filter((v) => v !== 'a11' && v !== 'b22'), 'a140'].toSorted())
      assert.deepEqual(await scene.unreached(), [])
    }))

  test('of rows that are equal in everything exactly as many stay as others left', () =>
    inScene('append', async (scene) => {
      const { upkeep, other, commit } = scene
      for (let n = 0; n < 4; n++) await commit(upsert('x', 1), upsert('x', 1), upsert('y', n), upsert('x', 2))
      let times = 0
      scene.during(async () => {
        if (times++ > 0) return
        await other.delete(`k = 'x' AND n = 1 AND _pos = 0`)
        await other.delete(`k = 'y' AND n = 2`)
      })
      assert.deepEqual(await upkeep.turn(), ['compacted 4 small files'])
      assert.deepEqual(await scene.rows(), ['x1', 'x1', 'x1', 'x1', 'x2', 'x2', 'x2', 'x2', 'y0', 'y1', 'y3'])
    }))

  test('equal rows that go one after another, during the rewrite and during its swap, are different rows', () => {
    let atSwap: (() => Promise<void>) | null = null
    return inScene(
      'append',
      async (scene) => {
        const { upkeep, other, commit } = scene
        for (let n = 0; n < 4; n++) await commit(upsert('x', 1))
        scene.during(async () => {
          scene.during(null)
          const [first, second] = (await planScan(scene.bench.io, (await other.load()).metadata)).tasks
          await other.delete(`_file = '${first?.file.filePath}'`)
          atSwap = () => other.delete(`_file = '${second?.file.filePath}'`)
        })
        assert.deepEqual(await upkeep.turn(), ['compacted 4 small files'])
        assert.deepEqual(await scene.rows(), ['x1', 'x1'])
        assert.deepEqual(await scene.unreached(), [])
      },
      {
        catalog: (real) => ({
          commit: async (base, change) => {
            const now = atSwap
            atSwap = null
            await now?.()
            return real.commit(base, change)
          },
        }),
      },
    )
  })

  for (const [gone, stays] of [
    [7, 1],
    [1, 7],
  ])
    test(`of two rows of one key, which another engine wrote, the one it deletes during a rewrite goes (${gone})`, () =>
      inScene('upsert', async (scene) => {
        const { upkeep, other, commit } = scene
        for (let n = 0; n < 3; n++) await commit(upsert(`a${n}`, n))
        await other.append(`SELECT 'a1' AS k, 7::BIGINT AS n`)
        await commit(upsert('a3', 3))
        let times = 0
        scene.during(async () => {
          if (times++ === 0) await other.delete(`k = 'a1' AND n = ${gone}`)
        })
        assert.deepEqual(await upkeep.turn(), ['compacted 5 small files'])
        assert.deepEqual(await scene.rows(), ['a00', `a1${stays}`, 'a22', 'a33'])
      }))

  test('a column that others add during a rewrite is null in its rows', () =>
    inScene('upsert', async (scene) => {
      const { upkeep, other, commit, bench } = scene
      for (let n = 0; n < 4; n++) await commit(upsert(`a${n}`, n))
      scene.during(async () => {
        scene.during(null)
        await other.addColumn('extra')
        await other.delete(`k = 'a2'`)
      })
      assert.deepEqual(await upkeep.turn(), ['compacted 4 small files'])
      const rows = await bench.rows(await other.load(), 'k, extra')
      assert.deepEqual(
        rows.map((row) => [row['k'], row['extra']]).toSorted(),
        ['a0', 'a1', 'a3'].map((k) => [k, null]),
      )
    }))

  test('another compaction of the same files wins: the own files are removed at once, and the next start looks anew', () =>
    inScene('upsert', async (scene) => {
      const { upkeep, other, commit } = scene
      for (let n = 0; n < 8; n++) await commit(upsert(`a${n}`, n), upsert('b', n))
      scene.during(() => {
        scene.during(null)
        return other.rewrite()
      })
      assert.deepEqual(await upkeep.turn(), [])
      assert.equal(await dataFiles(scene), 1)
      assert.deepEqual(await scene.unreached(), [])
      assert.equal((await scene.rows()).length, 9)
    }))

  test('an engine that rewrites everything each time leaves room for smaller pieces, and the turn ends', () =>
    inScene('append', async (scene) => {
      const { upkeep, other, commit } = scene
      for (let n = 0; n < 16; n++) await commit(upsert(`a${n}`, n))
      let times = 0
      scene.during(async () => {
        times++
        await other.rewrite()
        for (let n = 0; n < 8; n++) await other.append(`SELECT 'o' AS k, ${n}::BIGINT AS n`)
      })
      assert.deepEqual(await upkeep.turn(), [])
      assert.equal(times, 3)
      scene.during(null)
      assert.deepEqual(await scene.unreached(), [])
      // What was lost three times is taken in eighths.
      const before = await dataFiles(scene)
      await upkeep.turn()
      assert.equal(before - (await dataFiles(scene)), 1)
      assert.equal((await scene.rows()).length, 16 + 24)
    }))

  test('rows that a rollback brings back during a rewrite are not lost', () =>
    inScene('upsert', async (scene) => {
      const { upkeep, other, commit } = scene
      for (let n = 0; n < 4; n++) await commit(upsert(`a${n}`, n), upsert(`b${n}`, n))
      const whole = (await other.load()).metadata['current-snapshot-id']
      assert.ok(whole !== undefined)
      await commit({ op: 'delete', row: { k: 'b1' } }, { op: 'delete', row: { k: 'b2' } })
      scene.during(() => {
        scene.during(null)
        return other.rollback(whole)
      })
      await upkeep.turn()
      assert.deepEqual(await scene.rows(), ['a00', 'a11', 'a22', 'a33', 'b00', 'b11', 'b22', 'b33'])
      assert.deepEqual(await scene.unreached(), [])
    }))

  for (const nth of [1, 2, 3, 4]) {
    test(`a file without a live row stays when a rollback before look ${nth} at the table brings its rows back`, () => {
      let looks = 0
      let meanwhile: (() => Promise<unknown>) | null = null
      return inScene(
        'upsert',
        async (scene) => {
          const { upkeep, other, commit } = scene
          await commit(upsert('a', 1), upsert('b', 1))
          await commit(upsert('c', 1))
          const whole = (await other.load()).metadata['current-snapshot-id']
          assert.ok(whole !== undefined)
          await commit({ op: 'delete', row: { k: 'a' } }, { op: 'delete', row: { k: 'b' } })
          meanwhile = () => other.rollback(whole)
          await upkeep.turn()
          assert.equal(meanwhile, null, 'the table was looked at so often')
          assert.deepEqual(await scene.rows(), ['a1', 'b1', 'c1'])
          assert.equal(await dataFiles(scene), 2)
        },
        {
          catalog: (real) => ({
            load: async (table) => {
              const act = meanwhile
              if (act !== null && ++looks === nth) {
                meanwhile = null
                await act()
              }
              return real.load(table)
            },
          }),
        },
      )
    })
  }

  test('a reply of the catalog that is lost at the swap leaves one snapshot, and nothing is removed for it', () => {
    let lose = false
    return inScene(
      'upsert',
      async (scene) => {
        const { upkeep, commit } = scene
        for (let n = 0; n < 4; n++) await commit(upsert(`a${n}`, n))
        lose = true
        assert.deepEqual(await upkeep.turn(), ['compacted 4 small files'])
        assert.equal(await dataFiles(scene), 1)
        await commit(upsert('a1', 10))
        assert.deepEqual(await scene.rows(), ['a00', 'a110', 'a22', 'a33'])
      },
      {
        catalog: (real) => ({
          commit: async (base, change) => {
            const table = await real.commit(base, change)
            if (!lose) return table
            lose = false
            throw new Fault('commit-unknown', 'the reply was lost')
          },
        }),
      },
    )
  })

  test('an engine that is faster at every swap is left to itself after a bounded number of attempts, and nothing stays behind', () => {
    let busy: (() => Promise<void>) | null = null
    return inScene(
      'append',
      async (scene) => {
        const { upkeep, other, commit } = scene
        for (let n = 0; n < 4; n++) await commit(upsert(`a${n}`, n))
        let appended = 0
        let swaps = 0
        busy = async () => {
          swaps++
          await other.append(`SELECT 'o' AS k, ${appended++}::BIGINT AS n`)
        }
        assert.deepEqual(await upkeep.turn(), [])
        busy = null
        assert.equal(swaps, limits.compactRoundsMax * limits.compactSwapsMax)
        assert.deepEqual(await scene.unreached(), [])
        assert.equal((await scene.rows()).length, 4 + appended)
        assert.equal((await upkeep.turn()).length, 1)
      },
      {
        catalog: (real) => ({
          commit: async (base, change) => {
            const now = busy
            busy = null
            await now?.()
            busy = now
            return real.commit(base, change)
          },
        }),
      },
    )
  })
})

test('delete files are merged while the writer and others commit', () =>
  inScene(
    'upsert',
    async (scene) => {
      const { upkeep, other, commit, bench } = scene
      const all = Array.from({ length: 40 }, (_, n) => upsert(`k${n}`, n))
      await commit(...all)
      for (let n = 0; n < 4; n++) await commit({ op: 'delete', row: { k: `k${n}` } })
      scene.during(async () => {
        scene.during(null)
        await commit(upsert('k7', 70), { op: 'delete', row: { k: 'k8' } })
        await other.append(`SELECT 'o' AS k, 1::BIGINT AS n`)
        await other.delete(`k = 'k9'`)
      })
      assert.deepEqual(await upkeep.turn(), ['merged 4 delete files'])
      const { tasks } = await planScan(bench.io, (await other.load()).metadata)
      assert.equal(new Set(tasks.flatMap((task) => task.deletes.map((file) => file.filePath))).size, 3)
      assert.equal((await scene.rows()).length, 40 - 4 - 2 + 1)
      await commit(upsert('k10', 100))
      assert.equal((await scene.rows()).length, 40 - 4 - 2 + 1)
      assert.deepEqual(await scene.unreached(), [])
    },
    { bounds: { deadShare: 2, targetBytes: 1 } },
  ))

test('merged delete files are given up when a rollback brings back a file that they were about', () =>
  inScene(
    'append',
    async (scene) => {
      const { upkeep, other, commit } = scene
      for (let n = 0; n < 2; n++) await commit(upsert(`a${n}`, n), upsert(`b${n}`, n), upsert(`c${n}`, n))
      // Each delete file is about both data files.
      for (const letter of ['a', 'b']) await other.delete(`k LIKE '${letter}%'`)
      const { metadata } = await other.load()
      const before = metadata['current-snapshot-id']
      assert.ok(before !== undefined)
      const [first] = (await planScan(scene.bench.io, metadata)).tasks
      await other.rewrite([first!.file.filePath])
      let rolledBack = false
      scene.during(async () => {
        scene.during(null)
        await other.rollback(before)
        rolledBack = true
      })
      await upkeep.turn()
      assert.ok(rolledBack)
      assert.deepEqual(await scene.rows(), ['c00', 'c11'])
      assert.deepEqual(await scene.unreached(), [])
    },
    { bounds: { deadShare: 2, targetBytes: 1, filesPerStep: 2 } },
  ))
