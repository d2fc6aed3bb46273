/** The real server in a process of its own, as tests of streams start, stop and kill it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const START_MS = 120_000

export interface Running {
  child: ChildProcess
  url: string
  /** What it said on standard error so far. */
  told: () => string
}

/** Resolves when it takes requests. */
export function startServer(
  home: string,
  config: string,
  env: Record<string, string> = {},
  more: readonly string[] = [],
): Promise<Running> {
  const child = spawnServer(home, config, env, more)
  let told = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    told = (told + text).slice(-20_000)
  })
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`the server does not start: ${told}`)), START_MS)
    child.on('exit', (code) => fail(new Error(`the server ended with ${code} before it took requests: ${told}`)))
    createInterface({ input: child.stdout! }).once('line', (line) => {
      clearTimeout(late)
      child.removeAllListeners('exit')
      done({ child, url: line.replace(/^.* on /, ''), told: () => told })
    })
  })
}

export function spawnServer(
  home: string,
  config: string,
  env: Record<string, string> = {},
  more: readonly string[] = [],
): ChildProcess {
  return spawn(process.execPath, [MAIN, 'start', '--home', home, '--config', config, '--port', '0', ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
}

export function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  return new Promise((done) => child.once('exit', (code) => done(code)))
}
