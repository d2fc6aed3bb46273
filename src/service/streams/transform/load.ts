/** Loads a transform function from its file, and says what is wrong with one that does not fit. */
import { realpath } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Fault, messageOf } from '../../../base/fault.ts'
import type { WorkerSetup } from './protocol.ts'

type Exports = { [name: string]: unknown }

export interface Loaded {
  contract: 'record' | 'batch'
  call: (...args: unknown[]) => unknown
}

/** @throws Fault `invalid` that names the file and what it lacks */
export async function loadFunction(setup: Pick<WorkerSetup, 'module' | 'function' | 'contract'>): Promise<Loaded> {
  const { module } = setup
  let loaded: Exports
  try {
    loaded = (await import(pathToFileURL(module).href)) as Exports
  } catch (error) {
    throw new Fault(
      'invalid',
      `The transform module ${module} could not be loaded: ${messageOf(error)}`,
      { module },
      error,
    )
  }
  // A CommonJS module is the default of what is imported, and may have a default of its own.
  const places = [loaded, loaded['default'], (loaded['default'] as Exports | undefined)?.['default']].filter(
    (place): place is Exports => (typeof place === 'object' || typeof place === 'function') && place !== null,
  )
  const find = (name: string) =>
    places.map((place) => place[name]).find((value): value is Loaded['call'] => typeof value === 'function')
  const names = setup.function === undefined ? ['handler', 'default'] : [setup.function]
  for (const name of names) {
    const call = find(name)
    if (call === undefined) continue
    const contract = setup.contract ?? (name === 'handler' ? 'batch' : 'record')
    return { contract, call }
  }
  throw new Fault(
    'invalid',
    `The transform module ${module} must export a function as ${names.map((name) => `"${name}"`).join(' or ')}; it exports ${Object.keys(loaded).join(', ') || 'nothing'}.`,
    { module },
  )
}

/** Beside the configuration file: functions that streams made through the API may name. */
const FUNCTIONS_FOLDER = 'functions'

/**
 * The absolute path of a function's file. A stream of the configuration names it from the configuration's folder. Whoever may make
 * streams through the API may not name any file of the machine: only one in the folder `functions` there, also behind links;
 * from that folder, or with its name before, as the configuration does. Where both are files, the first is meant.
 * @throws Fault `invalid`
 */
export async function resolveModule(module: string, configDir: string, configured: boolean): Promise<string> {
  if (configured) {
    const file = path.resolve(configDir, module)
    const real = await realOf(file)
    if (real === null) throw new Fault('invalid', `transform.module: there is no file ${file}`)
    return real
  }
  const folder = path.resolve(configDir, FUNCTIONS_FOLDER)
  const shown = JSON.stringify(module.slice(0, 200))
  const isNamed = path.normalize(module).split(path.sep)[0] === FUNCTIONS_FOLDER
  const real =
    (await realOf(path.resolve(folder, module))) ?? (isNamed ? await realOf(path.resolve(configDir, module)) : null)
  if (real === null)
    throw new Fault(
      'invalid',
      `transform.module: there is no file ${shown} in ${folder}, where functions are looked for`,
    )
  const relative = path.relative(await realpath(folder), real)
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative) || path.isAbsolute(module))
    throw new Fault('invalid', `transform.module: expected a file in ${folder}, got ${shown}`)
  return real
}

function realOf(file: string): Promise<string | null> {
  return realpath(file).catch(() => null)
}
