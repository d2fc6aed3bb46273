/**
 * Entries as text: the check at the door and the stamp with their offset. Both adapters use it, so that both refuse and
 * store the same. The check is cheap on purpose: it never parses, it looks only at the ends and for line feeds.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

const OPEN = 0x7b
const CLOSE = 0x7d
const QUOTE = 0x22

/**
 * Checks one append call.
 * @returns the UTF-8 bytes of its texts in sum
 * @throws Fault `limit` (an entry or the call is too large), `invalid` (an entry is not an object on one line)
 */
export function checkEntries(logName: string, entries: readonly string[]): number {
  if (entries.length > limits.logBatchEntriesMax) {
    throw new Fault(
      'limit',
      `One append to log ${logName} takes at most ${limits.logBatchEntriesMax} entries, got ${entries.length}: split it.`,
      { log: logName, entries: entries.length },
    )
  }
  let bytes = 0
  for (let at = 0; at < entries.length; at++) {
    const text = entries[at]!
    const complaint = complaintAbout(text)
    if (complaint !== undefined) {
      throw new Fault(
        'invalid',
        `Log ${logName} takes JSON objects, each as text on one line, but entry ${at} of the append ${complaint}: ${excerpt(text)}`,
        { log: logName, entry: at },
      )
    }
    const entryBytes = Buffer.byteLength(text)
    if (entryBytes > limits.logEntryBytesMax) {
      throw new Fault(
        'limit',
        `An entry of log ${logName} has at most ${limits.logEntryBytesMax} bytes, but entry ${at} of the append has ${entryBytes}.`,
        { log: logName, entry: at, bytes: entryBytes },
      )
    }
    bytes += entryBytes
  }
  if (bytes <= limits.logBatchBytesMax) return bytes
  throw new Fault(
    'limit',
    `One append to log ${logName} takes at most ${limits.logBatchBytesMax} bytes, got ${bytes}: split it.`,
    { log: logName, bytes },
  )
}

/** The stored line without its line feed: `{"offset":N,` and the rest of the object. */
export function stamp(offset: number, text: string): string {
  return isEmptyObject(text) ? `{"offset":${offset}}` : `{"offset":${offset},${text.slice(1)}`
}

function complaintAbout(text: string): string | undefined {
  if (text.charCodeAt(0) !== OPEN) return 'does not begin with {'
  if (text.charCodeAt(text.length - 1) !== CLOSE || text.length < 2) return 'does not end with }'
  if (text.includes('\n') || text.includes('\r')) return 'has a line break'
  const first = firstAfterBrace(text)
  if (first !== QUOTE && first !== CLOSE) return 'has no member name after {'
  if (text.startsWith('{"offset":')) return 'has a member "offset", which the log itself adds'
  if (!text.isWellFormed()) return 'has half a surrogate pair, which UTF-8 cannot hold'
  return undefined
}

function isEmptyObject(text: string): boolean {
  return text.length === 2 || firstAfterBrace(text) === CLOSE
}

function firstAfterBrace(text: string): number {
  let at = 1
  while (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09) at++
  return text.charCodeAt(at)
}

function excerpt(text: string): string {
  return text.length <= 80 ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, 80))}… (${text.length} characters)`
}
