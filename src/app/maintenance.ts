/** Upkeep of a table on demand, for the library and the command line: what may be asked for, and what of it is refused. */
import { systemClock } from '../base/clock.ts'
import { Fault } from '../base/fault.ts'
import { uuidv7 } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { ExpireRequest } from '../iceberg/action/expire.ts'
import { rollbackToSnapshot, rollbackToTime } from '../iceberg/action/set-ref.ts'
import { type LoadedTable, parseIdent } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { type Expired, expire } from '../table/expiry.ts'
import { unwrittenTable } from '../table/kept-table.ts'
import { removeOrphans } from '../table/orphans.ts'
import type { OptimizeReport } from '../table/upkeep.ts'
import type { Engine } from './engine.ts'
import type { Reader } from './reader.ts'

export interface ExpireOptions {
  /** Snapshots made before it may go. Default: 5 days ago, or as the table's properties say. */
  olderThan?: Date
  /** The newest so many of each branch stay, whatever their age. Default: 20, or as the table's properties say. */
  keep?: number
}

/** Snapshots forgotten, and files removed that only they could reach. */
export type ExpireReport = Expired

export interface OrphanOptions {
  /** Files made before it may go. Default: 3 days ago; at least a day ago. */
  olderThan?: Date
  /** Removes nothing: gives what would go. */
  dryRun?: boolean
}

/** @throws Fault `invalid` */
export function expireRequest({ olderThan, keep }: ExpireOptions): Omit<ExpireRequest, 'nowMs'> {
  if (keep !== undefined && (!Number.isSafeInteger(keep) || keep < 1))
    throw new Fault('invalid', `keep: expected a whole number from 1, got ${keep}`)
  return {
    ...(olderThan === undefined ? {} : { olderThanMs: timeOf(olderThan) }),
    ...(keep === undefined ? {} : { keepMin: keep }),
  }
}

export interface OrphansOf extends OrphanOptions {
  io: FileIO
  load: () => Promise<LoadedTable>
}

/** The files that nothing reaches, removed unless `dryRun`; of more than `limits.orphansAtOnce` a dry run names the first. @throws Fault `invalid` */
export async function orphansOf({ io, load, olderThan, dryRun = false }: OrphansOf): Promise<string[]> {
  const nowMs = systemClock.nowMs()
  const graceMs = olderThan === undefined ? limits.orphanGraceMs : nowMs - timeOf(olderThan)
  if (graceMs < limits.orphanGraceMinMs) {
    throw new Fault(
      'invalid',
      `expected a time at least ${limits.orphanGraceMinMs / 3_600_000} hours ago, got ${olderThan?.toISOString()}: younger files may belong to a commit that is under way`,
    )
  }
  const removed: string[] = []
  for (;;) {
    const some = await removeOrphans({ io, load, nowMs, graceMs, dryRun })
    removed.push(...some)
    if (dryRun || some.length < limits.orphansAtOnce) return removed
  }
}

/** @throws Fault `not-found` */
export async function optimizeTable({ upkeep, catalog, io, clock }: Engine, name: string): Promise<OptimizeReport> {
  const ident = parseIdent(name)
  await catalog.load(ident)
  return upkeep.optimize(unwrittenTable({ catalog, io, clock }, ident))
}

/** Safe beside a process that writes to the table, as is all below: a compare-and-swap decides. @throws Fault `not-found` */
export async function expireTable(reader: Reader, name: string, options: ExpireOptions): Promise<ExpireReport> {
  const kept = unwrittenTable(reader, parseIdent(name))
  return expire(kept, await kept.load(), expireRequest(options))
}

/** @throws Fault `not-found`, `invalid` */
export function removeTableOrphans({ catalog, io }: Reader, name: string, options: OrphanOptions): Promise<string[]> {
  const ident = parseIdent(name)
  return orphansOf({ io, load: () => catalog.load(ident), ...options })
}

/**
 * Makes an earlier snapshot of the table's history the current one.
 * @param to a snapshot, or a time: then the newest snapshot made until then
 * @throws Fault `not-found`, `invalid` (a snapshot that is not in the current one's history)
 */
export async function rollbackTable(
  { catalog, clock }: Reader,
  name: string,
  to: { snapshotId: bigint } | { time: Date },
): Promise<{ from: bigint | null; to: bigint | null }> {
  let from: bigint | null = null
  const { table } = await commitChange(catalog, parseIdent(name), {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }) => {
      from = metadata['current-snapshot-id'] ?? null
      return 'time' in to ? rollbackToTime(metadata, timeOf(to.time)) : rollbackToSnapshot(metadata, to.snapshotId)
    },
  })
  return { from, to: table.metadata['current-snapshot-id'] ?? null }
}

function timeOf(date: Date): number {
  const ms = date.getTime()
  if (Number.isNaN(ms)) throw new Fault('invalid', 'olderThan: expected a date, got an invalid one')
  return ms
}
