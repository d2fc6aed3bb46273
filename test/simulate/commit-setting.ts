/** What a run of the commit simulation is about: its table, its bounds in simulated time, and the odds that a seed gives it. */
import type { Schema } from '../../src/iceberg/spec/table-metadata.ts'
import { TABLE_BOUNDS, type TableBounds } from '../../src/table/bounds.ts'
import type { Odds } from './faulty.ts'
import type { Random } from './random.ts'

export const ROOT = 'memory://lake'
export const IDENT = { namespace: ['default'], name: 'simulated' }

export const SCHEMA: Schema = {
  type: 'struct',
  'schema-id': 0,
  fields: [
    { id: 1, name: 'k', required: true, type: 'string' },
    { id: 2, name: 'n', required: false, type: 'long' },
    { id: 3, name: 'part', required: false, type: 'string' },
  ],
}
export const EVOLVED: Schema = {
  ...SCHEMA,
  fields: [...SCHEMA.fields, { id: 4, name: 'x', required: false, type: 'string' }],
}

/** What orphans are given, and snapshots, in simulated time: pauses between two actions are up to a third of it. */
export const GRACE_MS = 6 * 3_600_000
export const SNAPSHOT_AGE_MS = 5 * 3_600_000
/** A stopped process is not woken, and a late request does not arrive, when it is this late: within the grace of their files. */
export const LATEST_MS = GRACE_MS / 2
/** So much later than the grace an outsider commits, while orphans are looked for. */
export const LAST_MOMENT_MS = 60_000
/** Slack of what is asked of the removal of orphans: a few stalls. */
export const SLACK_MS = 20 * 60_000

export function drawOdds(random: Random): Odds {
  return {
    fail: random.pick([0, 0, 0.01, 0.03]),
    lose: random.pick([0, 0.01, 0.08]),
    swap: random.pick([0, 0.1, 0.3]),
    stall: random.pick([0, 0.01]),
    kill: random.pick([0, 0.005, 0.02]),
    outside: random.pick([0, 0.01, 0.04]),
    full: random.pick([0, 0, 0.004]),
  }
}

export function drawBounds(random: Random): TableBounds {
  return {
    ...TABLE_BOUNDS,
    filesPerStep: 2 + random.below(3),
    // Where data files are full from the start and never worn, it is delete files that are merged.
    ...random.pick([{ deadShare: 0.3 }, { deadShare: 0.6 }, { deadShare: 2, targetBytes: 1 }]),
    manifestsMergeCount: 1 + random.below(4),
    // By count, or by age alone.
    snapshotsKeptMax: random.chance(0.6) ? 3 + random.below(6) : TABLE_BOUNDS.snapshotsKeptMax,
    snapshotsKeptMin: 3,
    snapshotAgeMaxMs: SNAPSHOT_AGE_MS,
    orphanIntervalMs: 10 * 60_000,
    orphanGraceMs: GRACE_MS,
  }
}
