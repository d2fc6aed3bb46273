/** Problems of the form of a configuration: which settings have them, and the configuration without those. Pure. */
import type { z } from 'zod'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** The settings that an issue is about: keys that nobody knows are told at the setting that holds them. */
export function pathsOf(issue: Issue): Path[] {
  return issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
}

/** Is a sentence about the setting at this path, or about one inside it? */
export function isAt(sentence: string, path: string): boolean {
  return path !== '' && sentence.startsWith(path) && /^[:.]/.test(sentence.slice(path.length))
}

/** A copy without the settings at these paths; what is not plain data stays as it is. */
export function without(value: unknown, paths: readonly Path[]): unknown {
  const inside = paths.filter((path) => path.length > 0)
  if (typeof value !== 'object' || value === null || inside.length === 0) return value
  const entries = Object.entries(value)
    .map(([key, item]) => ({ key, item, below: inside.filter(([first]) => String(first) === key) }))
    .filter(({ below }) => !below.some((path) => path.length === 1))
    .map(
      ({ key, item, below }) =>
        [
          key,
          without(
            item,
            below.map((path) => path.slice(1)),
          ),
        ] as const,
    )
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)
}
