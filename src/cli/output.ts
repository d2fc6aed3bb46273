/** Results on standard output: a table for people, a document for programs. */
import { stringifyJson } from '../base/json.ts'

export interface OutputOptions {
  json?: boolean
}

/** Pairs as aligned lines, or one JSON document. */
export function printPairs(pairs: Readonly<Record<string, unknown>>, options: OutputOptions): void {
  if (options.json === true) {
    process.stdout.write(`${stringifyJson(pairs)}\n`)
    return
  }
  const width = Math.max(...Object.keys(pairs).map((name) => name.length))
  for (const [name, value] of Object.entries(pairs)) {
    const text =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
        ? String(value)
        : stringifyJson(value)
    process.stdout.write(`${name.padEnd(width)}  ${text}\n`)
  }
}

/** One line, or one JSON document, per item. */
export function printItems<T>(items: readonly T[], options: OutputOptions, line: (item: T) => string): void {
  for (const item of items) process.stdout.write(`${options.json === true ? stringifyJson(item) : line(item)}\n`)
}
