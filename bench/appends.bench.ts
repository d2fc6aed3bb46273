/**
 * Appends from the log to a committed snapshot, against DuckDB turning the same segments into Parquet (the limit) and PyIceberg
 * appending rows that are Arrow in memory already (the peer).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { against, type Bench, Contender, type Measure, name, Samples } from './harness.ts'
import { pyiceberg } from './peers.ts'

const BENCH = 'appends'
const LARGE = 1_000_000

export const appends: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const scratch = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-files-'))
    const ours = Contender.node('tidewater', 'table.ts')
    const limit = Contender.node('duckdb', 'duckdb.ts')
    const peer = pyiceberg(tell)
    const measures: Measure[] = []
    try {
      await ours.ask({ do: 'open', mode: 'append' })
      let seed = options.seed
      for (const batch of options.quick ? [10_000, 100_000] : [10_000, 100_000, LARGE]) {
        const work = `${name(batch)} rows a commit`
        const rate = { ours: new Samples(), limit: new Samples(), peer: new Samples() }
        for (let round = 0; round < (options.rounds ?? 5); round++) {
          const segments = await ours.ask({ do: 'prepare', keys: LARGE, skew: 'uniform', count: batch, seed: seed++ })
          const file = path.join(scratch, 'batch.parquet')
          const floor = await limit.ask({ do: 'parquet', ...segments, to: file })
          const done = await ours.ask({ do: 'commit' })
          const theirs = await peer?.ask({ do: 'append', file })
          await ours.ask({ do: 'trim' })
          rate.limit.add((batch / Number(floor['ms'])) * 1000, Number(floor['cpuMs']), batch)
          rate.ours.add((batch / Number(done['ms'])) * 1000, Number(done['cpuMs']), batch)
          if (theirs !== undefined) rate.peer.add((batch / Number(theirs['ms'])) * 1000, Number(theirs['cpuMs']), batch)
        }
        const floor = rate.limit.measure(BENCH, work, 'duckdb', 'rows/s')
        const mine = rate.ours.measure(BENCH, work, 'tidewater', 'rows/s')
        measures.push(against(mine, floor, batch === LARGE ? 0.5 : undefined), floor)
        if (rate.peer.count > 0) {
          const theirs = rate.peer.measure(BENCH, work, 'pyiceberg', 'rows/s')
          measures.push(theirs, against(mine, theirs))
        }
      }
      return measures
    } finally {
      const rss = { tidewater: await ours.end(), duckdb: await limit.end(), pyiceberg: await peer?.end() }
      for (const measure of measures) {
        const own = rss[measure.contender as 'duckdb']
        if (own !== undefined) measure.peakRssMiB = own
      }
      await rm(scratch, { recursive: true, force: true })
    }
  },
}
