/**
 * `node:sqlite`, asked for at run time: a Node that lacks it, or has it only behind a flag, fails to link in words that help nobody;
 * and Node 22 warns at every start that it is experimental. What is used of it has not changed since.
 */
import type { DatabaseSync as Database } from 'node:sqlite'
import { Fault } from './fault.ts'

/** @throws Fault `unsupported` */
function load(): typeof import('node:sqlite') {
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    if (!/SQLite is an experimental feature/.test(String(warning))) emitWarning.call(process, warning, ...rest)
  }) as typeof process.emitWarning
  try {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    if (major > 22 || (major === 22 && minor >= 15)) return process.getBuiltinModule('node:sqlite')
  } finally {
    process.emitWarning = emitWarning
  }
  throw new Fault(
    'unsupported',
    `expected Node 22.15 or newer, which has SQLite and zstd, got ${process.version} at ${process.execPath}; run it with a newer Node`,
  )
}

export const { DatabaseSync } = load()
export type DatabaseSync = Database
