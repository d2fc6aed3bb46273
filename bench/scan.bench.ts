/**
 * A scan of all columns after a million upserts (ten commits over a million keys, upkeep running), against DuckDB over one plain
 * Parquet file of the same rows.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Bench, Contender, name, Samples } from './harness.ts'

const BENCH = 'scan'
const SQL =
  'SELECT count(DISTINCT id) AS ids, sum(amount) AS amount, max(ts) AS ts, max(name) AS name, max(note) AS note FROM $rows'
const AIM = 1.3

export const scan: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const scratch = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-files-'))
    const file = path.join(scratch, 'plain.parquet')
    const ours = Contender.node('tidewater', 'table.ts')
    const plain = Contender.node('plain Parquet', 'duckdb.ts')
    const keys = options.quick ? 100_000 : 1_000_000
    await ours.ask({ do: 'open', mode: 'upsert' })
    await ours.ask({ do: 'fill', keys })
    for (let part = 0; part < 10; part++) {
      await ours.ask({ do: 'prepare', keys, skew: 'uniform', count: keys / 10, seed: options.seed + part })
      await ours.ask({ do: 'commit' })
      await ours.ask({ do: 'trim' })
    }
    await ours.ask({ do: 'export', to: file })
    const { summary } = await ours.ask({ do: 'facts' })
    const of = summary as Record<string, string>
    tell(
      `${of['total-data-files']} data files, ${of['total-delete-files']} delete files, ${of['total-position-deletes']} positions marked`,
    )
    const took = { ours: new Samples(), plain: new Samples() }
    for (let round = 0; round < (options.rounds ?? 9) + 1; round++) {
      const a = await ours.ask({ do: 'scan', sql: SQL })
      const b = await plain.ask({ do: 'scan', sql: SQL, file })
      const [[rowsA], [rowsB]] = [a['row'] as string[], b['row'] as string[]]
      if (rowsA !== rowsB) throw new Error(`the table has ${rowsA} rows and the plain file ${rowsB}`)
      if (round === 0) continue // Files come into the page cache, footers are read.
      took.ours.add(Number(a['ms']), Number(a['cpuMs']))
      took.plain.add(Number(b['ms']), Number(b['cpuMs']))
    }
    const rss = { ours: await ours.end(), plain: await plain.end() }
    await rm(scratch, { recursive: true, force: true })
    const work = `${name(keys)} rows after as many upserts`
    const mine = took.ours.measure(BENCH, work, 'tidewater', 'ms')
    const theirs = took.plain.measure(BENCH, work, 'plain Parquet', 'ms')
    const value = mine.median / theirs.median
    return [
      {
        ...mine,
        peakRssMiB: rss.ours,
        ratio: { of: theirs.contender, value },
        aim: { text: `at most ${AIM} of plain Parquet`, reached: value <= AIM },
      },
      { ...theirs, peakRssMiB: rss.plain },
    ]
  },
}
