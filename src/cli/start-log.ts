/** What a server tells on standard error while it runs: a sentence on each line, or one JSON object. */
import type { Fault, FaultFacts } from '../base/fault.ts'
import type { FeedEvent } from '../table/table.ts'

export const LOG_FORMATS = ['text', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]
export type LogLevel = 'info' | 'warn' | 'error'

export interface StartLogOptions {
  format: LogFormat
  write: (line: string) => void
  nowMs: () => number
}

export class StartLog {
  readonly #options: StartLogOptions

  constructor(options: StartLogOptions) {
    this.#options = options
  }

  /**
   * @param event what happened, in a word that stays the same
   * @param message the same as a sentence, for people
   * @param facts for programs; never secrets
   */
  tell(level: LogLevel, event: string, message: string, facts: FaultFacts = {}): void {
    const { format, write, nowMs } = this.#options
    const time = new Date(nowMs()).toISOString()
    if (format === 'text') {
      write(`${time} ${message}\n`)
      return
    }
    // Whole numbers beyond what programs read as numbers are text.
    const shown = Object.fromEntries(
      Object.entries(facts).map(([name, value]) => [name, typeof value === 'bigint' ? String(value) : value]),
    )
    write(`${JSON.stringify({ time, level, event, message, ...shown })}\n`)
  }

  /** What holds something up for a while. */
  waits(event: string, message: string, fault: Fault, retryInMs: number, facts: FaultFacts = {}): void {
    this.tell('warn', event, message, { kind: fault.kind, error: fault.message, retryInMs, ...facts })
  }

  readonly feed = (event: FeedEvent): void => {
    switch (event.kind) {
      case 'committed': {
        const { table, snapshotId, rowsWritten, rowsRemoved, elapsedMs, oldestMs, waitingEntries } = event.report
        const age = oldestMs === null ? '' : `; its oldest record came ${(oldestMs / 1000).toFixed(1)} s before`
        this.tell(
          'info',
          'committed',
          `committed ${table}: ${rowsWritten} rows written, ${rowsRemoved} removed, ${elapsedMs} ms${age}; ${waitingEntries} entries wait`,
          { table, snapshotId, rowsWritten, rowsRemoved, elapsedMs, oldestMs, waitingEntries },
        )
        return
      }
      case 'stalled': {
        const { table, fault, retryInMs } = event
        this.waits('commit-stalled', `${table} waits ${retryInMs} ms: ${fault.message}`, fault, retryInMs, { table })
        return
      }
      case 'upkeep-failed': {
        const { table, fault, retryInMs } = event
        const message = `upkeep of ${table} waits ${retryInMs} ms, commits go on: ${fault.message}`
        this.waits('upkeep-failed', message, fault, retryInMs, { table })
        return
      }
      case 'unchanged':
      case 'upkeep':
        return
    }
  }
}
