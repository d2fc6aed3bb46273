/** The command line `tidewater`: one file per command in this folder. */
import { Command, CommanderError } from 'commander'
import { addCompletion } from './completion.ts'
import { addDeadletter } from './deadletter.ts'
import { addDoctor } from './doctor.ts'
import { EXIT, reportFailure } from './exit.ts'
import { addIngest } from './ingest.ts'
import { addQuickstart } from './quickstart.ts'
import { addSql } from './sql.ts'
import { addTable } from './table.ts'

export function buildProgram(): Command {
  const program = new Command('tidewater')
    .description('Keeps Apache Iceberg tables in step with object stores and event streams.')
    .version('0.1.0')
    .showHelpAfterError('(tidewater --help tells more)')
    .exitOverride()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
  addQuickstart(program)
  addIngest(program)
  addSql(program)
  addTable(program)
  addDeadletter(program)
  addDoctor(program)
  addCompletion(program)
  return program
}

/** Runs one command line and gives its exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync([...args], { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    return reportFailure(error, args.includes('--json'))
  }
}

if (import.meta.main) process.exit(await runCommandLine(process.argv.slice(2)))
