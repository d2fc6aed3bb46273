/** The process `tidewater`. */
import { runCommandLine } from './program.ts'

const code = await runCommandLine(process.argv.slice(2))
// Writes to a pipe are asynchronous, and an exit drops what is still queued: a slow reader would get a part of the result.
await Promise.all([drained(process.stdout), drained(process.stderr)])
process.exit(code)

/** Resolves when everything written has been taken, or the reader is gone. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}
