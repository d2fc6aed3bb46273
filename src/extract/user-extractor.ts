/** Loads extractors of the operator's own from files, and says what is wrong with one that does not fit. */
import { basename, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Fault, messageOf } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import type { Extractor, JsonSchema } from './extract.ts'
import { checkFactsOf } from './fact-check.ts'
import type { ExtractorModule } from './protocol.ts'

/**
 * Imports a module and takes its default object, or its named exports, as an extractor. `name` is that of the file when it
 * gives none, `version` is 1. @throws Fault `invalid` that names the file and what it lacks
 */
export async function loadExtractor(settings: ExtractorModule): Promise<Extractor> {
  const { module, name: givenName, defaultName } = settings
  const path = resolve(module)
  let loaded: { [key: string]: unknown }
  try {
    loaded = (await import(pathToFileURL(path).href)) as { [key: string]: unknown }
  } catch (error) {
    throw new Fault(
      'invalid',
      `The extractor module ${path} could not be loaded: ${messageOf(error)}`,
      { module: path },
      error,
    )
  }
  const exported =
    typeof loaded['default'] === 'object' && loaded['default'] !== null
      ? (loaded['default'] as { [key: string]: unknown })
      : loaded
  const given = await createdBy(exported, settings, path)
  const { appliesTo, extract, version = 1, schema } = given
  const name = givenName ?? given['name'] ?? nameOf(defaultName ?? path)
  if (typeof appliesTo !== 'function' || typeof extract !== 'function') {
    throw new Fault(
      'invalid',
      `The extractor module ${path} must export the functions appliesTo(subject) and extract(subject, bytes).`,
      {
        module: path,
      },
    )
  }
  if (typeof name !== 'string' || !/^[a-z0-9][a-z0-9-]{0,63}$/.test(name) || name === 'read') {
    throw new Fault(
      'invalid',
      `The extractor module ${path} has the name ${JSON.stringify(name)}: expected a-z, 0-9 and dashes, and not "read".`,
    )
  }
  if (typeof version !== 'number' || !Number.isSafeInteger(version)) {
    throw new Fault(
      'invalid',
      `The extractor module ${path} has the version ${String(version)}: expected a whole number.`,
    )
  }
  if (schema !== undefined && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) {
    throw new Fault('invalid', `The extractor module ${path} has a schema that is no object: expected a JSON Schema.`)
  }
  const extractor: Extractor = {
    name,
    version,
    ...(schema === undefined ? {} : { schema: schema as JsonSchema }),
    appliesTo: (subject) => Boolean(appliesTo.call(given, subject)),
    extract: async (subject, bytes) => factsOf(await extract.call(given, subject, bytes)),
  }
  await checkFactsOf(extractor)
  return extractor
}

/** What `create` gives, or the module itself. @throws Fault `invalid` */
async function createdBy(
  exported: { [key: string]: unknown },
  { options }: ExtractorModule,
  path: string,
): Promise<{ [key: string]: unknown }> {
  const { create } = exported
  if (typeof create !== 'function') {
    if (options === undefined) return exported
    throw new Fault('invalid', `The extractor module ${path} takes no options: it exports no function create(options).`)
  }
  let made: unknown
  try {
    made = await create.call(exported, options ?? {})
  } catch (error) {
    throw new Fault('invalid', `The extractor module ${path} could not be made: ${messageOf(error)}`, {}, error)
  }
  if (typeof made === 'object' && made !== null) return made as { [key: string]: unknown }
  throw new Fault(
    'invalid',
    `create(options) of the extractor module ${path} must give an object with appliesTo and extract.`,
  )
}

/** Nothing at all is no facts. @throws Fault `invalid` for what is no object: its members would have no names */
function factsOf(returned: unknown): { [key: string]: Json } {
  if (returned === undefined || returned === null) return {}
  if (returned instanceof Map) return Object.fromEntries(returned) as { [key: string]: Json }
  const got = Object.prototype.toString.call(returned).slice(8, -1).toLowerCase()
  if (got !== 'object')
    throw new Fault('invalid', `extract() must return an object such as { mine: … }, got ${got}`, { got })
  return returned as { [key: string]: Json }
}

function nameOf(path: string): string {
  return basename(path, extname(path))
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
}

/** @throws Fault `invalid` when two extractors share a name: faults could not be told apart */
export function assertDistinct(extractors: readonly Pick<Extractor, 'name'>[]): void {
  const seen = new Set<string>()
  for (const { name } of extractors) {
    if (seen.has(name)) throw new Fault('invalid', `Two extractors are named "${name}": give one of them another name.`)
    seen.add(name)
  }
}
