/**
 * Events, each of which is a request of its own to the stream: its source and id are the key. So an event that comes again is
 * recognised whatever events come with it, and what is remembered of events is forgotten by age and count as keys are: it never
 * keeps a new sender out.
 *
 * Of one request, events for tables that are updated are taken one after the other, since the last of a key counts; others are taken
 * side by side.
 */
import { isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Stream } from '../service/streams/streams.ts'
import type { EventPiece } from './cloudevents.ts'
import { partOf } from './pieces.ts'
import { ToldFailure } from './status.ts'
import { count, identityFor, type Result, type Sender, type Taken, takePart } from './taking.ts'

/** @throws as `Stream.accept`; a ToldFailure with what was taken, once something was */
export async function takeEvents(stream: Stream, events: readonly EventPiece[], sender: Sender): Promise<Taken> {
  const results: Result[] = []
  const taken: Taken = {
    counts: { accepted: 0, deadLetters: 0, dropped: 0, repeated: 0, refused: 0 },
    results,
    problems: [],
    problemsLeftOut: 0,
    end: 0,
  }
  const atOnce = isOrdered(stream) ? 1 : limits.httpEventsAtOnce
  for (let from = 0; from < events.length; from += atOnce) {
    const settled = await Promise.allSettled(
      events.slice(from, from + atOnce).map((event) => takeEvent(stream, event, sender)),
    )
    let failure: { reason: unknown } | null = null
    for (const one of settled) {
      if (one.status === 'rejected') {
        failure ??= { reason: one.reason }
        continue
      }
      results.push(one.value.result)
      count(taken.counts, one.value.result)
      taken.end = Math.max(taken.end, one.value.end)
    }
    if (failure === null) continue
    if (results.length === 0) throw failure.reason
    throw new ToldFailure(failure.reason, { taken: { ...taken.counts, end: taken.end } })
  }
  return taken
}

/** Does it matter which of two records comes first? */
function isOrdered({ definition }: Stream): boolean {
  const { uniqueKeys, tables } = definition
  return uniqueKeys.length > 0 || Object.values(tables).some((table) => (table.uniqueKeys?.length ?? 0) > 0)
}

async function takeEvent(
  stream: Stream,
  { piece, key }: EventPiece,
  sender: Sender,
): Promise<{ result: Result; end: number }> {
  try {
    const identity = identityFor(sender, key === null ? {} : { idempotencyKey: key })
    const { results, end, repeated } = await takePart(stream, partOf([piece]), identity, sender, false)
    const [result] = results
    return {
      result: repeated && result?.kind === 'accepted' ? { kind: 'repeated', offset: result.offset } : result!,
      end,
    }
  } catch (error) {
    // The key was good: it came before with other bytes, as an event has them in another mode or after another hop.
    if (isFault(error, 'invalid')) return { result: { kind: 'repeated', offset: null }, end: stream.offsets.end }
    throw error
  }
}
