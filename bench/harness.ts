/**
 * What the benches share: contenders as processes of their own, taken in turn, and the table of what they needed.
 *
 * Every contender is a process that answers one line of JSON to each line of JSON, so that its peak memory is its own and so
 * that peers in Python are asked the same way. Contenders of one bench take turns round by round: whatever else the machine
 * does falls on all of them, and only ratios within one run are quoted.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { loadavg } from 'node:os'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

export interface BenchOptions {
  quick: boolean
  seed: number
  /** Key counts instead of the bench's own. */
  keys?: number[]
  /** Where `commits` looks, instead of the bench's own places. */
  commits?: number[]
  /** Rounds per case; absent: the bench's own number. */
  rounds?: number
  /** DuckDB's memory bound in our process. */
  memoryMiB: number
}

/** One line of the table. */
export interface Measure {
  bench: string
  /** What was done, e.g. `1 M keys, uniform, 100 k a commit`. */
  work: string
  contender: string
  unit: string
  median: number
  min: number
  max: number
  /** Measurements that the figures are of. */
  count: number
  /** CPU milliseconds per item, when the contender can tell: less moved by other load than wall time. */
  cpu?: number
  peakRssMiB?: number
  /** Median of this over that of another contender of the same work. */
  ratio?: {
    of: string
    value: number
    /** CPU time of the other per item over this one's: what the ratio is when nothing else runs and all cores are used alike. */
    cpu?: number
  }
  /** What is aimed at, and whether it was reached. */
  aim?: { text: string; reached: boolean }
}

export interface Bench {
  name: string
  run(options: BenchOptions, tell: (text: string) => void): Promise<Measure[]>
}

export type Reply = Record<string, unknown>

/** A process that answers lines of JSON. */
export class Contender {
  readonly name: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []

  constructor(name: string, command: readonly string[], env: Record<string, string> = {}) {
    this.name = name
    this.#child = spawn(command[0]!, command.slice(1), {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const reply = JSON.parse(line) as Reply
      const next = this.#waiting.shift()
      if (typeof reply['error'] === 'string') next?.reject(new Error(`${name}: ${reply['error']}`))
      else next?.resolve(reply)
    })
    this.#child.on('close', (code) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${name} ended with ${code}`))
    })
    this.#child.stdin.on('error', () => undefined)
  }

  /** A worker of `bench/workers` in the pinned Node. */
  static node(name: string, worker: string): Contender {
    return new Contender(name, [process.execPath, `${import.meta.dirname}/workers/${worker}`])
  }

  ask(request: Reply): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    })
  }

  /** Ends the process; gives its peak resident memory. */
  async end(): Promise<number> {
    const { rssMiB } = await this.ask({ do: 'end' })
    this.#child.stdin.end()
    return Number(rssMiB)
  }
}

/** Times of one contender over the rounds of one piece of work. */
export class Samples {
  readonly #values: number[] = []
  #cpuMs = 0
  #items = 0

  add(value: number, cpuMs?: number, items = 1): void {
    this.#values.push(value)
    if (cpuMs !== undefined) this.#cpuMs += cpuMs
    this.#items += items
  }

  get count(): number {
    return this.#values.length
  }

  /** The value that the share of all lies below. */
  at(share: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
  }

  get median(): number {
    const sorted = this.#values.toSorted((a, b) => a - b)
    const middle = sorted.length >> 1
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  }

  get mean(): number {
    return this.#values.reduce((sum, value) => sum + value, 0) / this.#values.length
  }

  measure(bench: string, work: string, contender: string, unit: string): Measure {
    const values = this.#values
    const { median, count } = this
    const measure: Measure = {
      bench,
      work,
      contender,
      unit,
      median,
      min: Math.min(...values),
      max: Math.max(...values),
      count,
    }
    if (this.#cpuMs > 0) measure.cpu = this.#cpuMs / this.#items
    return measure
  }
}

/** `measure` with its ratio to another contender's, and the aim for that ratio. */
export function against(measure: Measure, other: Measure, atLeast?: number): Measure {
  const value = measure.median / other.median
  const ratio: NonNullable<Measure['ratio']> = { of: other.contender, value }
  if (measure.cpu !== undefined && other.cpu !== undefined) ratio.cpu = other.cpu / measure.cpu
  if (atLeast === undefined) return { ...measure, ratio }
  return {
    ...measure,
    ratio,
    aim: { text: `at least ${atLeast} of ${other.contender}`, reached: value >= atLeast },
  }
}

/** `measure` with an upper bound as its aim. */
export function atMost(measure: Measure, bound: number, value = measure.median, what = ''): Measure {
  return {
    ...measure,
    aim: { text: `${what}at most ${short(bound)} ${measure.unit}`, reached: value <= bound },
  }
}

/** A number of things: 1 k, 10 M. */
export function name(count: number): string {
  if (count >= 1_000_000) return `${count / 1_000_000} M`
  return count >= 1_000 ? `${count / 1_000} k` : String(count)
}

export function short(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3)
}

export function table(measures: readonly Measure[]): string {
  const rows = measures.map((m) => [
    m.bench,
    m.work,
    m.contender,
    `${short(m.median)} ${m.unit}`,
    `${short(m.min)} … ${short(m.max)}`,
    String(m.count),
    m.peakRssMiB === undefined ? '' : `${Math.round(m.peakRssMiB)} MiB`,
    m.ratio === undefined
      ? ''
      : `${m.ratio.value.toFixed(2)} × ${m.ratio.of}${m.ratio.cpu === undefined ? '' : ` (by CPU ${m.ratio.cpu.toFixed(2)})`}`,
    m.aim === undefined ? '' : `${m.aim.reached ? 'reached' : 'NOT reached'}: ${m.aim.text}`,
  ])
  const head = ['bench', 'work', 'contender', 'median', 'min … max', 'n', 'peak RSS', 'ratio', 'aim']
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]!.length)))
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function load(): string {
  return loadavg()
    .map((value) => value.toFixed(1))
    .join(' ')
}
