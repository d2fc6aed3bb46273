/**
 * One SQLite statement or transaction that waits for other processes without blocking this one.
 *
 * `node:sqlite` is synchronous: while SQLite waits for a lock, nothing else runs here. So SQLite itself waits a few
 * milliseconds only, and the rest of the wait is made of sleeps between tries.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../../base/clock.ts'
import { Fault, messageOf, sqliteCode } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'

/** How long SQLite itself waits for a lock: about one commit of another process. */
export const sqliteWaitMs = 10
const pauseMs = 5
const pauseMaxMs = 250

/** Primary result codes. */
const code = { perm: 3, busy: 5, locked: 6, readonly: 8, corrupt: 11, full: 13, cantopen: 14, schema: 17, notadb: 26 }

export interface StatementOptions {
  database: DatabaseSync
  /** For messages. */
  path: string
  clock: Clock
  /** True: an error that leaves open whether the work took effect is fault `commit-unknown`. */
  writes: boolean
  /** Default `limits.catalogBusyMs`. */
  busyMs?: number
}

/**
 * Runs `work`, again while the file is locked by others. `work` must be one autocommitted statement or a transaction that
 * rolls back before it throws: SQLite undoes a statement that fails as busy, so trying again is safe.
 * @throws Fault `unavailable` (no effect), `commit-unknown` (only when it writes), `corrupt`
 */
export async function statement<T>(options: StatementOptions, work: (database: DatabaseSync) => T): Promise<T> {
  const { database, path, clock } = options
  const busyMs = options.busyMs ?? limits.catalogBusyMs
  let waitedMs = 0
  for (let pause = pauseMs; ; pause = Math.min(pause * 2, pauseMaxMs)) {
    try {
      return work(database)
    } catch (error) {
      const primary = sqliteCode(error)
      if (primary === undefined) throw error
      if (primary !== code.busy && primary !== code.locked) throw faultOf(error, primary, options)
      if (waitedMs >= busyMs) {
        const message = `the catalog file ${path} stayed locked by another process for ${Math.round(waitedMs / 1000)} s; nothing was changed`
        throw new Fault('unavailable', message, { path, waitedMs }, error)
      }
      const sleepMs = Math.min(pause * (0.5 + Math.random()), busyMs - waitedMs)
      await clock.sleep(sleepMs)
      // At least a millisecond each, so that the wait ends whatever the clock does.
      waitedMs += Math.max(sleepMs, 1) + sqliteWaitMs
    }
  }
}

/** Runs `work` in a transaction that holds the write lock from its start. Rolls back when it throws. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    // A failed commit may have ended the transaction by itself.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function faultOf(error: unknown, primary: number, { path, writes }: StatementOptions): Fault {
  const facts = { path, sqliteCode: primary }
  const reason = messageOf(error)
  if (primary === code.notadb || primary === code.corrupt) {
    return new Fault('corrupt', `expected a SQLite catalog in ${path}, but SQLite says: ${reason}`, facts, error)
  }
  const noEffect = [code.perm, code.readonly, code.full, code.cantopen, code.schema].includes(primary)
  if (noEffect || !writes) {
    return new Fault('unavailable', `cannot use the catalog file ${path}: ${reason}; nothing was changed`, facts, error)
  }
  return new Fault(
    'commit-unknown',
    `the catalog file ${path} failed during a write (${reason}); whether it took effect must be looked up`,
    facts,
    error,
  )
}
