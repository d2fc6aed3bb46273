/**
 * One stream: records in, acknowledged when they are durable; rows of its tables out.
 *
 * A request is read record by record (`intake.ts`). Good records of all tables, and what is remembered of the request, are appended
 * to the stream's log in one append, which is durable as a whole or not at all; bad ones go to dead letters before it. Only then is
 * it answered.
 *
 * Invariants
 * 1. An acknowledged record is in the log (and then in its table) or in dead letters, once; or it was left out as the settings want.
 * 2. One bad record changes nothing for the others of its request.
 * 3. A repetition that carries its producer's number or its request's key changes nothing, also across restarts.
 * 4. What a durable append means is known from that moment on: nothing that may fail stands between it and the answer.
 *
 * Crash story: killed before the append, nothing was taken (a dead letter may be there, and is the same row when it comes again);
 * killed after it, before the answer, the repetition finds what the log says.
 */
import { stat } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { type ProducerNumber, tableChangeText } from '../../change/table-change.ts'
import type { NestedField } from '../../iceberg/spec/table-metadata.ts'
import type { Log } from '../../log/log.ts'
import type { DeadLetters } from '../deadletter/deadletter.ts'
import { answerOf, rememberedOf, resultsOf } from './answers.ts'
import type { Backlog } from './backlog.ts'
import { type StreamDefinition, schemaOf } from './definition.ts'
import type { Destinations } from './destinations.ts'
import { Intake } from './intake.ts'
import { marksOf, numberRecords } from './numbering.ts'
import { type Records, recordAt } from './packed.ts'
import type { PipelineStep, RecordOrigin } from './pipeline.ts'
import type { Progress } from './progress.ts'
import { type RetriedLetter, readAgain } from './read-again.ts'
import { LogEntries, type Reading, Readings } from './readings.ts'
import type { RecordProblem } from './record.ts'
import { type KnownRequest, type ProducerState, type Repetitions, sameDigest } from './repetitions.ts'
import {
  type Acceptance,
  type AcceptOptions,
  checkRequest,
  digestOf,
  type Identity,
  ownedName,
  type ProducerMark,
} from './request.ts'
import { heldOf, partitionName, SOURCE_OWNER, type SourcePartition } from './source-positions.ts'
import type { SourceStatus } from './sources/sources.ts'
import { Turns } from './turns.ts'

export interface StreamParts {
  log: Log
  destinations: Destinations
  repetitions: Repetitions
  deadLetters: DeadLetters
  progress: Progress
  backlog: Backlog
  clock: Clock
  /** What brings records by itself. */
  sources: () => SourceStatus[]
}

/** How far a stream is behind what it has accepted. */
export interface Freshness {
  /** Entries of its log that are not in snapshots yet, and their bytes. */
  waitingEntries: number
  waitingBytes: number
  /** Age of the oldest of them, ms; null when none waits. */
  oldestWaitingMs: number | null
  /** When it last committed in this process, ms since 1970. */
  lastCommitMs: number | null
  /** Commits are held back. */
  paused: boolean
  /** Per table, the offset up to which the log is in its snapshots. */
  destinations: { table: string; committed: number }[]
  /** What brings records by itself, and how far it is. */
  sources: SourceStatus[]
}

interface Work {
  readings: Readings
  /** Producers' numbers of the readings that are new. */
  marks?: readonly (ProducerNumber | null)[]
  /** What was known of their producers. */
  known?: ReadonlyMap<string, ProducerState | null>
  request?: Pick<KnownRequest, 'key' | 'digest' | 'atMs'>
  /** Dead letters that these readings are of. */
  replayed?: readonly string[]
}

export class Stream {
  readonly createdMs: number
  readonly parts: StreamParts
  #intake: Intake
  /** Grows with every change of the settings. */
  #version: number
  readonly #turns = new Turns()
  #lastCommitMs: number | null = null
  readonly #underWay = new Set<Promise<unknown>>()
  #between: Promise<void> | null = null
  #ended = false
  #paused = false

  constructor(
    definition: StreamDefinition,
    createdMs: number,
    parts: StreamParts,
    steps: readonly PipelineStep[],
    version = 1,
  ) {
    this.#intake = new Intake(definition, parts.destinations, steps)
    this.#version = version
    this.createdMs = createdMs
    this.parts = parts
    parts.backlog.join(parts.progress)
  }

  get definition(): StreamDefinition {
    return this.#intake.definition
  }

  get version(): number {
    return this.#version
  }

  get name(): string {
    return this.definition.name
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Bytes accepted that are not in tables yet. */
  get backlogBytes(): number {
    return this.parts.progress.bytes
  }

  /** Offsets of the log: the next to be given, and the end of what the tables hold. */
  get offsets(): { end: number; committed: number } {
    return { end: this.parts.log.end, committed: this.parts.destinations.position }
  }

  /** A snapshot was committed. */
  committed(): void {
    this.#lastCommitMs = this.parts.clock.nowMs()
  }

  /**
   * Takes the records of one request. Resolves when every record is durable, as a row to be or as a dead letter, or refused;
   * with `waitMs` when its rows are in snapshots.
   * @throws Fault `limit` (too many records or bytes), `invalid` (identity), `unavailable` (disk, or too much waits already:
   * then `facts.backlogBytes` is there): nothing of the request was acknowledged, and it may be sent again. With `waitMs`,
   * `unavailable` with `facts.accepted` true when the time was over: the records are taken, up to offset `facts.end`
   */
  async accept(records: Records, identity: Identity = {}, options: AcceptOptions = {}): Promise<Acceptance> {
    const acceptance = await this.#answered(() => this.#accept(records, identity, options))
    if (options.waitMs !== undefined) await this.#waitCommitted(acceptance.end, options.waitMs)
    return acceptance
  }

  /** Resolves when every entry before `offset` is in a snapshot, or was refused by its table and is a dead letter. Rejects when aborted. */
  whenCommitted(offset: number, signal?: AbortSignal): Promise<void> {
    const { progress, destinations } = this.parts
    progress.reach(destinations.position)
    return progress.wait(offset, signal)
  }

  freshness(): Freshness {
    const { log, destinations, clock, progress } = this.parts
    const { position } = destinations
    progress.reach(position)
    const oldest = progress.oldestAtMs
    return {
      waitingEntries: log.end - position,
      waitingBytes: progress.bytes,
      oldestWaitingMs: oldest === null ? null : Math.max(0, clock.nowMs() - oldest),
      lastCommitMs: this.#lastCommitMs,
      paused: this.#paused,
      destinations: destinations.all.map(({ table, feed }) => ({ table, committed: feed.position })),
      sources: this.parts.sources(),
    }
  }

  /**
   * Where a source goes on: behind what of the partition is in the log, or else, when nobody remembers, in the tables. Null when it
   * never gave anything.
   */
  async sourcePosition(partition: SourcePartition): Promise<{ epoch: number; next: number } | null> {
    const { repetitions, destinations } = this.parts
    const known = repetitions.producer(ownedName(SOURCE_OWNER, partitionName(partition)))
    if (known !== null) return { epoch: known.epoch, next: known.sequence + 1 }
    let next: number | null = null
    for (const { writer } of destinations.all) {
      const held = heldOf((await writer.load()).metadata.properties, partition)
      if (held !== null) next = Math.max(next ?? 0, held)
    }
    return next === null ? null : { epoch: 0, next }
  }

  /** Of a producer, the number that comes next: everything before it was taken. */
  nextOf(owner: string, id: string): number {
    const known = this.parts.repetitions.producer(ownedName(owner, id))
    return known === null ? 0 : known.sequence + 1
  }

  /** Columns of the stream's own table, as far as they are known. */
  async columns(): Promise<readonly NestedField[]> {
    const { table, columns, uniqueKeys } = this.definition
    const own = this.parts.destinations.all.find((destination) => destination.table === table)
    if (own !== undefined) return (await own.schema()).fields
    return columns === undefined ? [] : schemaOf(columns, uniqueKeys).fields
  }

  /** Of a source's partition, the number behind the last one that is in snapshots; null when none came since the start. */
  sourceCommitted(partitions: readonly SourcePartition[]): (number | null)[] {
    const { repetitions, destinations } = this.parts
    const found = repetitions.sources.at(destinations.position)
    return partitions.map((partition) => found.get(ownedName(SOURCE_OWNER, partitionName(partition)))?.next ?? null)
  }

  /** Other settings for the requests that come from now on. */
  reconfigure(definition: StreamDefinition, version: number, steps: readonly PipelineStep[]): void {
    const before = this.#intake
    this.#intake = new Intake(definition, this.parts.destinations, steps)
    this.#version = version
    // Requests under way end with the steps that they began with.
    void Promise.allSettled(this.#underWay).then(() => before.close())
  }

  /** Holds commits back; records are still taken. */
  async pause(): Promise<void> {
    this.#paused = true
    await this.parts.destinations.rest()
  }

  resume(start: boolean): void {
    this.#paused = false
    if (start) this.parts.destinations.follow()
  }

  /**
   * Takes what dead letters hold again, in their order and in one append; each once, however often it is told, until `settle`. Of
   * stage `record` that is a record, of stage `commit` an entry of the log.
   * @returns for each why it is still no row; null: it was taken
   * @throws Fault `unavailable`: nothing was taken
   */
  retry(letters: readonly RetriedLetter[]): Promise<(RecordProblem | null)[]> {
    return this.#answered(() => this.#turns.take('letters', () => this.#retry(letters)))
  }

  /** These letters are durably marked as sent again; what is known of them is forgotten. */
  async settle(letters: readonly string[]): Promise<void> {
    try {
      await this.parts.repetitions.settle(letters)
    } catch {
      // It stays known that they were taken, which nobody asks for any more.
    }
  }

  /** Refuses records from now on, and resolves when those under way are answered. */
  async end(): Promise<void> {
    this.#ended = true
    await Promise.allSettled(this.#underWay)
  }

  /** Everything ends, and what waits stays in the log. */
  async close(): Promise<void> {
    await this.end()
    const { backlog, progress, destinations, log } = this.parts
    await this.#intake.close()
    await destinations.close()
    backlog.leave(progress)
    await log.close()
  }

  /** Accounts for what the log held already when the stream was opened. */
  async measure(): Promise<void> {
    const { log, destinations, progress, clock } = this.parts
    const { position } = destinations
    progress.reach(position)
    if (position >= log.end) return
    const segments = await log.seal(position, Number.MAX_SAFE_INTEGER)
    for (const { path, end, bytes } of segments) {
      // Entries do not say when they came; the file was there before the first of them.
      const { birthtimeMs, mtimeMs } = await stat(path)
      progress.add(end, bytes, Math.min(clock.nowMs(), birthtimeMs > 0 ? birthtimeMs : mtimeMs))
    }
  }

  /** Runs `work` while no request is under way; those that come meanwhile wait for it. */
  async between<T>(work: () => Promise<T>): Promise<T> {
    while (this.#between !== null) await this.#between
    const mine = Promise.allSettled(this.#underWay).then(work)
    this.#between = mine.then(
      () => undefined,
      () => undefined,
    )
    try {
      return await mine
    } finally {
      this.#between = null
    }
  }

  async #answered<T>(begin: () => Promise<T>): Promise<T> {
    while (this.#between !== null) await this.#between
    if (this.#ended) throw new Fault('unavailable', `stream ${this.name} takes no more records: it is being closed`)
    const work = begin()
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
  }

  async #accept(records: Records, identity: Identity, options: AcceptOptions): Promise<Acceptance> {
    checkRequest(records, identity)
    const { progress, destinations, backlog, clock } = this.parts
    progress.reach(destinations.position)
    await backlog.requireRoom(this.name, progress)
    const { owner, idempotencyKey } = identity
    const origin = options.origin ?? { receivedMs: clock.nowMs(), ip: null, userAgent: null }
    if (idempotencyKey !== undefined) {
      const key = ownedName(owner, idempotencyKey)
      return this.#turns.take(`k ${key}`, () => this.#once(records, key, origin))
    }
    const marks = marksOf(records, identity)
    if (marks !== null) {
      const names = [...new Set(marks.map(({ id }) => `p ${id}`))].sort()
      return this.#turns.takeAll(names, () => this.#numbered(records, marks, origin, identity.gaps))
    }
    const subject = `${this.name}/${uuidv7(clock.nowMs())}`
    return this.#keep({ readings: await this.#intake.read(records, (at) => `${subject}#${at}`, origin) })
  }

  async #waitCommitted(end: number, waitMs: number): Promise<void> {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), waitMs)
    try {
      await this.whenCommitted(end, late.signal)
    } catch (error) {
      if (!late.signal.aborted) throw error
      throw new Fault(
        'unavailable',
        `stream ${this.name}: the records are taken, but offset ${end} was not committed within ${waitMs} ms; they will be, and need not be sent again`,
        { stream: this.name, accepted: true, end },
      )
    } finally {
      clearTimeout(timer)
    }
  }

  /** A request with a key: answered once, and the same answer for every repetition. */
  async #once(records: Records, key: string, origin: RecordOrigin): Promise<Acceptance> {
    const { repetitions, clock } = this.parts
    const digest = digestOf(records)
    const known = repetitions.request(key)
    if (known !== null) {
      if (sameDigest(known, digest)) return answerOf(known)
      throw new Fault(
        'invalid',
        `stream ${this.name}: the idempotency key ${JSON.stringify(key.slice(key.indexOf(' ') + 1).slice(0, 80))} came before with other records; give every request a key of its own`,
      )
    }
    repetitions.requireRoom(0)
    const readings = await this.#intake.read(records, (at) => `${this.name}/${key}#${at}`, origin)
    return this.#keep({ readings, request: { key, digest, atMs: clock.nowMs() } })
  }

  /** Records numbered by their producers: those that came before are passed over, and nothing is taken behind a gap. */
  async #numbered(
    records: Records,
    marks: readonly ProducerMark[],
    origin: RecordOrigin,
    gaps: boolean | undefined,
  ): Promise<Acceptance> {
    const { repetitions, log } = this.parts
    const { told, newProducers, known } = numberRecords(marks, (name) => repetitions.producer(name), gaps)
    const fresh = told.flatMap((result, at) => (result === null ? [at] : []))
    if (fresh.length > 0) repetitions.requireRoom(newProducers)
    const subject = (place: number) => {
      const { id, epoch, sequence } = marks[fresh[place]!]!
      return `${this.name}/${id}/${epoch}/${sequence}`
    }
    const isAll = fresh.length === records.length
    const read = await this.#intake.read(isAll ? records : fresh.map((at) => recordAt(records, at)), subject, origin)
    const readings = isAll ? read : new Readings(records.length)
    let next = 0
    for (const [at, result] of told.entries()) {
      if (result !== null) readings.set(at, { kind: 'told', result })
      else if (!isAll) readings.take(at, read, next++)
    }
    const taken = marks.map(({ id, epoch, sequence }, at): ProducerNumber | null =>
      told[at] === null ? [id, epoch, sequence] : null,
    )
    const acceptance = await this.#keep({ readings, marks: taken, known })
    const repeated = records.length > 0 && told.every((result) => result?.kind === 'repeated')
    return repeated ? { ...acceptance, repeated, end: log.end } : acceptance
  }

  async #retry(letters: readonly RetriedLetter[]): Promise<(RecordProblem | null)[]> {
    const { repetitions, destinations, backlog, progress } = this.parts
    progress.reach(destinations.position)
    await backlog.requireRoom(this.name, progress)
    repetitions.requireRoom(0)
    const fresh = letters.filter(({ id }) => !repetitions.replayed(id))
    const read = await readAgain(fresh, this.#intake, destinations)
    const problems = new Map<string, RecordProblem>()
    const taken: Reading[] = []
    for (const [at, reading] of read.entries()) {
      if (reading.kind === 'letter') problems.set(fresh[at]!.id, reading.problem)
      else taken.push(reading)
    }
    const replayed = fresh.flatMap(({ id }) => (problems.has(id) ? [] : [id]))
    if (replayed.length > 0) await this.#keep({ readings: Readings.of(taken), replayed })
    return letters.map(({ id }) => problems.get(id) ?? null)
  }

  /** Bad ones to dead letters, good ones and what is remembered to the log, in one append. */
  async #keep({ readings, marks, known, request, replayed }: Work): Promise<Acceptance> {
    const { deadLetters, log, repetitions, backlog } = this.parts
    const letters = [...readings.others()].flatMap(([, reading]) => (reading.kind === 'letter' ? [reading.letter] : []))
    if (letters.length > 0) {
      await deadLetters.add(letters)
      // As hex, and what is said of each.
      backlog.addLetters(letters.reduce((sum, { payload }) => sum + payload.length * 2 + 500, 0))
    }

    const behind: string[] = []
    const remembered = request === undefined ? undefined : rememberedOf(request, readings)
    if (remembered !== undefined) behind.push(tableChangeText({ input: 0, op: 'none', row: {}, request: remembered }))
    if (replayed !== undefined) behind.push(tableChangeText({ input: 0, op: 'none', row: {}, replayed: [...replayed] }))
    const entries = new LogEntries(readings, marks ?? null, behind)
    const answer = (first: number) => resultsOf(readings, (at) => first + entries.place(at)!)
    if (entries.length === 0) return { results: answer(0), repeated: false, end: 0 }

    const first = await log.append(entries)
    const end = first + entries.length
    for (const [at, mark] of (marks ?? []).entries())
      if (mark !== null) repetitions.sawProducer(first + entries.place(at)!, mark, known?.get(mark[0]) ?? null)
    if (remembered !== undefined) repetitions.sawRequest(end - 1, remembered)
    if (replayed !== undefined) repetitions.sawReplayed(replayed)
    this.#count(end, entries.bytes)
    return { results: answer(first), repeated: false, end }
  }

  /** Keeps account of what waits, and has it committed when it is enough. */
  #count(end: number, bytes: number): void {
    const { progress, destinations, clock } = this.parts
    progress.add(end, bytes, clock.nowMs())
    progress.reach(destinations.position)
    if (progress.bytes >= this.definition.buffer.mebibytes * 1024 ** 2) destinations.hurry()
  }
}
