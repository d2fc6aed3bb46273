/** `tidewater reconcile`: finds what differs between a bucket and what is known of it, and mends it. */
import path from 'node:path'
import type { Command } from 'commander'
import type { Engine } from '../app/engine.ts'
import {
  type DriftCounts,
  drainingPace,
  localReport,
  type ReconcileBucket,
  type ReconcileOptions,
  reconcileListing,
  reconcileReport,
  remoteReport,
  totalDrift,
} from '../app/reconcile.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type HomeOptions, homeOption, interruptSignal, requireFile, settingOf, withEngine } from './common.ts'
import { EXIT } from './exit.ts'
import { besideServer, bucketLocation, remoteBucket, withBucket } from './ingest-bucket.ts'
import { type Progress, progressLine } from './progress.ts'

interface ReconcileCommand extends HomeOptions {
  prefix?: string
  report?: string
  look: boolean
  dryRun?: boolean
  json?: boolean
}

export function addReconcile(program: Command): void {
  homeOption(program.command('reconcile <bucket>'))
    .description('find and mend what differs between a bucket and its tables')
    .option('--prefix <text>', 'only keys that begin so (default: as objects.buckets has it)')
    .option('--report <manifest>', 'compare with a report of S3 Inventory: s3://…/manifest.json, or a file')
    .option('--no-look', 'with --report: ask the bucket nothing; the report is taken as it is')
    .option('--dry-run', 'find only; exit code 5 when something differs')
    .option('--json', 'print what was found as JSON')
    .addHelpText(
      'after',
      `
Examples:
  tidewater reconcile photos
  tidewater reconcile photos --prefix 2024/ --dry-run
  tidewater reconcile photos --report s3://reports/photos/daily/2024-06-01T01-00Z/manifest.json

What is newer than the listing or the report is left alone. Exit codes: 0 in step, or mended; 5 with --dry-run when something
differs; 8 when some keys could not be compared.`,
    )
    .action(async (bucket: string, options: ReconcileCommand) => {
      if (!/^[^/\0]{1,255}$/.test(bucket))
        throw new Fault('invalid', `expected the name of a bucket without "/", got "${bucket}"`)
      const { report } = options
      if (!options.look && report === undefined) throw new Fault('invalid', '--no-look goes with --report')
      const reportAt = report === undefined ? undefined : bucketLocation(report)
      if (report !== undefined && reportAt === undefined) await requireFile(report, '--report')
      const loaded = await settingOf(options)
      let config = withBucket(loaded.config, bucket)
      if (reportAt !== undefined) config = withBucket(config, reportAt.bucket)
      const progress = progressLine()
      const signal = interruptSignal()
      const comparing = withEngine({ ...loaded, config }, async (engine) => {
        const begunMs = performance.now()
        const found = new Found()
        const counts = await compare(engine, bucket, options, { found, progress, signal })
        if (options.dryRun !== true) await engine.drain()
        progress.clear()
        print({ bucket, counts, found, options, elapsedMs: Math.round(performance.now() - begunMs) })
        if (options.dryRun === true && totalDrift(counts) > 0) process.exitCode = EXIT.damaged
        else if (counts.tooMany > 0) process.exitCode = EXIT.partly
      })
      await besideServer(bucket, comparing)
    })
}

/** Differences that are named; all are counted. */
class Found {
  readonly named: { kind: string; key: string; versionId: string; detail: string }[] = []

  readonly note: NonNullable<ReconcileOptions['onDrift']> = (drifts) => {
    for (const { kind, event, detail } of drifts) {
      if (this.named.length >= limits.reconcileNamedMax) return
      this.named.push({ kind, key: event.key, versionId: event.versionId, detail })
    }
  }
}

async function compare(
  engine: Engine,
  bucket: string,
  options: ReconcileCommand,
  { found, progress, signal }: { found: Found; progress: Progress; signal: AbortSignal },
): Promise<DriftCounts> {
  const store = await remoteBucket(engine, bucket)
  const prefix = options.prefix ?? engine.config.objects.buckets[bucket]?.prefix ?? ''
  const target: ReconcileBucket = { bucket, store, prefix }
  const common: ReconcileOptions = {
    pace: drainingPace(engine),
    signal,
    dryRun: options.dryRun === true,
    onDrift: found.note,
    onProgress: (counts) => progress.show(`${counts.keys} keys compared, ${totalDrift(counts)} differences`),
  }
  if (options.report === undefined) return reconcileListing(engine, target, common)
  const at = bucketLocation(options.report)
  const report =
    at === undefined
      ? await localReport(path.resolve(options.report))
      : await remoteReport(engine, await remoteBucket(engine, at.bucket), at.prefix)
  const onFile = (done: number, of: number) => progress.show('files of the report', done, of)
  return reconcileReport(engine, target, { ...report, look: options.look, onFile }, common)
}

interface Printed {
  bucket: string
  counts: DriftCounts
  found: Found
  options: ReconcileCommand
  elapsedMs: number
}

function print({ bucket, counts, found, options, elapsedMs }: Printed): void {
  const total = totalDrift(counts)
  if (options.json === true) {
    const { named } = found
    const result = { bucket, ...counts, differences: total, named, dryRun: options.dryRun === true, elapsedMs }
    process.stdout.write(`${JSON.stringify(result)}\n`)
    return
  }
  const line = (count: number, text: string) => process.stdout.write(`${String(count).padStart(9)}  ${text}\n`)
  line(counts.keys, 'keys compared')
  line(counts.versions, 'versions compared')
  for (const [kind, count] of Object.entries(counts.drift))
    if (count > 0) line(count, KINDS[kind as keyof typeof KINDS])
  if (counts.unsettled > 0) line(counts.unsettled, 'not judged: their events are newer than the listing may be')
  if (counts.tooMany > 0) line(counts.tooMany, 'keys not compared: they have too many versions')
  for (const { kind, key, versionId, detail } of found.named.slice(0, NAMED_LINES))
    process.stdout.write(`${kind}  ${key}${versionId === 'null' ? '' : ` (${versionId})`}: ${detail}\n`)
  if (total > NAMED_LINES)
    process.stdout.write(`… and ${total - NAMED_LINES} more (--json names up to ${limits.reconcileNamedMax})\n`)
  const end = options.dryRun === true ? 'nothing was changed (--dry-run)' : `${counts.mended} events mended them`
  process.stdout.write(total === 0 ? 'in step: nothing differs\n' : `${total} differences; ${end}\n`)
}

/** Differences of a table for people. */
const NAMED_LINES = 20

const KINDS: Record<keyof DriftCounts['drift'], string> = {
  'missing-object': 'objects missing from the tables',
  'missing-version': 'versions missing from the tables',
  'missing-marker': 'delete markers missing from the tables',
  'extra-object': 'objects in the tables that are gone',
  'extra-version': 'versions in the tables that are gone',
  'extra-marker': 'delete markers in the tables that are gone',
  'other-content': 'objects with another etag or size',
  'other-class': 'objects with another storage class',
  'other-order': 'versions in another order: the wrong one was current, or would have been',
}
