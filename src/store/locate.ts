/**
 * Finds the file of a key without leaving the root.
 *
 * Folders below the root that are symbolic links are refused rather than followed: the same file would have two keys,
 * and a listing could run in circles. A link to a file is an object when the file lies below the root.
 */
import type { BigIntStats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { dirname, sep } from 'node:path'
import { Fault, messageOf, systemCode } from '../base/fault.ts'
import { keyPath } from './key-path.ts'

export interface Located {
  path: string
  stats: BigIntStats
}

function isBelow(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep)
}

/** A system error as a fault. Faults and bugs pass through. */
export function storeFault(error: unknown, action: string, path: string): unknown {
  const code = systemCode(error)
  if (error instanceof Fault || code === undefined) return error
  const facts = { path, code }
  switch (code) {
    case 'ENOENT':
      return new Fault('not-found', `cannot ${action} ${path}: there is no such file`, facts, error)
    case 'ENAMETOOLONG':
      return new Fault('invalid', `cannot ${action} ${path}: the path is too long for the file system`, facts, error)
    case 'EILSEQ':
    case 'EINVAL':
      return new Fault('invalid', `cannot ${action} ${path}: the file system refuses the name (${code})`, facts, error)
    case 'ENOTDIR':
      return new Fault(
        'invalid',
        `cannot ${action} ${path}: a part of the key before its last "/" is itself an object; a file store cannot hold both`,
        facts,
        error,
      )
    case 'EISDIR':
    case 'ENOTEMPTY':
      return new Fault(
        'invalid',
        `cannot ${action} ${path}: it is a folder, because other keys begin with this key and "/"; a file store cannot hold both`,
        facts,
        error,
      )
    default:
      return new Fault('unavailable', `cannot ${action} ${path}: ${messageOf(error)}`, facts, error)
  }
}

/** @throws Fault `unavailable` when the root itself is gone, which must not look like an empty store */
export async function requireRoot(root: string): Promise<void> {
  try {
    if ((await lstat(root)).isDirectory()) return
  } catch (error) {
    throw new Fault(
      'unavailable',
      `expected the store's folder ${root}, but it cannot be reached (${messageOf(error)}); is it mounted?`,
      { root },
      error,
    )
  }
  throw new Fault('unavailable', `expected the store's folder ${root}, but it is no longer a folder`, { root })
}

/** `folder`, if it is there and no symbolic link leads to it. Null when it is not there. */
async function realFolder(folder: string): Promise<string | null> {
  try {
    const real = await realpath(folder)
    if (real === folder) return real
    throw new Fault(
      'invalid',
      `expected the folder ${folder}, but the file system takes it for ${real}; ` +
        `a store does not follow links between folders: open a store on ${real} instead`,
      { folder, real },
    )
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw storeFault(error, 'reach', folder)
  }
}

/** The file of `key`, or null when there is none. @throws Fault `invalid`, `unavailable` */
export async function locate(root: string, key: string): Promise<Located | null> {
  const path = keyPath(root, key)
  if ((await realFolder(dirname(path))) === null) {
    await requireRoot(root)
    return null
  }
  return statFile(root, path)
}

/** The file at `path`, a link to a file below the root resolved. Null when it is no file. */
export async function statFile(root: string, path: string): Promise<Located | null> {
  try {
    let real = path
    let stats = await lstat(real, { bigint: true })
    if (stats.isSymbolicLink()) {
      real = await realpath(path)
      if (!isBelow(root, real)) {
        throw new Fault('invalid', `expected a file below ${root}, but ${path} is a link to ${real}`, { path, real })
      }
      stats = await lstat(real, { bigint: true })
    }
    return stats.isFile() ? { path: real, stats } : null
  } catch (error) {
    const code = systemCode(error)
    // ELOOP: links that lead to one another.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return null
    throw storeFault(error, 'look at', path)
  }
}

/**
 * The path to write `key` at. Folders above it may be missing, but those that are there are real ones.
 * @throws Fault `invalid`, `unavailable`
 */
export async function locateForWrite(root: string, key: string): Promise<string> {
  const path = keyPath(root, key)
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((await realFolder(folder)) !== null) return path
    if (folder === root) await requireRoot(root)
    if (!isBelow(root, folder)) return path
  }
}

/** Whether the folder `key` (ending in "/", or empty for the root) may be listed. Null: it is not there. */
export async function locateFolder(root: string, key: string): Promise<string | null> {
  if (key === '') {
    await requireRoot(root)
    return root
  }
  return realFolder(keyPath(root, key.slice(0, -1)))
}
