/**
 * Installs the project's dependencies when they are missing or not those of package-lock.json.
 *
 * Runs under any Node from 20 on, before anything is installed, so it uses Node's own modules only. Everything else runs
 * on the Node that the `node` package brings. What was installed is told by a stamp inside node_modules, written last:
 * an install that was interrupted leaves none and is done again.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json, wherever the process was started. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)))

/** The Node that runs Tidewater. */
export const pinnedNode = join(projectFolder, 'node_modules', 'node', 'bin', 'node')

/**
 * The environment of what runs on the pinned Node: compiled code is kept, which spares more than half of a start. Nothing is
 * lost when the folder cannot be written.
 */
export const nodeEnvironment = { ...process.env, NODE_COMPILE_CACHE: join(projectFolder, '.cache', 'compile') }

const modules = join(projectFolder, 'node_modules')
const stampFile = join(modules, '.tidewater-install')
const lockFile = join(projectFolder, '.cache', 'install.lock')

/** A lock older than this was left by an install that will not come back. */
const lockAgeMaxMs = 15 * 60_000
const lockPollMs = 250

/** How often it is told that npm, which tells nothing while it downloads, is still at it. */
const signOfLifeMs = 15_000

/**
 * Makes sure that the dependencies of package-lock.json are installed; gives back the path of the pinned Node.
 * Ends the process with exit code 1 and a message when that cannot be done.
 */
export async function ensureInstalled() {
  const wanted = stampOf(readFileSync(join(projectFolder, 'package-lock.json')))
  if (stamped(wanted)) return pinnedNode
  takeLock()
  try {
    if (stamped(wanted)) return pinnedNode
    // Somebody ran npm themselves: the packages are right, only the stamp is missing.
    if (!matchesLock()) await install()
    checkNode()
    writeFileSync(stampFile, wanted)
  } finally {
    rmSync(lockFile, { force: true })
  }
  return pinnedNode
}

function stampOf(lockText) {
  return `${createHash('sha256').update(lockText).digest('hex')} ${process.platform}-${process.arch}\n`
}

function stamped(wanted) {
  return readOrNothing(stampFile) === wanted && existsSync(pinnedNode)
}

/** Does npm's own record of what it put into node_modules agree with package-lock.json? */
function matchesLock() {
  const recorded = readOrNothing(join(modules, '.package-lock.json'))
  if (recorded === undefined || !existsSync(pinnedNode)) return false
  const installed = JSON.parse(recorded).packages
  const wanted = JSON.parse(readFileSync(join(projectFolder, 'package-lock.json'), 'utf8')).packages
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' || installed[path]?.version === entry.version || (installed[path] === undefined && entry.optional),
  )
}

async function install() {
  say('Installing dependencies with npm ci (once; about 200 MB to download)…')
  const npm = npmCommand()
  // dev dependencies too: one install serves start and test, and NODE_ENV=production must not leave half of them out.
  const args = [...npm.args, 'ci', '--include=dev', '--loglevel=error', '--no-audit', '--no-fund']
  // npm's output belongs to the notice, not to what the command prints.
  const result = await run(npm.command, args, { cwd: projectFolder, env: npm.env, stdio: ['ignore', 2, 2] })
  if (result.error?.code === 'ENOENT')
    fail(`npm was not found: expected ${npm.command} in the PATH. Install npm 9 or newer.`)
  if (result.error !== undefined) fail(`npm could not be started: ${result.error.message}.`)
  if (result.status !== 0) {
    const how = result.signal === null ? `exit code ${result.status}` : result.signal
    fail(
      `npm ci failed (${how}); npm says why above. It needs to reach the package registry this once: ` +
        'check the network, the proxy and the free disk space, then run the same command again.',
    )
  }
}

/** Runs a command to its end, and tells now and then that it has not ended. Never rejects. */
function run(command, args, options) {
  const beganMs = performance.now()
  const signs = setInterval(
    () => say(`npm is still installing, ${Math.round((performance.now() - beganMs) / 1_000)} s by now…`),
    signOfLifeMs,
  )
  return new Promise((resolve) => {
    const child = spawn(command, args, options)
    child.on('error', (error) => resolve({ error }))
    child.on('close', (status, signal) => resolve({ status, signal }))
  }).finally(() => clearInterval(signs))
}

/** The npm that started us, run by the Node that runs it; else the one in the PATH. */
function npmCommand() {
  // Not the Node of the folder that npm is about to empty.
  const path = (process.env.PATH ?? '').split(delimiter).filter((entry) => !entry.startsWith(modules))
  const env = { ...process.env, PATH: path.join(delimiter) }
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  if (script && node && basename(script) === 'npm-cli.js' && existsSync(script) && !node.startsWith(modules)) {
    return { command: node, args: [script], env }
  }
  return { command: 'npm', args: [], env }
}

function checkNode() {
  const result = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' })
  const got = result.error?.code ?? result.stdout?.trim()
  if (got?.startsWith('v24.')) return
  fail(
    `The Node that Tidewater runs on is not usable: expected v24 from ${pinnedNode}, got ${got || 'nothing'}. ` +
      'Its install script may have been blocked: run "npm rebuild node --ignore-scripts=false" in the project folder ' +
      'and then the same command again.',
  )
}

/** Waits until no other process installs into this folder. */
function takeLock() {
  mkdirSync(dirname(lockFile), { recursive: true })
  for (let told = false; !tryLock(); told = true) {
    if (!told) say('Another process is installing the dependencies; waiting for it…')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockPollMs)
  }
}

function tryLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    if (abandoned()) clearLock()
    return false
  }
}

function abandoned() {
  const owner = Number(readOrNothing(lockFile))
  const age = Date.now() - (statSync(lockFile, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
  if (age > lockAgeMaxMs) return true
  if (!(owner > 0)) return age > 4 * lockPollMs // made, and its owner not yet written
  try {
    process.kill(owner, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/** Renaming first lets only one of several waiters clear a lock. */
function clearLock() {
  const aside = `${lockFile}.${process.pid}`
  try {
    renameSync(lockFile, aside)
    rmSync(aside)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
}

function readOrNothing(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  }
}

function say(message) {
  process.stderr.write(`tidewater: ${message}\n`)
}

function fail(message) {
  rmSync(lockFile, { force: true })
  say(message)
  process.exit(1)
}
