/**
 * The retry room: the one place where a commit is tried again.
 *
 * Invariants
 * 1. A plan that adds a snapshot puts the commit's id into its summary. Before every plan the id is looked for in the
 *    table, so a commit that took effect, whatever its caller was told, is found and never made twice.
 * 2. After an unknown outcome nothing is planned before the table has been seen again.
 * 3. Every loop is bounded; nothing is deleted here.
 */
import { backoffMs } from '../../base/backoff.ts'
import type { Clock } from '../../base/clock.ts'
import { Fault, isFault, messageOf } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import type { Snapshot, TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { type Catalog, formatIdent, type LoadedTable, type TableIdent } from './catalog.ts'

/** The summary property by which a commit is found again. */
export const commitIdProperty = 'tidewater.commit-id'

export interface CommitOptions {
  /** Unique to this change. Give the same again to go on after a restart: what was committed is found, not repeated. */
  commitId: string
  /**
   * What to change, given the table as it is now; null for nothing. Called once per attempt. A change that adds a
   * snapshot must carry `commitId` in its summary under `commitIdProperty`; one that adds none is not found again after
   * an unknown outcome, so its plan must see in the table whether it is done. A throw stops the commit.
   */
  plan: (table: LoadedTable) => Promise<TableChange | null>
  clock: Clock
  /** Default `limits.commitAttemptsMax`. */
  attemptsMax?: number
  signal?: AbortSignal
  /** For the jitter of pauses: uniform in [0, 1). Default `Math.random`. */
  random?: () => number
}

export interface CommitResult {
  /** The table after the commit; as it was loaded last for `found` and `nothing`. */
  table: LoadedTable
  /** `found`: an earlier attempt, of this call or another, had taken effect. */
  outcome: 'committed' | 'found' | 'nothing'
}

/**
 * Commits what `plan` makes of the table, planning anew while others commit in between.
 * @throws Fault `conflict` (attempts exhausted, nothing committed), `commit-unknown` (it may have been committed, and
 * looking did not tell; call again with the same id), `cancelled`, and whatever `load` and `plan` throw
 */
export async function commitChange(catalog: Catalog, ident: TableIdent, options: CommitOptions): Promise<CommitResult> {
  const attemptsMax = options.attemptsMax ?? limits.commitAttemptsMax
  let last: Fault | null = null
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    await pauseBefore(attempt, options)
    const table = await catalog.load(ident)
    if (findCommit(table.metadata, options.commitId)) return { table, outcome: 'found' }
    const change = await options.plan(table)
    if (change === null) return { table, outcome: 'nothing' }
    try {
      return { table: await catalog.commit(table, change), outcome: 'committed' }
    } catch (error) {
      if (isFault(error, 'commit-unknown')) {
        const found = await lookUp(catalog, table, error, options)
        if (found) return { table: found, outcome: 'found' }
      } else if (!isFault(error, 'conflict')) throw error
      last = error
    }
  }
  throw new Fault(
    'conflict',
    `table ${formatIdent(ident)} was changed by others during each of ${attemptsMax} attempts; nothing was committed. ` +
      `Last: ${last?.message ?? 'no attempt was allowed'}`,
    { table: formatIdent(ident), attempts: attemptsMax },
    last,
  )
}

/**
 * What became of a commit on `base` whose outcome is unknown: the table that holds it, or null when it does not.
 * @throws Fault `commit-unknown` when looking does not tell
 */
async function lookUp(
  catalog: Catalog,
  base: LoadedTable,
  fault: Fault,
  options: CommitOptions,
): Promise<LoadedTable | null> {
  const attemptsMax = options.attemptsMax ?? limits.commitAttemptsMax
  let reason = ''
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    try {
      await pauseBefore(attempt, options)
      const now = await catalog.load(base.ident)
      if (findCommit(now.metadata, options.commitId)) return now
      if (tells(base.metadata, now.metadata)) return null
      reason = 'the table was replaced, or snapshots have expired since'
      break
    } catch (error) {
      // Whatever goes wrong while looking says nothing of the commit; what may pass is waited for.
      reason = messageOf(error)
      if (!(error instanceof Fault) || error.retry !== 'safe') break
    }
  }
  const table = formatIdent(base.ident)
  throw new Fault(
    'commit-unknown',
    `it could not be found out whether commit ${options.commitId} of table ${table} took effect (${reason}). ` +
      `Keep its files, and look for ${commitIdProperty} in the table's snapshots. First: ${fault.message}`,
    { table, commitId: options.commitId },
    fault,
  )
}

/** The snapshot that carries the commit's id, on any branch, or undefined. */
export function findCommit(metadata: TableMetadata, commitId: string): Snapshot | undefined {
  return metadata.snapshots.findLast((snapshot) => snapshot.summary[commitIdProperty] === commitId)
}

/**
 * Whether the absence of a snapshot from `now` tells that it was not committed on `base`: it is still the same table, and
 * what was current then has not expired, so nothing younger has either.
 */
function tells(base: TableMetadata, now: TableMetadata): boolean {
  if (base['table-uuid'] !== now['table-uuid']) return false
  const current = base['current-snapshot-id']
  return current === undefined || now.snapshots.some((snapshot) => snapshot['snapshot-id'] === current)
}

/** The pause before an attempt, in ms: none before the first, then doubled up to the maximum, less up to half at random. */
export function pauseMs(attempt: number, random: () => number): number {
  if (attempt <= 1) return 0
  return backoffMs(attempt - 1, limits.commitBackoffMs, limits.commitBackoffMaxMs) * (0.5 + random() / 2)
}

async function pauseBefore(attempt: number, { clock, signal, random = Math.random }: CommitOptions): Promise<void> {
  try {
    signal?.throwIfAborted()
    const waitMs = pauseMs(attempt, random)
    if (waitMs > 0) await clock.sleep(waitMs, signal)
  } catch (error) {
    if (!signal?.aborted) throw error
    throw new Fault('cancelled', 'the commit was stopped by its caller between attempts', {}, error)
  }
}
