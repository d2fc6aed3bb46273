/** Options and start-up shared by the commands. */
import path from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../app/config.ts'
import { type Engine, type EngineOptions, openEngine } from '../app/engine.ts'
import { type Home, homeAt } from '../app/home.ts'

export interface HomeOptions {
  home?: string
  config?: string
}

export function homeOption(command: Command): Command {
  return command
    .option('--home <dir>', 'state folder (default: TIDEWATER_HOME, or .tidewater)')
    .option('--config <file>', 'configuration file (default: tidewater.config.ts or .yaml in the working directory)')
}

export interface Setting {
  home: Home
  config: EngineOptions['config']
  configDir: string
}

export async function settingOf(options: HomeOptions): Promise<Setting> {
  const { config, file } = await loadConfig(options.config, process.cwd())
  return { home: homeAt(options.home), config, configDir: file === null ? process.cwd() : path.dirname(file) }
}

/** Opens the engine, runs `work`, and closes it whatever happens. */
export async function withEngine<T>(options: EngineOptions, work: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await openEngine(options)
  try {
    return await work(engine)
  } finally {
    await engine.close()
  }
}

/** Aborted by the first Ctrl-C or SIGTERM. A second Ctrl-C ends the process at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      controller.abort()
      process.once(name, () => process.exit(130))
    })
  }
  return controller.signal
}
