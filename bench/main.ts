/** Runs the benches whose names the filters keep, prints the table, and keeps the results. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { appends } from './appends.bench.ts'
import { buckets } from './buckets.bench.ts'
import { commits } from './commits.bench.ts'
import { type Bench, type BenchOptions, load, type Measure, table } from './harness.ts'
import { metadata } from './metadata.bench.ts'
import { reconcile } from './reconcile.bench.ts'
import { records } from './records.bench.ts'
import { scan } from './scan.bench.ts'
import { streams } from './streams.bench.ts'
import { upserts } from './upserts.bench.ts'
import { visible } from './visible.bench.ts'

const benches: readonly Bench[] = [
  upserts,
  appends,
  scan,
  commits,
  metadata,
  visible,
  records,
  streams,
  reconcile,
  buckets,
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    rounds: { type: 'string' },
    keys: { type: 'string' },
    commits: { type: 'string' },
    memory: { type: 'string', default: '600' },
    out: { type: 'string' },
  },
})
const options: BenchOptions = { quick: values.quick, seed: Number(values.seed), memoryMiB: Number(values.memory) }
if (values.rounds !== undefined) options.rounds = Number(values.rounds)
if (values.keys !== undefined) options.keys = values.keys.split(',').map(Number)
if (values.commits !== undefined) options.commits = values.commits.split(',').map(Number)
process.env['BENCH_MEMORY_MIB'] = values.memory

const chosen = benches.filter(({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)))
if (chosen.length === 0) {
  console.error(
    `No bench has ${positionals.join(' or ')} in its name; there are ${benches.map(({ name }) => name).join(', ')}.`,
  )
  process.exit(1)
}
console.log(`seed ${options.seed}, ${cpus().length} × ${cpus()[0]?.model}, load ${load()}`)
const measures: Measure[] = []
for (const bench of chosen) {
  console.log(`\n${bench.name}: load ${load()}`)
  measures.push(...(await bench.run(options, (text) => console.log(`  ${text}`))))
}
console.log(`\nload ${load()}\n\n${table(measures)}`)
await keep(values.out ?? path.join(import.meta.dirname, 'results', values.quick ? 'quick.json' : 'latest.json'))

/** A bench measured anew replaces its earlier results; those of the others stay. */
async function keep(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const before = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as { measures: Measure[] },
    () => ({ measures: [] }),
  )
  const anew = new Set(measures.map(keyOf))
  const kept = before.measures.filter((measure) => !anew.has(keyOf(measure)))
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    load: load(),
  }
  await writeFile(
    file,
    `${JSON.stringify({ seed: options.seed, machine, measures: [...kept, ...measures] }, null, 2)}\n`,
  )
}

function keyOf({ bench, work }: Measure): string {
  return `${bench}\n${work}`
}
