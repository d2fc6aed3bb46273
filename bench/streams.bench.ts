/**
 * Streams from the outside: what is acknowledged a second against servers that do less, how long an answer takes, what reaches
 * the tables, what memory a backlog takes, what more streams and transforms cost, and where the time goes.
 *
 * Servers, load and DuckDB are processes of their own; the servers of one work take turns.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { against, atMost, type Bench, type BenchOptions, Contender, type Measure, name, Samples } from './harness.ts'
import {
  COLUMNS,
  ENRICH,
  ENRICHED_COLUMNS,
  RECORDS_OF,
  SHAPE_NAMES,
  SHAPES,
  type Shape,
  VALIDATE,
} from './stream-events.ts'

const BENCH = 'streams'
const CONNECTIONS: Record<Shape, number> = { single: 32, firehose: 8, ndjson: 8 }
const MIB = 2 ** 20

interface Sent {
  requests: number
  records: number
  bytes: number
  failed: number
  ms: number
  p50: number
  p99: number
  p999: number
}

type Tell = (text: string) => void
type Ask = Record<string, unknown>

/** The processes of one run of this bench. */
class Parts {
  readonly servers = {
    bare: Contender.node('bare node:http', 'stream-server.ts'),
    file: Contender.node('append and fsync', 'stream-server.ts'),
    tidewater: Contender.node('tidewater', 'stream-server.ts'),
  }
  readonly duckdb = Contender.node('duckdb', 'stream-server.ts')
  readonly sender = Contender.node('load', 'stream-load.ts')

  async send(port: unknown, shape: Shape, ask: Ask): Promise<Sent> {
    const sent = (await this.sender.ask({
      do: 'load',
      port,
      shape,
      streams: ['s0'],
      connections: CONNECTIONS[shape],
      ...ask,
    })) as unknown as Sent
    if (sent.failed > 0) throw new Error(`${sent.failed} requests of ${shape} failed`)
    return sent
  }

  /** Runs `work` on our server with such streams. */
  async withStreams<T>(streams: Record<string, object>, work: (port: unknown) => Promise<T>): Promise<T> {
    const { port } = await this.servers.tidewater.ask({ do: 'start', kind: 'tidewater', config: { streams } })
    try {
      return await work(port)
    } finally {
      await this.servers.tidewater.ask({ do: 'stop' })
    }
  }

  async end(): Promise<void> {
    for (const contender of [...Object.values(this.servers), this.duckdb, this.sender]) await contender.end()
  }
}

const streamOf = (at: number, settings: object = {}) => ({ table: `bench.events_${at}`, columns: COLUMNS, ...settings })

export const streams: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const parts = new Parts()
    try {
      const measures = [
        ...(await acknowledged(parts, options, tell)),
        ...(await committed(parts, options, tell)),
        ...(await transforms(parts, options, tell)),
        ...(await many(parts, options, tell)),
        ...(await backlog(parts, options, tell)),
      ]
      await whereTimeGoes(parts, options, tell)
      return measures
    } finally {
      await parts.end()
    }
  },
}

async function cpuMsOf(contender: Contender): Promise<number> {
  return Number((await contender.ask({ do: 'usage' }))['cpuMs'])
}

/** Records a second with as many connections as a few senders have, and answer times at half of that. */
async function acknowledged(parts: Parts, options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const seconds = options.quick ? 0.8 : 4
  const rounds = options.rounds ?? (options.quick ? 1 : 3)
  const measures: Measure[] = []
  const { bare, file, tidewater } = parts.servers
  const ports = new Map<Contender, unknown>()
  for (const [kind, contender] of Object.entries(parts.servers)) {
    const reply = await contender.ask({ do: 'start', kind, config: { streams: { s0: streamOf(0) } } })
    ports.set(contender, reply['port'])
  }
  for (const shape of SHAPES) {
    const work = SHAPE_NAMES[shape]
    const rates = new Map([bare, file, tidewater].map((contender) => [contender, new Samples()]))
    let bytesEach = 0
    for (let round = -1; round < rounds; round++) {
      for (const [contender, samples] of rates) {
        const before = await cpuMsOf(contender)
        const sent = await parts.send(ports.get(contender), shape, { seconds: round < 0 ? 0.5 : seconds })
        bytesEach = sent.bytes / sent.records
        // The first one compiles.
        if (round >= 0) samples.add((sent.records / sent.ms) * 1000, (await cpuMsOf(contender)) - before, sent.records)
        // More is acknowledged than is committed meanwhile: what waits is bounded, and nobody's turn pays for another's.
        if (contender === tidewater) await tidewater.ask({ do: 'drain' })
      }
    }
    const of = (contender: Contender) => rates.get(contender)!.measure(BENCH, work, contender.name, 'records/s')
    const [least, appending, ours] = [of(bare), of(file), of(tidewater)]
    measures.push(against(ours, least, 0.6), against(ours, appending), least, appending)
    tell(`${work}: ${mibs(ours.median, bytesEach)} acknowledged, ${mibs(least.median, bytesEach)} bare`)
    const perSecond = ours.median / RECORDS_OF[shape] / 2
    const { p50, p99, p999 } = await parts.send(ports.get(tidewater), shape, {
      seconds: seconds * (options.quick ? 1 : 2),
      perSecond,
    })
    for (const [what, ms] of Object.entries({ p50, p99, p999 })) {
      const sample = new Samples()
      sample.add(ms)
      const measure = sample.measure(BENCH, `${work}, half load`, `tidewater ${what}`, 'ms')
      measures.push(what === 'p50' ? atMost(measure, 20) : measure)
    }
    tell(
      `${work}, half load: answers after ${p50.toFixed(1)} (p50), ${p99.toFixed(1)} (p99), ${p999.toFixed(1)} ms (p99.9)`,
    )
    await tidewater.ask({ do: 'drain' })
  }
  for (const contender of ports.keys()) await contender.ask({ do: 'stop' })
  return measures
}

function mibs(recordsPerSecond: number, bytesEach: number): string {
  return `${Math.round(recordsPerSecond).toLocaleString('en')} records/s, ${((recordsPerSecond * bytesEach) / MIB).toFixed(1)} MiB/s`
}

/** From the log to a snapshot, and the whole way from the sender, against DuckDB's NDJSON to Parquet of the same records. */
async function committed(parts: Parts, options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const records = options.quick ? 20_000 : 500_000
  const rounds = options.rounds ?? (options.quick ? 1 : 3)
  const folder = await mkdtemp(path.join(tmpdir(), 'tidewater-bench-lines-'))
  const lines = path.join(folder, 'records.ndjson')
  const types = {
    ...Object.fromEntries(Object.keys(COLUMNS).map((column) => [column, 'VARCHAR'])),
    timestamp: 'TIMESTAMP',
    n: 'BIGINT',
  }
  const measures: Measure[] = []
  try {
    await parts.sender.ask({ do: 'write', records, path: lines })
    const modes = [
      { mode: 'append', settings: {}, atLeast: 0.5 },
      { mode: 'keyed', settings: { uniqueKeys: ['n'] }, atLeast: 0.25 },
    ]
    const settings = Object.fromEntries(modes.map((mode, at) => [`s${at}`, streamOf(at, mode.settings)]))
    await parts.withStreams(settings, async (port) => {
      await parts.servers.tidewater.ask({ do: 'hold', held: true })
      for (const [at, { mode, atLeast }] of modes.entries()) {
        const [limit, commits, whole] = [new Samples(), new Samples(), new Samples()]
        for (let round = options.quick ? 0 : -1; round < rounds; round++) {
          const floor = await parts.duckdb.ask({ do: 'parquet', from: lines, columns: types })
          const sent = await parts.send(port, 'ndjson', { records, streams: [`s${at}`] })
          const drained = await parts.servers.tidewater.ask({ do: 'drain' })
          if (round < 0) continue
          const rate = (ms: number) => (sent.records / ms) * 1000
          limit.add((records / Number(floor['ms'])) * 1000, Number(floor['cpuMs']), records)
          commits.add(rate(Number(drained['ms'])), Number(drained['cpuMs']), sent.records)
          whole.add(rate(sent.ms + Number(drained['ms'])))
        }
        const work = `${mode}, ${name(records)} records a commit`
        const floor = limit.measure(BENCH, work, 'duckdb', 'records/s')
        const ours = commits.measure(BENCH, work, 'tidewater, log to snapshot', 'records/s')
        measures.push(against(ours, floor, atLeast), floor)
        measures.push(against(whole.measure(BENCH, work, 'tidewater, sender to snapshot', 'records/s'), floor))
        tell(`${work}: ${Math.round(ours.median).toLocaleString('en')} records/s from log to snapshot`)
      }
    })
    return measures
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const STEPS: Record<string, object> = {
  'no step': {},
  'JSON Schema': { validate: VALIDATE },
  enrich: { columns: ENRICHED_COLUMNS, enrich: ENRICH },
  'record function': { transform: { module: './functions/record.mjs' } },
  'batch function': { transform: { module: './functions/batch.mjs' } },
}

/** What a step costs: records acknowledged a second, of requests of 1,000 lines. */
async function transforms(parts: Parts, options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const seconds = options.quick ? 0.8 : 4
  const rounds = options.rounds ?? (options.quick ? 1 : 3)
  const names = Object.keys(STEPS)
  const settings = Object.fromEntries(Object.values(STEPS).map((step, at) => [`s${at}`, streamOf(at, step)]))
  const rates = names.map(() => new Samples())
  await parts.withStreams(settings, async (port) => {
    for (let round = -1; round < rounds; round++) {
      for (const [at, samples] of rates.entries()) {
        const before = await cpuMsOf(parts.servers.tidewater)
        const sent = await parts.send(port, 'ndjson', { seconds: round < 0 ? 0.5 : seconds, streams: [`s${at}`] })
        const cpuMs = (await cpuMsOf(parts.servers.tidewater)) - before
        if (round >= 0) samples.add((sent.records / sent.ms) * 1000, cpuMs, sent.records)
        await parts.servers.tidewater.ask({ do: 'drain' })
      }
    }
  })
  const measures = rates.map((samples, at) => samples.measure(BENCH, 'steps', names[at]!, 'records/s'))
  const [none, ...others] = measures
  for (const { contender, median } of measures)
    tell(`${contender}: ${Math.round(median).toLocaleString('en')} records/s`)
  return [none!, ...others.map((measure) => against(measure, none!))]
}

/** The same load over more streams, each with a log, a table and commits of its own. */
async function many(parts: Parts, options: BenchOptions, tell: Tell): Promise<Measure[]> {
  const seconds = options.quick ? 1 : 5
  const measures: Measure[] = []
  for (const count of options.quick ? [1, 8] : [1, 10, 100]) {
    const names = Array.from({ length: count }, (_, at) => `s${at}`)
    const settings = Object.fromEntries(names.map((stream, at) => [stream, streamOf(at)]))
    const samples = new Samples()
    await parts.withStreams(settings, async (port) => {
      await parts.send(port, 'ndjson', { records: 1_000 * count, streams: names })
      const before = await cpuMsOf(parts.servers.tidewater)
      const sent = await parts.send(port, 'ndjson', { seconds, streams: names })
      samples.add((sent.records / sent.ms) * 1000, (await cpuMsOf(parts.servers.tidewater)) - before, sent.records)
    })
    measures.push(samples.measure(BENCH, 'the same load over streams', `${count} streams`, 'records/s'))
    tell(`${count} streams: ${Math.round(samples.median).toLocaleString('en')} records/s`)
  }
  const [one, ...others] = measures
  return [one!, ...others.map((measure) => against(measure, one!))]
}

/** Resident memory while commits are held back and records come in, after each quarter of the bytes. */
async function backlog(parts: Parts, options: BenchOptions, tell: Tell): Promise<Measure[]> {
  // In the log a record takes a quarter more; a stream takes no more when 1,024 MiB wait.
  const mebibytes = options.quick ? 24 : 720
  const rss: number[] = []
  await parts.withStreams({ s0: streamOf(0) }, async (port) => {
    const { tidewater } = parts.servers
    await tidewater.ask({ do: 'hold', held: true })
    await parts.send(port, 'ndjson', { bytes: 4 * MIB })
    rss.push(Number((await tidewater.ask({ do: 'settle' }))['rssMiB']))
    for (let quarter = 0; quarter < 4; quarter++) {
      await parts.send(port, 'ndjson', { bytes: (mebibytes / 4) * MIB })
      rss.push(Number((await tidewater.ask({ do: 'settle' }))['rssMiB']))
    }
    tell(
      `${mebibytes} MiB wait: RSS ${rss.map((value) => value.toFixed(0)).join(', ')} MiB at start and after each quarter`,
    )
    await tidewater.ask({ do: 'hold', held: false })
  })
  return [...rss.entries()].map(([at, value]) => {
    const sample = new Samples()
    sample.add(value)
    const measure = sample.measure(BENCH, `${mebibytes} MiB wait for commits`, `RSS at ${at}/4`, 'MiB')
    return at === 4 ? atMost(measure, 200, value - rss[1]!, 'over the first quarter ') : measure
  })
}

async function whereTimeGoes(parts: Parts, options: BenchOptions, tell: Tell): Promise<void> {
  await parts.withStreams({ s0: streamOf(0) }, async (port) => {
    for (const shape of SHAPES) {
      await parts.send(port, shape, { seconds: options.quick ? 0.3 : 1 })
      await parts.servers.tidewater.ask({ do: 'drain' })
      await parts.servers.tidewater.ask({ do: 'profile' })
      await parts.send(port, shape, { seconds: options.quick ? 1 : 4 })
      const { lines } = await parts.servers.tidewater.ask({ do: 'profiled' })
      tell(`where the time goes, ${SHAPE_NAMES[shape]}:`)
      for (const line of lines as string[]) tell(`  ${line}`)
    }
  })
}
