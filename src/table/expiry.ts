/**
 * Expiring snapshots of a table, and removing the files that only they could reach.
 *
 * Files are removed only after the commit that expired their last snapshot, when every snapshot left has been asked. Crash story:
 * killed in between, they are orphans.
 */
import { uuidv7 } from '../base/ids.ts'
import { type ExpireRequest, expireSnapshots } from '../iceberg/action/expire.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { commitChange } from '../iceberg/catalog/commit.ts'
import type { KeptTable } from './kept-table.ts'
import { reachableFiles, statisticsFiles } from './reachable.ts'

export interface Expired {
  snapshots: number
  files: number
}

type Request = Omit<ExpireRequest, 'nowMs'>

/** @throws Fault `unsupported` when the table forbids it, `invalid` for a request that makes no sense */
export async function expire(kept: KeptTable, before: LoadedTable, request: Request): Promise<Expired> {
  const { catalog, io, clock } = kept.parts
  const { table: after } = await kept.exclusively(() =>
    commitChange(catalog, before.ident, {
      commitId: uuidv7(clock.nowMs()),
      clock,
      plan: async ({ metadata }) => {
        const { change } = expireSnapshots(metadata, { nowMs: clock.nowMs(), ...request })
        return change.updates.length === 0 ? null : change
      },
    }),
  )
  const left = new Set(after.metadata.snapshots.map((snapshot) => snapshot['snapshot-id']))
  const expired = before.metadata.snapshots.filter((snapshot) => !left.has(snapshot['snapshot-id']))
  if (expired.length === 0) return { snapshots: 0, files: 0 }
  const reached = await reachableFiles(io, after.metadata, after.metadata.snapshots)
  const gone = await reachableFiles(io, before.metadata, expired)
  const statistics = statisticsFiles(before.metadata).difference(statisticsFiles(after.metadata))
  const unreachable = [...gone.union(statistics)].filter((location) => !reached.has(location))
  await io.delete(unreachable)
  return { snapshots: expired.length, files: unreachable.length }
}

/** A table is due when so large a part of its snapshots may go: the work is shared by many commits. */
const DUE_SHARE = 1 / 6

/** What upkeep expires by itself: null while there is little to do, or the table forbids it. */
export function dueExpiry(kept: KeptTable, { metadata }: LoadedTable): Request | null {
  if (metadata.properties['gc.enabled']?.toLowerCase() === 'false') return null
  // What the table's owner wants kept at least goes before our bound.
  const wanted = Number(metadata.properties['history.expire.min-snapshots-to-keep'] ?? 0)
  const keepMax = Math.max(kept.bounds.snapshotsKeptMax, Number.isFinite(wanted) ? wanted : 0)
  const { snapshotAgeMaxMs: ageMaxMs, snapshotsKeptMin } = kept.bounds
  const least = keepMax < snapshotsKeptMin ? { keepMin: keepMax } : {}
  const request = { ...least, keepMax, defaults: { ageMaxMs, keepMin: snapshotsKeptMin } }
  const { snapshotIds } = expireSnapshots(metadata, { nowMs: kept.parts.clock.nowMs(), ...request })
  return snapshotIds.length > metadata.snapshots.length * DUE_SHARE ? request : null
}
