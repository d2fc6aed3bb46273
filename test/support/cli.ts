/** The command line as a process of its own, for tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const TIMEOUT_MS = 120_000

export interface CliResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface CliOptions {
  input?: string
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Told of the process as soon as it runs. */
  onStart?: (child: ChildProcess) => void
}

/** Runs `tidewater …args` to its end. */
export function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? process.cwd(),
      env: options.env ?? process.env,
      stdio: 'pipe',
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', fail)
    child.on('close', (code, signal) => done({ code, signal, stdout, stderr }))
    child.stdin.on('error', () => undefined)
    child.stdin.end(options.input ?? '')
    options.onStart?.(child)
  })
}

/** Runs `tidewater …args`, expects exit code 0 and gives standard output. */
export async function cliOk(args: readonly string[], options: CliOptions = {}): Promise<string> {
  const result = await cli(args, options)
  if (result.code !== 0)
    throw new Error(
      `tidewater ${args.join(' ')} ended with ${result.code ?? result.signal}:\n${result.stdout}\n${result.stderr}`,
    )
  return result.stdout
}

/** Rows of a statement as parsed JSON. */
export async function sqlRows(home: string, statements: string): Promise<Record<string, unknown>[]> {
  const text = await cliOk(['sql', statements, '--json', '--home', home])
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A temporary folder that is removed after `work`. */
export async function inTempDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(path.join(tmpdir(), 'tidewater-cli-'))
  try {
    return await work(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
