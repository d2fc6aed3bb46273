/** `tidewater reextract`: content rows made anew, on a home or by the server that holds it. */
import type { Command } from 'commander'
import type { Engine } from '../app/engine.ts'
import { requireHome } from '../app/home.ts'
import { attachDirectory } from '../app/ingest.ts'
import { addedTo, countStale, type ReextractPart, type ReextractRequest, reextractAll } from '../app/reextract.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type HomeOptions, homeOption, interruptSignal, requireFolder, settingOf, warn, withEngine } from './common.ts'
import { EXIT } from './exit.ts'
import { type OutputOptions, printPairs } from './output.ts'
import { progressLine } from './progress.ts'
import { type ClientOptions, clientAt, documentOf } from './stream-client.ts'

type ReextractOptions = HomeOptions &
  OutputOptions &
  ClientOptions &
  ReextractRequest & { objects?: string; directory?: string; bucket?: string }

export function addReextract(program: Command): void {
  homeOption(program.command('reextract'))
    .description('make content rows anew by the extractors of now')
    .option('--where <condition>', 'SQL over the content table: rows to make anew (default: those of older versions)')
    .option('--extractor <name>', 'only rows that the present version of this extractor has not made')
    .option('--dry-run', 'only tell how many rows it would be')
    .option('--restart', 'begin with the first row, wherever an earlier run of the same choice has ended')
    .option('--objects <dir>', 'where the bytes of recorded objects are, as for ingest')
    .option('--directory <dir>', 'attach this directory as the bucket named by --bucket')
    .option('--bucket <name>', "name of the directory's bucket")
    .option('--api-url <url>', 'server that holds the home (default: TIDEWATER_API_URL, or none: the home)')
    .option('--api-key <secret>', 'its API key (default: TIDEWATER_API_KEY)')
    .option('--json', 'print the counts as JSON')
    .addHelpText(
      'after',
      `
Examples:
  tidewater reextract
  tidewater reextract --dry-run
  tidewater reextract --extractor text-lines
  tidewater reextract --where "bucket = 'photos' AND image_width IS NULL"

Events go on meanwhile, and a newer one always wins. Ended or killed, the same command goes on where it was.`,
    )
    .action(async (options: ReextractOptions) => {
      if (options.objects !== undefined) await requireFolder(options.objects, '--objects')
      if (options.directory !== undefined) await requireFolder(options.directory, '--directory')
      const apiUrl = options.apiUrl ?? process.env['TIDEWATER_API_URL']
      if (apiUrl === undefined) await here(options)
      else await there(apiUrl, options)
    })
}

async function here(options: ReextractOptions): Promise<void> {
  const setting = await settingOf(options)
  await requireHome(setting.home)
  const signal = interruptSignal()
  await withEngine(setting, async (engine) => {
    await attach(engine, options)
    if (options.dryRun === true) await engine.drain()
    const progress = progressLine()
    const sum = await reextractAll(engine, requestOf(options), (part) => show(progress, part), signal)
    progress.clear()
    if (options.dryRun !== true) return tell(sum, options)
    const byExtractor = engine.config.objects.content.includeRawMetadata ? await countStale(engine) : {}
    printPairs({ rows: sum.rows, ofOlderVersions: byExtractor }, options)
  })
}

async function attach(engine: Engine, { objects, directory, bucket }: ReextractOptions): Promise<void> {
  if (objects !== undefined) engine.buckets.attachObjects(objects)
  if (directory === undefined) return
  if (bucket === undefined) throw new Fault('invalid', '--directory needs --bucket, the name of the bucket that it is')
  await attachDirectory(engine, directory, bucket)
}

/** Part by part, so that no request takes long. */
async function there(apiUrl: string, options: ReextractOptions): Promise<void> {
  if (options.objects !== undefined || options.directory !== undefined)
    throw new Fault('invalid', 'the server knows its buckets: leave out --objects and --directory, or --api-url')
  const signal = interruptSignal()
  // Counting or finding rows may mean to look at all of them.
  const client = clientAt(apiUrl, options.apiKey, limits.reextractStatementMs * 2 + limits.reextractPartMs)
  const progress = progressLine()
  let sum: ReextractPart | null = null
  do {
    const asked = requestOf(options)
    const body = JSON.stringify({ ...asked, restart: asked.restart === true && sum === null })
    const part = documentOf(await client.call('POST', '/v1/reextract', body)) as unknown as ReextractPart
    sum = sum === null ? part : addedTo(sum, part)
    show(progress, sum)
  } while (!sum.isDone && !signal.aborted)
  progress.clear()
  if (options.dryRun === true) printPairs({ rows: sum.rows }, options)
  else tell(sum, options)
}

function requestOf({ where, extractor, dryRun, restart }: ReextractOptions): ReextractRequest {
  return { where, extractor, dryRun, restart }
}

function show(progress: ReturnType<typeof progressLine>, { passed, rows, unread }: ReextractPart): void {
  progress.show(`rows${unread > 0 ? `, ${unread} not read` : ''}`, passed, Math.max(rows, passed))
}

function tell({ isDone, examples, ...counts }: ReextractPart, options: ReextractOptions): void {
  printPairs(counts, options)
  if (!isDone) {
    process.exitCode = EXIT.cancelled
    warn('ended before the last row; the same command goes on from here')
    return
  }
  if (counts.faults + counts.unread === 0) return
  process.exitCode = EXIT.partly
  for (const { subject, message } of examples) warn(`${subject} could not be read and keeps its row: ${message}`)
  if (counts.faults > 0) warn(`an extractor failed in ${counts.faults} rows; tidewater deadletter list tells why`)
}
