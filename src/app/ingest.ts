/** One run over a directory or a file of notifications, to the end: everything found is committed when it resolves. */
import path from 'node:path'
import { limits } from '../base/limits.ts'
import type { ObjectEvent } from '../change/object-event.ts'
import { DirectoryBucket, type DirectoryBucketParts } from '../service/objects/directory-bucket.ts'
import { sourceLetter } from '../service/objects/sources/taker.ts'
import { isExcluded, readEventsFile } from '../source/source.ts'
import type { Engine } from './engine.ts'

export interface IngestCounts {
  events: number
  added: number
  changed: number
  removed: number
  /** Entries of the directory that are no objects: see `OnSkip`. */
  skipped: number
  late: number
  duplicates: number
  ignored: number
  /** Events of objects that the configuration excludes. */
  excluded: number
  problems: number
  extracted: number
  extractFaults: number
  castErrors: number
  /** Rows that were there, whose new columns were filled when the engine started. Their `castErrors` are counted too. */
  filled: number
}

const NOTHING: Pick<IngestCounts, 'added' | 'changed' | 'removed' | 'skipped' | 'ignored' | 'problems'> = {
  added: 0,
  changed: 0,
  removed: 0,
  skipped: 0,
  ignored: 0,
  problems: 0,
}

/**
 * Told in each comparison of each entry that is neither an object nor a folder: a link that leads out of the directory, to no
 * file or to a folder; a pipe, socket or device; a name that is not UTF-8. `file` is relative to the directory.
 */
export type OnSkip = (file: string, reason: string) => void

/** What a directory is attached to; of the objects service, what it is told by. */
export type Attachable = Pick<Engine, 'home' | 'buckets' | 'versions' | 'clock'> & {
  objects: DirectoryBucketParts['objects']
}

/** The directory as a bucket, its bytes attached to the engine. */
export async function attachDirectory(
  engine: Attachable,
  root: string,
  bucket: string,
  onSkip: OnSkip = () => undefined,
): Promise<DirectoryBucket> {
  // Our own state inside the directory is no object: it would change with every commit, and so make the next.
  const inside = path.relative(root, engine.home.dir)
  const excluded =
    inside !== '' && !inside.startsWith('..') && !path.isAbsolute(inside) ? [inside.split(path.sep).join('/')] : []
  const store = await engine.buckets.attachDirectory(bucket, root, (file, reason) => {
    if (!isExcluded(file, excluded)) onSkip(file, reason)
  })
  return new DirectoryBucket({
    bucket,
    root,
    store,
    excluded,
    objects: engine.objects,
    versions: engine.versions,
    clock: engine.clock,
  })
}

export interface IngestDirectory {
  root: string
  bucket: string
  onEvents?: (events: number) => void
  onSkip?: OnSkip
}

export async function ingestDirectory(
  engine: Engine,
  { root, bucket, onEvents, onSkip }: IngestDirectory,
): Promise<IngestCounts> {
  let skipped = 0
  const directory = await attachDirectory(engine, root, bucket, (file, reason) => {
    skipped++
    onSkip?.(file, reason)
  })
  // What an interrupted run left in the logs comes first: a comparison needs to know of it.
  await engine.drain()
  const counts = await directory.sync(onEvents)
  await engine.drain()
  return { ...NOTHING, ...stageCounts(engine), ...counts, skipped }
}

export interface IngestEvents {
  input: AsyncIterable<Uint8Array>
  /** For the subjects of dead letters. */
  name: string
  /** Folder of recorded objects. */
  objects?: string
  onEvents?: (events: number) => void
}

export async function ingestEvents(
  engine: Engine,
  { input, name, objects, onEvents }: IngestEvents,
): Promise<IngestCounts> {
  if (objects !== undefined) engine.buckets.attachObjects(objects)
  const counts = { ...NOTHING }
  let batch: ObjectEvent[] = []
  let told = 0
  for await (const { line, result } of readEventsFile(input)) {
    batch.push(...result.events)
    counts.ignored += result.ignored.length
    counts.problems += result.problems.length
    if (result.problems.length > 0)
      await engine.deadLetters.add(result.problems.map((problem) => sourceLetter(problem, `${name}:${line}`)))
    if (batch.length >= limits.extractWindow) {
      await engine.objects.accept(batch)
      told += batch.length
      batch = []
      onEvents?.(told)
    }
  }
  await engine.objects.accept(batch)
  await engine.drain()
  return { ...counts, ...stageCounts(engine) }
}

/** What the stage did since the engine was opened. */
export function stageCounts({ objects: { counts }, filled }: Engine): Omit<IngestCounts, keyof typeof NOTHING> {
  return {
    events: counts.events,
    excluded: counts.excluded,
    late: counts.byEffect.late,
    duplicates: counts.byEffect.duplicate,
    extracted: counts.extracted,
    extractFaults: counts.extractFaults,
    castErrors: counts.castErrors + filled.castErrors,
    filled: filled.rows,
  }
}
