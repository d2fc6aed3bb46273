/**
 * Dead letters: what could not be taken, kept with its reason and its bytes, and sent again when the cause is gone.
 *
 * They are a table like any other, `tidewater.dead_letters`, fed by a log: a letter is durable when `add` resolves.
 * A letter's id is a function of what it is about, so the same failure told again after a crash is the same row.
 *
 * Times grow with every letter, by a microsecond at least: letters of one request are sent again in the order of its records.
 */

import type { Clock } from '../../base/clock.ts'
import { sha256Hex } from '../../base/hash.ts'
import { limits } from '../../base/limits.ts'
import { tableChangeText } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'
import type { TableDefinition } from '../../table/table.ts'

export { checkErrorPrefix } from './error-prefix.ts'

/**
 * Where it failed, which decides what its bytes are and how it is replayed:
 * - `record`: a record that its stream could not turn into a row; the bytes are the record as it came
 * - `source`: a notification that could not be understood; the bytes are the document as it came
 * - `extract`: an object whose bytes an extractor could not read; the bytes are the object event as JSON
 * - `commit`: a change that its table refused; the bytes are the log entry
 */
export type DeadLetterStage = 'record' | 'source' | 'extract' | 'commit'

export interface DeadLetter {
  stage: DeadLetterStage
  /** The log or service that it came through, e.g. `objects`. */
  stream: string
  /** Short and stable, for grouping: `unreadable`, `truncated`, `timeout`, … */
  code: string
  /** A sentence: expected, got, where. */
  reason: string
  payload: Uint8Array
  /** Whole length of what `payload` is the beginning of; default: its own length. */
  payloadBytes?: number
  /** SHA-256 of the whole, in hex, where `payload` is its beginning: what begins alike is not the same. */
  payloadSha256?: string
  /** What it is about, for people: `bucket/key@version` or `file:line`. */
  subject: string
  /** When it came, ms since 1970; default: when it failed. */
  receivedMs?: number
  /** How often it was tried before it was given up; default: once. */
  tries?: number
}

/** A letter as the table holds it. */
export interface StoredLetter extends DeadLetter {
  id: string
  /** `settled`: what it is about is gone or was replaced, so nothing is to be done. */
  status: 'open' | 'replayed' | 'settled'
  /** Whole length of the payload; more than `payload` holds when it was cut. */
  payloadBytes: number
  /** How often it was tried, in all. */
  attempt: number
  /** UTC, `2026-11-21 04:00:00.000000`. */
  receivedAt: string
  firstFailedAt: string
  lastFailedAt: string
}

export const deadLetterTable: TableDefinition = {
  ident: { namespace: ['tidewater'], name: 'dead_letters' },
  mode: 'upsert',
  key: ['id'],
  schema: {
    type: 'struct',
    'schema-id': 0,
    'identifier-field-ids': [1],
    fields: [
      { id: 1, name: 'id', required: true, type: 'string' },
      { id: 2, name: 'stage', required: false, type: 'string' },
      { id: 3, name: 'stream', required: false, type: 'string' },
      { id: 4, name: 'code', required: false, type: 'string' },
      { id: 5, name: 'reason', required: false, type: 'string' },
      { id: 6, name: 'subject', required: false, type: 'string' },
      { id: 7, name: 'payload', required: false, type: 'binary' },
      { id: 8, name: 'payload_bytes', required: false, type: 'long' },
      { id: 9, name: 'status', required: false, type: 'string' },
      { id: 10, name: 'updated_at', required: false, type: 'timestamp' },
      { id: 11, name: 'attempt', required: false, type: 'int' },
      { id: 12, name: 'received_at', required: false, type: 'timestamp' },
      { id: 13, name: 'first_failed_at', required: false, type: 'timestamp' },
      { id: 14, name: 'last_failed_at', required: false, type: 'timestamp' },
    ],
  },
}

/** The id of a letter: hash of stage, stream, subject, code and bytes; of what was cut, the hash of all of it stands for the bytes. */
export function letterId(letter: DeadLetter): string {
  const { payload, payloadBytes = payload.length, payloadSha256 } = letter
  const head = JSON.stringify([letter.stage, letter.stream, letter.subject, letter.code])
  const isCut = payloadBytes > payload.length && payloadSha256 !== undefined
  return sha256Hex(Buffer.concat([Buffer.from(head), isCut ? Buffer.from(payloadSha256) : payload])).slice(0, 32)
}

export class DeadLetters {
  readonly #log: Log
  readonly #clock: Clock
  /** The last time that was given, µs since 1970. */
  #lastUs = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** Durable when it resolves. A payload beyond the bound is cut; its whole length is kept. */
  async add(letters: readonly DeadLetter[]): Promise<void> {
    await this.#append(letters.map((letter) => this.#stored(letter, 'open')))
  }

  /** Closes letters that were added and that nothing is to be done about any more. */
  async settle(letters: readonly DeadLetter[]): Promise<void> {
    await this.#append(letters.map((letter) => this.#stored(letter, 'settled')))
  }

  /** Letters that were sent again and failed again, with their new reasons and what `tries` that took: they stay open. */
  async failedAgain(letters: readonly StoredLetter[]): Promise<void> {
    await this.#append(
      letters.map((letter) => ({
        ...letter,
        attempt: letter.attempt + (letter.tries ?? 1),
        lastFailedAt: this.#nextTime(),
      })),
    )
  }

  /** Marks letters as sent again. */
  async markReplayed(letters: readonly StoredLetter[]): Promise<void> {
    await this.#append(letters.map((letter) => ({ ...letter, status: 'replayed' })))
  }

  /** Deletes letters. Durable when it resolves. @param ids `limits.lettersExpiredAtOnce` at most */
  async forget(ids: readonly string[]): Promise<void> {
    if (ids.length > 0)
      await this.#log.append(ids.map((id) => tableChangeText({ input: 0, op: 'delete', row: { id } })))
  }

  #nextTime(): string {
    this.#lastUs = Math.max(this.#clock.nowMs() * 1000, this.#lastUs + 1)
    return timeText(this.#lastUs)
  }

  #stored(letter: DeadLetter, status: StoredLetter['status']): StoredLetter {
    const now = this.#nextTime()
    const { receivedMs } = letter
    return {
      ...letter,
      id: letterId(letter),
      status,
      payloadBytes: letter.payloadBytes ?? letter.payload.length,
      attempt: letter.tries ?? 1,
      receivedAt: receivedMs === undefined ? now : timeText(receivedMs * 1000),
      firstFailedAt: now,
      lastFailedAt: now,
    }
  }

  async #append(letters: readonly StoredLetter[]): Promise<void> {
    let batch: string[] = []
    let bytes = 0
    const flush = async () => {
      if (batch.length > 0) await this.#log.append(batch)
      batch = []
      bytes = 0
    }
    const updatedAt = timeText(this.#clock.nowMs() * 1000)
    for (const letter of letters) {
      const text = tableChangeText({ input: 0, op: 'upsert', row: rowOf(letter, updatedAt) })
      const size = Buffer.byteLength(text)
      if (bytes + size > limits.logBatchBytesMax || batch.length === limits.logBatchEntriesMax) await flush()
      batch.push(text)
      bytes += size
    }
    await flush()
  }
}

function rowOf(letter: StoredLetter, updatedAt: string) {
  return {
    id: letter.id,
    stage: letter.stage,
    stream: letter.stream,
    code: letter.code,
    reason: letter.reason,
    subject: letter.subject,
    payload: Buffer.from(letter.payload.subarray(0, limits.deadLetterPayloadBytesMax)).toString('hex'),
    payload_bytes: letter.payloadBytes,
    status: letter.status,
    updated_at: updatedAt,
    attempt: letter.attempt,
    received_at: letter.receivedAt,
    first_failed_at: letter.firstFailedAt,
    last_failed_at: letter.lastFailedAt,
  }
}

/** A letter as `add` and its like have put it into the log. */
export function readLetter(row: ReturnType<typeof rowOf>): StoredLetter {
  return {
    id: row.id,
    stage: row.stage,
    stream: row.stream,
    code: row.code,
    reason: row.reason,
    subject: row.subject,
    payload: Buffer.from(row.payload, 'hex'),
    payloadBytes: Number(row.payload_bytes),
    status: row.status,
    // Entries of before the columns were there.
    attempt: row.attempt ?? 1,
    receivedAt: row.received_at ?? row.updated_at,
    firstFailedAt: row.first_failed_at ?? row.updated_at,
    lastFailedAt: row.last_failed_at ?? row.updated_at,
  }
}

/** @param us since 1970 */
function timeText(us: number): string {
  const ms = Math.floor(us / 1000)
  const text = new Date(ms).toISOString().replace('T', ' ').replace('Z', '')
  return `${text}${String(us - ms * 1000).padStart(3, '0')}`
}
