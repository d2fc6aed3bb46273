/**
 * Runs many seeds of the commit simulation, in several processes: `node test/simulate/seeds.ts FIRST COUNT [PROCESSES]`, without a bound
 * on its time. Tells each seed that found something, with the command that replays it, and in the end how often each kind of thing
 * happened. The exit code is 1 when a seed found something.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { runSimulation } from './commit-run.ts'

export interface SeedResult {
  seed: number
  /** What it found; null: nothing. */
  found: string | null
  steps: number
  snapshots: number
  /** How often each kind of thing happened. */
  seen: [string, number][]
  /** Of all that happened, in order: the same seed has the same. */
  digest: string
}

export interface Seeds {
  first: number
  count: number
  processes: number
  /** No seed is begun after so long. */
  timeMs?: number
  onResult?: (result: SeedResult) => void
}

/** How to run one seed again. */
export function replayCommand(seed: number): string {
  return `TIDEWATER_SEED=${seed} TIDEWATER_TRACE=1 npm test -- test/simulate/commit-crash`
}

export async function runSeed(seed: number): Promise<SeedResult> {
  try {
    const { steps, snapshots, seen, outside, trace } = await runSimulation({ seed })
    const all = [...seen, ...[...outside].map(([what, times]) => [`outside: ${what}`, times] as [string, number])]
    const digest = createHash('sha256').update(trace.join('\n')).digest('hex')
    return { seed, found: null, steps: steps.steps, snapshots, seen: all, digest }
  } catch (error) {
    const found = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { seed, found, steps: 0, snapshots: 0, seen: [], digest: '' }
  }
}

/**
 * A heap that begins large: results of DuckDB weigh on the collector of garbage, which would mark the same small heap over and over,
 * for a fifth of the time.
 */
const NODE_OPTIONS = ['--initial-old-space-size=512']

/** In processes of their own: a run takes the randomness of its process for itself. */
export async function runSeeds({ first, count, processes, timeMs, onResult }: Seeds): Promise<SeedResult[]> {
  const results: SeedResult[] = []
  const startMs = performance.now()
  let next = first
  const work = async (child: ChildProcess): Promise<void> => {
    while (next < first + count && performance.now() - startMs < (timeMs ?? Number.POSITIVE_INFINITY)) {
      const result = await ask(child, next++)
      results.push(result)
      onResult?.(result)
    }
    child.disconnect()
  }
  const children = Array.from({ length: Math.min(processes, count) }, () =>
    fork(fileURLToPath(import.meta.url), ['child'], { execArgv: [...process.execArgv, ...NODE_OPTIONS] }),
  )
  try {
    await Promise.all(children.map(work))
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
  return results.toSorted((one, other) => one.seed - other.seed)
}

function ask(child: ChildProcess, seed: number): Promise<SeedResult> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null, signal: string | null) =>
      reject(new Error(`seed ${seed}: its process ended with ${code ?? signal}; replay with ${replayCommand(seed)}`))
    child.once('exit', ended)
    child.once('message', (result) => {
      child.off('exit', ended)
      resolve(result as SeedResult)
    })
    child.send(seed)
  })
}

/** How often each kind of thing happened over all seeds. */
export function total(results: readonly SeedResult[]): Map<string, number> {
  const all = new Map<string, number>()
  for (const [what, times] of results.flatMap((result) => result.seen)) all.set(what, (all.get(what) ?? 0) + times)
  return all
}

async function main(first: number, count: number, processes: number): Promise<void> {
  const startMs = performance.now()
  let done = 0
  const results = await runSeeds({
    first,
    count,
    processes,
    onResult: ({ seed, found }) => {
      if (found !== null) console.log(`seed ${seed} found:\n${found}\nreplay with ${replayCommand(seed)}\n`)
      if (++done % 50 === 0)
        console.log(`${done} of ${count} seeds, ${Math.round((performance.now() - startMs) / 1000)} s`)
    },
  })
  for (const [what, times] of [...total(results)].sort()) console.log(`${String(times).padStart(8)}  ${what}`)
  const found = results.filter((result) => result.found !== null).map((result) => result.seed)
  console.log(
    `${results.length} seeds from ${first} on, ${found.length} found something${found.length > 0 ? `: ${found.join(', ')}` : ''}`,
  )
  process.exitCode = found.length > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [first = '1', count = '1000', processes = '2'] = process.argv.slice(2)
  if (first !== 'child') await main(Number(first), Number(count), Number(processes))
  else process.on('message', (seed) => void runSeed(Number(seed)).then((result) => process.send?.(result)))
}
