/** Dead letters of a stream → what becomes of them now, in their order. */
import { type Fault, isFault } from '../../base/fault.ts'
import { stringifyJson } from '../../base/json.ts'
import { readTableChange } from '../../change/table-change.ts'
import type { DeadLetterStage } from '../deadletter/deadletter.ts'
import type { Destinations } from './destinations.ts'
import { type Intake, REFUSALS } from './intake.ts'
import { type Reading, rowHead } from './readings.ts'
import type { RecordProblem } from './record.ts'
import { OPERATIONS } from './request.ts'

/** A dead letter of a stream, as it is told again. */
export interface RetriedLetter {
  id: string
  stage?: DeadLetterStage
  subject: string
  payload: Uint8Array
  /** When it came first, ms since 1970. */
  receivedMs: number
}

/** What a letter is now: `letter` says why it stays one. */
export type ReadAgain = Exclude<Reading, { kind: 'letter' }> | { kind: 'letter'; problem: RecordProblem }

/** @throws Fault `unavailable` and the like: it may be tried again */
export async function readAgain(
  letters: readonly RetriedLetter[],
  intake: Intake,
  destinations: Destinations,
): Promise<ReadAgain[]> {
  const readings: ReadAgain[] = []
  for (let at = 0; at < letters.length; ) {
    const first = letters[at]!
    if (first.stage === 'commit') {
      readings.push(await entryAgain(first, intake.definition.table, destinations))
      at++
      continue
    }
    // What came together is read together, with the time at which it came.
    let end = at + 1
    while (letters[end]?.stage === first.stage && letters[end]?.receivedMs === first.receivedMs) end++
    const some = letters.slice(at, end)
    const records = some.map(({ payload, subject }) => ({
      data: payload,
      operation: OPERATIONS.find((name) => subject.endsWith(` ${name}`)),
    }))
    const origin = { receivedMs: first.receivedMs, ip: null, userAgent: null }
    const read = await intake.read(records, (index) => some[index]!.subject, origin)
    for (let index = 0; index < read.length; index++) readings.push(read.at(index))
    at = end
  }
  return readings
}

async function entryAgain({ payload }: RetriedLetter, table: string, destinations: Destinations): Promise<ReadAgain> {
  const { to = table, op, row } = readTableChange(Buffer.from(payload).toString('utf8'))
  if (op === 'none') return { kind: 'dropped' }
  try {
    await destinations.of(to, [])
  } catch (error) {
    if (!isFault(error) || !REFUSALS.some((kind) => kind === error.kind)) throw error
    return { kind: 'letter', problem: { code: 'DestinationRefused', message: `${to}: ${(error as Fault).message}` } }
  }
  return { kind: 'row', head: rowHead(to, op), rowText: stringifyJson(row) }
}
