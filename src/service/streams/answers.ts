/** What a request is answered, and what is remembered of it so that its repetition gets the same answer. Pure. */
import { unreachable } from '../../base/assert.ts'
import type { RememberedRequest } from '../../change/table-change.ts'
import type { NoRow, Readings } from './readings.ts'
import type { KnownRequest } from './repetitions.ts'
import type { Acceptance, RecordResult } from './request.ts'

/** What became of each record. @param offsetOf the entry of a row, by the record's place */
export function resultsOf(readings: Readings, offsetOf: (at: number) => number): RecordResult[] {
  const results: RecordResult[] = new Array(readings.length)
  for (let at = 0; at < readings.length; at++) {
    const other = readings.areRows ? null : readings.other(at)
    results[at] = other === null ? { kind: 'accepted', offset: offsetOf(at) } : resultOf(other)
  }
  return results
}

function resultOf(reading: NoRow): RecordResult {
  switch (reading.kind) {
    case 'letter': {
      const { code, message } = reading.problem
      return { kind: 'dead-letter', letter: reading.id, code, message }
    }
    case 'dropped':
      return { kind: 'dropped' }
    case 'told':
      return reading.result
    default:
      return unreachable(reading)
  }
}

export function rememberedOf(
  request: Pick<RememberedRequest, 'key' | 'digest' | 'atMs'>,
  readings: Readings,
): RememberedRequest {
  const letters: RememberedRequest['letters'] = []
  const dropped: number[] = []
  for (const [index, reading] of readings.others()) {
    if (reading.kind === 'dropped') dropped.push(index)
    if (reading.kind === 'letter') letters.push([index, reading.id, reading.problem.code, reading.problem.message])
  }
  return { ...request, count: readings.length, letters, ...(dropped.length === 0 ? {} : { dropped }) }
}

/** The answer to a request that came before. */
export function answerOf({ first, count, letters, dropped = [] }: KnownRequest): Acceptance {
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
