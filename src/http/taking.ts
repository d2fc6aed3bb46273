/**
 * From the records of a request to a stream, in parts: a request of any size takes the memory of one part.
 *
 * A part is as much as a stream takes at once. Where parts begin and end follows from the records alone, and every part carries a key
 * or number derived from the request's: so a request that comes again is cut the same way, and what was taken of it before is
 * passed over. A request that fits one part is taken as a whole or not at all.
 *
 * Crash story: parts before the crash are durable; the sender, who got no answer, sends the request again.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import {
  type Acceptance,
  bytesOf,
  type Identity,
  type RecordOrigin,
  type RecordResult,
  type Records,
  type Stream,
} from '../service/streams/streams.ts'
import type { ApiKey } from './access.ts'
import type { Hold } from './in-flight.ts'
import { type Group, type Part, partOf } from './pieces.ts'
import type { RateLimiter } from './rates.ts'
import { ToldFailure } from './status.ts'

export type Result =
  | RecordResult
  | { kind: 'refused'; code: 'RecordTooLarge' | 'MalformedRecord'; message: string; expected: null }

/** Who sends, and what it costs. */
export interface Sender {
  key: ApiKey | null
  origin: RecordOrigin
  rates: RateLimiter
  clock: Clock
  /** Told of every part that was taken. */
  onTaken: (stream: Stream, bytes: number, results: readonly Result[], repeated: boolean) => void
}

export interface Counts {
  accepted: number
  deadLetters: number
  dropped: number
  repeated: number
  refused: number
}

export interface Taken {
  counts: Counts
  /** Every record's, in their order, of a request of one part; null: there were more. */
  results: Result[] | null
  /** Of a request of several parts: records that did not become rows, by their number in the request. */
  problems: { index: number; result: Result }[]
  problemsLeftOut: number
  /** What to wait for. */
  end: number
}

/** How a request names itself, per sender. */
export function identityFor(sender: Sender, identity: Identity): Identity {
  return sender.key === null ? identity : { ...identity, owner: sender.key.id }
}

/**
 * @param parts the next is asked for when the one before is taken; the last of them is told
 * @throws as `Stream.accept` for a request of one part; a ToldFailure with what was taken, once something was
 */
export async function takeParts(
  stream: Stream,
  parts: AsyncIterable<{ part: Part; last: boolean }>,
  identity: Identity,
  sender: Sender,
  hold: Pick<Hold, 'release'>,
): Promise<Taken> {
  const taking = new Taking(stream, identity, sender)
  try {
    for await (const { part, last } of parts) {
      await taking.take(part, last)
      if (!last) hold.release()
    }
  } catch (error) {
    if (taking.parts === 0) throw error
    throw new ToldFailure(error, { taken: { ...taking.taken.counts, end: taking.taken.end } })
  }
  return taking.taken
}

/** A request that is one part. @throws as `Stream.accept` */
export async function takeWhole(stream: Stream, part: Part, identity: Identity, sender: Sender): Promise<Taken> {
  const taking = new Taking(stream, identity, sender)
  await taking.take(part, true)
  return taking.taken
}

class Taking {
  readonly taken: Taken = {
    counts: { accepted: 0, deadLetters: 0, dropped: 0, repeated: 0, refused: 0 },
    results: [],
    problems: [],
    problemsLeftOut: 0,
    end: 0,
  }
  parts = 0
  readonly #stream: Stream
  readonly #identity: Identity
  readonly #sender: Sender
  /** Pieces of the parts before this one. */
  #before = 0

  constructor(stream: Stream, identity: Identity, sender: Sender) {
    this.#stream = stream
    this.#identity = identityFor(sender, identity)
    this.#sender = sender
  }

  /** Has the stream take a part. @param last the request ends with it */
  async take(part: Part, last: boolean): Promise<void> {
    const patient = !last || this.parts > 0
    const { results, end, repeated } = await takePart(this.#stream, part, this.#identityOfPart(), this.#sender, patient)
    const { taken } = this
    for (const result of results) count(taken.counts, result)
    // A repeated request gets the answer that it got before; that it is repeated is told beside it.
    if (repeated)
      taken.counts.repeated += results.filter(({ kind }) => kind !== 'repeated' && kind !== 'refused').length
    taken.end = Math.max(taken.end, end)
    this.parts += 1
    if (last && this.parts === 1) taken.results = results
    else {
      taken.results = null
      this.#noteProblems(results)
    }
    this.#before += results.length
    const gap = results.find((result) => result.kind === 'refused' && isOrder(result.code))
    if (gap !== undefined && gap.kind === 'refused' && !last)
      throw new Fault('conflict', gap.message, { expected: gap.expected })
  }

  #identityOfPart(): Identity {
    const { idempotencyKey, producer, owner } = this.#identity
    return {
      ...(owner === undefined ? {} : { owner }),
      ...(producer === undefined ? {} : { producer: { ...producer, sequence: producer.sequence + this.#before } }),
      ...keyOfPart(idempotencyKey, this.parts),
    }
  }

  #noteProblems(results: readonly Result[]): void {
    const { problems } = this.taken
    for (const [at, result] of results.entries()) {
      if (result.kind !== 'dead-letter' && result.kind !== 'refused') continue
      if (problems.length < limits.httpProblemsMax) problems.push({ index: this.#before + at, result })
      else this.taken.problemsLeftOut += 1
    }
  }
}

/** The key of a part: that of a later one is never another key of the sender's by chance. */
function keyOfPart(key: string | undefined, part: number): Pick<Identity, 'idempotencyKey'> {
  if (key === undefined) return {}
  if (part === 0) return { idempotencyKey: key }
  return { idempotencyKey: `part-${createHash('sha256').update(key).digest('hex')}-${part}` }
}

function isOrder(code: string): boolean {
  return code === 'SequenceGap' || code === 'ProducerFenced'
}

/**
 * @param patient wait for room instead of refusing: meanwhile the sender, whose body is not read on, waits too
 * @throws as `Stream.accept`
 */
export async function takePart(
  stream: Stream,
  { records, refused }: Part,
  identity: Identity,
  sender: Sender,
  patient: boolean,
): Promise<{ results: Result[]; end: number; repeated: boolean }> {
  const [first] = refused
  if (first !== undefined && identity.producer !== undefined)
    throw new Fault(
      'limit',
      `record ${first[0]}: ${first[1].message}; its producer numbers records without gaps, so none behind it can be taken`,
    )
  const { results, end, repeated } =
    records.length === 0
      ? { results: [], end: 0, repeated: false }
      : await acceptSoon(stream, records, identity, sender, patient)
  const all = refused.size === 0 ? results : withRefused(results, refused)
  const bytes = bytesOf(records)
  sender.rates.spend(sender.key, records.length, bytes)
  sender.onTaken(stream, bytes, all, repeated)
  return { results: all, end, repeated }
}

function withRefused(results: readonly Result[], refused: Part['refused']): Result[] {
  let next = 0
  return Array.from({ length: results.length + refused.size }, (_, at) => {
    const refusal = refused.get(at)
    return refusal === undefined ? results[next++]! : { ...refusal, expected: null }
  })
}

async function acceptSoon(
  stream: Stream,
  records: Records,
  identity: Identity,
  sender: Sender,
  patient: boolean,
): Promise<Acceptance> {
  const { clock, rates, key, origin } = sender
  const accept = () => stream.accept(records, identity, { origin })
  if (!patient) return accept()
  for (let waitedMs = 0; ; waitedMs += limits.httpPartRetryMs) {
    const rateMs = rates.waitMs(key)
    try {
      if (rateMs === 0) return await accept()
      if (waitedMs >= limits.httpPartWaitMs) rates.check(key)
    } catch (error) {
      const full = isFault(error, 'unavailable') && error.facts['backlogBytes'] !== undefined
      if (!full || waitedMs >= limits.httpPartWaitMs) throw error
    }
    await clock.sleep(limits.httpPartRetryMs)
  }
}

export function count(counts: Counts, { kind }: Result): void {
  switch (kind) {
    case 'accepted':
      counts.accepted += 1
      return
    case 'dead-letter':
      counts.deadLetters += 1
      return
    case 'dropped':
      counts.dropped += 1
      return
    case 'repeated':
      counts.repeated += 1
      return
    case 'refused':
      counts.refused += 1
  }
}

/** What became of a record of the wire. */
export type GroupResult = Result | { kind: 'failed'; error: unknown }

/**
 * Records of the wire, each of which may be several of the stream. A request that fits one part is taken as a whole or not at all; of
 * a larger one, each record of the wire is taken as a whole or not at all.
 * @throws as `Stream.accept`, when nothing was taken
 */
export async function takeGroups(
  stream: Stream,
  groups: readonly Group[],
  identity: Identity,
  sender: Sender,
): Promise<{ results: GroupResult[]; end: number }> {
  const results: GroupResult[] = []
  let end = 0
  for (const [part, some] of partsOf(groups).entries()) {
    const { idempotencyKey, producer, ...rest } = identityFor(sender, identity)
    const mine: Identity = {
      ...rest,
      ...(producer === undefined ? {} : { producer: { ...producer, sequence: producer.sequence + results.length } }),
      ...keyOfPart(idempotencyKey, part),
    }
    try {
      const taken = await takePart(stream, partOf(some.flat()), mine, sender, part > 0)
      end = Math.max(end, taken.end)
      let from = 0
      for (const group of some) {
        results.push(resultOfGroup(taken.results.slice(from, from + group.length)))
        from += group.length
      }
    } catch (error) {
      if (part === 0) throw error
      for (const _group of some) results.push({ kind: 'failed', error })
    }
  }
  return { results, end }
}

function partsOf(groups: readonly Group[]): Group[][] {
  const parts: Group[][] = []
  let records = Number.POSITIVE_INFINITY
  let bytes = 0
  for (const group of groups) {
    const size = group.reduce((sum, piece) => sum + (piece.kind === 'record' ? piece.record.data.length : 0), 0)
    if (records + group.length > limits.streamRequestRecordsMax || bytes + size > limits.streamRequestBytesMax) {
      parts.push([])
      records = 0
      bytes = 0
    }
    parts.at(-1)?.push(group)
    records += group.length
    bytes += size
  }
  return parts
}

/** The worst of several counts; of equals the last, which is behind the others. */
function resultOfGroup(results: readonly Result[]): Result {
  const rank: Record<Result['kind'], number> = { repeated: 0, dropped: 1, accepted: 2, 'dead-letter': 3, refused: 4 }
  return results.reduce((worst, result) => (rank[result.kind] >= rank[worst.kind] ? result : worst))
}
