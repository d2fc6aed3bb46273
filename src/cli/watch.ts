/** Going on after what was there is committed: a directory is followed until Ctrl-C, and each commit told in a line. */
import type { Engine } from '../app/engine.ts'
import { attachDirectory } from '../app/ingest.ts'
import type { FeedEvent } from '../table/table.ts'
import type { SkippedFiles } from './skipped.ts'

/** Resolves when the signal was aborted and everything accepted is committed. @param skipped files that were told already */
export async function watchDirectory(
  engine: Engine,
  root: string,
  bucket: string,
  signal: AbortSignal,
  skipped: SkippedFiles,
): Promise<void> {
  engine.start((fault, retryInMs) => print(`waiting ${retryInMs} ms: ${fault.message}`))
  const directory = await attachDirectory(engine, root, bucket, (file, reason) => {
    const line = skipped.lineIfNew(file, reason)
    if (line !== null) print(line)
  })
  await directory.watch(signal, print)
  print('\nfinishing … (Ctrl-C again ends at once; what was accepted is not lost)')
  await engine.finish()
}

export function tellCommit(event: FeedEvent): void {
  switch (event.kind) {
    case 'committed': {
      const { table, rowsWritten, rowsRemoved, snapshotId, elapsedMs } = event.report
      print(
        `${new Date().toISOString()} committed ${table}: ${rowsWritten} rows written, ${rowsRemoved} removed, snapshot ${snapshotId}, ${elapsedMs} ms`,
      )
      return
    }
    case 'stalled':
      print(`${event.table} waits ${event.retryInMs} ms: ${event.fault.message}`)
      return
    case 'upkeep-failed':
      print(`upkeep of ${event.table} waits ${event.retryInMs} ms, commits go on: ${event.fault.message}`)
      return
    case 'unchanged':
    case 'upkeep':
      return
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
