/**
 * Tidewater's own path: a log, a keyed or append-only table, upkeep; and scans of it.
 *
 * Many changes are put into the log by a process of their own, which has the log to itself meanwhile: what making them takes
 * is no part of this one's memory.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { assert } from '../../src/base/assert.ts'
import { systemClock } from '../../src/base/clock.ts'
import { Duck } from '../../src/duck/duck.ts'
import { openSqliteCatalog } from '../../src/iceberg/catalog/sqlite.ts'
import { storeIo } from '../../src/iceberg/file/store-io.ts'
import { planScan } from '../../src/iceberg/scan/plan.ts'
import { scanRelation } from '../../src/iceberg/scan/relation.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { openFileStore } from '../../src/store/file.ts'
import { TableWriter } from '../../src/table/writer.ts'
import { upkeep } from '../../test/support/table-bench.ts'
import type { Reply } from '../harness.ts'
import { Contender } from '../harness.ts'
import { changeText, definition, Ids } from '../workload.ts'
import { serve, timed } from './worker.ts'

const APPEND = 10_000
const memoryMiB = Number(process.env['BENCH_MEMORY_MIB'] ?? 600)

const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-'))
const warehouse = path.join(dir, 'warehouse')
const store = await openFileStore({ root: warehouse, create: true })
const io = storeIo(store, { root: `file://${warehouse}`, scratchDir: path.join(dir, 'scratch') })
const catalog = await openSqliteCatalog({
  path: path.join(dir, 'catalog.db'),
  name: 'tidewater',
  warehouse: `file://${warehouse}`,
  io,
  clock: systemClock,
})
const duck = await Duck.open({ memoryMiB, threads: 2, spillDir: path.join(dir, 'spill') })
const logOptions = { dir: path.join(dir, 'logs'), name: 'changes' }
let log = await openSegmentLog(logOptions)
const changes = Contender.node('changes', 'changes.ts')
const reader = await duck.connect()
let writer: TableWriter | null = null
let seed = 1

function theWriter(): TableWriter {
  assert(writer !== null, 'the table was opened')
  return writer
}

/** @param of `{first}`: ids from there on; `{keys, skew}`: ids at random */
async function append(count: number, of: Reply): Promise<void> {
  await log.close()
  try {
    await changes.ask({ do: 'append', log: logOptions, count, seed, ...of })
  } finally {
    log = await openSegmentLog(logOptions)
  }
}

async function commit(): Promise<{ ms: number; cpuMs: number; from: number; end: number }> {
  const from = await theWriter().committedOffset()
  const end = log.end
  const { ms, cpuMs } = await timed(async () => {
    const segments = await log.seal(from, Number.MAX_SAFE_INTEGER)
    await theWriter().commit(segments, from, end)
  })
  return { ms, cpuMs, from, end }
}

await serve(
  {
    open: async ({ mode }) => {
      const session = await duck.connect()
      const table = definition('rows', mode === 'append' ? 'append' : 'upsert')
      writer = await TableWriter.open(
        { catalog, io, clock: systemClock, session },
        { definition: table, indexPath: path.join(dir, 'index.duckdb'), logName: 'changes' },
      )
      return {}
    },
    /** Every key once, in commits of a million, upkeep between them. */
    fill: async ({ keys }) => {
      let next = 0
      while (next < Number(keys)) {
        const count = Math.min(1_000_000, Number(keys) - next)
        await append(count, { first: next })
        next += count
        const { end } = await commit()
        await upkeep(theWriter())
        await log.trim(end)
      }
      return {}
    },
    /** Puts changes into the log, not yet committed; gives the segments that hold them. */
    prepare: async ({ keys, skew, count, seed: given }) => {
      seed = Number(given)
      const from = log.end
      await append(Number(count), { keys, skew })
      const segments = await log.seal(from, Number.MAX_SAFE_INTEGER)
      return { paths: segments.map((segment) => segment.path), from, end: log.end }
    },
    commit: async () => {
      const done = await commit()
      const kept = await timed(() => upkeep(theWriter()))
      return { ms: done.ms, cpuMs: done.cpuMs, upkeepMs: kept.ms, did: kept.value }
    },
    trim: async () => {
      await log.trim(await theWriter().committedOffset())
      return {}
    },
    /** `count` commits of `size` changes each; the time of each, and of the upkeep after it. */
    commits: async ({ count, size, keys, seed: given }) => {
      seed = Number(given)
      const ids = new Ids(seed, Number(keys), 'uniform')
      const commitMs: number[] = []
      const upkeepMs: number[] = []
      let cpuMs = 0
      for (let at = 0; at < Number(count); at++) {
        assert(Number(size) <= APPEND, 'few changes are made here')
        await log.append(Array.from({ length: Number(size) }, () => changeText(ids.next(), seed)))
        const { ms, end, cpuMs: used } = await commit()
        cpuMs += used
        commitMs.push(ms)
        upkeepMs.push((await timed(() => upkeep(theWriter()))).ms)
        await log.trim(end)
      }
      return { commitMs, upkeepMs, cpuMs }
    },
    scan: async ({ sql }) => {
      const table = await theWriter().load()
      const { ms, cpuMs, value } = await timed(async () => {
        const plan = await planScan(io, table.metadata)
        const scan = await scanRelation(reader, io, plan)
        return reader.rows(String(sql).replace('$rows', () => `(${scan.sql})`))
      })
      return { ms, cpuMs, row: Object.values(value[0] ?? {}).map(String) }
    },
    /** The current rows as plain Parquet files, for the peers. */
    export: async ({ to }) => {
      const table = await theWriter().load()
      const scan = await scanRelation(reader, io, await planScan(io, table.metadata))
      await reader.run(`COPY (${scan.sql}) TO '${String(to)}' (FORMAT parquet, COMPRESSION zstd)`)
      return {}
    },
    memory: async () => ({ peakMiB: process.resourceUsage().maxRSS / 1024 }),
    facts: async () => {
      const { metadata } = await theWriter().load()
      const index = await stat(path.join(dir, 'index.duckdb')).catch(() => null)
      const folder = path.join(warehouse, 'bench', 'rows', 'metadata')
      return {
        snapshots: metadata.snapshots.length,
        indexMiB: (index?.size ?? 0) / 2 ** 20,
        metadataFiles: (await readdir(folder).catch(() => [])).length,
        summary: metadata.snapshots.at(-1)?.summary,
      }
    },
  },
  async () => {
    await changes.end()
    await writer?.close()
    await log.close()
    await catalog.close()
    duck.close()
    await rm(dir, { recursive: true, force: true })
  },
)
