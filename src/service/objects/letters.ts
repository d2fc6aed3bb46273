/** What extractors could not read of an object, as dead letters. */
import type { ExtractFault } from '../../extract/extract.ts'
import type { DeadLetter } from '../deadletter/deadletter.ts'
import type { Unread } from './version-store.ts'

export function lettersOf({ event, letters }: Unread): DeadLetter[] {
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
export function toldFaults(faults: readonly ExtractFault[]): Unread['letters'] {
  return faults.flatMap(({ extractor, kind, message }) =>
    kind === 'waiting' ? [] : [{ code: kind, reason: `${extractor}: ${message}` }],
  )
}
