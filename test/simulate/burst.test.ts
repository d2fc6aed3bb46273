/**
 * A burst of events, all at once: what is held in memory has its bounds, and in the end everything has been passed on.
 * `TIDEWATER_BURST` sets the events, as many as pass in the time of one test; more by
 * `node --max-old-space-size=128 test/simulate/burst-process.ts DIR 1000000 2000`, which prints the report that is checked here.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { limits } from '../../src/base/limits.ts'
import { inTempDir } from '../support/cli.ts'
import type { BurstReport } from './burst-process.ts'

const EVENTS = Number(process.env['TIDEWATER_BURST'] ?? 100_000)
const KEYS = 2_000
/** Of the child's JavaScript heap: a queue that held the burst would pass it many times over, and end the process. */
const HEAP_MIB = 128
/** Heap, what SQLite keeps of its file, buffers, and Node itself. */
const RSS_MAX_MIB = 450
const LIMIT_MS = 30 * 60_000

describe(`a burst of ${EVENTS} events`, () => {
  it('waits on disk: memory, extractions and questions at a time have their bounds, hot keys fold, nothing is lost', async (t) => {
    await inTempDir(async (dir) => {
      const child = new URL('./burst-process.ts', import.meta.url).pathname
      const args = [`--max-old-space-size=${HEAP_MIB}`, child, dir, String(EVENTS), String(KEYS)]
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: LIMIT_MS, signal: t.signal })
      const report = JSON.parse(stdout) as BurstReport
      t.diagnostic(JSON.stringify(report))
      assert.equal(report.events, EVENTS)
      assert.equal(report.wrong, 0)
      assert.ok(report.versions <= KEYS)
      // The burst came faster than it was passed on, else this says nothing.
      assert.ok(report.waitingMax > EVENTS / 4, `at most ${report.waitingMax} events waited`)
      assert.ok(report.extractingMax <= limits.extractWindow)
      assert.ok(report.askingMax <= limits.describesAtOnce)
      assert.ok(report.extracted < EVENTS && report.asked === report.extracted)
      assert.ok(report.rssMaxMiB < RSS_MAX_MIB, `${report.rssMaxMiB} MiB`)
    })
  })
})
