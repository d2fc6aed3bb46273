/**
 * Sending dead letters again, each by the way that its stage says, in the order in which they failed.
 *
 * Invariants
 * 1. A letter is marked only after its content is durable.
 * 2. A record lands once: its stream knows the letters that it took until their marks are durable, and a replay begins with every
 *    mark of before in the table. One replay runs at a time.
 *
 * Crash story: killed between the content and the mark, the letter is open, and the next replay finds that its stream has it.
 */
import { must } from '../base/assert.ts'
import { eachAtOnce } from '../base/each-at-once.ts'
import { Fault, isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { readTableChange, tableChangeText } from '../change/table-change.ts'
import type { StoredLetter } from '../service/deadletter/deadletter.ts'
import { msOf } from '../service/deadletter/error-line.ts'
import { type Stream, streamLogName } from '../service/streams/streams.ts'
import { readNotification } from '../source/source.ts'
import type { Engine } from './engine.ts'
import { attachDirectory } from './ingest.ts'
import {
  choiceSql,
  cursorText,
  firstCursor,
  type LetterChoice,
  letterPage,
  readCursor,
  requireStream,
} from './open-letters.ts'
import { openSql } from './sql.ts'

export { choiceTerms, DEAD_LETTERS, requireStream } from './open-letters.ts'

export interface ReplayOptions extends LetterChoice {
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

export interface ReplayRequest extends LetterChoice {
  /** Where the part before ended. */
  after?: string | undefined
}

export interface ReplayPart extends ReplayCounts {
  /** Where the next part begins; null: all letters were looked at. */
  next: string | null
}

/** All letters that are chosen, by a process that holds the home and follows nothing. */
export async function replayLetters(engine: Engine, options: ReplayOptions): Promise<ReplayCounts> {
  if (options.objects !== undefined) engine.buckets.attachObjects(options.objects)
  if (options.directory !== undefined) {
    if (options.bucket === undefined)
      throw new Fault('invalid', '--directory needs --bucket, the name of the bucket that it is')
    await attachDirectory(engine, options.directory, options.bucket)
  }
  await engine.drain()
  const sum: ReplayCounts = { replayed: 0, failed: 0, cut: 0 }
  for (let after: string | undefined | null; after !== null; ) {
    const { next, ...counts } = await replayPart(engine, { ...options, after }, choiceSql(options))
    for (const name of ['replayed', 'failed', 'cut'] as const) sum[name] += counts[name]
    after = next
  }
  await engine.drain()
  return sum
}

/**
 * A part of the letters, while the engine follows its logs.
 * @throws Fault `invalid` (choice), `not-found` (no such stream), `conflict` (another replay runs), `unavailable`: what was sent
 * before is marked
 */
export async function replayWhileServing(engine: Engine, request: ReplayRequest): Promise<ReplayPart> {
  return replayPart(engine, request, choiceSql(request))
}

const running = new WeakSet<Engine>()

async function replayPart(engine: Engine, { after, stream }: ReplayRequest, where: string): Promise<ReplayPart> {
  if (running.has(engine))
    throw new Fault('conflict', 'a replay of dead letters is under way; ask again when it is done')
  running.add(engine)
  const lettersFeed = must(engine.feeds.get('dead-letters'), 'the feed of dead letters')
  const counts: ReplayCounts = { replayed: 0, failed: 0, cut: 0 }
  try {
    // Marks of before are in the table from here on.
    await lettersFeed.drain()
    const session = await openSql(engine)
    try {
      await requireStream(session, stream, (name) => engine.streams.names().includes(name))
      let cursor = after === undefined || after === null ? firstCursor(engine.clock.nowMs() + 1) : readCursor(after)
      let left: number = limits.replayRequestLetters
      const reloaded = new Set<Stream>()
      while (left > 0) {
        const page = await letterPage(session, where, cursor, left)
        const last = page.at(-1)
        if (last === undefined) break
        await replayPage(engine, page, counts, reloaded)
        cursor = { ...cursor, time: last.firstFailedAt, id: last.id }
        left -= page.length
      }
      await lettersFeed.drain()
      return { ...counts, next: left > 0 ? null : cursorText(cursor) }
    } finally {
      await session.close()
    }
  } finally {
    running.delete(engine)
  }
}

interface Sent {
  letter: StoredLetter
  /** Why it stays open; null: it was taken. */
  problem: { code?: string; message: string; tries?: number } | null
}

/** @param reloaded streams whose functions were read anew for this part */
async function replayPage(
  engine: Engine,
  page: readonly StoredLetter[],
  counts: ReplayCounts,
  reloaded: Set<Stream>,
): Promise<void> {
  const whole = page.filter(({ payload, payloadBytes }) => payloadBytes <= payload.length)
  counts.cut += page.length - whole.length
  const byStream = new Map<Stream, StoredLetter[]>()
  const others: StoredLetter[] = []
  const sent: Sent[] = []
  for (const letter of whole) {
    const stream = streamOf(engine, letter)
    if (stream !== null) byStream.set(stream, [...(byStream.get(stream) ?? []), letter])
    else others.push(letter)
  }
  for (const [stream, letters] of byStream) {
    // Who sends letters again has mended something: the function, as its file is now.
    if (!reloaded.has(stream)) await engine.streams.reload(stream.name)
    reloaded.add(stream)
    const problems = await retry(engine, stream, letters)
    sent.push(...letters.map((letter, at) => ({ letter, problem: problems[at] ?? null })))
  }
  // Appends at one time share their sync.
  sent.push(...(await Promise.all(others.filter(isSource).map((letter) => replayOther(engine, letter)))))
  const objects = others.filter(isObject)
  await eachAtOnce(limits.reextractAtOnce, objects, async (letter) => void sent.push(await replayOther(engine, letter)))
  const rest = others.filter((letter) => !isSource(letter) && !isObject(letter))
  for (const letter of rest) sent.push(await replayOther(engine, letter))

  const taken = sent.flatMap(({ letter, problem }) => (problem === null ? [letter] : []))
  await engine.deadLetters.markReplayed(taken)
  for (const [stream, letters] of byStream)
    await stream.settle(letters.filter((letter) => taken.includes(letter)).map(({ id }) => id))
  const refused = sent.flatMap(({ letter, problem }) =>
    problem === null
      ? []
      : [{ ...letter, code: problem.code ?? letter.code, reason: problem.message, tries: problem.tries ?? 1 }],
  )
  await engine.deadLetters.failedAgain(refused)
  counts.replayed += taken.length
  counts.failed += refused.length
}

function isSource({ stage }: StoredLetter): boolean {
  return stage === 'source'
}

function isObject({ stage }: StoredLetter): boolean {
  return stage === 'extract'
}

/** The stream that a letter goes to again; null: it is none of a stream, or of one that is not there. */
function streamOf({ streams }: Engine, { stage, stream }: StoredLetter): Stream | null {
  if (stage !== 'record' && stage !== 'commit') return null
  return streams.list().find(({ name }) => (stage === 'record' ? name : streamLogName(name)) === stream) ?? null
}

async function retry({ streams }: Engine, stream: Stream, letters: readonly StoredLetter[]) {
  const again = () => stream.retry(letters.map((letter) => ({ ...letter, receivedMs: msOf(letter.receivedAt) })))
  try {
    return await again()
  } catch (error) {
    // Too much waits to be committed: that comes first, unless somebody holds it back.
    if (!isFault(error, 'unavailable') || error.facts['backlogBytes'] === undefined || stream.paused) throw error
    await streams.drain(stream.name)
    return again()
  }
}

async function replayOther(engine: Engine, letter: StoredLetter): Promise<Sent> {
  try {
    return { letter, problem: await sendAgain(engine, letter) }
  } catch (error) {
    return { letter, problem: { message: messageOf(error) } }
  }
}

async function sendAgain(engine: Engine, letter: StoredLetter): Promise<Sent['problem']> {
  const text = Buffer.from(letter.payload).toString('utf8')
  switch (letter.stage) {
    case 'record':
      // Says that there is no such stream, or why it cannot be opened.
      engine.streams.get(letter.stream)
      throw new Fault('unavailable', `stream ${letter.stream} takes no records now`)
    case 'source': {
      const { events, problems } = readNotification(text)
      if (problems.length > 0) return { message: letter.reason }
      await engine.objects.accept(events)
      return null
    }
    case 'extract': {
      const reason = await engine.objects.askAgain(JSON.parse(text) as ObjectEvent, letter.code)
      return reason === null ? null : { message: reason }
    }
    case 'commit':
      return replayChange(engine, letter, text)
  }
}

/**
 * The journal takes the same change again. The other tables take what is known of the version now: the change itself may be older
 * than what they hold.
 */
async function replayChange(engine: Engine, { stream }: StoredLetter, text: string): Promise<null> {
  if (stream.startsWith(streamLogName('')))
    throw new Fault('not-found', `there is no stream ${stream.slice(streamLogName('').length)}; make it again first`)
  const { input, op, row } = readTableChange(text)
  if (stream === 'journal') {
    await must(engine.logs.get(stream), 'the journal log').append([tableChangeText({ input, op, row })])
    return null
  }
  await engine.objects.passOn({
    bucket: String(row['bucket']),
    key: String(row['key']),
    versionId: String(row['version_id'] ?? row['versionId']),
  })
  return null
}
