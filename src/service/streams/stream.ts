/**
 * One stream: records in, acknowledged when they are durable; rows of a table out.
 *
 * A request is converted record by record. Good records, and what is remembered of the request, are appended to the stream's log
 * in one append, which is durable as a whole or not at all; bad ones go to dead letters before it. Only then is it answered.
 *
 * Invariants
 * 1. An acknowledged record is in the log (and then in the table) or in dead letters, once.
 * 2. One bad record changes nothing for the others of its request.
 * 3. A repetition that carries its producer's number or its request's key changes nothing, also across restarts.
 *
 * Crash story: killed before the append, nothing was taken (a dead letter may be there, and is the same row when it comes again);
 * killed after it, before the answer, the repetition finds what the log says.
 */
import { unreachable } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type RememberedRequest, rowChangeText, tableChangeText } from '../../change/table-change.ts'
import { type Catalog, parseIdent } from '../../iceberg/catalog/catalog.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import type { Log } from '../../log/log.ts'
import type { TableFeed } from '../../table/feed.ts'
import type { TableWriter } from '../../table/writer.ts'
import { type DeadLetter, type DeadLetters, letterId } from '../deadletter/deadletter.ts'
import { type StreamDefinition, schemaOf } from './definition.ts'
import { evolveFor } from './evolution.ts'
import type { KnownRequest, StreamMemory } from './memory.ts'
import { closePipeline, type PipelineRecord, type PipelineStep, type RecordOrigin, runPipeline } from './pipeline.ts'
import { Progress } from './progress.ts'
import type { RecordProblem } from './record.ts'
import {
  type Acceptance,
  type AcceptOptions,
  checkRequest,
  digestOf,
  type Identity,
  type IncomingRecord,
  OPERATIONS,
  ownedName,
  type ProducerMark,
  type RecordResult,
} from './request.ts'
import { compileRowReader } from './row-reader.ts'
import { Turns } from './turns.ts'

export interface StreamParts {
  catalog: Catalog
  log: Log
  feed: TableFeed
  writer: TableWriter
  memory: StreamMemory
  deadLetters: DeadLetters
  clock: Clock
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
  /** Per table, the offset up to which its snapshot holds the log. */
  destinations: { table: string; committed: number }[]
}

/** What became of a record before anything was made durable. */
type Reading =
  | { kind: 'row'; to: string; rowText: string; op: 'upsert' | 'delete' }
  | { kind: 'letter'; problem: RecordProblem; letter: DeadLetter }
  | { kind: 'dropped' }
  /** Decided by its number alone. */
  | { kind: 'told'; result: RecordResult }

interface Work {
  readings: Reading[]
  /** Producer marks of readings that are new, as they are remembered. */
  marks?: (ProducerMark | null)[]
  request?: Pick<KnownRequest, 'key' | 'digest' | 'atMs'>
}

export class Stream {
  readonly createdMs: number
  readonly parts: StreamParts
  #definition: StreamDefinition
  /** Grows with every change of the settings. */
  #version: number
  #steps: readonly PipelineStep[]
  readonly #turns = new Turns()
  readonly #progress = new Progress()
  #schema: { schema: Schema; atMs: number } | null = null
  #lastCommitMs: number | null = null
  readonly #underWay = new Set<Promise<unknown>>()
  #ended = false
  #paused = false

  constructor(
    definition: StreamDefinition,
    createdMs: number,
    parts: StreamParts,
    steps: readonly PipelineStep[],
    version = 1,
  ) {
    this.#definition = definition
    this.#version = version
    this.#steps = steps
    this.createdMs = createdMs
    this.parts = parts
  }

  get definition(): StreamDefinition {
    return this.#definition
  }

  get version(): number {
    return this.#version
  }

  get name(): string {
    return this.#definition.name
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Bytes accepted by this process that are not in the table yet. */
  get backlogBytes(): number {
    return this.#progress.bytes
  }

  /** When the oldest record that is not in the table yet was accepted, ms since 1970. */
  get oldestAtMs(): number | null {
    return this.#progress.oldestAtMs
  }

  /** The columns that records are converted to now. */
  async schema(): Promise<Schema> {
    const nowMs = this.parts.clock.nowMs()
    if (this.#schema === null || Math.abs(nowMs - this.#schema.atMs) > limits.streamSchemaAgeMs) {
      this.#schema = { schema: this.#strict(currentSchema((await this.parts.writer.load()).metadata)), atMs: nowMs }
    }
    return this.#schema.schema
  }

  /** A snapshot was committed. */
  committed(): void {
    this.#lastCommitMs = this.parts.clock.nowMs()
  }

  /** The feed has moved: what is in the table waits no longer. */
  reached(): void {
    this.#progress.reach(this.parts.feed.position)
  }

  /**
   * Takes the records of one request. Resolves when every record is durable, as a row to be or as a dead letter, or refused;
   * with `waitMs` when its rows are in snapshots.
   * @throws Fault `limit` (too many records or bytes), `invalid` (identity), `unavailable` (disk, or too much waits already:
   * then `facts.backlogBytes` is there): nothing of the request was acknowledged, and it may be sent again. With `waitMs`,
   * `unavailable` with `facts.accepted` true when the time was over: the records are taken, up to offset `facts.end`
   */
  async accept(
    records: readonly IncomingRecord[],
    identity: Identity = {},
    options: AcceptOptions = {},
  ): Promise<Acceptance> {
    if (this.#ended) throw new Fault('unavailable', `stream ${this.name} takes no more records: it is being closed`)
    const work = this.#accept(records, identity, options)
    this.#underWay.add(work)
    let acceptance: Acceptance
    try {
      acceptance = await work
    } finally {
      this.#underWay.delete(work)
    }
    if (options.waitMs !== undefined) await this.#waitCommitted(acceptance.end, options.waitMs)
    return acceptance
  }

  /** Resolves when every entry before `offset` is in a snapshot, or was refused by its table and is a dead letter. Rejects when aborted. */
  whenCommitted(offset: number, signal?: AbortSignal): Promise<void> {
    this.#progress.reach(this.parts.feed.position)
    return this.#progress.wait(offset, signal)
  }

  freshness(): Freshness {
    const { log, feed, clock, writer } = this.parts
    this.#progress.reach(feed.position)
    const oldest = this.#progress.oldestAtMs
    return {
      waitingEntries: log.end - feed.position,
      waitingBytes: this.#progress.bytes,
      oldestWaitingMs: oldest === null ? null : Math.max(0, clock.nowMs() - oldest),
      lastCommitMs: this.#lastCommitMs,
      paused: this.#paused,
      destinations: [{ table: writer.name, committed: feed.position }],
    }
  }

  /** Other settings for the requests that come from now on. */
  reconfigure(definition: StreamDefinition, version: number, steps: readonly PipelineStep[]): void {
    const before = this.#steps
    // Requests under way end with the steps that they began with.
    void Promise.allSettled(this.#underWay).then(() => closePipeline(before))
    this.#definition = definition
    this.#version = version
    this.#steps = steps
    this.#schema = null
  }

  /** Holds commits back; records are still taken. */
  async pause(): Promise<void> {
    this.#paused = true
    await this.parts.feed.stop()
  }

  resume(start: boolean): void {
    this.#paused = false
    if (start) this.parts.feed.start()
  }

  /**
   * Takes the record of a dead letter again, once however often it is told: the letter is its identity.
   * @throws Fault `invalid` saying why it is still no row
   */
  async retry(letter: { id: string; subject: string; payload: Uint8Array }): Promise<void> {
    const operation = OPERATIONS.find((name) => letter.subject.endsWith(` ${name}`))
    const records = [{ data: letter.payload, operation }]
    const key = `replay-${letter.id}`
    await this.#turns.take(`k ${key}`, async () => {
      if (this.parts.memory.request(this.name, key) !== null) return
      const readings = await this.#readAll(records, () => letter.subject, this.#originOf({}))
      const [reading] = readings
      if (reading?.kind === 'letter') throw new Fault('invalid', reading.problem.message)
      await this.#keep({ readings, request: { key, digest: digestOf(records), atMs: this.parts.clock.nowMs() } })
    })
  }

  /** Refuses records from now on, and resolves when those under way are answered. */
  async end(): Promise<void> {
    this.#ended = true
    await Promise.allSettled(this.#underWay)
    await closePipeline(this.#steps)
  }

  async #accept(records: readonly IncomingRecord[], identity: Identity, options: AcceptOptions): Promise<Acceptance> {
    checkRequest(records, identity)
    this.#progress.reach(this.parts.feed.position)
    if (this.#progress.bytes > limits.streamBacklogBytesMax) {
      throw new Fault(
        'unavailable',
        `stream ${this.name}: ${this.#progress.bytes} bytes wait to be committed, at most ${limits.streamBacklogBytesMax} may; send it again later`,
        { stream: this.name, backlogBytes: this.#progress.bytes },
      )
    }
    const { owner, idempotencyKey } = identity
    const origin = this.#originOf(options)
    if (idempotencyKey !== undefined) {
      const key = ownedName(owner, idempotencyKey)
      return this.#turns.take(`k ${key}`, () => this.#once(records, key, origin))
    }
    const marks = marksOf(records, identity)
    if (marks !== null) {
      const names = [...new Set(marks.map(({ id }) => `p ${id}`))].sort()
      return this.#turns.takeAll(names, () => this.#numbered(records, marks, origin))
    }
    const subject = `${this.name}/${uuidv7(this.parts.clock.nowMs())}`
    const readings = await this.#readAll(records, (at) => `${subject}#${at}`, origin)
    return this.#keep({ readings })
  }

  #originOf({ origin }: AcceptOptions): RecordOrigin {
    return origin ?? { receivedMs: this.parts.clock.nowMs(), ip: null, userAgent: null }
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
  async #once(records: readonly IncomingRecord[], key: string, origin: RecordOrigin): Promise<Acceptance> {
    const { memory, clock } = this.parts
    const digest = digestOf(records)
    const known = memory.request(this.name, key)
    if (known !== null) {
      if (known.digest === digest) return answerOf(known)
      throw new Fault(
        'invalid',
        `stream ${this.name}: the idempotency key ${JSON.stringify(key.slice(0, 80))} came before with other records; give every request a key of its own`,
      )
    }
    const readings = await this.#readAll(records, (at) => `${this.name}/${key}#${at}`, origin)
    return this.#keep({ readings, request: { key, digest, atMs: clock.nowMs() } })
  }

  /** Records numbered by their producers: those that came before are passed over, and nothing is taken behind a gap. */
  async #numbered(
    records: readonly IncomingRecord[],
    marks: readonly ProducerMark[],
    origin: RecordOrigin,
  ): Promise<Acceptance> {
    const { memory } = this.parts
    const states = new Map<string, { epoch: number; sequence: number } | null>()
    const told = marks.map((mark): RecordResult | null => {
      const known = states.get(mark.id)
      const state = known === undefined ? memory.producer(this.name, mark.id) : known
      states.set(mark.id, state)
      const refuse = (code: 'SequenceGap' | 'ProducerFenced', message: string, expected: number | null) =>
        ({ kind: 'refused', code, message: `producer ${mark.id}: ${message}`, expected }) as const
      if (state !== null && mark.epoch < state.epoch)
        return refuse('ProducerFenced', `epoch ${state.epoch} has taken over from epoch ${mark.epoch}`, null)
      const expected = state !== null && state.epoch === mark.epoch ? state.sequence + 1 : 0
      if (mark.sequence < expected) return { kind: 'repeated', offset: null }
      if (mark.sequence > expected)
        return refuse(
          'SequenceGap',
          `expected sequence ${expected} of epoch ${mark.epoch}, got ${mark.sequence}`,
          expected,
        )
      states.set(mark.id, { epoch: mark.epoch, sequence: mark.sequence })
      return null
    })
    const at = told.flatMap((result, index) => (result === null ? [index] : []))
    const read = await this.#readAll(
      at.map((index) => records[index]!),
      (place) => {
        const { id, epoch, sequence } = marks[at[place]!]!
        return `${this.name}/${id}/${epoch}/${sequence}`
      },
      origin,
    )
    const readings = told.map((result): Reading => (result === null ? read.shift()! : { kind: 'told', result }))
    const acceptance = await this.#keep({ readings, marks: marks.map((mark, index) => (told[index] ? null : mark)) })
    const repeated = records.length > 0 && told.every((result) => result?.kind === 'repeated')
    return { ...acceptance, repeated, end: repeated ? this.parts.log.end : acceptance.end }
  }

  /** Bad ones to dead letters, good ones and what is remembered to the log, in one append. */
  async #keep({ readings, marks, request }: Work): Promise<Acceptance> {
    const { deadLetters, log, memory } = this.parts
    const letters = readings.flatMap((reading) => (reading.kind === 'letter' ? [reading.letter] : []))
    if (letters.length > 0) await deadLetters.add(letters)

    const texts: string[] = []
    const places = readings.map((reading, at): number | null => {
      const mark = marks?.[at] ?? null
      if (reading.kind !== 'row' && mark === null) return null
      const producer =
        mark === null ? {} : { producer: [mark.id, mark.epoch, mark.sequence] as [string, number, number] }
      const text =
        reading.kind === 'row'
          ? rowChangeText({ input: 0, op: reading.op, to: reading.to, ...producer }, reading.rowText)
          : rowChangeText({ input: 0, op: 'none', ...producer }, '{}')
      return texts.push(text) - 1
    })
    const remembered = request === undefined ? undefined : rememberedOf(request, readings)
    if (remembered !== undefined) texts.push(tableChangeText({ input: 0, op: 'none', row: {}, request: remembered }))
    const answer = (first: number): RecordResult[] =>
      readings.map((reading, at) => resultOf(reading, first + (places[at] ?? 0)))
    if (texts.length === 0) return { results: answer(0), repeated: false, end: 0 }

    const first = await log.append(texts)
    const end = first + texts.length
    for (const [at, mark] of (marks ?? []).entries())
      if (mark !== null) memory.sawProducer(this.name, first + places[at]!, [mark.id, mark.epoch, mark.sequence])
    if (remembered !== undefined) memory.sawRequest(this.name, end - 1, remembered)
    this.#count(end, texts)
    return { results: answer(first), repeated: false, end }
  }

  /** Keeps account of what waits, and has it committed when it is enough. */
  #count(end: number, texts: readonly string[]): void {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    this.#progress.add(end, bytes, this.parts.clock.nowMs())
    this.#progress.reach(this.parts.feed.position)
    if (this.#progress.bytes >= this.definition.buffer.mebibytes * 1024 ** 2) this.parts.feed.hurry()
  }

  /** Takes records through the stream's steps and reads each as a row of its table. */
  async #readAll(
    records: readonly IncomingRecord[],
    subject: (at: number) => string,
    origin: RecordOrigin,
  ): Promise<Reading[]> {
    const { definition } = this
    const destination = definition.table
    const batch = records.map(
      ({ data, operation }, index): PipelineRecord => ({
        index,
        data,
        value: null,
        changed: false,
        destination,
        operation,
        outcome: null,
      }),
    )
    await runPipeline(this.#steps, batch, origin)
    const schema = await this.schema()
    const read = (record: PipelineRecord, reader: ReturnType<typeof compileRowReader>): Reading => {
      const { outcome, index } = record
      if (outcome?.kind === 'dropped') return { kind: 'dropped' }
      if (outcome !== null) return this.#letter(outcome.problem, records[index]!, subject(index))
      const row = reader.read(record)
      return row.ok
        ? { kind: 'row', to: record.destination, rowText: row.rowText, op: row.op }
        : this.#letter(row.problem, records[index]!, subject(index))
    }
    const reader = compileRowReader(schema, definition)
    const readings = batch.map((record) => read(record, reader))
    if (definition.unknownFields !== 'evolve') return readings
    const lacking = batch.filter((record, at) => record.outcome === null && readings[at]!.kind === 'letter')
    if (lacking.length === 0) return readings
    const { catalog, clock } = this.parts
    const ident = parseIdent(destination)
    const evolved = await evolveFor(lacking, schema, { catalog, clock, ident, settings: definition })
    if (evolved === schema) return readings
    this.#schema = { schema: this.#strict(evolved), atMs: clock.nowMs() }
    const wider = compileRowReader(this.#schema.schema, definition)
    for (const record of lacking) readings[record.index] = read(record, wider)
    return readings
  }

  #letter(problem: RecordProblem, { data, operation }: IncomingRecord, subject: string): Reading {
    const letter: DeadLetter = {
      stage: 'record',
      stream: this.name,
      code: problem.code,
      reason: problem.message,
      payload: data,
      // A replay has to know the operation that stood beside the record.
      subject: operation === undefined ? subject : `${subject} ${operation}`,
    }
    return { kind: 'letter', problem, letter }
  }

  /** The table may allow null where the stream does not: in its key, and where its own columns say so. */
  #strict(schema: Schema): Schema {
    const { columns = {}, uniqueKeys } = this.definition
    const asked = new Set(
      schemaOf(columns, uniqueKeys).fields.flatMap(({ name, required }) => (required ? [name] : [])),
    )
    for (const key of uniqueKeys) asked.add(key)
    return {
      ...schema,
      fields: schema.fields.map((field) => (asked.has(field.name) ? { ...field, required: true } : field)),
    }
  }
}

/** Every record's own number; null when they have none. */
function marksOf(records: readonly IncomingRecord[], { owner, producer }: Identity): ProducerMark[] | null {
  if (producer !== undefined)
    return records.map((_, at) => ({
      ...producer,
      id: ownedName(owner, producer.id),
      sequence: producer.sequence + at,
    }))
  const marks = records.flatMap((record) => (record.producer === undefined ? [] : [record.producer]))
  return marks.length === 0 ? null : marks.map((mark) => ({ ...mark, id: ownedName(owner, mark.id) }))
}

function resultOf(reading: Reading, offset: number): RecordResult {
  switch (reading.kind) {
    case 'row':
      return { kind: 'accepted', offset }
    case 'letter': {
      const { code, message } = reading.problem
      return { kind: 'dead-letter', letter: letterId(reading.letter), code, message }
    }
    case 'dropped':
      return { kind: 'dropped' }
    case 'told':
      return reading.result
    default:
      return unreachable(reading)
  }
}

function rememberedOf(
  request: Pick<RememberedRequest, 'key' | 'digest' | 'atMs'>,
  readings: readonly Reading[],
): RememberedRequest {
  const letters: RememberedRequest['letters'] = []
  const dropped: number[] = []
  for (const [index, reading] of readings.entries()) {
    if (reading.kind === 'dropped') dropped.push(index)
    if (reading.kind !== 'letter') continue
    letters.push([index, letterId(reading.letter), reading.problem.code, reading.problem.message])
  }
  return { ...request, count: readings.length, letters, ...(dropped.length === 0 ? {} : { dropped }) }
}

/** The answer to a request that came before. */
function answerOf({ first, count, letters, dropped = [] }: KnownRequest): Acceptance {
  const bad = new Map(letters.map(([index, letter, code, message]) => [index, { letter, code, message }]))
  const out = new Set(dropped)
  let offset = first
  const results = Array.from({ length: count }, (_, at): RecordResult => {
    const letter = bad.get(at)
    if (letter !== undefined) return { kind: 'dead-letter', ...letter }
    return out.has(at) ? { kind: 'dropped' } : { kind: 'accepted', offset: offset++ }
  })
  return { results, repeated: true, end: offset + 1 }
}
