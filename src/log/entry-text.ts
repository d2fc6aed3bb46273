/**
 * Entries at the door: the check of their texts and of their sizes, and texts as what writes itself. Both adapters use it, so that
 * both refuse and store the same. The check is cheap on purpose: it never parses, it looks only at the ends and for line feeds.
 */
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { EntrySource } from './log.ts'

const OPEN = 0x7b
const CLOSE = 0x7d
const QUOTE = 0x22
const COMMA = 0x2c

/**
 * What one append call brings, checked.
 * @throws Fault `limit` (an entry or the call is too large), `invalid` (an entry is not an object on one line)
 */
export function checkEntries(logName: string, entries: readonly string[] | EntrySource): EntrySource {
  if (entries.length > limits.logBatchEntriesMax) {
    throw new Fault(
      'limit',
      `One append to log ${logName} takes at most ${limits.logBatchEntriesMax} entries, got ${entries.length}: split it.`,
      { log: logName, entries: entries.length },
    )
  }
  const source = 'write' in entries ? entries : textEntries(logName, entries)
  if (source.bytesMax > limits.logEntryBytesMax) throw entryTooLarge(logName, source.bytesMax)
  if (source.bytes <= limits.logBatchBytesMax) return source
  throw new Fault(
    'limit',
    `One append to log ${logName} takes at most ${limits.logBatchBytesMax} bytes, got ${source.bytes}: split it.`,
    { log: logName, bytes: source.bytes },
  )
}

function entryTooLarge(logName: string, bytes: number, entry?: number): Fault {
  return new Fault(
    'limit',
    `An entry of log ${logName} has at most ${limits.logEntryBytesMax} bytes, but ${entry === undefined ? 'one' : `entry ${entry}`} of the append has ${bytes}.`,
    { log: logName, bytes, ...(entry === undefined ? {} : { entry }) },
  )
}

function textEntries(logName: string, texts: readonly string[]): TextEntries {
  let bytes = 0
  let bytesMax = 0
  for (let at = 0; at < texts.length; at++) {
    const text = texts[at]!
    const complaint = complaintAbout(text)
    if (complaint !== undefined) {
      throw new Fault(
        'invalid',
        `Log ${logName} takes JSON objects, each as text on one line, but entry ${at} of the append ${complaint}: ${excerpt(text)}`,
        { log: logName, entry: at },
      )
    }
    const entryBytes = Buffer.byteLength(text)
    if (entryBytes > limits.logEntryBytesMax) throw entryTooLarge(logName, entryBytes, at)
    bytes += entryBytes
    bytesMax = Math.max(bytesMax, entryBytes)
  }
  return new TextEntries(texts, bytes, bytesMax)
}

class TextEntries implements EntrySource {
  readonly bytes: number
  readonly bytesMax: number
  readonly #texts: readonly string[]

  constructor(texts: readonly string[], bytes: number, bytesMax: number) {
    this.#texts = texts
    this.bytes = bytes
    this.bytesMax = bytesMax
  }

  get length(): number {
    return this.#texts.length
  }

  write(at: number, into: Buffer, from: number): number {
    const text = this.#texts[at]!
    if (isEmptyObject(text)) {
      into[from] = CLOSE
      return from + 1
    }
    const end = from + into.write(text, from)
    into[from] = COMMA
    return end
  }
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
