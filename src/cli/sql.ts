/** `tidewater sql`: statements over the tables; with `--write` also those that make and change tables. */
import type { Command } from 'commander'
import { openReader } from '../app/reader.ts'
import { openSql, sqlWrites } from '../app/sql.ts'
import { Fault } from '../base/fault.ts'
import { formatCsv, formatJsonLines, formatTable } from '../query/format.ts'
import { type HomeOptions, homeOption, interruptSignal, settingOf } from './common.ts'

interface SqlOptions extends HomeOptions {
  json?: boolean
  csv?: boolean
  write?: boolean
}

export function addSql(program: Command): void {
  homeOption(program.command('sql <statements>'))
    .description(
      'run SQL over the tables, read-only unless --write is given; - reads the statements from standard input',
    )
    .option('--write', 'also CREATE, ALTER and DROP of tables and databases; rows are written by streams and ingest')
    .option('--json', 'one JSON document per row of the last statement')
    .option('--csv', 'the last statement as CSV with a header line')
    .addHelpText(
      'after',
      `
Examples:
  tidewater sql "SELECT key, image_width FROM default.s3_content_metadata"
  tidewater sql "SELECT * FROM default.s3_content_metadata.snapshots" --json
  tidewater sql "SELECT count(*) FROM default.s3_content_metadata AT (VERSION => 4711)"
  tidewater sql - < report.sql
  tidewater sql --write "CREATE DATABASE IF NOT EXISTS demo; CREATE TABLE demo.visits (\`at\` timestamp, uri string)
    PARTITIONED BY (day(\`at\`)) TBLPROPERTIES ('table_type'='iceberg')"

Several statements separated by ; share a session, so a CREATE TEMPORARY VIEW serves those after it. All are read
before the first is run; the result is that of the last. --write works while a server holds the home.`,
    )
    .action(async (statements: string, options: SqlOptions) => {
      if (options.json === true && options.csv === true)
        throw new Fault('invalid', 'expected --json or --csv, got both')
      const signal = interruptSignal()
      const { home, config } = await settingOf(options)
      const writes = options.write === true
      const reader = await openReader(home, config, writes ? 'change' : 'read')
      try {
        const session = await openSql(reader, writes ? sqlWrites(reader) : undefined)
        try {
          const result = await session.run(statements === '-' ? await standardInput() : statements, { signal })
          process.stdout.write(
            options.json === true
              ? formatJsonLines(result)
              : options.csv === true
                ? formatCsv(result)
                : formatTable(result),
          )
        } finally {
          await session.close()
        }
      } finally {
        await reader.close()
      }
    })
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks).toString('utf8')
}
