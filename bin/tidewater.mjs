#!/usr/bin/env node
/**
 * The command `tidewater`: installs what is missing, then runs the command line on the pinned Node.
 *
 * This process only waits: the command ends itself, and its exit code or signal becomes ours. Ctrl-C in a terminal reaches
 * every process of the foreground group, so SIGINT is passed on only when no terminal did that already. When this process is
 * killed, the channel to the command closes with it, and the command ends as by SIGTERM (`src/cli/main.ts`): nobody is left
 * behind who holds the home and the port.
 */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, nodeEnvironment, projectFolder } from './setup.mjs'

/** Several senders (npm, a supervisor, `timeout`) may say the same thing at once: the command hears it once. */
const repeatMs = 1_000

// A clone runs its TypeScript on the pinned Node; the packed artefact has been built and runs on the Node at hand.
const source = join(projectFolder, 'src', 'cli', 'main.ts')
if (!existsSync(source) && !runsPacked(process.versions.node)) {
  process.stderr.write(
    `tidewater: expected Node 22.15 or newer, got ${process.version} at ${process.execPath}; run it with a newer Node\n`,
  )
  process.exit(1)
}
const [node, command] = existsSync(source)
  ? [await ensureInstalled(), source]
  : [process.execPath, join(projectFolder, 'dist', 'cli', 'main.js')]
const child = spawn(node, [command, ...process.argv.slice(2)], {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env: { ...nodeEnvironment, TIDEWATER_ENDS_WITH: String(process.pid) },
})

const passedAt = new Map()
function pass(signal) {
  if (signal === 'SIGINT' && inForeground()) return
  const now = performance.now()
  if (now - (passedAt.get(signal) ?? Number.NEGATIVE_INFINITY) < repeatMs) return
  passedAt.set(signal, now)
  child.kill(signal)
}
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
for (const signal of signals) process.on(signal, pass)

child.on('error', (error) => {
  process.stderr.write(`tidewater: the command could not be started: ${error.message}\n`)
  process.exitCode = 1
})
child.on('exit', (code, signal) => {
  if (signal === null) {
    process.exitCode = code
    return
  }
  for (const name of signals) process.removeAllListeners(name)
  process.kill(process.pid, signal)
})

/** The packed artefact needs `node:sqlite` without a flag, and zstd. */
function runsPacked(version) {
  const [major, minor] = version.split('.').map(Number)
  return major > 22 || (major === 22 && minor >= 15)
}

/** Is this process in the group that the terminal sends Ctrl-C to? */
function inForeground() {
  try {
    // After the name in parentheses: state, parent, group, session, terminal, the terminal's foreground group.
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[2] === fields[5]
  } catch {
    // No /proc: whoever has a terminal is taken to be in its foreground.
    try {
      closeSync(openSync('/dev/tty', 'r'))
      return true
    } catch {
      return false
    }
  }
}
