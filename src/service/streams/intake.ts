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
import { closePipeline, type PipelineRecord, type PipelineStep, type RecordOrigin, runPipeline } from './pipeline.ts'
import type { RecordProblem } from './record.ts'
import type { IncomingRecord, RecordResult } from './request.ts'
import type { RowReader } from './row-reader.ts'

/** What becomes of a record. */
export type Reading =
  | { kind: 'row'; to: string; rowText: string; op: 'upsert' | 'delete' }
  | { kind: 'letter'; problem: RecordProblem; letter: DeadLetter; id: string }
  | { kind: 'dropped' }
  /** Decided by its number alone. */
  | { kind: 'told'; result: RecordResult }

/** The faults that say something of the records; with others the request may be sent again. */
export const REFUSALS = ['invalid', 'unsupported', 'conflict', 'limit'] as const

/** How a stream takes records by one version of its settings. */
export class Intake {
  readonly definition: StreamDefinition
  readonly #destinations: Destinations
  readonly #steps: readonly PipelineStep[]
  readonly #settings = new Map<string, StreamSettings>()

  constructor(definition: StreamDefinition, destinations: Destinations, steps: readonly PipelineStep[]) {
    this.definition = definition
    this.#destinations = destinations
    this.#steps = steps
  }

  /**
   * @param subject what a dead letter says of a record, by its place
   * @throws Fault `unavailable` and the like: nothing of the request was taken
   */
  async read(
    records: readonly IncomingRecord[],
    subject: (at: number) => string,
    origin: RecordOrigin,
  ): Promise<Reading[]> {
    const { table } = this.definition
    const batch = records.map(
      ({ data, operation, outcome = null }, index): PipelineRecord => ({
        index,
        data,
        value: null,
        changed: false,
        destination: table,
        operation,
        outcome,
      }),
    )
    await runPipeline(this.#steps, batch, origin)
    const readings: Reading[] = new Array(records.length)
    const set = (record: PipelineRecord, reading: Reading | RecordProblem) => {
      const { index } = record
      readings[index] =
        'kind' in reading ? reading : letterOf(this.definition.name, reading, records[index]!, subject(index), origin)
    }
    const open: PipelineRecord[] = []
    for (const record of batch) {
      if (record.outcome === null) open.push(record)
      else set(record, record.outcome.kind === 'dropped' ? { kind: 'dropped' } : record.outcome.problem)
    }
    for (const [destination, group] of byDestination(open)) await this.#readGroup(destination, group, set)
    return readings
  }

  /** Ends what the steps have running. */
  close(): Promise<void> {
    return closePipeline(this.#steps)
  }

  async #readGroup(
    table: string,
    group: readonly PipelineRecord[],
    set: (record: PipelineRecord, reading: Reading | RecordProblem) => void,
  ): Promise<void> {
    const settings = this.#settingsOf(table)
    let destination: Destination
    try {
      destination = await this.#destinations.of(table, group)
    } catch (error) {
      if (!isFault(error) || !REFUSALS.some((kind) => kind === error.kind)) throw error
      for (const record of group) set(record, { code: 'DestinationRefused', message: `${table}: ${error.message}` })
      return
    }
    const lacking = readRows(await destination.reader(settings), group, set)
    if (lacking.length === 0 || !evolves(settings)) return
    if (await destination.evolve(lacking, settings)) readRows(await destination.reader(settings), lacking, set)
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

/** @returns the records that could not be read */
function readRows(
  reader: RowReader,
  group: readonly PipelineRecord[],
  set: (record: PipelineRecord, reading: Reading | RecordProblem) => void,
): PipelineRecord[] {
  const refused: PipelineRecord[] = []
  for (const record of group) {
    const row = reader.read(record)
    if (row.ok) set(record, { kind: 'row', to: record.destination, rowText: row.rowText, op: row.op })
    else {
      set(record, row.problem)
      refused.push(record)
    }
  }
  return refused
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
): Reading {
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
