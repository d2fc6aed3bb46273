/**
 * Records of a request → rows of tables, before anything is made durable: through the stream's steps, to the table that each is
 * for, by that table's columns. What cannot become a row becomes a dead letter; nothing that one record has changes another.
 */
import { isFault } from '../../base/fault.ts'
import { type DeadLetter, letterId } from '../deadletter/deadletter.ts'
import { type StreamDefinition, type StreamSettings, settingsFor } from './definition.ts'
import type { Destination } from './destination.ts'
import type { Destinations } from './destinations.ts'
import { evolves } from './evolution-plan.ts'
import { PackedRecords, type Records, recordAt, recordList } from './packed.ts'
import { closePipeline, type PipelineRecord, type PipelineStep, type RecordOrigin, runPipeline } from './pipeline.ts'
import { type NoRow, Readings, type RowHead, rowHead } from './readings.ts'
import type { RecordProblem } from './record.ts'
import type { IncomingRecord } from './request.ts'
import { bufferOf, type RowReader } from './row-reader.ts'

/** The faults that say something of the records; with others the request may be sent again. */
export const REFUSALS = ['invalid', 'unsupported', 'conflict', 'limit'] as const

/** How a stream takes records by one version of its settings. */
export class Intake {
  readonly definition: StreamDefinition
  readonly #destinations: Destinations
  readonly #steps: readonly PipelineStep[]
  readonly #settings = new Map<string, StreamSettings>()
  readonly #upserts = new Map<string, RowHead>()
  readonly #deletes = new Map<string, RowHead>()

  constructor(definition: StreamDefinition, destinations: Destinations, steps: readonly PipelineStep[]) {
    this.definition = definition
    this.#destinations = destinations
    this.#steps = steps
  }

  /**
   * @param subject what a dead letter says of a record, by its place
   * @throws Fault `unavailable` and the like: nothing of the request was taken
   */
  async read(records: Records, subject: (at: number) => string, origin: RecordOrigin): Promise<Readings> {
    const { table } = this.definition
    const readings = new Readings(records.length)
    const set: Refuse = ({ index }, reading) => {
      const isRead = 'kind' in reading
      readings.set(
        index,
        isRead ? reading : letterOf(this.definition.name, reading, recordAt(records, index), subject(index), origin),
      )
    }
    const destination = this.#steps.length === 0 ? this.#destinations.opened(table) : undefined
    if (records instanceof PackedRecords && destination !== undefined) {
      const reader = await destination.reader(this.#settingsOf(table))
      const rest = scanRows(reader, records, this.#headOf(table, 'upsert'), readings)
      if (rest.length === 0) return readings
      await this.#readGroup(
        table,
        rest.map((at) => pipelineRecord(records.record(at), at, table)),
        readings,
        set,
      )
      return readings
    }
    const batch = recordList(records).map((record, at) => pipelineRecord(record, at, table))
    await runPipeline(this.#steps, batch, origin)
    const open: PipelineRecord[] = []
    for (const record of batch) {
      if (record.outcome === null) open.push(record)
      else set(record, record.outcome.kind === 'dropped' ? { kind: 'dropped' } : record.outcome.problem)
    }
    for (const [name, group] of byDestination(open)) await this.#readGroup(name, group, readings, set)
    return readings
  }

  /** What entries of these rows begin with. */
  #headOf(table: string, op: RowHead['op']): RowHead {
    const heads = op === 'upsert' ? this.#upserts : this.#deletes
    const known = heads.get(table)
    if (known !== undefined) return known
    if (heads.size >= SETTINGS_KEPT) heads.clear()
    const head = rowHead(table, op)
    heads.set(table, head)
    return head
  }

  /** Ends what the steps have running. */
  close(): Promise<void> {
    return closePipeline(this.#steps)
  }

  async #readGroup(table: string, group: readonly PipelineRecord[], readings: Readings, set: Refuse): Promise<void> {
    const settings = this.#settingsOf(table)
    let destination: Destination
    try {
      destination = await this.#destinations.of(table, group)
    } catch (error) {
      if (!isFault(error) || !REFUSALS.some((kind) => kind === error.kind)) throw error
      for (const record of group) set(record, { code: 'DestinationRefused', message: `${table}: ${error.message}` })
      return
    }
    const lacking = this.#readRows(await destination.reader(settings), group, readings, set)
    if (lacking.length === 0 || !evolves(settings)) return
    if (await destination.evolve(lacking, settings))
      this.#readRows(await destination.reader(settings), lacking, readings, set)
  }

  /** @returns the records that could not be read */
  #readRows(reader: RowReader, group: readonly PipelineRecord[], readings: Readings, set: Refuse): PipelineRecord[] {
    const refused: PipelineRecord[] = []
    for (const record of group) {
      const { index, destination, operation } = record
      if (!record.changed) {
        const bytes = bufferOf(record.data)
        const row = reader.scan(bytes, 0, bytes.length, operation, false)
        if (row !== null) {
          readings.setRow(index, this.#headOf(destination, 'upsert'), row)
          continue
        }
      }
      const row = reader.readExact(record)
      if (row.ok) readings.set(index, { kind: 'row', head: this.#headOf(destination, row.op), rowText: row.rowText })
      else {
        set(record, row.problem)
        refused.push(record)
      }
    }
    return refused
  }

  #settingsOf(table: string): StreamSettings {
    const known = this.#settings.get(table)
    if (known !== undefined) return known
    const settings = settingsFor(this.definition, table)
    // Names come from records: what is kept of them is bounded.
    if (this.#settings.size >= SETTINGS_KEPT) this.#settings.clear()
    this.#settings.set(table, settings)
    return settings
  }
}

const SETTINGS_KEPT = 1_000

/** Notes what becomes of a record that is no row. */
type Refuse = (record: PipelineRecord, reading: NoRow | RecordProblem) => void

/** @returns the places of those that are for the exact way */
function scanRows(reader: RowReader, records: PackedRecords, head: RowHead, readings: Readings): number[] {
  const { bytes, operation, length, isText } = records
  const rest: number[] = []
  for (let at = 0; at < length; at++) {
    const row = reader.scan(bytes, records.from(at), records.end(at), operation, isText)
    if (row === null) rest.push(at)
    else readings.setRow(at, head, row)
  }
  return rest
}

function pipelineRecord(
  { data, operation, outcome = null }: IncomingRecord,
  index: number,
  destination: string,
): PipelineRecord {
  return { index, data, value: null, changed: false, destination, operation, outcome }
}

function byDestination(records: readonly PipelineRecord[]): Map<string, PipelineRecord[]> {
  const groups = new Map<string, PipelineRecord[]>()
  for (const record of records) {
    const group = groups.get(record.destination)
    if (group === undefined) groups.set(record.destination, [record])
    else group.push(record)
  }
  return groups
}

function letterOf(
  stream: string,
  problem: RecordProblem,
  { data, operation }: IncomingRecord,
  subject: string,
  { receivedMs }: RecordOrigin,
): NoRow {
  const letter: DeadLetter = {
    stage: 'record',
    stream,
    code: problem.code,
    reason: problem.message,
    payload: data,
    receivedMs,
    ...(problem.tries === undefined ? {} : { tries: problem.tries }),
    // A replay has to know the operation that stood beside the record.
    subject: operation === undefined ? subject : `${subject} ${operation}`,
  }
  return { kind: 'letter', problem, letter, id: letterId(letter) }
}
