/** Options and start-up shared by the commands. */
import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../app/config-file.ts'
import { type Engine, type EngineOptions, openEngine } from '../app/engine.ts'
import { type Home, homeAt } from '../app/home.ts'
import { openReader, type Reader } from '../app/reader.ts'
import { Fault, messageOf, systemCode } from '../base/fault.ts'

export interface HomeOptions {
  home?: string
  config?: string
}

export function homeOption(command: Command): Command {
  return command
    .option('--home <dir>', 'state folder (default: TIDEWATER_HOME, or .tidewater)')
    .option(
      '--config <file>',
      'configuration file, or cdk.context.json (default: tidewater.config.ts or .yaml in the working directory)',
    )
}

export interface Setting {
  home: Home
  config: EngineOptions['config']
  configDir: string
  /** Null: defaults. */
  configFile: string | null
  /** What was understood in the configuration and is not needed. */
  notes: string[]
}

/** @param serves what the sources of the configuration want of the environment must be there */
export async function settingOf(options: HomeOptions, serves = false): Promise<Setting> {
  const { config, file, notes } = await loadConfig(options.config, process.cwd(), '', serves ? process.env : undefined)
  const configDir = file === null ? process.cwd() : path.dirname(file)
  return { home: homeAt(options.home), config, configDir, configFile: file, notes }
}

/** One line on standard error; the work goes on. */
export function warn(message: string): void {
  process.stderr.write(`tidewater: ${message}\n`)
}

/** Opens the home for reading, runs `work`, and closes it whatever happens. */
export async function withReader(options: HomeOptions, work: (reader: Reader) => Promise<unknown>): Promise<void> {
  const { home, config } = await settingOf(options)
  const reader = await openReader(home, config)
  try {
    await work(reader)
  } finally {
    await reader.close()
  }
}

/** Opens the engine, runs `work`, and closes it whatever happens. */
export async function withEngine<T>(options: EngineOptions, work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openEngine({ onNotice: warn, ...options })
  let result: T
  try {
    result = await work(engine)
  } catch (error) {
    // What went wrong first is what to tell.
    await engine.close().catch(() => undefined)
    throw error
  }
  await engine.close()
  return result
}

/** @throws Fault `not-found`, `invalid` when `dir` is no folder: before anything is made for it */
export async function requireFolder(dir: string, what: string): Promise<void> {
  if ((await lookAt(dir, what)).isDirectory()) return
  throw new Fault('invalid', `${what}: expected a folder, got the file ${dir}`)
}

/** @throws Fault `not-found`, `invalid` when `file` is a folder */
export async function requireFile(file: string, what: string): Promise<void> {
  if (!(await lookAt(file, what)).isDirectory()) return
  throw new Fault('invalid', `${what}: expected a file, got the folder ${file}`)
}

async function lookAt(file: string, what: string): Promise<Stats> {
  try {
    return await stat(file)
  } catch (error) {
    const missing = ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')
    if (missing) throw new Fault('not-found', `${what}: there is no ${file}; check the path`)
    throw new Fault('unavailable', `${what}: cannot look at ${file}: ${messageOf(error)}`, {}, error)
  }
}

/** Aborted by the first Ctrl-C or SIGTERM, or when nobody reads standard output any more. A second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  process.stdout.once('error', () => controller.abort())
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      controller.abort()
      process.once(name, () => process.exit(130))
    })
  }
  return controller.signal
}
