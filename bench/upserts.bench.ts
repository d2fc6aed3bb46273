/**
 * Keyed upserts from the log to a committed snapshot, against DuckDB turning the same segments into Parquet (the limit) and
 * PyIceberg's `upsert` of the same rows (the peer), over 100 k, 1 M and 10 M keys.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { against, atMost, type Bench, type BenchOptions, Contender, type Measure, name, Samples } from './harness.ts'
import { pyiceberg } from './peers.ts'
import type { Skew } from './workload.ts'

const BENCH = 'upserts'
/** PyIceberg's upsert rewrites what it touches: larger work would take hours. */
const PEER_KEYS_MAX = 1_000_000
const PEER_BATCH_MAX = 100_000
const LARGE = 1_000_000
const RSS_MAX_MIB = 1024

interface Case {
  keys: number
  skew: Skew
  batch: number
  rounds: number
}

function cases(keys: number, { quick, rounds }: BenchOptions): Case[] {
  const sizes = quick ? [1_000, 100_000] : [1_000, 10_000, 100_000, LARGE]
  return (['uniform', 'skewed'] as const).flatMap((skew) =>
    sizes.map((batch) => ({ keys, skew, batch, rounds: rounds ?? (batch >= 100_000 ? 3 : 9) })),
  )
}

export const upserts: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const sizes = options.keys ?? (options.quick ? [100_000] : [100_000, 1_000_000, 10_000_000])
    const all: Measure[] = []
    for (const keys of sizes) all.push(...(await forKeys(keys, options, tell)))
    return all
  },
}

async function forKeys(keys: number, options: BenchOptions, tell: (text: string) => void): Promise<Measure[]> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-files-'))
  const ours = Contender.node('tidewater', 'table.ts')
  const limit = Contender.node('duckdb', 'duckdb.ts')
  const peer = keys <= PEER_KEYS_MAX ? pyiceberg(tell) : null
  const measures: Measure[] = []
  try {
    tell(`${name(keys)} keys: filling the tables`)
    await ours.ask({ do: 'open', mode: 'upsert' })
    await ours.ask({ do: 'fill', keys })
    if (peer !== null) {
      const file = path.join(scratch, 'all.parquet')
      await ours.ask({ do: 'export', to: file })
      await peer.ask({ do: 'append', file })
    }
    let seed = options.seed
    const filledMiB = Number((await ours.ask({ do: 'memory' }))['peakMiB'])
    tell(`filled: peak RSS ${filledMiB.toFixed(0)} MiB`)
    for (const one of cases(keys, options)) {
      const work = `${name(keys)} keys, ${one.skew}, ${name(one.batch)} a commit`
      const rate = { ours: new Samples(), kept: new Samples(), limit: new Samples(), peer: new Samples() }
      const took = new Samples()
      for (let round = 0; round < one.rounds; round++) {
        const segments = await ours.ask({ do: 'prepare', keys, skew: one.skew, count: one.batch, seed: seed++ })
        const floor = await limit.ask({ do: 'parquet', ...segments })
        const done = await ours.ask({ do: 'commit' })
        if (peer !== null && one.batch <= PEER_BATCH_MAX && one.batch >= 10_000) {
          const file = path.join(scratch, 'batch.parquet')
          await limit.ask({ do: 'parquet', ...segments, fold: true, to: file })
          const reply = await peer.ask({ do: 'upsert', file })
          rate.peer.add((one.batch / Number(reply['ms'])) * 1000, Number(reply['cpuMs']), one.batch)
        }
        await ours.ask({ do: 'trim' })
        const ms = Number(done['ms'])
        took.add(ms, Number(done['cpuMs']))
        rate.ours.add((one.batch / ms) * 1000, Number(done['cpuMs']), one.batch)
        rate.kept.add((one.batch / (ms + Number(done['upkeepMs']))) * 1000)
        rate.limit.add((one.batch / Number(floor['ms'])) * 1000, Number(floor['cpuMs']), one.batch)
      }
      tell(`${work}: ${took.median.toFixed(0)} ms (cpu ${(took.measure('', '', '', '').cpu ?? 0).toFixed(0)} ms)`)
      const floor = rate.limit.measure(BENCH, work, 'duckdb', 'rows/s')
      const mine = rate.ours.measure(BENCH, work, 'tidewater', 'rows/s')
      measures.push(against(mine, floor, one.batch === LARGE ? 0.25 : undefined), floor)
      measures.push(against(rate.kept.measure(BENCH, work, 'tidewater with upkeep', 'rows/s'), floor))
      if (rate.peer.count > 0) {
        const theirs = rate.peer.measure(BENCH, work, 'pyiceberg', 'rows/s')
        measures.push(theirs, against({ ...mine, contender: 'tidewater' }, theirs))
      }
      const small = took.measure(BENCH, work, 'tidewater commit', 'ms')
      measures.push(one.batch === 1_000 ? atMost(small, 150) : small)
    }
    const { peakMiB } = await ours.ask({ do: 'memory' })
    const peak = new Samples()
    peak.add(Number(peakMiB))
    measures.push(
      atMost(peak.measure(BENCH, `${name(keys)} keys, everything above`, 'tidewater peak RSS', 'MiB'), RSS_MAX_MIB),
    )
    return measures
  } finally {
    const rss = { tidewater: await ours.end(), duckdb: await limit.end(), pyiceberg: await peer?.end() }
    tell(`${name(keys)} keys: peak RSS ${JSON.stringify(rss)} MiB`)
    for (const measure of measures) {
      const own = measure.contender.startsWith('tidewater') ? rss.tidewater : rss[measure.contender as 'duckdb']
      if (own !== undefined) measure.peakRssMiB = own
    }
    await rm(scratch, { recursive: true, force: true })
  }
}
