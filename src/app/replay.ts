/** Sending dead letters again, each by the way that its stage says. A letter is marked only after its content is durable. */
import { must } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { readTableChange, tableChangeText } from '../change/table-change.ts'
import { formatIdent } from '../iceberg/catalog/catalog.ts'
import { type DeadLetterStage, deadLetterTable, type StoredLetter } from '../service/deadletter/deadletter.ts'
import { streamLogName } from '../service/streams/streams.ts'
import { readNotification } from '../source/source.ts'
import type { Engine } from './engine.ts'
import { attachDirectory } from './ingest.ts'
import { openSql } from './sql.ts'

/** The table of dead letters, as SQL names it. */
export const DEAD_LETTERS = formatIdent(deadLetterTable.ident)

export interface ReplayOptions {
  /** Beginnings of ids; empty: all open letters. */
  ids: readonly string[]
  stage?: string
  objects?: string
  directory?: string
  bucket?: string
}

export interface ReplayCounts {
  replayed: number
  /** Letters that failed again: they stay open, with the new reason. */
  failed: number
  /** Letters whose payload was cut and cannot be sent. */
  cut: number
}

export async function replayLetters(engine: Engine, options: ReplayOptions): Promise<ReplayCounts> {
  if (options.objects !== undefined) engine.buckets.attachObjects(options.objects)
  if (options.directory !== undefined) {
    if (options.bucket === undefined)
      throw new Fault('invalid', '--directory needs --bucket, the name of the bucket that it is')
    await attachDirectory(engine, options.directory, options.bucket)
  }
  await engine.drain()
  const counts: ReplayCounts = { replayed: 0, failed: 0, cut: 0 }
  for (const letter of await openLetters(engine, options)) {
    if (letter.payloadBytes > letter.payload.length) counts.cut++
    else if (await replay(engine, letter)) counts.replayed++
    else counts.failed++
  }
  await engine.drain()
  return counts
}

async function replay(engine: Engine, letter: StoredLetter): Promise<boolean> {
  const text = Buffer.from(letter.payload).toString('utf8')
  try {
    switch (letter.stage) {
      case 'record':
        await engine.streams.get(letter.stream).retry(letter)
        break
      case 'source': {
        const { events, problems } = readNotification(text)
        if (problems.length > 0) return false
        await engine.objects.accept(events)
        break
      }
      case 'extract': {
        const faults = await engine.objects.refresh([JSON.parse(text) as ObjectEvent])
        if (faults > 0) return false
        break
      }
      case 'commit':
        await replayChange(engine, letter, text)
        break
    }
  } catch (error) {
    await engine.deadLetters.add([{ ...letter, reason: messageOf(error) }])
    return false
  }
  await engine.deadLetters.markReplayed([letter])
  return true
}

/**
 * The journal and streams take the same change again. The other tables take what is known of the version now: the change itself
 * may be older than what they hold.
 */
async function replayChange(engine: Engine, letter: StoredLetter, text: string): Promise<void> {
  const found = engine.streams.list().find((candidate) => streamLogName(candidate.name) === letter.stream)
  if (found !== undefined) return found.retry(letter)
  const { stream } = letter
  const { input, op, row } = readTableChange(text)
  if (stream === 'journal') {
    await must(engine.logs.get(stream), 'the journal log').append([tableChangeText({ input, op, row })])
    return
  }
  await engine.objects.refresh([
    {
      bucket: String(row['bucket']),
      key: String(row['key']),
      versionId: String(row['version_id'] ?? row['versionId']),
    },
  ])
}

async function openLetters(engine: Engine, { ids, stage }: ReplayOptions): Promise<StoredLetter[]> {
  const wrong = ids.find((id) => !/^[0-9a-f]{4,32}$/.test(id))
  if (wrong !== undefined)
    throw new Fault('invalid', `expected an id of 4 to 32 hex digits (see tidewater deadletter list), got "${wrong}"`)
  if (stage !== undefined && !/^(record|source|extract|commit)$/.test(stage))
    throw new Fault('invalid', `--stage: expected record, source, extract or commit, got "${stage}"`)
  const wanted = [
    "status = 'open'",
    ...(stage === undefined ? [] : [`stage = '${stage}'`]),
    ...(ids.length === 0 ? [] : [`(${ids.map((id) => `id LIKE '${id}%'`).join(' OR ')})`]),
  ]
  const session = await openSql(engine)
  try {
    const { rows } = await session.run(
      `SELECT id, stage, stream, code, reason, subject, hex(payload) AS payload, payload_bytes FROM ${DEAD_LETTERS} WHERE ${wanted.join(' AND ')} ORDER BY updated_at, id`,
    )
    return rows.map(([id, at, stream, code, reason, subject, payload, payloadBytes]) => ({
      id: String(id),
      stage: String(at) as DeadLetterStage,
      stream: String(stream),
      code: String(code),
      reason: String(reason),
      subject: String(subject),
      payload: Buffer.from(String(payload), 'hex'),
      payloadBytes: Number(payloadBytes),
      status: 'open',
    }))
  } finally {
    await session.close()
  }
}
