/**
 * The way of a record from its sender to its table, with everything around it failing: see `streams-run.ts`. Thousands of
 * runs are cheap: tables are kept in memory by the promises that the writer gives.
 *
 * What it has found stands beside the code as tests of their own:
 * - a trimmed segment that could not be removed stayed while newer ones went, and the log could not be read (`segments.test.ts`)
 * - a locked `streams.db` was told as a bug instead of as a passing fault, and would have kept all streams from opening
 *   (`repetitions.test.ts`)
 *
 * `TIDEWATER_SEED=n` runs that one, with `TIDEWATER_TRACE=1` telling its last steps; `TIDEWATER_ROUNDS=n` runs so many, from a
 * random seed on.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forgettingLog } from './forgetting-log.ts'
import { runStream, type StreamRunReport, type StreamSabotage } from './streams-run.ts'

/** With DuckDB and the writer, which take most of the time. */
const REAL_SEEDS = 6

const one = process.env['TIDEWATER_SEED']
const rounds = process.env['TIDEWATER_ROUNDS']
const count = Number(rounds ?? 150)
const first = one === undefined ? (rounds === undefined ? 1 : Math.floor(Math.random() * 2 ** 30)) : Number(one)

async function runSeed(seed: number, real = false): Promise<StreamRunReport> {
  try {
    return await runStream({ seed, real })
  } catch (error) {
    const replay = `TIDEWATER_SEED=${seed} npm test -- test/simulate/streams-crash`
    throw new Error(`seed ${seed}, replay with ${replay}`, { cause: error })
  }
}

test('every acknowledged record is in its table or in dead letters once, whatever fails or dies', async (t) => {
  if (one !== undefined) {
    await runSeed(first)
    return
  }
  const seen = { acknowledged: 0, repeated: 0, commits: 0, kills: 0, lost: 0, failed: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const { acknowledged, repeated, commits, steps } = await runSeed(seed)
    seen.acknowledged += acknowledged
    seen.repeated += repeated
    seen.commits += commits
    seen.kills += steps.killed
    seen.lost += steps.lost
    seen.failed += steps.failed
  }
  t.diagnostic(`${count} seeds from ${first}: ${JSON.stringify(seen)}`)
  // Runs in which nothing happens prove nothing.
  for (const [what, times] of Object.entries(seen)) assert.ok(times >= count / 4, `${what}: only ${times}`)
})

test('the same holds of real tables', { skip: one !== undefined && 'only one seed was asked for' }, async () => {
  for (let seed = first; seed < first + REAL_SEEDS; seed++) await runSeed(seed, true)
})

/** Runs until one finds something: the message of what it found. */
async function found(sabotage: StreamSabotage): Promise<string> {
  for (let seed = 1; seed <= 12; seed++) {
    try {
      await runStream({ seed, sabotage })
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return 'nothing'
}

describe('it can fail', { skip: one !== undefined && 'only one seed was asked for' }, () => {
  test('a log that acknowledges and forgets is found out', async () => {
    const message = await found({ log: (log) => forgettingLog(log, 4) })
    assert.match(message, /is lost|repeated|taken again|another (end|offset|answer)|expected \d+ entries/)
  })

  test('a memory that writes nothing down lets repetitions in', async () => {
    const message = await found({
      memory: (memory) => {
        const run = memory.run.bind(memory)
        memory.run = (sql, ...values) => (/INTO (producers|requests)_/.test(sql) ? 0 : run(sql, ...values))
      },
    })
    assert.match(message, /taken again|taken twice|refused|is there 2 times/)
  })

  test('a table that does not say what it holds takes entries twice', async () => {
    assert.match(await found({ forgetsOffset: true }), /is there \d+ times|deletes, /)
  })
})
