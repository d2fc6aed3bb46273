/** The process `tidewater`. */
import { runCommandLine } from './program.ts'

endWithStarter()
const code = await runCommandLine(process.argv.slice(2))
// Writes to a pipe are asynchronous, and an exit drops what is still queued: a slow reader would get a part of the result.
await Promise.all([drained(process.stdout), drained(process.stderr)])
process.exit(code)

/** Resolves when everything written has been taken, or the reader is gone. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}

/**
 * `bin/tidewater.mjs` waits for this process and passes signals on. When it is gone without a word, its channel closes, and this
 * process ends as by SIGTERM. Who runs this process by other means has no such channel, or may close theirs.
 */
function endWithStarter(): void {
  const starter = process.env['TIDEWATER_ENDS_WITH']
  // What this process starts is its own affair.
  delete process.env['TIDEWATER_ENDS_WITH']
  if (starter === undefined || process.channel === undefined) return
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // Only waiting for the end of somebody else keeps no process alive.
  process.channel?.unref()
}
