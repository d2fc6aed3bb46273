/** What both adapters refuse, in the same words. */
import { Fault } from '../base/fault.ts'
import type { Log } from './log.ts'

/** @throws Fault `cancelled` */
export function requireOpen(log: Log, isClosed: boolean): void {
  if (isClosed) throw new Fault('cancelled', `Log ${log.name} is closed.`, { log: log.name })
}

/** @throws Fault `not-found` when entries from `from` on are no longer all there */
export function requireHeld(log: Log, from: number): void {
  const { name, start } = log
  if (from >= start) return
  throw new Fault('not-found', `Log ${name} begins at offset ${start}, entries from ${from} on were trimmed.`, {
    log: name,
    start,
    from,
  })
}
