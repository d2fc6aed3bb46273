/** `tidewater table`: what tables there are, and what is in them; their upkeep is in `table-upkeep.ts`. */
import type { Command } from 'commander'
import type { Reader } from '../app/reader.ts'
import { openSql } from '../app/sql.ts'
import { describeTable, listTables, quotedName } from '../app/tables.ts'
import { Fault } from '../base/fault.ts'
import { formatJsonLines, formatTable } from '../query/format.ts'
import { type HomeOptions, homeOption, withReader } from './common.ts'
import { type OutputOptions, printItems, printPairs } from './output.ts'
import { addTableUpkeep } from './table-upkeep.ts'

type TableOptions = HomeOptions & OutputOptions & { limit?: string }

export function addTable(program: Command): void {
  const table = program
    .command('table')
    .description('list tables, look into them, keep them in order')
    .addHelpText(
      'after',
      '\nExamples:\n  tidewater table list\n  tidewater table rows default.s3_content_metadata --limit 5',
    )
  const sub = (usage: string, description: string, example: string) =>
    homeOption(table.command(usage))
      .description(description)
      .option('--json', 'print JSON, one document per line')
      .addHelpText('after', `\nExample:\n  tidewater table ${example}`)

  sub('list', 'all tables', 'list').action((options: TableOptions) =>
    withReader(options, (reader) => list(reader, options)),
  )
  sub(
    'describe <name>',
    'columns, partitioning, properties, current snapshot',
    'describe default.s3_content_metadata',
  ).action((name: string, options: TableOptions) => withReader(options, (reader) => describe(reader, name, options)))
  sub('history <name>', 'snapshots, newest first', 'history default.s3_content_metadata').action(
    (name: string, options: TableOptions) =>
      show(
        options,
        `SELECT committed_at, snapshot_id, parent_id, operation, summary FROM ${quotedName(name)}.snapshots ORDER BY committed_at DESC`,
      ),
  )
  sub('files <name>', 'data and delete files of the current snapshot', 'files default.s3_content_metadata').action(
    (name: string, options: TableOptions) =>
      show(
        options,
        `SELECT content, file_path, record_count, file_size_in_bytes FROM ${quotedName(name)}.files ORDER BY content, file_path`,
      ),
  )
  sub('rows <name>', 'rows of the current snapshot', 'rows default.s3_content_metadata --limit 5')
    .option('--limit <n>', 'at most so many rows', '100')
    .action((name: string, options: TableOptions) =>
      show(options, `SELECT * FROM ${quotedName(name)} LIMIT ${wholeNumber(options.limit ?? '100')}`),
    )
  addTableUpkeep(sub)
}

async function show(options: TableOptions, sql: string): Promise<void> {
  await withReader(options, async (reader) => {
    const session = await openSql(reader)
    try {
      const result = await session.run(sql)
      process.stdout.write(options.json === true ? formatJsonLines(result) : formatTable(result))
    } finally {
      await session.close()
    }
  })
}

async function list(reader: Reader, options: OutputOptions): Promise<void> {
  const tables = await listTables(reader)
  const width = Math.max(0, ...tables.map(({ table }) => table.length))
  printItems(
    tables,
    options,
    ({ table, rows, snapshots }) => `${table.padEnd(width)}  ${rows ?? '?'} rows, ${snapshots} snapshots`,
  )
}

async function describe(reader: Reader, name: string, options: OutputOptions): Promise<void> {
  const { about, columns } = await describeTable(reader, name)
  if (options.json === true) return printPairs({ ...about, columns }, options)
  printPairs(about, options)
  process.stdout.write('\n')
  const width = Math.max(...columns.map((column) => column.name.length))
  printItems(
    columns,
    options,
    (column) =>
      `${String(column.id).padStart(4)}  ${column.name.padEnd(width)}  ${column.type}${column.required ? ' required' : ''}${column.key ? ' key' : ''}`,
  )
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Fault('invalid', `--limit: expected a whole number from 0, got "${text}"`)
  return Number(text)
}
