/** `tidewater ingest`: brings the tables in step with a directory, a bucket, or recorded notifications. */
import { createReadStream } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import type { Engine } from '../app/engine.ts'
import { type IngestCounts, ingestDirectory, ingestEvents, type OnSkip } from '../app/ingest.ts'
import { Fault } from '../base/fault.ts'
import type { CommitReport, FeedEvent } from '../table/table.ts'
import {
  type HomeOptions,
  homeOption,
  interruptSignal,
  requireFile,
  requireFolder,
  settingOf,
  warn,
  withEngine,
} from './common.ts'
import { EXIT } from './exit.ts'
import { type BucketIngestCounts, besideServer, bucketLocation, ingestBucket, withBucket } from './ingest-bucket.ts'
import { type Progress, progressLine } from './progress.ts'
import { SkippedFiles } from './skipped.ts'
import { tellCommit, watchDirectory } from './watch.ts'

interface IngestOptions extends HomeOptions {
  bucket?: string
  events?: string
  objects?: string
  json?: boolean
  watch?: boolean
  versions?: boolean
  anew?: boolean
}

export function addIngest(program: Command): void {
  homeOption(program.command('ingest [location]'))
    .description('bring the tables in step with a directory, a bucket, or recorded notifications')
    .option('--bucket <name>', "name of the directory's bucket (default: the directory's own name)")
    .option('--watch', 'go on watching the directory, one line per commit; Ctrl-C ends')
    .option('--events <file>', 'notifications, one JSON document on each line; - reads standard input')
    .option('--objects <dir>', 'with --events: where the bytes are, <dir>/<bucket>/<key> or <key>@<versionId>')
    .option('--versions', 'with s3://…: list versions and markers (default: as the bucket keeps them)')
    .option('--anew', 'with s3://…: do not go on where an earlier run was ended')
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      `
Examples:
  tidewater ingest ~/Pictures --bucket photos
  tidewater ingest ~/Pictures --bucket photos --watch
  tidewater ingest s3://photos/2024/
  tidewater ingest --events notifications.jsonl --objects recorded/
  aws sqs receive-message --queue-url … | tidewater ingest --events - --objects recorded/

A location is a directory, or s3://bucket with a prefix or without; a bucket is reached as the configuration says (s3, objects.buckets).
Running it again commits nothing new, and after a run that was ended goes on where that was. Lines that cannot be understood go to dead letters (tidewater deadletter list).`,
    )
    .action(async (dir: string | undefined, options: IngestOptions) => {
      if ((dir === undefined) === (options.events === undefined)) {
        throw new Fault('invalid', 'expected a directory, s3://bucket, or --events FILE; see tidewater ingest --help')
      }
      const location = dir === undefined ? undefined : bucketLocation(dir)
      if (location === undefined) await check(dir, options)
      else checkBucket(options)
      const loaded = await settingOf(options)
      const config = location === undefined ? loaded.config : withBucket(loaded.config, location.bucket)
      const setting = { ...loaded, config }
      const progress = progressLine()
      const commits: CommitReport[] = []
      const skipped = new SkippedFiles()
      const signal = interruptSignal()
      let tell = (event: FeedEvent) => {
        if (event.kind === 'committed') commits.push(event.report)
        if (event.kind === 'upkeep-failed') {
          progress.clear()
          warn(`upkeep of ${event.table} failed and comes with the next run: ${event.fault.message}`)
        }
      }
      const ingesting = withEngine(
        {
          ...setting,
          onEvent: (event) => tell(event),
          onProgress: ({ events, extracted }) => progress.show(`${events} events, ${extracted} objects read`),
        },
        async (engine) => {
          if (location !== undefined) {
            const counts = await ingestBucket(engine, location, { ...bucketOptions(options), signal, progress })
            progress.clear()
            print(counts, skipped, commits, options.json === true)
            if (counts.tooMany > 0) process.exitCode = EXIT.partly
            return
          }
          warnOfAnotherDirectory(engine, dir, options)
          const counts = await run(engine, dir, options, progress, skipped.note)
          progress.clear()
          print(counts, skipped, commits, options.json === true)
          if (options.watch !== true || dir === undefined || signal.aborted) return
          tell = tellCommit
          await watchDirectory(engine, path.resolve(dir), bucketOf(path.resolve(dir), options), signal, skipped)
        },
      )
      await (location === undefined ? ingesting : besideServer(location.bucket, ingesting))
    })
}

function checkBucket({ bucket, events, objects, watch }: IngestOptions): void {
  if (bucket !== undefined) throw new Fault('invalid', '--bucket goes with a directory; s3://… names its bucket')
  if (events !== undefined || objects !== undefined)
    throw new Fault('invalid', '--events and --objects do not go with s3://…')
  if (watch === true)
    throw new Fault(
      'invalid',
      '--watch goes with a directory; a bucket tells of itself by notifications (tidewater start)',
    )
}

function bucketOptions({ versions, anew }: IngestOptions) {
  return { ...(versions === undefined ? {} : { versions }), ...(anew === undefined ? {} : { anew }) }
}

/** What the command line names must be there before anything is opened or made. */
async function check(dir: string | undefined, options: IngestOptions): Promise<void> {
  const { bucket, events, objects, watch, versions, anew } = options
  if (versions !== undefined || anew !== undefined) throw new Fault('invalid', '--versions and --anew go with s3://…')
  if (dir !== undefined) {
    if (objects !== undefined)
      throw new Fault('invalid', '--objects goes with --events; a directory holds its own bytes')
    await requireFolder(path.resolve(dir), 'the directory to ingest')
    bucketOf(path.resolve(dir), options)
    return
  }
  if (watch === true) throw new Fault('invalid', '--watch goes with a directory; a file of events has an end')
  if (bucket !== undefined) throw new Fault('invalid', '--bucket goes with a directory; events name their buckets')
  if (events !== undefined && events !== '-') await requireFile(events, '--events')
  if (objects !== undefined) await requireFolder(objects, '--objects')
}

/** The objects of the other directory are about to be taken for removed: that may be a slip. */
function warnOfAnotherDirectory(engine: Engine, dir: string | undefined, options: IngestOptions): void {
  if (dir === undefined) return
  const root = path.resolve(dir)
  const before = engine.buckets.directoryOf(bucketOf(root, options))
  if (before === undefined || before === root) return
  process.stderr.write(
    `tidewater: bucket ${bucketOf(root, options)} stood for ${before} until now; what is only there counts as removed\n`,
  )
}

function bucketOf(root: string, { bucket }: IngestOptions): string {
  const name = bucket ?? path.basename(root)
  if (/^[^/\0]{1,255}$/.test(name)) return name
  throw new Fault(
    'invalid',
    `expected a bucket name of 1 to 255 characters without "/", got "${name}"; give one with --bucket`,
  )
}

async function run(
  engine: Engine,
  dir: string | undefined,
  options: IngestOptions,
  progress: Progress,
  onSkip: OnSkip,
): Promise<IngestCounts> {
  const onEvents = (events: number) => progress.show(`${events} changes found`)
  if (dir !== undefined) {
    const root = path.resolve(dir)
    return ingestDirectory(engine, { root, bucket: bucketOf(root, options), onEvents, onSkip })
  }
  const file = options.events ?? '-'
  const input = file === '-' ? process.stdin : createReadStream(file)
  return ingestEvents(engine, {
    input,
    name: file === '-' ? 'standard input' : file,
    onEvents,
    ...(options.objects === undefined ? {} : { objects: options.objects }),
  })
}

function print(
  counts: IngestCounts | BucketIngestCounts,
  skipped: SkippedFiles,
  commits: readonly CommitReport[],
  json: boolean,
): void {
  const tables = commits.map(({ table, snapshotId, rowsWritten, rowsRemoved }) => ({
    table,
    snapshotId: String(snapshotId),
    rowsWritten,
    rowsRemoved,
  }))
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...counts, skippedFiles: skipped.named, commits: tables })}\n`)
    return
  }
  const lines = Object.entries(counts)
    .filter(([name, count]) => count > 0 || name === 'events')
    .map(([name, count]) => `${String(count).padStart(9)}  ${LABELS[name as keyof BucketIngestCounts]}`)
  process.stdout.write(`${lines.join('\n')}\n`)
  for (const line of skipped.lines()) process.stdout.write(`${line}\n`)
  for (const commit of tables)
    process.stdout.write(
      `committed ${commit.table}: ${commit.rowsWritten} rows written, ${commit.rowsRemoved} removed (snapshot ${commit.snapshotId})\n`,
    )
  if (tables.length === 0) process.stdout.write('nothing new: the tables were in step already\n')
}

const LABELS: Record<keyof BucketIngestCounts, string> = {
  keys: 'keys listed',
  versions: 'versions listed',
  events: 'events',
  added: 'objects added',
  changed: 'objects changed',
  removed: 'objects removed',
  unsettled: 'versions not judged: their events are newer than the listing may be (the next run judges them)',
  tooMany: 'keys not compared: they have too many versions',
  skipped: 'entries that are no objects (named below)',
  late: 'late events (an event that is newer had come before)',
  duplicates: 'repeated events',
  ignored: 'notifications without an object event',
  excluded: 'events of objects that are excluded (objects.buckets)',
  problems: 'notifications not understood (tidewater deadletter list)',
  extracted: 'objects read',
  extractFaults: 'objects with something that could not be read (tidewater deadletter list)',
  castErrors: 'values that did not fit their column',
  filled: 'rows whose new columns were filled from their metadata',
}
