/**
 * Which entries of a batch decide, and what they decide about: as temporary tables of the writer's session.
 *
 *     batch    (nth, op, h, row, and o: the ordering value as BIGINT, where the table has an ordering column)
 *     winners  (h, nth, and o): per key the entry that decides, if it changes anything; as a bitmap over `nth` too (`WON`)
 *     old      (h, file, pos, ord): the rows that the winners replace or delete
 *     tombs    (h, ord, at_ms): all tombstones after the commit, when it adds some
 *
 * Without an ordering column the newest entry of the log decides. With one, the greatest value does, and of equal ones the newest
 * entry; a value below that of the row or tombstone that the key already has changes nothing. So the same entries in any order,
 * any number of times, in any batches, come to the same table.
 */
import { Fault } from '../base/fault.ts'
import type { DuckSession } from '../duck/duck.ts'
import type { RowIndex } from './row-index.ts'
import { keptTombstones } from './tombstones.ts'

/** Of rows of `batch` (no row won: the bitmap is null, and so is this). */
export const WON = "get_bit(getvariable('tidewater_won'), nth) = 1"

/** What the tables above take must be given back after each commit. */
export const FOLD_TABLES = ['batch', 'winners', 'old', 'held', 'buried', 'tombs']

export interface FoldParts {
  session: DuckSession
  index: RowIndex
  /** Entries of `batch` are numbered below this. */
  entries: number
}

async function markWinners({ session, entries }: FoldParts): Promise<void> {
  await session.run(`SET VARIABLE tidewater_won = (SELECT bitstring_agg(nth, 0, ${entries - 1}) FROM winners)`)
}

/** The newest entry of a key decides. */
export async function foldNewest(parts: FoldParts): Promise<void> {
  const { session, index } = parts
  await session.run('CREATE OR REPLACE TEMP TABLE winners AS SELECT h, max(nth) AS nth FROM batch GROUP BY h')
  await session.run(`CREATE OR REPLACE TEMP TABLE old AS ${index.locate('winners')}`)
  await markWinners(parts)
}

/** The first row of a key decides, for good. */
export async function foldFirst(parts: FoldParts): Promise<void> {
  const { session, index } = parts
  await session.run(
    "CREATE OR REPLACE TEMP TABLE winners AS SELECT h, min(nth) AS nth FROM batch WHERE op = 'upsert' GROUP BY h",
  )
  await session.run(`CREATE OR REPLACE TEMP TABLE old AS ${index.locate('winners')}`)
  await session.run('DELETE FROM winners WHERE h IN (SELECT h FROM old)')
  // They stay.
  await session.run('DELETE FROM old')
  await markWinners(parts)
}

export interface Ordered {
  /** Entries whose value is less than what their key already had in the table. */
  lateDropped: number
  /** Keys newly deleted: their tombstones are in `tombs`. */
  buried: number
  /** Tombstones there are after the commit, in `tombs` when `buried` is not 0, and those that found no place there. */
  tombstones: number
  forgotten: number
}

/** The entry with the greatest ordering value decides. @throws Fault `invalid` when an entry has none */
export async function foldOrdered(parts: FoldParts, ordering: string, nowMs: number): Promise<Ordered> {
  const { session, index } = parts
  const count = (rows: string) => session.value(`SELECT count(*) FROM ${rows}`).then(Number)
  const tombstones = index.name('tombstones')
  const without = await count("batch WHERE op <> 'none' AND o IS NULL")
  if (without > 0) {
    throw new Fault(
      'invalid',
      `${without} change(s) have no value in the ordering column ${ordering}, which deletes need too: without one it cannot be told which change of a key is the newer`,
    )
  }
  await session.run(
    `CREATE OR REPLACE TEMP TABLE winners AS SELECT h, (max(o::HUGEINT * 4294967296 + nth) & 4294967295)::INTEGER AS nth, max(o) AS o
    FROM batch WHERE op <> 'none' GROUP BY h`,
  )
  await session.run(`CREATE OR REPLACE TEMP TABLE old AS ${index.locate('winners')}`)
  await session.run(
    `CREATE OR REPLACE TEMP TABLE held AS SELECT h, max(ord) AS ord FROM (
      SELECT h, ord FROM old UNION ALL SELECT t.h, t.ord FROM ${tombstones} t SEMI JOIN winners w ON t.h = w.h) GROUP BY h`,
  )
  const lateDropped = await count("batch b JOIN held k ON b.h = k.h WHERE b.op <> 'none' AND b.o < k.ord")
  if (lateDropped > 0) {
    await session.run('DELETE FROM winners w USING held k WHERE w.h = k.h AND w.o < k.ord')
    await session.run('DELETE FROM old WHERE h NOT IN (SELECT h FROM winners)')
  }
  await markWinners(parts)

  await session.run(
    `CREATE OR REPLACE TEMP TABLE buried AS SELECT h, o AS ord, ${nowMs}::BIGINT AS at_ms FROM batch WHERE op = 'delete' AND ${WON}`,
  )
  // One that is there already and is told again changes nothing.
  const buried = await count(`buried b ANTI JOIN ${tombstones} t ON t.h = b.h AND t.ord >= b.ord`)
  if (buried === 0) return { lateDropped, buried, tombstones: await count(tombstones), forgotten: 0 }
  const all = `SELECT h, ord, at_ms FROM buried UNION ALL SELECT t.h, t.ord, t.at_ms FROM ${tombstones} t ANTI JOIN winners w ON t.h = w.h`
  await session.run(`CREATE OR REPLACE TEMP TABLE tombs AS ${keptTombstones(all, nowMs)}`)
  const kept = await count('tombs')
  return { lateDropped, buried, tombstones: kept, forgotten: (await count(`(${all})`)) - kept }
}

/** Brings the index's tombstones to what `foldOrdered` found, inside the caller's transaction. */
export async function learnTombstones(
  { session, index }: Pick<FoldParts, 'session' | 'index'>,
  { buried }: Ordered,
): Promise<void> {
  const tombstones = index.name('tombstones')
  if (buried > 0) {
    await session.run(`DELETE FROM ${tombstones}`)
    await session.run(`INSERT INTO ${tombstones} SELECT h, ord, at_ms FROM tombs`)
  } else await session.run(`DELETE FROM ${tombstones} WHERE h IN (SELECT h FROM batch WHERE op = 'upsert' AND ${WON})`)
}
