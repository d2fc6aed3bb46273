/** What extractors could not read of an object and what its store did not answer, as dead letters. */
import type { ExtractFault } from '../../extract/extract.ts'
import type { DeadLetter } from '../deadletter/deadletter.ts'
import type { AskFault } from './ask.ts'
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

/** The code of letters of objects whose store did not answer. */
export const UNDESCRIBED = 'undescribed'

/** What a store did not answer of an object. */
export function askLetter({ code, message }: AskFault): Unread['letters'][number] {
  return { code: UNDESCRIBED, reason: `describe: ${code}: ${message}` }
}
