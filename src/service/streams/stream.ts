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
import { createHash } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { Fault } from '../../base/fault.ts'
import { uuidv7 } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type TableChangeEntry, tableChangeText } from '../../change/table-change.ts'
import { evolveSchema } from '../../iceberg/action/evolve-schema.ts'
import type { Catalog, LoadedTable } from '../../iceberg/catalog/catalog.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Schema } from '../../iceberg/spec/table-metadata.ts'
import type { Log } from '../../log/log.ts'
import type { TableFeed } from '../../table/feed.ts'
import type { TableWriter } from '../../table/writer.ts'
import { type DeadLetter, type DeadLetters, letterId } from '../deadletter/deadletter.ts'
import { convertRecord, type Row } from './convert.ts'
import { type StreamDefinition, schemaOf } from './definition.ts'
import { type NewColumn, newColumns } from './infer.ts'
import type { KnownRequest, StreamMemory } from './memory.ts'
import { type RecordObject, type RecordProblem, readRecord } from './record.ts'
import { Turns } from './turns.ts'

export const OPERATIONS = ['insert', 'update', 'delete'] as const
export type Operation = (typeof OPERATIONS)[number]

export interface IncomingRecord {
  data: Uint8Array
  /** Default: what the record's operation field says, else `insert`. */
  operation?: Operation | undefined
}

export interface ProducerMark {
  id: string
  /** Grows when the producer starts anew; an older one is refused from then on. */
  epoch: number
  /** Number of the request's first record, from 0 in every epoch; the others follow without gaps. */
  sequence: number
}

/** How a repetition is recognised. At most one of the two. */
export interface Identity {
  idempotencyKey?: string | undefined
  producer?: ProducerMark | undefined
}

export type RecordResult =
  /** In the log at `offset`, on its way to the table. */
  | { kind: 'accepted'; offset: number }
  /** Kept as dead letter `letter`. */
  | { kind: 'dead-letter'; letter: string; code: string; message: string }
  /** The producer sent it before: it was taken then. */
  | { kind: 'repeated' }
  /** Not taken: the producer is not at `expected`, or another one with a newer epoch took over. */
  | { kind: 'refused'; code: 'SequenceGap' | 'ProducerFenced'; message: string; expected: number | null }

export interface Acceptance {
  results: RecordResult[]
  /** The whole request was answered before; nothing was done. */
  repeated: boolean
}

export interface StreamParts {
  catalog: Catalog
  log: Log
  feed: TableFeed
  writer: TableWriter
  memory: StreamMemory
  deadLetters: DeadLetters
  clock: Clock
}

type Reading = { record: IncomingRecord } & (
  | { row: Row; op: 'upsert' | 'delete' }
  | { problem: RecordProblem; letter: DeadLetter }
)

export class Stream {
  readonly definition: StreamDefinition
  readonly createdMs: number
  readonly parts: StreamParts
  readonly #turns = new Turns()
  #schema: { schema: Schema; atMs: number } | null = null
  /** Bytes appended by the end of an append, oldest first, until the table holds them. */
  readonly #waiting: { end: number; bytes: number }[] = []
  #waitingBytes = 0
  readonly #underWay = new Set<Promise<unknown>>()
  #ended = false

  constructor(definition: StreamDefinition, createdMs: number, parts: StreamParts) {
    this.definition = definition
    this.createdMs = createdMs
    this.parts = parts
  }

  get name(): string {
    return this.definition.name
  }

  /** Bytes accepted by this process that are not in the table yet. */
  get backlogBytes(): number {
    return this.#waitingBytes
  }

  /** The columns that records are converted to now. */
  async schema(): Promise<Schema> {
    const nowMs = this.parts.clock.nowMs()
    if (this.#schema === null || Math.abs(nowMs - this.#schema.atMs) > limits.streamSchemaAgeMs) {
      this.#schema = { schema: this.#strict(currentSchema((await this.parts.writer.load()).metadata)), atMs: nowMs }
    }
    return this.#schema.schema
  }

  /** The feed has committed: what is in the table waits no longer. */
  committed(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.end <= this.parts.feed.position) {
      this.#waitingBytes -= this.#waiting.shift()!.bytes
    }
  }

  /**
   * Takes the records of one request. Resolves when every record is durable, as a row to be or as a dead letter, or refused.
   * @throws Fault `limit` (too many records or bytes), `invalid` (identity), `unavailable` (disk, or too much waits already:
   * then `facts.backlogBytes` is there): nothing of the request was acknowledged, and it may be sent again
   */
  async accept(records: readonly IncomingRecord[], identity: Identity = {}): Promise<Acceptance> {
    if (this.#ended) throw new Fault('unavailable', `stream ${this.name} takes no more records: it is being closed`)
    const work = this.#accept(records, identity)
    this.#underWay.add(work)
    try {
      return await work
    } finally {
      this.#underWay.delete(work)
    }
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
      const readings = await this.#readAll(records, () => letter.subject)
      const [reading] = readings
      if (reading !== undefined && 'problem' in reading) throw new Fault('invalid', reading.problem.message)
      const request = { key, digest: digestOf(records), atMs: this.parts.clock.nowMs(), count: 1, letters: [] }
      await this.#keep(readings, { request })
    })
  }

  /** Refuses records from now on, and resolves when those under way are answered. */
  async end(): Promise<void> {
    this.#ended = true
    await Promise.allSettled(this.#underWay)
  }

  async #accept(records: readonly IncomingRecord[], identity: Identity): Promise<Acceptance> {
    checkRequest(records, identity)
    this.committed()
    if (this.#waitingBytes > limits.streamBacklogBytesMax) {
      throw new Fault(
        'unavailable',
        `stream ${this.name}: ${this.#waitingBytes} bytes wait to be committed, at most ${limits.streamBacklogBytesMax} may; send it again later`,
        { stream: this.name, backlogBytes: this.#waitingBytes },
      )
    }
    const { producer, idempotencyKey } = identity
    if (producer !== undefined) {
      return this.#turns.take(`p ${producer.id}`, () => this.#fromProducer(records, producer))
    }
    if (idempotencyKey !== undefined) {
      return this.#turns.take(`k ${idempotencyKey}`, () => this.#once(records, idempotencyKey))
    }
    const subject = `${this.name}/${uuidv7(this.parts.clock.nowMs())}`
    const readings = await this.#readAll(records, (at) => `${subject}#${at}`)
    return { results: await this.#keep(readings, {}), repeated: false }
  }

  /** A request with a key: answered once, and the same answer for every repetition. */
  async #once(records: readonly IncomingRecord[], key: string): Promise<Acceptance> {
    const { memory, clock } = this.parts
    const digest = digestOf(records)
    const known = memory.request(this.name, key)
    if (known !== null) {
      if (known.digest === digest) return { results: resultsOf(known), repeated: true }
      throw new Fault(
        'invalid',
        `stream ${this.name}: the idempotency key ${JSON.stringify(key.slice(0, 80))} came before with other records; give every request a key of its own`,
      )
    }
    const readings = await this.#readAll(records, (at) => `${this.name}/${key}#${at}`)
    const letters = readings.flatMap((reading, index) =>
      'letter' in reading
        ? [
            [index, letterId(reading.letter), reading.problem.code, reading.problem.message] as [
              number,
              string,
              string,
              string,
            ],
          ]
        : [],
    )
    const request = { key, digest, atMs: clock.nowMs(), count: records.length, letters }
    return { results: await this.#keep(readings, { request }), repeated: false }
  }

  /** Records numbered by their producer: those that came before are passed over, and nothing is taken behind a gap. */
  async #fromProducer(records: readonly IncomingRecord[], mark: ProducerMark): Promise<Acceptance> {
    const state = this.parts.memory.producer(this.name, mark.id)
    const refuse = (
      code: 'SequenceGap' | 'ProducerFenced',
      message: string,
      expected: number | null,
    ): RecordResult => ({
      kind: 'refused',
      code,
      message: `producer ${mark.id}: ${message}`,
      expected,
    })
    if (state !== null && mark.epoch < state.epoch) {
      const fenced = refuse('ProducerFenced', `epoch ${state.epoch} has taken over from epoch ${mark.epoch}`, null)
      return { results: records.map(() => fenced), repeated: false }
    }
    const expected = state !== null && state.epoch === mark.epoch ? state.sequence + 1 : 0
    if (mark.sequence > expected) {
      const gap = refuse(
        'SequenceGap',
        `expected sequence ${expected} of epoch ${mark.epoch}, got ${mark.sequence}`,
        expected,
      )
      return { results: records.map(() => gap), repeated: false }
    }
    const before = Math.min(records.length, expected - mark.sequence)
    const fresh = records.slice(before)
    const first = mark.sequence + before
    const readings = await this.#readAll(fresh, (at) => `${this.name}/${mark.id}/${mark.epoch}/${first + at}`)
    const results = await this.#keep(readings, { producer: { ...mark, sequence: first } })
    const repeated = Array.from({ length: before }, (): RecordResult => ({ kind: 'repeated' }))
    return { results: [...repeated, ...results], repeated: fresh.length === 0 }
  }

  /** Bad ones to dead letters, good ones and what is remembered to the log, in one append. */
  async #keep(
    readings: readonly Reading[],
    { producer, request }: { producer?: ProducerMark; request?: Omit<KnownRequest, 'first'> },
  ): Promise<RecordResult[]> {
    const { deadLetters, log, memory } = this.parts
    const letters = readings.flatMap((reading) => ('letter' in reading ? [reading.letter] : []))
    if (letters.length > 0) await deadLetters.add(letters)

    const texts: string[] = []
    const places: (number | null)[] = readings.map((reading, at) => {
      const good = 'row' in reading
      if (!good && producer === undefined) return null
      const change: TableChangeEntry = good
        ? { input: 0, op: reading.op, row: reading.row }
        : { input: 0, op: 'none', row: {} }
      if (producer !== undefined) change.producer = [producer.id, producer.epoch, producer.sequence + at]
      return texts.push(tableChangeText(change)) - 1
    })
    if (request !== undefined) texts.push(tableChangeText({ input: 0, op: 'none', row: {}, request }))
    if (texts.length === 0) return readings.map((reading) => resultOf(reading, 0))

    const first = await log.append(texts)
    const last = first + texts.length - 1
    if (producer !== undefined && readings.length > 0)
      memory.sawProducer(this.name, last, [producer.id, producer.epoch, producer.sequence + readings.length - 1])
    if (request !== undefined) memory.sawRequest(this.name, last, request)
    this.#count(last + 1, texts)
    return readings.map((reading, at) => resultOf(reading, first + (places[at] ?? 0)))
  }

  /** Keeps account of what waits, and has it committed when it is enough. */
  #count(end: number, texts: readonly string[]): void {
    const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    this.#waiting.push({ end, bytes })
    this.#waitingBytes += bytes
    this.committed()
    if (this.#waitingBytes >= this.definition.buffer.mebibytes * 1024 ** 2) this.parts.feed.hurry()
  }

  async #readAll(records: readonly IncomingRecord[], subject: (at: number) => string): Promise<Reading[]> {
    const parsed = records.map((record) => ({ record, read: readRecord(record.data) }))
    const objects = parsed.flatMap(({ read }) => (read.ok ? [read.value] : []))
    const schema = this.definition.unknownFields === 'evolve' ? await this.#evolve(objects) : await this.schema()
    return parsed.map(({ record, read }, at): Reading => {
      const reading = read.ok ? this.#read(read.value, record, schema) : { problem: read.problem }
      if (!('problem' in reading)) return { record, ...reading }
      const { code, message } = reading.problem
      const letter: DeadLetter = {
        stage: 'record',
        stream: this.name,
        code,
        reason: message,
        payload: record.data,
        // A replay has to know the operation that stood beside the record.
        subject: record.operation === undefined ? subject(at) : `${subject(at)} ${record.operation}`,
      }
      return { record, problem: reading.problem, letter }
    })
  }

  #read(
    value: RecordObject,
    record: IncomingRecord,
    schema: Schema,
  ): { row: Row; op: 'upsert' | 'delete' } | { problem: RecordProblem } {
    const { uniqueKeys, operationField, epochUnit, unknownFields } = this.definition
    let operation: unknown = record.operation ?? 'insert'
    let columns = value
    if (operationField !== undefined && Object.hasOwn(value, operationField)) {
      const { [operationField]: said, ...rest } = value
      operation = record.operation ?? said ?? 'insert'
      columns = rest
    }
    if (!OPERATIONS.includes(operation as Operation) || (operation !== 'insert' && uniqueKeys.length === 0)) {
      const expected = uniqueKeys.length === 0 ? 'insert (the stream has no unique keys)' : OPERATIONS.join(', ')
      return {
        problem: { code: 'InvalidOperation', message: `expected the operation ${expected}, got ${String(operation)}` },
      }
    }
    const op = operation === 'delete' ? 'delete' : 'upsert'
    const only = op === 'delete' ? new Set(uniqueKeys) : undefined
    const converted = convertRecord(
      columns,
      schema,
      { epochUnit, unknown: unknownFields === 'drop' ? 'drop' : 'refuse' },
      only,
    )
    return converted.ok ? { row: converted.row, op } : { problem: converted.problem }
  }

  /** Gives the table the columns that records have and it does not, before their rows are written. */
  async #evolve(records: readonly RecordObject[]): Promise<Schema> {
    const missing = (schema: Schema): NewColumn[] => {
      const found: NewColumn[] = []
      for (const record of records) {
        const known = {
          ...schema,
          fields: [...schema.fields, ...found.map((column) => ({ id: 0, required: false, ...column }))],
        }
        found.push(...newColumns(record, known))
      }
      const room = Math.max(0, limits.streamColumnsMax - schema.fields.length)
      return found.filter(({ name }) => name !== this.definition.operationField).slice(0, room)
    }
    const schema = await this.schema()
    if (missing(schema).length === 0) return schema
    const { table } = await commitChange(this.parts.catalog, this.#ident(), {
      commitId: uuidv7(this.parts.clock.nowMs()),
      clock: this.parts.clock,
      plan: async ({ metadata }: LoadedTable) => {
        const columns = missing(currentSchema(metadata))
        if (columns.length === 0) return null
        return evolveSchema(
          metadata,
          columns.map((column) => ({ edit: 'add', ...column })),
        )
      },
    })
    this.#schema = { schema: this.#strict(currentSchema(table.metadata)), atMs: this.parts.clock.nowMs() }
    return this.#schema.schema
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

  #ident() {
    const parts = this.definition.table.split('.')
    return { namespace: parts.slice(0, -1), name: parts.at(-1)! }
  }
}

function resultOf(reading: Reading, offset: number): RecordResult {
  if (!('letter' in reading)) return { kind: 'accepted', offset }
  const { code, message } = reading.problem
  return { kind: 'dead-letter', letter: letterId(reading.letter), code, message }
}

/** The answer to a request that came before. */
function resultsOf({ first, count, letters }: KnownRequest): RecordResult[] {
  const bad = new Map(letters.map(([index, letter, code, message]) => [index, { letter, code, message }]))
  let offset = first
  return Array.from({ length: count }, (_, at): RecordResult => {
    const letter = bad.get(at)
    return letter === undefined ? { kind: 'accepted', offset: offset++ } : { kind: 'dead-letter', ...letter }
  })
}

function digestOf(records: readonly IncomingRecord[]): string {
  const hash = createHash('sha256')
  for (const { data, operation } of records) hash.update(`${operation ?? ''} ${data.length}\n`).update(data)
  return hash.digest('hex')
}

function checkRequest(records: readonly IncomingRecord[], { idempotencyKey, producer }: Identity): void {
  const bytes = records.reduce((sum, { data }) => sum + data.length, 0)
  if (records.length > limits.streamRequestRecordsMax || bytes > limits.streamRequestBytesMax) {
    throw new Fault(
      'limit',
      `a request has at most ${limits.streamRequestRecordsMax} records and ${limits.streamRequestBytesMax} bytes, got ${records.length} and ${bytes}; send it in parts`,
    )
  }
  if (idempotencyKey !== undefined && producer !== undefined)
    throw new Fault(
      'invalid',
      'expected an idempotency key or a producer, got both; a producer numbers its records already',
    )
  if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,200}$/.test(idempotencyKey))
    throw new Fault('invalid', 'expected an idempotency key of 1 to 200 visible ASCII characters')
  if (producer === undefined) return
  const { id, epoch, sequence } = producer
  if (!/^[\x21-\x7e]{1,200}$/.test(id))
    throw new Fault('invalid', 'expected a producer id of 1 to 200 visible ASCII characters')
  if (!Number.isSafeInteger(epoch) || epoch < 0 || !Number.isSafeInteger(sequence) || sequence < 0)
    throw new Fault('invalid', `expected whole numbers from 0 as epoch and sequence, got ${epoch} and ${sequence}`)
}
