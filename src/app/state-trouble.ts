/** Checks of stored state that both the start and the doctor make. */
import { Fault, isFault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../log/log.ts'

export interface StateFacts {
  /** End offset of the events that `state/objects.db` knows. */
  applied: number
  /** Of the objects log. */
  start: number
  end: number
  /** The journal table's offset. */
  journalHeld: number
}

/** Why the state file and the objects log cannot belong together; null when they can. */
export function stateTrouble({ applied, start, end, journalHeld }: StateFacts): string | null {
  if (applied > end) {
    return `knows events up to offset ${applied}, but the objects log ends at ${end}: the log was lost or replaced`
  }
  if (applied < start) {
    return `knows events up to offset ${applied}, but the objects log begins at ${start}: the file was lost, or is an old copy`
  }
  if (applied === 0 && journalHeld > 0) return 'knows nothing, but the tables hold objects: it was lost'
  return null
}

/** As `damageOf`, for what a start may take: a log of more entries is not looked at. What is passed on already is seldom read again. */
export async function quickDamageOf(log: Log): Promise<string | null> {
  return log.end - log.start <= limits.logBatchEntriesMax ? damageOf(log) : null
}

/** Reads all of a log. What is damaged in it, or null. @throws Fault `unavailable` */
export async function damageOf(log: Log): Promise<string | null> {
  try {
    for (let at = log.start; at < log.end; ) {
      const entries = await log.read(at, limits.logBatchEntriesMax)
      if (entries.length === 0)
        throw new Fault('corrupt', `log ${log.name} has nothing at offset ${at}, but ends at ${log.end}`)
      at += entries.length
    }
    return null
  } catch (error) {
    if (isFault(error, 'corrupt')) return error.message
    throw error
  }
}
