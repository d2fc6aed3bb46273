/**
 * Facts against their extractor's schema. What does not fit is left out and named, so that what is stored under a schema fits it
 * and one wrong fact takes no other with it; only where leaving out does not help (a required member is missing) all of the
 * extractor's facts go.
 *
 * The schemas of built-in extractors are held to by tests; those of extractors of the operator's own by `misfits`, each time.
 */
import type { ErrorObject, ValidateFunction } from 'ajv'
import { Fault, messageOf } from '../base/fault.ts'
import type { Json } from '../base/json.ts'
import { type Facts, TRUNCATED } from './canonical.ts'
import type { ExtractFault, Extractor, JsonSchema } from './extract.ts'

export type FactCheck = ValidateFunction

const checks = new WeakMap<Extractor, FactCheck>()

/** Problems that are told of one object. */
const TOLD_MAX = 5

/** @throws Fault `invalid` when the schema is none */
export async function compileFacts(schema: JsonSchema, whose: string): Promise<FactCheck> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  try {
    const ajv = new Ajv2020({ allErrors: true, strict: false, logger: false, validateFormats: false })
    return ajv.compile(schema)
  } catch (error) {
    throw new Fault('invalid', `The schema of ${whose} cannot be used: ${messageOf(error)}`, {}, error)
  }
}

/** Has the extractor's facts checked from now on, when it has a schema. @throws Fault `invalid` */
export async function checkFactsOf(extractor: Extractor): Promise<void> {
  if (extractor.schema === undefined) return
  checks.set(extractor, await compileFacts(extractor.schema, `the extractor ${extractor.name}`))
}

/** The facts that fit, and a fault for those that do not. */
export function fitting(extractor: Extractor, facts: Facts): { facts: Facts; faults: ExtractFault[] } {
  const check = checks.get(extractor)
  if (check === undefined) return { facts, faults: [] }
  const problems = misfits(check, facts)
  if (problems.length === 0) return { facts, faults: [] }
  const told = problems.slice(0, TOLD_MAX).map(({ path, message }) => `${path} ${message}`)
  const more = problems.length > TOLD_MAX ? `; and ${problems.length - TOLD_MAX} more` : ''
  const kept = structuredClone(facts)
  for (const { keys } of problems) leaveOut(kept, keys)
  const isMended = misfits(check, kept).length === 0
  const what = isMended ? 'these facts are left out' : 'the facts of this extractor are left out'
  const message = `facts that do not fit the extractor's schema: ${told.join('; ')}${more}; ${what}`
  const name = extractor.name
  return {
    facts: isMended ? kept : {},
    faults: [{ extractor: name, kind: 'invalid', message: message.slice(0, 1_000).toWellFormed() }],
  }
}

interface Misfit {
  keys: string[]
  path: string
  message: string
}

/** Where the facts do not fit, as paths such as `palette.colors[3]`. */
export function misfits(check: FactCheck, facts: Facts): Misfit[] {
  // What bounds cut off is told beside the facts; whole numbers beyond 2^53 are numbers to a schema.
  const { [TRUNCATED]: _, ...plain } = withoutBigints(facts) as Facts
  if (check(plain)) return []
  return (check.errors ?? []).map(misfitOf)
}

function misfitOf({ instancePath, keyword, params, message }: ErrorObject): Misfit {
  const keys = instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  const extra = (params as { additionalProperty?: unknown; unevaluatedProperty?: unknown }) ?? {}
  const name = extra.additionalProperty ?? extra.unevaluatedProperty
  if (typeof name === 'string') {
    return { keys: [...keys, name], path: pathOf([...keys, name]), message: 'is not in the schema' }
  }
  return { keys, path: pathOf(keys), message: message ?? `breaks ${keyword}` }
}

function pathOf(keys: readonly string[]): string {
  const path = keys.map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`)).join('')
  return path === '' ? 'the whole' : path.replace(/^\./, '')
}

/** Takes the member at a path out. An item of a list goes with its list: the others would change their places. */
function leaveOut(facts: Facts, keys: readonly string[]): void {
  let holder: Facts = facts
  for (const [at, key] of keys.entries()) {
    if (!Object.hasOwn(holder, key)) return
    const value = holder[key]
    const isLast = at === keys.length - 1
    if (isLast || typeof value !== 'object' || value === null || Array.isArray(value)) {
      delete holder[key]
      return
    }
    holder = value
  }
}

function withoutBigints(value: Json): Json {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutBigints)
  // As entries, so that a member called `__proto__` stays one.
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutBigints(member)]))
}
