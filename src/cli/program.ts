/** The command line `tidewater`: one file per command in this folder. */
import { Command, CommanderError } from 'commander'
import { systemCode } from '../base/fault.ts'
import { addCompletion } from './completion.ts'
import { addDeadletter } from './deadletter.ts'
import { addDoctor } from './doctor.ts'
import { EXIT, reportFailure, reportUsage } from './exit.ts'
import { addGenerate } from './generate.ts'
import { addIngest } from './ingest.ts'
import { addQuickstart } from './quickstart.ts'
import { addReconcile } from './reconcile.ts'
import { addReextract } from './reextract.ts'
import { addSql } from './sql.ts'
import { addStart } from './start.ts'
import { addStream } from './stream.ts'
import { addTable } from './table.ts'

/** @param json errors of the command line are told as JSON by the caller: print nothing of them */
export function buildProgram(json = false): Command {
  const program = new Command('tidewater')
    .description('Keeps Apache Iceberg tables in step with object stores and event streams.')
    .version('0.1.0')
    .showHelpAfterError('(tidewater --help tells more)')
    .exitOverride()
    .configureOutput(
      json
        ? { outputError: () => undefined, writeErr: () => undefined }
        : { outputError: (text, write) => write(text.replace(/^error: /, 'tidewater: ')) },
    )
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
  addQuickstart(program)
  addStart(program)
  addIngest(program)
  addReconcile(program)
  addStream(program)
  addSql(program)
  addTable(program)
  addDeadletter(program)
  addReextract(program)
  addGenerate(program)
  addDoctor(program)
  addCompletion(program)
  return program
}

/** Runs one command line and gives its exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  // A reader that has seen enough (`| head`) ends the output, not the work.
  process.stdout.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') throw error
  })
  try {
    await buildProgram(json).parseAsync([...args], { from: 'user' })
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, json)
    return error.exitCode === 0 ? EXIT.ok : reportUsage(error.message.replace(/^error: /, ''), json)
  }
}
