/** DuckDB alone: the limit for what is built on it. Turns NDJSON segments into Parquet, and scans plain Parquet. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Duck, ident, literal } from '../../src/duck/duck.ts'
import { segmentRelation } from '../../src/table/transport.ts'
import { definition } from '../workload.ts'
import { serve, timed } from './worker.ts'

const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-limit-'))
const duck = await Duck.open({ memoryMiB: 1024, threads: 2, spillDir: path.join(dir, 'spill') })
const session = await duck.connect()
const { fields } = definition('rows', 'append').schema
const columns = fields.map((field) => `row.${ident(field.name)} AS ${ident(field.name)}`).join(', ')
let files = 0

await serve(
  {
    /** The rows of the segments as Parquet; the newest of each key when `fold` is set (for peers that refuse repetitions). */
    parquet: async ({ paths, from, end, fold, to }) => {
      const source = segmentRelation(paths as string[], fields, { from: Number(from), end: Number(end) }, 16 * 2 ** 20)
      const rows = fold === true ? `SELECT arg_max(row, "offset") AS row FROM (${source}) GROUP BY row.id` : source
      const target = to === undefined ? path.join(dir, `${files++}.parquet`) : String(to)
      const { ms, cpuMs } = await timed(() =>
        session.run(`COPY (SELECT ${columns} FROM (${rows})) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd)`),
      )
      if (to === undefined) await rm(target)
      return { ms, cpuMs }
    },
    scan: async ({ sql, file }) => {
      const { ms, cpuMs, value } = await timed(() =>
        session.rows(String(sql).replace('$rows', () => `read_parquet(${literal(String(file))})`)),
      )
      return { ms, cpuMs, row: Object.values(value[0] ?? {}).map(String) }
    },
  },
  async () => {
    duck.close()
    await rm(dir, { recursive: true, force: true })
  },
)
