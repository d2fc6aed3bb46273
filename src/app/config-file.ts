/**
 * A configuration and the file that it is in: `tidewater.config.ts` (default export, see `defineConfig`), or the same as
 * `tidewater.config.yaml`; or the context file of a CDK application with a delivery stream, which may also be named in ours
 * (`cdkContext`).
 */
import { access, readFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse as parseYaml } from 'yaml'
import { Fault, messageOf } from '../base/fault.ts'
import { isCdkContext } from './cdk-context.ts'
import { type Config, parseConfig } from './config.ts'
import { s3Notes } from './s3-connections.ts'
import { type Environment, secretNotes } from './secrets.ts'
import { cdkNotes } from './settings/streams.ts'

const CONFIG_FILES = ['tidewater.config.ts', 'tidewater.config.mjs', 'tidewater.config.yaml', 'tidewater.config.yml']

export interface LoadedConfig {
  config: Config
  /** The file that it came from; null: defaults. */
  file: string | null
  /** What was understood in it and is not needed. */
  notes: string[]
}

/**
 * Reads `file`, or the first configuration file in `dir`, or gives the defaults.
 * @param stamp other than before for a file that was read before and may have changed
 * @param env as of `parseConfig`
 * @throws Fault `invalid`, `not-found`
 */
export async function loadConfig(
  file: string | undefined,
  dir: string,
  stamp = '',
  env?: Environment,
): Promise<LoadedConfig> {
  const named = file === undefined ? null : path.resolve(dir, file)
  const found = await firstExisting(named === null ? CONFIG_FILES.map((name) => path.join(dir, name)) : [named])
  if (found === null && named !== null) throw new Fault('not-found', `there is no configuration file ${named}`)
  if (found === null) return { config: parseConfig({}, 'defaults'), file: null, notes: [] }
  const input = await readConfigFile(found, stamp)
  const cdkPath = isCdkContext(input) ? '' : 'cdkContext'
  const config = parseConfig(await withCdkFile(input, found), found, cdkPath, env)
  const notes = [...s3Notes(config.s3), ...secretNotes(config.objects.sources), ...cdkNotes(config.cdkContext, cdkPath)]
  return { config, file: found, notes }
}

/** A context file is a configuration by itself; one that the configuration names is read. */
async function withCdkFile(input: unknown, file: string): Promise<unknown> {
  if (isCdkContext(input)) return { cdkContext: input }
  const { cdkContext } = (input ?? {}) as { cdkContext?: unknown }
  if (typeof cdkContext !== 'string') return input
  const context = path.resolve(path.dirname(file), cdkContext)
  if ((await firstExisting([context])) === null)
    throw new Fault('not-found', `${file}: cdkContext: there is no file ${context}`)
  return { ...(input as object), cdkContext: await readConfigFile(context) }
}

async function readConfigFile(file: string, stamp = ''): Promise<unknown> {
  let loaded: unknown
  try {
    loaded = /\.(ts|mjs|js)$/.test(file)
      ? // A module is evaluated once per address.
        await import(`${pathToFileURL(file).href}${stamp === '' ? '' : `?${stamp}`}`)
      : file.endsWith('.json')
        ? JSON.parse(await readFile(file, 'utf8'))
        : parseYaml(await readFile(file, 'utf8'))
  } catch (error) {
    throw new Fault('invalid', `${file} cannot be read as configuration: ${messageOf(error)}`, {}, error)
  }
  if (!/\.(ts|mjs|js)$/.test(file)) return loaded
  const { default: config } = loaded as { default?: unknown }
  if (config === undefined) throw new Fault('invalid', `${file} has no default export: write export default { … }`)
  return config
}

async function firstExisting(files: readonly string[]): Promise<string | null> {
  for (const file of files) {
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return file
  }
  return null
}
