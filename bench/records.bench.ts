/**
 * A record's bytes to the text of its log entry, one CPU: what streams do to every record before it is durable, against the
 * built-in `JSON.parse` of the same bytes, which does less. By CPU time of this process, so that other load matters little.
 */

import { systemClock } from '../src/base/clock.ts'
import { rowChangeText } from '../src/change/table-change.ts'
import { parseStream, type StreamInput, schemaOf } from '../src/service/streams/definition.ts'
import { openPipeline, type PipelineRecord, runPipeline } from '../src/service/streams/pipeline.ts'
import { compileRowReader } from '../src/service/streams/row-reader.ts'
import { against, type Bench, type Measure, Samples } from './harness.ts'
import { ENRICH, ENRICHED_COLUMNS, eventText, VALIDATE } from './stream-events.ts'

const BENCH = 'records'
const RECORDS = 20_000
const BATCH = 500
const ROUNDS = 15

const columns = { ...ENRICHED_COLUMNS, price: 'DECIMAL(9,2)' }

interface Way {
  name: string
  input?: Partial<StreamInput>
  /** A record's own text does not do: its numbers stand in another form. */
  twist?: (text: string) => string
  atLeast?: number
}

const WAYS: Way[] = [
  { name: 'in wire form', atLeast: 0.25 },
  { name: 'times and decimals as numbers', input: { epochUnit: 'ms' }, twist: asNumbers },
  { name: 'the exact way', twist: (text) => text.replace('"linux"', '"\\ud83d\\udc7b"') },
  { name: 'with a JSON Schema', input: { validate: VALIDATE } },
  { name: 'enriched', input: { enrich: ENRICH } },
]

export const records: Bench = {
  name: BENCH,
  run: async (options, tell) => {
    const measures: Measure[] = []
    for (const { name, input, twist = (text: string) => text, atLeast } of WAYS) {
      const data = Array.from({ length: RECORDS }, (_, at) =>
        Buffer.from(`${twist(eventText(at + options.seed, { price: '12.50' }))}\n`),
      )
      const bytes = Math.round(data.reduce((sum, record) => sum + record.length, 0) / RECORDS)
      const take = await taker(input ?? {})
      const [floor, ours] = [new Samples(), new Samples()]
      const rounds = options.rounds ?? (options.quick ? 5 : ROUNDS)
      for (let round = -2; round < rounds; round++) {
        const parsed = await cpuMs(async () => {
          for (const record of data) JSON.parse(record.toString())
        })
        const taken = await cpuMs(() => take(data))
        // The first ones compile.
        if (round < 0) continue
        floor.add((RECORDS / parsed) * 1000, parsed, RECORDS)
        ours.add((RECORDS / taken) * 1000, taken, RECORDS)
      }
      const work = `${name}, ${bytes} bytes`
      const least = floor.measure(BENCH, work, 'JSON.parse', 'records/CPU s')
      measures.push(against(ours.measure(BENCH, work, 'tidewater', 'records/CPU s'), least, atLeast), least)
      tell(`${work}: ${Math.round(ours.median).toLocaleString('en')} records/CPU s`)
    }
    return measures
  },
}

async function taker(input: Partial<StreamInput>): Promise<(data: readonly Buffer[]) => Promise<void>> {
  const definition = parseStream('bench', { table: 'bench.events', columns, ...input })
  const reader = compileRowReader(schemaOf(columns, []), definition)
  const steps = await openPipeline(definition, {
    clock: systemClock,
    resolveModule: async (module) => module,
    isTaken: () => false,
    known: () => [],
    notice: () => undefined,
  })
  const origin = { receivedMs: 1_795_233_600_000, ip: '198.51.100.23', userAgent: null }
  return async (data) => {
    for (let from = 0; from < data.length; from += BATCH) {
      const batch = data.slice(from, from + BATCH).map(
        (record, index): PipelineRecord => ({
          index,
          data: record,
          value: null,
          changed: false,
          destination: definition.table,
          operation: undefined,
          outcome: null,
        }),
      )
      await runPipeline(steps, batch, origin)
      for (const record of batch) {
        const row = reader.read(record)
        if (!row.ok || record.outcome !== null) throw new Error('a record of the bench was refused')
        rowChangeText({ to: record.destination, input: 0, op: row.op }, row.rowText)
      }
    }
  }
}

async function cpuMs(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

function asNumbers(text: string): string {
  return text.replace('"2022-06-18T02:00:00Z"', '1655517600123').replace('"12.50"', '12.5')
}
