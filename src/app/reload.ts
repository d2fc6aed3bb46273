/** What of a configuration that has changed is taken while everything runs, and what waits for the next start. Pure. */
import { type Json, stringifyJson } from '../base/json.ts'
import type { Config } from './config.ts'

export interface ConfigChanges {
  /** The content columns, or whether raw metadata is kept. */
  content: boolean
  /** Paths of settings that the next start takes. */
  restart: string[]
}

/** Settings are told apart down to this level. */
const DEPTH_MAX = 3

export function changesOf(running: Config, next: Config): ConfigChanges {
  const isContent = (path: string) => /^objects\.(content|schema)(\.|$)/.test(path)
  const paths = differences(running, next, '', 0)
  return { content: paths.some(isContent), restart: paths.filter((path) => !isContent(path)) }
}

/** The configuration that runs, with the content columns of another. */
export function withContent(running: Config, next: Config): Config {
  const { schema: _schema, ...objects } = running.objects
  const { content, schema } = next.objects
  return { ...running, objects: { ...objects, content, ...(schema === undefined ? {} : { schema }) } }
}

function differences(one: unknown, other: unknown, path: string, depth: number): string[] {
  if (textOf(one) === textOf(other)) return []
  if (depth === DEPTH_MAX || !isGroup(one) || !isGroup(other)) return [path]
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) =>
    differences(one[name], other[name], path === '' ? name : `${path}.${name}`, depth + 1),
  )
}

function textOf(value: unknown): string {
  return value === undefined ? '' : stringifyJson(sorted(value) as Json)
}

/** The order of members says nothing. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isGroup(value)) return typeof value === 'function' ? String(value) : value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .filter((name) => value[name] !== undefined)
      .map((name) => [name, sorted(value[name])]),
  )
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
