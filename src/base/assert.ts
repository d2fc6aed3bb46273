import { stringifyJson } from './json.ts'

/** Assertions catch bugs of ours, never bad input: bad input is a `Fault`. */

/** @throws Error when `condition` is false: a bug, not an operating error. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`)
}

/** Marks the end of an exhaustive switch: a new variant becomes a compile error here. */
export function unreachable(value: never): never {
  throw new Error(`bug: unhandled case ${stringifyJson(value)}`)
}

/** `value` without null and undefined. @throws Error: a bug, when it has none. */
export function must<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`bug: ${what} is missing`)
  return value
}
