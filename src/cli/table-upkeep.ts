/** `tidewater table optimize|expire|rollback|remove-orphans`: upkeep of one table on demand. */
import type { Command } from 'commander'
import { durationMsOrNull } from '../app/duration.ts'
import { expireTable, optimizeTable, removeTableOrphans, rollbackTable } from '../app/maintenance.ts'
import { describeTable } from '../app/tables.ts'
import { Fault, isFault } from '../base/fault.ts'
import { type HomeOptions, settingOf, withEngine, withReader } from './common.ts'
import { type OutputOptions, printItems, printPairs } from './output.ts'

type UpkeepOptions = HomeOptions & OutputOptions & { olderThan?: string; keep?: string; dryRun?: boolean }

/** Adds a subcommand with the options that all have. */
export type AddSubcommand = (usage: string, description: string, example: string) => Command

const AGE_HELP = 'a time (2026-05-01T12:00:00Z) or an age (7d, 12h, 30m)'

export function addTableUpkeep(sub: AddSubcommand): void {
  sub(
    'optimize <name>',
    'merge small files and take deleted rows out; while nothing else writes to the home',
    'optimize default.s3_content_metadata',
  ).action(optimize)
  sub(
    'expire <name>',
    'forget old snapshots and remove the files that only they need',
    'expire default.s3_content_metadata --older-than 7d --keep 5',
  )
    .option('--older-than <when>', `snapshots made before it may go: ${AGE_HELP} (default: 5d)`)
    .option('--keep <n>', 'the newest so many stay, whatever their age (default: 20)')
    .action((name: string, options: UpkeepOptions) =>
      withReader(options, async (reader) => {
        const report = await expireTable(reader, name, {
          ...(options.olderThan === undefined ? {} : { olderThan: timeOf('--older-than', options.olderThan) }),
          ...(options.keep === undefined ? {} : { keep: countOf('--keep', options.keep) }),
        })
        printPairs({ table: name, 'snapshots expired': report.snapshots, 'files removed': report.files }, options)
      }),
    )
  sub(
    'rollback <name> <to>',
    `make an earlier snapshot current: its id, ${AGE_HELP}; what follows stays in the history until it expires`,
    'rollback default.s3_content_metadata 4891278472345',
  ).action((name: string, to: string, options: UpkeepOptions) =>
    withReader(options, async (reader) => {
      const target = /^\d{10,}$/.test(to) ? { snapshotId: BigInt(to) } : { time: timeOf('<to>', to) }
      const { from, to: now } = await rollbackTable(reader, name, target)
      printPairs({ table: name, from: digits(from), to: digits(now) }, options)
    }),
  )
  sub(
    'remove-orphans <name>',
    'remove files of the table that no snapshot reaches',
    'remove-orphans default.s3_content_metadata --dry-run',
  )
    .option('--older-than <when>', `files made before it may go: ${AGE_HELP}, at least a day ago (default: 3d)`)
    .option('--dry-run', 'tell what would go, and remove nothing')
    .action((name: string, options: UpkeepOptions) =>
      withReader(options, async (reader) => {
        const files = await removeTableOrphans(reader, name, {
          dryRun: options.dryRun === true,
          ...(options.olderThan === undefined ? {} : { olderThan: timeOf('--older-than', options.olderThan) }),
        })
        printItems(
          files.map((file) => ({ file, removed: options.dryRun !== true })),
          options,
          ({ file }) => file,
        )
        if (options.json === true) return
        process.stderr.write(`${files.length} files ${options.dryRun === true ? 'would be removed' : 'removed'}\n`)
      }),
    )
}

async function optimize(name: string, options: UpkeepOptions): Promise<void> {
  const setting = await settingOf(options)
  // What is wrong with the name, or with the home, is told before anything is made.
  await withReader(options, (reader) => describeTable(reader, name))
  try {
    const { before, after, steps } = await withEngine(setting, (engine) => optimizeTable(engine, name))
    printPairs(
      {
        table: name,
        'data files': `${before.data} before, ${after.data} now`,
        'delete files': `${before.deletes} before, ${after.deletes} now`,
        snapshots: steps.length,
      },
      options,
    )
  } catch (error) {
    if (!isFault(error, 'conflict')) throw error
    throw new Fault(
      'conflict',
      `${error.message} The process that holds the home keeps its tables compacted by itself; end it to compact one at once.`,
      error.facts,
      error,
    )
  }
}

/** @throws Fault `invalid` */
function timeOf(option: string, text: string): Date {
  const ageMs = durationMsOrNull(text)
  if (ageMs !== null) return new Date(Date.now() - ageMs)
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN)
  if (Number.isNaN(time.getTime())) throw new Fault('invalid', `${option}: expected ${AGE_HELP}, got "${text}"`)
  return time
}

/** @throws Fault `invalid` */
function countOf(option: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new Fault('invalid', `${option}: expected a whole number from 1, got "${text}"`)
  return Number(text)
}

function digits(id: bigint | null): string | null {
  return id === null ? null : String(id)
}
