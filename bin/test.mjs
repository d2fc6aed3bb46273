/**
 * `npm test`: the checks of `npm run check`, then every test but the slow suites.
 *
 * `npm test -- FILTER… [--node-option…]` runs only the test files whose path contains one of the filters (the slow suites
 * too, when a filter names them) and leaves the checks out: `npm test -- src/log`, `npm test -- test/interop`.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, sep } from 'node:path'
import { ensureInstalled, nodeEnvironment, projectFolder } from './setup.mjs'

/** Suites that need engines from outside or minutes; `.ci/run` runs them. */
const slowFolders = ['test/interop/', 'test/simulate/']
/**
 * One test fails after so long, and the whole run. Test files at once: each may use more than one thread, but the slow ones wait
 * for other processes most of the time.
 */
const quick = { limitMs: 240_000, runMs: 1_020_000, concurrency: 3 }
const slow = { limitMs: 480_000, runMs: 1_140_000, concurrency: 3 }

const filters = process.argv.slice(2).filter((arg) => !arg.startsWith('-'))
const options = process.argv.slice(2).filter((arg) => arg.startsWith('-'))

const files = ['src', 'test'].flatMap(testFiles).filter((file) => {
  if (filters.length === 0) return !isSlow(file)
  return filters.some((filter) => file.includes(filter))
})

if (files.length === 0) {
  console.error(
    `No test file has ${filters.map((filter) => `"${filter}"`).join(' or ')} in its path (src/**/*.test.ts, test/**/*.test.ts).`,
  )
  process.exitCode = 1
} else {
  const checked = filters.length > 0 ? 0 : await run([join('bin', 'check.mjs')])
  process.exitCode = checked === 0 ? await run(testArgs(files)) : checked
}

function testFiles(folder) {
  return readdirSync(join(projectFolder, folder), { recursive: true })
    .map((path) => `${folder}/${path.split(sep).join('/')}`)
    .filter((path) => path.endsWith('.test.ts') && !path.includes('/node_modules/'))
    .sort()
}

function isSlow(file) {
  return slowFolders.some((prefix) => file.startsWith(prefix))
}

function testArgs(paths) {
  const bounds = paths.some(isSlow) ? slow : quick
  return [join('bin', 'test-files.mjs'), JSON.stringify({ files: paths, options, ...bounds })]
}

/** Runs the pinned Node; gives its exit code. */
async function run(args) {
  const child = spawn(await ensureInstalled(), args, { cwd: projectFolder, stdio: 'inherit', env: nodeEnvironment })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}
