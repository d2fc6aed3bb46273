/**
 * The file of an extractor's module: a path from the configuration, or the name of a package that is installed beside it.
 *
 * Packages are looked for as Node does, in `node_modules` of the configuration's folder and those above it. What their `exports` give to
 * `import` counts, also where they have nothing for `require`.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Fault, messageOf } from '../base/fault.ts'

export interface FoundModule {
  /** Absolute. */
  file: string
  /** Name of the package that it came from. */
  package?: string
}

const PACKAGE = /^((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)(\/.+)?$/

/** @param dir folder of the configuration @throws Fault `invalid` when there is neither such a file nor such a package */
export function findModule(module: string, dir: string): FoundModule {
  const file = path.resolve(dir, module)
  const [, name, inside = ''] = PACKAGE.exec(module) ?? []
  if (name === undefined || existsSync(file)) return { file }
  const found = packageFile(name, inside, dir)
  if (found !== null) return { file: found, package: name }
  // What is named like a file is told as one.
  if (/\.[cm]?[jt]s$/.test(module)) return { file }
  throw new Fault(
    'invalid',
    `The extractor module "${module}" is neither the file ${file} nor a package installed in ${dir} or above it: write ./ before the name of a file, or run npm install ${name} there.`,
    { module },
  )
}

/** The file that `import` of a package gives; null: it is not installed. @throws Fault `invalid` for one without such a file */
export function packageFile(name: string, inside: string, dir: string): string | null {
  const require = createRequire(path.join(dir, 'configuration.js'))
  for (const folder of require.resolve.paths(name) ?? []) {
    const root = path.join(folder, name)
    const manifest = path.join(root, 'package.json')
    if (!existsSync(manifest)) continue
    try {
      const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: unknown }
      const target = exportOf(exports, `.${inside}`)
      if (target !== null) return path.join(root, target)
      return require.resolve(`${name}${inside}`)
    } catch (error) {
      throw new Fault(
        'invalid',
        `The package ${name} in ${root} has no module "${`.${inside}`}": ${messageOf(error)}`,
        { module: name },
        error,
      )
    }
  }
  return null
}

/** Conditions of `import`, in the order in which the package has them. */
const CONDITIONS = new Set(['node', 'import', 'module-sync', 'default'])
const DEPTH_MAX = 16

/** The target that `exports` have for a path without a pattern; null: they do not say. */
function exportOf(exports: unknown, inside: string, depth = 0): string | null {
  if (typeof exports === 'string') return inside === '.' ? exports : null
  if (typeof exports !== 'object' || exports === null || depth > DEPTH_MAX) return null
  const entries = Object.entries(exports)
  const isPaths = entries.some(([key]) => key.startsWith('.'))
  if (isPaths) {
    const target = (exports as Record<string, unknown>)[inside]
    return target === undefined ? null : exportOf(target, '.', depth + 1)
  }
  for (const [condition, target] of entries) {
    const found = CONDITIONS.has(condition) ? exportOf(target, inside, depth + 1) : null
    if (found !== null) return found
  }
  return null
}
