/**
 * What extractors could not read of an object and what its store did not answer, as dead letters, and which of them pass by themselves.
 */
import { backoffMs } from '../../base/backoff.ts'
import { limits } from '../../base/limits.ts'
import type { ExtractFault } from '../../extract/extract.ts'
import type { DeadLetter } from '../deadletter/deadletter.ts'
import type { AskFault } from './ask.ts'
import type { Passing, Unread, UnreadLetter } from './unread.ts'

export function lettersOf({ event, letters }: Pick<Unread, 'event' | 'letters'>): DeadLetter[] {
  return letters.map(({ code, reason }) => ({
    stage: 'extract',
    stream: 'objects',
    code,
    reason,
    payload: Buffer.from(JSON.stringify(event)),
    subject: `${event.bucket}/${event.key}@${event.versionId}`,
  }))
}

/** What is to be told of faults. What is only put off comes by itself. */
export function toldFaults(faults: readonly ExtractFault[]): UnreadLetter[] {
  return faults.flatMap((fault) => {
    const { extractor, kind, message } = fault
    return kind === 'waiting' ? [] : [{ code: kind, reason: `${extractor}: ${message}`, passing: passingRead(fault) }]
  })
}

/** Bytes that could not be had may be had later, and where they are may be told later. What was read and is wrong stays so. */
export function passingRead({ extractor, kind, isRefused = false, isUnnamed = false }: ExtractFault): Passing {
  if (extractor === 'read' && isUnnamed) return 'unnamed'
  if (extractor !== 'read' || kind !== 'unavailable') return 'never'
  return isRefused ? 'refused' : 'unanswered'
}

/** The code of letters of objects whose store did not answer. */
export const UNDESCRIBED = 'undescribed'

/** What a store did not answer of an object. */
export function askLetter({ code, message, isRefused = false }: AskFault): UnreadLetter {
  // `limit`: too many questions waited for their turn.
  const mayPass = code === 'unavailable' || code === 'limit'
  const passing = !mayPass ? 'never' : isRefused ? 'refused' : 'unanswered'
  return { code: UNDESCRIBED, reason: `describe: ${code}: ${message}`, passing }
}

export function passingOf({ code, passing }: UnreadLetter): Passing {
  return passing ?? (code === UNDESCRIBED || code === 'unavailable' ? 'unanswered' : 'never')
}

/** What waits of an object, with the time at which its store is asked again; none while its bucket is not named. Null: nothing waits. */
export function unreadOf(event: Unread['event'], letters: UnreadLetter[], nowMs: number): Unread | null {
  if (letters.length === 0) return null
  const why = letters.map(passingOf)
  if (why.includes('unanswered')) return { event, letters, dueMs: askAgainAtMs('unanswered', nowMs) }
  return { event, letters, ...(why.includes('refused') && { dueMs: askAgainAtMs('refused', nowMs) }) }
}

/** @param tries how often the store has refused the object when it was asked again */
export function askAgainAtMs(why: Exclude<Passing, 'unnamed' | 'never'>, nowMs: number, tries = 0): number {
  if (why === 'unanswered') return nowMs + limits.askAgainMs
  return nowMs + backoffMs(tries + 1, limits.askAgainRefusedMs, limits.askAgainRefusedMaxMs)
}

/** What is left of what waits when some letters are over. Its time stays. */
export function unreadWithout(unread: Unread, isOver: (letter: UnreadLetter) => boolean): Unread | null {
  const letters = unread.letters.filter((letter) => !isOver(letter))
  if (letters.length === 0) return null
  const { dueMs, ...rest } = unread
  const isDue = dueMs !== undefined && letters.some((letter) => passingOf(letter) !== 'never')
  return { ...rest, letters, ...(isDue && { dueMs }) }
}
