/**
 * One run of a stream, driven by one seed: a process that is started, takes requests, commits, and is killed or stopped, again and
 * again; producers outside it that know nothing but its answers; and the check of what is in tables and dead letters in the end.
 */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isFault } from '../../src/base/fault.ts'
import { Slots } from '../../src/base/slots.ts'
import { readTableChange } from '../../src/change/table-change.ts'
import type { Log } from '../../src/log/log.ts'
import type { LogFile } from '../../src/log/log-fs.ts'
import { openSegmentLog } from '../../src/log/segments.ts'
import { DeadLetters } from '../../src/service/deadletter/deadletter.ts'
import { Backlog } from '../../src/service/streams/backlog.ts'
import { parseStream } from '../../src/service/streams/definition.ts'
import { type OpenStreamOptions, openStream } from '../../src/service/streams/open-stream.ts'
import type { Stream } from '../../src/service/streams/stream.ts'
import { TableOwners } from '../../src/service/streams/table-owners.ts'
import type { FeedEvent } from '../../src/table/table.ts'
import { Killed, seededRandomness } from './faulty.ts'
import { Random } from './random.ts'
import { type FakeLake, FaultyMemory, fakeCatalog, fakeWriters, streamLogFs } from './streams-parts.ts'
import { RealTables } from './streams-real.ts'
import { type Form, Ledger, type Sender, sendersOf } from './streams-senders.ts'
import { CALM, lifeClock, type StreamOdds, StreamSteps } from './streams-steps.ts'

/** A part made wrong on purpose, to see that it is found out. */
export interface StreamSabotage {
  log?: (log: Log) => Log
  memory?: (memory: FaultyMemory) => void
  /** Tables that do not say what they hold. */
  forgetsOffset?: boolean
}

export interface StreamRunOptions {
  seed: number
  sabotage?: StreamSabotage
  /** Tables of DuckDB, writer and catalog, in place of those in memory that give the same promises. */
  real?: boolean
}

export interface StreamRunReport {
  lives: number
  acknowledged: number
  repeated: number
  commits: number
  steps: StreamSteps['counts']
}

/** @throws whatever the check, or the code under test, found wrong */
export async function runStream({ seed, sabotage = {}, real = false }: StreamRunOptions): Promise<StreamRunReport> {
  const restore = seededRandomness(new Random(seed ^ 0x5eed))
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-simulate-streams-'))
  const run = new Run(seed, dir, sabotage)
  try {
    if (real) await run.useRealTables()
    return await run.whole()
  } catch (error) {
    if (process.env['TIDEWATER_TRACE']) process.stderr.write(`${run.steps.trace.join('\n')}\n`)
    throw error
  } finally {
    await run.fall()
    await run.real?.close()
    restore()
    await rm(dir, { recursive: true, force: true })
  }
}

interface Life {
  stream: Stream
  memory: FaultyMemory
  letters: Log
}

class Run {
  readonly steps: StreamSteps
  real: RealTables | null = null
  readonly #dir: string
  readonly #sabotage: StreamSabotage
  readonly #random: Random
  readonly #odds: StreamOdds
  readonly #form: Form
  readonly #time = { ms: Date.UTC(2026, 0, 1) }
  readonly #lake: FakeLake = new Map()
  readonly #ledger = new Ledger()
  readonly #senders: readonly Sender[]
  readonly #openFiles = new Set<LogFile>()
  /** Commits go on beside requests. Else they come between them, and nothing races. */
  readonly #beside: boolean
  #life: Life | null = null
  #memory: FaultyMemory | null = null
  #lives = 0
  #commits = 0

  constructor(seed: number, dir: string, sabotage: StreamSabotage) {
    this.steps = new StreamSteps(seed)
    this.#dir = dir
    this.#sabotage = sabotage
    const random = new Random(seed)
    this.#random = random
    this.#odds = {
      fail: random.pick([0, 0, 0.01, 0.05]),
      lose: random.pick([0, 0.01, 0.05]),
      kill: random.pick([0, 0.005, 0.02]),
    }
    this.#form = { keyed: random.chance(0.5), parts: random.pick([1, 1, 3]), poison: random.chance(0.3) }
    this.#beside = random.chance(0.35)
    this.#senders = sendersOf(random, this.#form, this.#ledger)
  }

  async useRealTables(): Promise<void> {
    const time = this.#time
    this.real = await RealTables.open(this.#dir, { nowMs: () => time.ms, sleep: async () => undefined })
    // What a real table refuses is another test's affair.
    this.#form.poison = false
  }

  async whole(): Promise<StreamRunReport> {
    const random = this.#random
    const { keyed, parts } = this.#form
    this.steps.note(JSON.stringify({ keyed, parts, beside: this.#beside, odds: this.#odds }))
    for (let life = 2 + random.below(5); life > 0; life--) await this.#oneLife()
    await this.#end()
    const { acknowledged, repeated } = this.#ledger
    return { lives: this.#lives, acknowledged, repeated, commits: this.#commits, steps: this.steps.counts }
  }

  async #oneLife(): Promise<void> {
    const random = this.#random
    this.#lives++
    // Most starts are calm: a process that never gets to work shows little.
    this.steps.odds = random.chance(0.7) ? CALM : this.#odds
    try {
      const { stream } = await this.#open()
      this.steps.odds = this.#odds
      if (this.#beside) stream.parts.destinations.follow()
      for (let actions = 4 + random.below(16); actions > 0; actions--) await this.#act(stream)
      if (random.chance(0.4)) await this.#stop()
    } catch (error) {
      if (!this.steps.dead && !mayPass(error)) throw error
    }
    await this.fall()
  }

  async #act(stream: Stream): Promise<void> {
    const random = this.#random
    const choice = random.next()
    const trying = async (work: Promise<unknown>) => {
      try {
        await work
      } catch (error) {
        if (!this.steps.dead && !mayPass(error)) throw error
      }
      if (this.steps.dead) throw new Killed()
    }
    if (choice < 0.65) {
      const some = this.#senders.filter(() => random.chance(0.4))
      await trying(settled(some.map((sender) => sender.act(stream))))
    } else if (choice < 0.85) await trying(stream.parts.destinations.drain())
    else if (choice < 0.9) await trying(stream.parts.repetitions.flush())
    else if (choice < 0.95) {
      await trying(stream.pause())
      if (random.chance(0.7)) stream.resume(this.#beside)
      else await trying(settled(this.#senders.map((sender) => sender.act(stream))))
      stream.resume(this.#beside)
    }
    // A clock that steps, forwards or back.
    else this.#time.ms += random.pick([25, -30, 2, -1]) * 3600 * 1000
  }

  async #open(): Promise<Life> {
    const { steps } = this
    steps.begin()
    steps.note(`== life ${steps.life}`)
    await mkdir(path.join(this.#dir, 'logs'), { recursive: true })
    const fs = streamLogFs(steps, this.#openFiles)
    const openLog = (name: string) =>
      openSegmentLog({ dir: path.join(this.#dir, 'logs'), name, fs, segmentBytesMax: 900 })
    const letters = await openLog('dead-letters')
    const memory = new FaultyMemory(path.join(this.#dir, 'streams.db'), steps)
    this.#memory = memory
    this.#sabotage.memory?.(memory)
    const clock = lifeClock(steps, this.#time)
    const scratch = this.#scratch()
    const options = {
      memory,
      clock,
      openLog: async (name: string) => {
        const log = await openLog(name)
        return this.#sabotage.log?.(log) ?? log
      },
      deadLetters: new DeadLetters(letters, clock),
      backlog: new Backlog({ clock, dir: this.#dir, letters: { end: () => letters.end, position: () => letters.end } }),
      owners: new TableOwners(new Set()),
      sources: () => [],
      configDir: this.#dir,
      notice: () => undefined,
      slots: { commit: new Slots(2) },
      indexPath: (name: string) => path.join(this.#dir, name),
      onEvent: (event: FeedEvent) => {
        if (event.kind === 'committed') this.#commits++
      },
      openWriter: fakeWriters(this.#lake, steps, this.#sabotage),
      catalog: fakeCatalog(this.#lake, steps),
      // What the fake writer does not need, and nobody else asks for.
      duck: { connect: async () => ({ close: () => undefined }) },
      io: { scratch },
      upkeep: { add: () => ({ due: () => undefined, remove: async () => undefined }) },
      ...this.real?.of(steps),
    } as unknown as OpenStreamOptions
    const { keyed, parts } = this.#form
    const definition = parseStream('s', {
      table: 'demo.events',
      columns: { id: 'STRING NOT NULL', n: 'LONG', part: 'STRING' },
      ...(keyed ? { uniqueKeys: ['id'] } : {}),
      ...(parts > 1 ? { route: { table: 'events_{$.part}' } } : {}),
      buffer: { seconds: 0.1 },
    })
    const stream = await openStream(options, { definition, createdMs: 0, configured: true })
    this.#life = { stream, memory, letters }
    return this.#life
  }

  #scratch(): () => Promise<string> {
    let files = 0
    const folder = path.join(this.#dir, `scratch-${this.#lives}`)
    return async () => {
      await mkdir(folder, { recursive: true })
      return path.join(folder, `${files++}.ndjson`)
    }
  }

  /** Told to end, it ends well. */
  async #stop(): Promise<void> {
    const life = this.#life
    if (life === null) return
    await life.stream.close()
    await life.letters.close()
  }

  /** The process is gone, and what it has open goes with it. */
  async fall(): Promise<void> {
    this.steps.kill()
    const life = this.#life
    this.#life = null
    await life?.stream.close().catch(() => undefined)
    await this.steps.settled()
    this.#memory?.close()
    this.#memory = null
    for (const file of this.#openFiles) await file.close()
    this.#openFiles.clear()
  }

  /** Peace: whoever has no answer yet asks again, everything is committed, and everybody counts. */
  async #end(): Promise<void> {
    this.steps.odds = CALM
    this.#lives++
    const { stream, letters } = await this.#open()
    for (const sender of this.#senders) await sender.finish(stream)
    await stream.parts.destinations.drain()
    assert.equal(stream.freshness().waitingEntries, 0)
    const { log } = stream.parts
    assert.equal(log.start, log.end, 'the log keeps nothing that is committed')
    const texts = (await entriesOf(letters)).map((text) => readTableChange(text).row)
    this.#ledger.check((await this.real?.rows()) ?? this.#lake, texts, this.#form, this.real !== null)
    await this.#stop()
    await this.fall()
  }
}

async function entriesOf(log: Log): Promise<string[]> {
  const texts: string[] = []
  for (let from = log.start; from < log.end; ) {
    const entries = await log.read(from, 1_000)
    texts.push(...entries.map(({ text }) => text))
    from += entries.length
  }
  return texts
}

/** As `Promise.all`, but ends when all have ended. */
async function settled(works: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(works)
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
  const bad = errors.find((error) => !mayPass(error))
  if (errors.length > 0) throw bad ?? errors[0]
}

function mayPass(error: unknown): boolean {
  return error instanceof Killed || isFault(error, 'unavailable') || isFault(error, 'commit-unknown')
}
