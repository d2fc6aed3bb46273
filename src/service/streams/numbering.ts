/** Records numbered by their producers: which are new, which came before, and which must not be taken. Pure. */

import { PackedRecords, type Records } from './packed.ts'
import type { ProducerState } from './repetitions.ts'
import { type Identity, ownedName, type ProducerMark, type RecordResult } from './request.ts'

/** Every record's number, by its producer's name as it is remembered; null when they have none. */
export function marksOf(records: Records, { owner, producer }: Identity): readonly ProducerMark[] | null {
  if (producer !== undefined) {
    const { epoch, sequence } = producer
    const id = ownedName(owner, producer.id)
    return Array.from({ length: records.length }, (_, at) => ({ id, epoch, sequence: sequence + at }))
  }
  if (records instanceof PackedRecords) return null
  const marks = records.flatMap((record) => (record.producer === undefined ? [] : [record.producer]))
  return marks.length === 0 ? null : marks.map((mark) => ({ ...mark, id: ownedName(owner, mark.id) }))
}

export interface Numbering {
  /** By record: what its number alone decides; null for one that is to be taken. */
  told: (RecordResult | null)[]
  /** What was known of the producers before. */
  known: ReadonlyMap<string, ProducerState | null>
  /** Producers that were not known. */
  newProducers: number
}

/**
 * Nothing is taken twice, within the request too, and nothing behind a gap.
 * @param gaps numbers may be left out: they go forward only, all the same
 */
export function numberRecords(
  marks: readonly ProducerMark[],
  producer: (name: string) => ProducerState | null,
  gaps = false,
): Numbering {
  const states = new Map<string, { epoch: number; sequence: number; known: ProducerState | null }>()
  let newProducers = 0
  const told = marks.map((mark): RecordResult | null => {
    let state = states.get(mark.id)
    if (state === undefined) {
      const known = producer(mark.id)
      state = { epoch: known?.epoch ?? -1, sequence: known?.sequence ?? -1, known }
      states.set(mark.id, state)
    }
    if (mark.epoch < state.epoch)
      return refusal(mark, 'ProducerFenced', `epoch ${state.epoch} has taken over from epoch ${mark.epoch}`, null)
    const expected = state.epoch === mark.epoch ? state.sequence + 1 : 0
    if (mark.sequence < expected) return { kind: 'repeated', offset: offsetOf(mark, state.known) }
    if (mark.sequence > expected && !gaps)
      return refusal(
        mark,
        'SequenceGap',
        `expected sequence ${expected} of epoch ${mark.epoch}, got ${mark.sequence}`,
        expected,
      )
    if (state.known === null && state.epoch === -1) newProducers++
    state.epoch = mark.epoch
    state.sequence = mark.sequence
    return null
  })
  return { told, newProducers, known: new Map([...states].map(([id, state]) => [id, state.known])) }
}

/** Of a record that came before: known while its entry stands beside those of the producer's last. */
function offsetOf({ epoch, sequence }: ProducerMark, known: ProducerState | null): number | null {
  if (known === null || known.epoch !== epoch) return null
  const behind = known.sequence - sequence
  return behind >= 0 && behind < known.run ? known.seen - behind : null
}

function refusal(
  { id }: ProducerMark,
  code: 'SequenceGap' | 'ProducerFenced',
  message: string,
  expected: number | null,
): RecordResult {
  // The owner is the server's affair.
  return { kind: 'refused', code, message: `producer ${id.slice(id.indexOf(' ') + 1)}: ${message}`, expected }
}
