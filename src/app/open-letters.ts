/**
 * Letters that are open, a page at a time, in the order in which they failed first: what is sent again changes no page after it, and
 * letters that fail first after the replay began are not of it.
 */
import { z } from 'zod'
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { formatIdent } from '../iceberg/catalog/catalog.ts'
import type { QuerySession } from '../query/query.ts'
import { type DeadLetterStage, deadLetterTable, type StoredLetter } from '../service/deadletter/deadletter.ts'
import { STREAM_NAME } from '../service/streams/definition.ts'
import { streamLogName } from '../service/streams/streams.ts'

/** The table of dead letters, as SQL names it. */
export const DEAD_LETTERS = formatIdent(deadLetterTable.ident)

export interface LetterChoice {
  /** Beginnings of ids; empty: all open letters. */
  ids?: readonly string[] | undefined
  stage?: string | undefined
  /** Only letters of this stream. */
  stream?: string | undefined
}

/** A place in the order of letters, and the time at which the replay began. */
export interface Cursor {
  until: string
  time: string
  id: string
}

const TIME = /^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?$/
const cursorShape = z.tuple([z.string().regex(TIME), z.string().regex(TIME), z.string().regex(/^[0-9a-f]{0,32}$/)])

export function cursorText({ until, time, id }: Cursor): string {
  return Buffer.from(JSON.stringify([until, time, id])).toString('base64url')
}

/** @throws Fault `invalid` */
export function readCursor(text: string): Cursor {
  try {
    const [until, time, id] = cursorShape.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
    return { until, time, id }
  } catch (error) {
    throw new Fault('invalid', `after: expected what the answer before gave, got "${text.slice(0, 80)}"`, {}, error)
  }
}

/** Before all letters. */
export function firstCursor(nowMs: number): Cursor {
  return {
    until: new Date(nowMs).toISOString().replace('T', ' ').replace('Z', ''),
    time: '1970-01-01 00:00:00',
    id: '',
  }
}

/** The letters of a choice that are open. @throws Fault `invalid` */
export function choiceSql(choice: LetterChoice): string {
  return ["status = 'open'", ...choiceTerms(choice)].join(' AND ')
}

/** What a choice asks of letters, whatever became of them. @throws Fault `invalid` */
export function choiceTerms({ ids = [], stage, stream }: LetterChoice): string[] {
  const wrong = ids.find((id) => !/^[0-9a-f]{4,32}$/.test(id))
  if (wrong !== undefined)
    throw new Fault('invalid', `expected an id of 4 to 32 hex digits (see tidewater deadletter list), got "${wrong}"`)
  if (stage !== undefined && !/^(record|source|extract|commit)$/.test(stage))
    throw new Fault('invalid', `--stage: expected record, source, extract or commit, got "${stage}"`)
  if (stream !== undefined && !STREAM_NAME.test(stream))
    throw new Fault('invalid', `--stream: expected the name of a stream, got "${stream.slice(0, 80)}"`)
  return [
    ...(stage === undefined ? [] : [`stage = '${stage}'`]),
    ...(stream === undefined ? [] : [`stream IN ('${stream}', '${streamLogName(stream)}')`]),
    ...(ids.length === 0 ? [] : [`(${ids.map((id) => `id LIKE '${id}%'`).join(' OR ')})`]),
  ]
}

/**
 * A stream that is not there may have left letters; a name that nothing ever had is a mistake.
 * @param isKnown is there such a stream?
 * @throws Fault `not-found`
 */
export async function requireStream(
  session: QuerySession,
  stream: string | undefined,
  isKnown: (stream: string) => boolean | Promise<boolean>,
): Promise<void> {
  if (stream === undefined || (await isKnown(stream))) return
  const { rows } = await session
    .run(`SELECT 1 FROM ${DEAD_LETTERS} WHERE ${choiceTerms({ stream }).join(' AND ')} LIMIT 1`)
    .catch((error: unknown) => {
      // A home that never had a letter has no table of them.
      if (isFault(error, 'not-found')) return { rows: [] }
      throw error
    })
  if (rows.length === 0)
    throw new Fault(
      'not-found',
      `--stream: there is no stream ${JSON.stringify(stream)}, and no letter of one; tidewater stream list shows them`,
    )
}

/** Letters of before the columns were there have one time only. */
const FAILED = 'coalesce(first_failed_at, updated_at)'

/** The next letters after `cursor`, bounded in number and bytes, but one at least if there is any. */
export async function letterPage(
  session: QuerySession,
  where: string,
  { until, time, id }: Cursor,
  most: number,
): Promise<StoredLetter[]> {
  const after = `${FAILED} <= TIMESTAMP '${until}' AND (${FAILED} > TIMESTAMP '${time}' OR (${FAILED} = TIMESTAMP '${time}' AND id > '${id}'))`
  const next = `FROM ${DEAD_LETTERS} WHERE ${where} AND ${after} ORDER BY ${FAILED}, id LIMIT`
  const sizes = await session.run(
    `SELECT octet_length(payload) AS bytes ${next} ${Math.min(most, limits.replayPageLetters)}`,
  )
  let bytes = 0
  const fit = sizes.rows.findIndex(([size]) => {
    bytes += Number(size ?? 0)
    return bytes > limits.replayPageBytes
  })
  const count = fit < 0 ? sizes.rows.length : Math.max(1, fit)
  if (count === 0) return []
  const text = (column: string) => `CAST(${column} AS VARCHAR)`
  const { rows } = await session.run(
    `SELECT id, stage, stream, code, reason, subject, hex(payload) AS payload, payload_bytes, coalesce(attempt, 1) AS attempt,
     ${text('coalesce(received_at, updated_at)')} AS received, ${text(FAILED)} AS first, ${text('coalesce(last_failed_at, updated_at)')} AS last
     ${next} ${count}`,
  )
  return rows.map(
    ([letter, stage, stream, code, reason, subject, payload, payloadBytes, attempt, received, first, last]) => ({
      id: String(letter),
      stage: String(stage) as DeadLetterStage,
      stream: String(stream),
      code: String(code),
      reason: String(reason),
      subject: String(subject),
      payload: Buffer.from(String(payload), 'hex'),
      payloadBytes: Number(payloadBytes),
      status: 'open',
      attempt: Number(attempt),
      receivedAt: String(received),
      firstFailedAt: String(first),
      lastFailedAt: String(last),
    }),
  )
}
