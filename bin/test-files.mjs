/**
 * Runs test files, each in a process of its own, on the pinned Node; ends with one line: `12 passed, 0 failed`, and what
 * was skipped if anything was. Started by test.mjs with one JSON argument: { files, options, limitMs, runMs, concurrency }.
 */
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const { files, options, limitMs, runMs, concurrency } = JSON.parse(process.argv[2])

const events = run({
  files,
  concurrency,
  timeout: limitMs, // of one test, which cannot stop a loop that never waits
  signal: AbortSignal.timeout(runMs), // of everything
  execArgv: ['--import', new URL('test-exit.mjs', import.meta.url).href, ...options],
})

let counts
events.on('test:summary', (summary) => {
  if (summary.file === undefined) counts = summary.counts
})
const reporter = events.compose(new spec())
reporter.pipe(process.stdout)
reporter.on('end', () => {
  const { passed, failed, cancelled, skipped, todo } = counts ?? {
    passed: 0,
    failed: 1,
    cancelled: 0,
    skipped: 0,
    todo: 0,
  }
  const bad = failed + cancelled
  const left = skipped + todo
  process.stdout.write(`${passed} passed, ${bad} failed${left > 0 ? `, ${left} skipped` : ''}\n`)
  process.exitCode = bad > 0 ? 1 : 0
})
