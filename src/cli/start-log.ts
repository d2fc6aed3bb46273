/** What a server tells on standard error while it runs: a sentence on each line, or one JSON object. */
import type { AskedAgain } from '../app/engine.ts'
import type { Reach } from '../app/reach.ts'
import type { Fault, FaultFacts } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type BucketHolds, type BucketTurn, turnLine } from '../http/http.ts'
import type { FeedEvent } from '../table/table.ts'

export const LOG_FORMATS = ['text', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]
export type LogLevel = 'info' | 'warn' | 'error'

const ASKED_LATER = 'it is asked again whenever it is needed'
const WAITS = `it is asked again for ${limits.warehouseWaitMs / 60_000} minutes at most: nothing is taken meanwhile, and senders and queues keep what they have`

export interface StartLogOptions {
  format: LogFormat
  write: (line: string) => void
  nowMs: () => number
  /** What a bucket is for. Default: objects. */
  holdsOf?: (bucket: string) => BucketHolds
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

  /** What a look at something outside has shown, where there is anything to do or to know. */
  reach(found: Reach): void {
    const { subject, level, message } = found
    if (level === 'note') this.tell('info', 'reach-note', `${subject}: ${message}`, { subject })
    if (level !== 'problem') return
    const { cause } = found
    const isSettings = cause === 'settings'
    const next = isSettings ? 'the server goes on without it' : subject === 'warehouse' ? WAITS : ASKED_LATER
    const line = `${subject} cannot be used now: ${message}; ${next}`
    this.tell(isSettings ? 'error' : 'warn', 'unreachable', line, { subject, cause })
  }

  /** Requests to a bucket that began to fail one after another, or are answered again. */
  readonly bucket = (turn: BucketTurn): void => {
    const { kind, ...facts } = turn
    const line = turnLine(turn, this.#options.holdsOf?.(turn.bucket) ?? 'objects')
    this.tell(kind === 'degraded' ? 'warn' : 'info', `bucket-${kind}`, line, { ...facts })
  }

  readonly askedAgain = (event: AskedAgain): void => {
    const { bucket } = event
    switch (event.kind) {
      case 'began': {
        const { waiting, why, reason } = event
        this.tell(why === 'named' ? 'info' : 'warn', 'objects-wait', waitLine(event), { bucket, waiting, why, reason })
        return
      }
      case 'asked':
        return
      case 'ended': {
        const { answered, gone, failed, settled, elapsedMs } = event
        const parts = [
          `${answered} answered`,
          ...(gone > 0 ? [`${gone} gone or replaced`] : []),
          ...(failed > 0 ? [`${failed} that cannot be read (deadletter list says why)`] : []),
          ...(settled > 0 ? [`at least ${settled} settled by newer events or by hand`] : []),
        ]
        const since = `${(elapsedMs / 1000).toFixed(1)} s after this process began to ask`
        const message = `no object of bucket ${bucket} waits any more, ${since}: ${parts.join(', ')}`
        this.tell('info', 'objects-answered', message, { bucket, answered, gone, failed, settled, elapsedMs })
        return
      }
    }
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

function waitLine({ bucket, waiting, why, reason }: AskedAgain & { kind: 'began' }): string {
  const isOne = waiting === 1
  const objects = isOne ? '1 object' : `${waiting} objects`
  const next = `${isOne ? 'it is' : 'they are'} asked about again by ${isOne ? 'itself' : 'themselves'}`
  switch (why) {
    case 'refused':
      return `bucket ${bucket} refused ${objects}: mend rights or credentials, ${next}; it said: ${reason}`
    case 'unanswered':
      return `bucket ${bucket} did not answer about ${objects}; ${next}`
    case 'named':
      return `bucket ${bucket} is named in objects.buckets now: ${objects} that events told of before ${isOne ? 'is' : 'are'} asked about`
  }
}
