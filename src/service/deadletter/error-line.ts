/** A dead letter as the line that a managed delivery stream leaves of a refused record. Pure. */
import { stringifyJson } from '../../base/json.ts'
import { readTableChange } from '../../change/table-change.ts'
import type { StoredLetter } from './deadletter.ts'
import type { ErrorType } from './error-prefix.ts'

/** Codes of records that were refused before anybody looked at a table; codes of functions begin with `Transform`. */
const BEFORE_THE_TABLE: ReadonlySet<string> = new Set([
  'InvalidJson',
  'InvalidEncoding',
  'NotAnObject',
  'SchemaViolation',
  'RecordTooLarge',
])

export function errorTypeOf({ stage, code }: Pick<StoredLetter, 'stage' | 'code'>): ErrorType {
  const isBefore = stage !== 'commit' && (code.startsWith('Transform') || BEFORE_THE_TABLE.has(code))
  return isBefore ? 'processing-failed' : 'iceberg-failed'
}

/** Times are ms since 1970; `rawData` is base64 of the record as it came, or of the row that its table refused. */
export function errorLine(letter: StoredLetter): string {
  return `${stringifyJson({
    attemptsMade: letter.attempt,
    arrivalTimestamp: msOf(letter.receivedAt),
    errorCode: letter.code,
    errorMessage: letter.reason,
    attemptEndingTimestamp: msOf(letter.lastFailedAt),
    rawData: Buffer.from(rawData(letter)).toString('base64'),
    letter: letter.id,
  })}\n`
}

/** Milliseconds since 1970 of a letter's time. */
export function msOf(time: string): number {
  return Date.parse(`${time.slice(0, 23).replace(' ', 'T')}Z`)
}

function rawData({ stage, payload }: StoredLetter): Uint8Array | string {
  if (stage !== 'commit') return payload
  try {
    return stringifyJson(readTableChange(Buffer.from(payload).toString('utf8')).row)
  } catch {
    // One that was cut.
    return payload
  }
}
