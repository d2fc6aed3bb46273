/** What a request is answered, and what is remembered of it so that its repetition gets the same answer. Pure. */
import { unreachable } from '../../base/assert.ts'
import type { RememberedRequest } from '../../change/table-change.ts'
import type { Reading } from './intake.ts'
import type { KnownRequest } from './repetitions.ts'
import type { Acceptance, RecordResult } from './request.ts'

/** @param offset of the record's entry, if it has one */
export function resultOf(reading: Reading, offset: number): RecordResult {
  switch (reading.kind) {
    case 'row':
      return { kind: 'accepted', offset }
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
  readings: readonly Reading[],
): RememberedRequest {
  const letters: RememberedRequest['letters'] = []
  const dropped: number[] = []
  for (const [index, reading] of readings.entries()) {
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
