/**
 * `tidewater quickstart` (what `npm start` runs): the main job on the sample photos that ship with the project, in a directory
 * bucket of its own, then goes on watching that directory.
 */
import { access, cp } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import type { Engine } from '../app/engine.ts'
import { ingestDirectory } from '../app/ingest.ts'
import { openSql } from '../app/sql.ts'
import { warehouseUri } from '../app/warehouse.ts'
import { formatTable } from '../query/format.ts'
import type { FeedEvent } from '../table/table.ts'
import { type HomeOptions, homeOption, interruptSignal, settingOf, withEngine } from './common.ts'
import { progressLine } from './progress.ts'
import { SkippedFiles } from './skipped.ts'
import { tellCommit, watchDirectory } from './watch.ts'

const BUCKET = 'photos'
const SAMPLES = fileURLToPath(new URL('../../examples/photos', import.meta.url))

const CONTENT_SQL = `SELECT key, image_width AS width, image_height AS height, get_json_object(metadata, '$.image.format') AS format,
  get_json_object(metadata, '$.exif.Make') AS make, get_json_object(metadata, '$.exif.Model') AS model
  FROM default.s3_content_metadata ORDER BY key`
const COALESCED_SQL = 'SELECT key, size, storage_class, object_tags, record_type, is_current FROM s3_metadata_coalesced'

interface QuickstartOptions extends HomeOptions {
  once?: boolean
}

export function addQuickstart(program: Command): void {
  homeOption(program.command('quickstart'))
    .description('ingest the sample photos, show the tables, and go on watching their folder')
    .option('--once', 'end when everything present is committed')
    .addHelpText('after', '\nExamples:\n  tidewater quickstart\n  tidewater quickstart --once --home /tmp/try')
    .action(async (options: QuickstartOptions) => {
      const signal = interruptSignal()
      const setting = await settingOf(options)
      const root = path.join(setting.home.dir, 'buckets', BUCKET)
      const progress = progressLine()
      const skipped = new SkippedFiles()
      let tell: (event: FeedEvent) => void = () => undefined
      await withEngine(
        {
          ...setting,
          onEvent: (event) => tell(event),
          onProgress: ({ events, extracted }) => progress.show(`${events} events, ${extracted} objects read`),
        },
        async (engine) => {
          await layOutSamples(root)
          const counts = await ingestDirectory(engine, {
            root,
            bucket: BUCKET,
            onEvents: (events) => progress.show(`${events} changes found`),
            onSkip: skipped.note,
          })
          progress.clear()
          print(
            `${counts.events} changes in ${root}: ${counts.added} added, ${counts.changed} changed, ${counts.removed} removed`,
          )
          if (counts.filled > 0) print(`${counts.filled} rows had their new columns filled from their metadata`)
          for (const line of skipped.lines()) print(line)
          if (counts.extractFaults > 0) print(unreadable(counts.extractFaults, engine.home.dir))
          print('')
          await showTables(engine)
          print(howToGoOn(engine, options.once === true ? null : root))
          if (options.once === true || signal.aborted) return
          tell = tellCommit
          await watchDirectory(engine, root, BUCKET, signal, skipped)
        },
      )
    })
}

/** The sample photos, unless the folder is there: then it is the reader's own. */
async function layOutSamples(root: string): Promise<void> {
  const isThere = await access(root).then(
    () => true,
    () => false,
  )
  if (!isThere) await cp(SAMPLES, root, { recursive: true })
}

async function showTables(engine: Engine): Promise<void> {
  const session = await openSql(engine)
  try {
    print(`default.s3_content_metadata\n${formatTable(await session.run(CONTENT_SQL))}`)
    print(`s3_metadata_coalesced\n${formatTable(await session.run(COALESCED_SQL))}`)
  } finally {
    await session.close()
  }
}

function unreadable(count: number, home: string): string {
  const what = count === 1 ? '1 object holds' : `${count} objects hold`
  return `${what} something that could not be read; what and why: npx tidewater deadletter list --home ${home}`
}

/** @param watched the folder that is watched from now on; null: none */
function howToGoOn(engine: Engine, watched: string | null): string {
  const { home, config } = engine
  return [
    `Ask:    npx tidewater sql "SELECT * FROM default.s3_content_metadata" --home ${home.dir}`,
    `Attach: any Iceberg engine, SQLite catalog "tidewater" in ${home.catalogPath}, warehouse ${warehouseUri(home, config)}`,
    ...(watched === null
      ? []
      : [`Change: drop, overwrite, rename or delete a photo in ${watched} and watch it arrive; Ctrl-C ends`]),
    '',
  ].join('\n')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
