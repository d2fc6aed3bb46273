/**
 * Notifications from a file or a pipe, one JSON document on each line.
 *
 * Memory is bounded by the longest line allowed, `limits.notificationBytesMax`: of a longer one the first bytes, the
 * length and the hash are kept for its problem, and reading goes on behind it.
 */
import { isUtf8 } from 'node:buffer'
import { createHash, type Hash } from 'node:crypto'
import { sha256Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'
import { readNotification } from './envelope.ts'
import { bytesProblem } from './problem.ts'
import type { Notification, Problem } from './source.ts'

export interface EventsFileLine {
  /** Counted from 1, blank lines included. */
  line: number
  result: Notification
}

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d

/** A line as it gathers; `hash` is there from the moment it is too long, and `parts` grow no more. */
interface Gathering {
  parts: Uint8Array[]
  sizeBytes: number
  hash: Hash | null
}

/**
 * Reads lines until the input ends; blank ones are passed over. Lines end with LF or CRLF, the last one needs neither;
 * a byte order mark before the first is dropped.
 *
 * @param input chunks of bytes, such as a file's stream or standard input; its errors pass through
 */
export async function* readEventsFile(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<EventsFileLine> {
  let line = 0
  let gathering: Gathering = { parts: [], sizeBytes: 0, hash: null }
  for await (const chunk of input) {
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      gather(gathering, chunk.subarray(start, end))
      const result = readLine(gathering, ++line)
      if (result !== null) yield { line, result }
      gathering = { parts: [], sizeBytes: 0, hash: null }
      start = end + 1
    }
    gather(gathering, chunk.subarray(start))
  }
  const result = readLine(gathering, ++line)
  if (result !== null) yield { line, result }
}

function gather(gathering: Gathering, bytes: Uint8Array): void {
  gathering.sizeBytes += bytes.length
  if (gathering.hash !== null) {
    gathering.hash.update(bytes)
    return
  }
  // Copied: whoever gives the chunks may use their memory again.
  gathering.parts.push(Uint8Array.from(bytes))
  // One byte more is allowed for the CR of a CRLF, which is not part of the line.
  if (gathering.sizeBytes <= limits.notificationBytesMax + 1) return
  const whole = Buffer.concat(gathering.parts)
  gathering.hash = createHash('sha256').update(whole)
  gathering.parts = [whole.subarray(0, limits.deadLetterPayloadBytesMax)]
}

/** What one line says, or null for a blank one. */
function readLine(gathering: Gathering, line: number): Notification | null {
  const gathered = Buffer.concat(gathering.parts)
  if (gathering.hash !== null) {
    const whole = { sizeBytes: gathering.sizeBytes, sha256: gathering.hash.digest('hex') }
    const message = `line ${line}: expected at most ${limits.notificationBytesMax} bytes, got ${whole.sizeBytes}`
    return only(bytesProblem('too-large', message, gathered, whole))
  }
  const bytes = gathered.at(-1) === CARRIAGE_RETURN ? gathered.subarray(0, -1) : gathered
  if (!isUtf8(bytes)) {
    const message = `line ${line}: expected UTF-8, got other bytes (they are kept in base64)`
    return only(bytesProblem('not-utf8', message, bytes, { sizeBytes: bytes.length, sha256: sha256Hex(bytes) }))
  }
  const text = bytes.toString('utf8')
  // trim also takes a byte order mark, wherever a file of joined files has one.
  return text.trim() === '' ? null : readNotification(text)
}

function only(problem: Problem): Notification {
  return { events: [], problems: [problem], ignored: [] }
}
