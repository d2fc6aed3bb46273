/**
 * Keys as paths below a root, and which keys can be files at all.
 *
 * A file store keeps key `a/b.jpg` in file `a/b.jpg` below its root, letter by letter. Keys that a file system would
 * fold, climb with or refuse are turned away here, before any system call sees them.
 */
import { join, sep } from 'node:path'
import { Fault } from '../base/fault.ts'

/**
 * Path parts that begin so belong to the store: unfinished writes and scratch folders. They are never keys and
 * never listed, so a file that a crash left behind is not taken for an object.
 */
export const reservedPrefix = '.tidewater-tmp-'

/** The longest name that common file systems take (ext4, XFS, APFS, NTFS), in UTF-8 bytes. */
const nameBytesMax = 255
/** The longest path that Linux takes, without its closing NUL. */
const pathBytesMax = 4095

/** Why one part of a key cannot be a file's name, or null when it can. */
function partProblem(part: string): string | null {
  if (part === '') return 'it has an empty part (a leading, trailing or doubled "/")'
  if (part === '.' || part === '..') return `the part "${part}" means another folder to a file system`
  if (part.includes('\0')) return 'it contains a NUL character'
  if (!part.isWellFormed()) return 'it is not valid Unicode (a lone surrogate)'
  if (Buffer.byteLength(part) > nameBytesMax) return `one part is longer than ${nameBytesMax} bytes`
  if (part.startsWith(reservedPrefix)) return `names that begin with "${reservedPrefix}" belong to the store`
  if (sep !== '/' && part.includes(sep)) return `"${sep}" separates folders here`
  return null
}

/** Why `key` cannot be a file below a root, or null when it can. */
export function keyProblem(key: string): string | null {
  if (key === '') return 'it is empty'
  for (const part of key.split('/')) {
    const problem = partProblem(part)
    if (problem !== null) return problem
  }
  return null
}

/** The path of `key` below `root`. @throws Fault `invalid` for a key that cannot be a file */
export function keyPath(root: string, key: string): string {
  const tooLong = Buffer.byteLength(root) + 1 + Buffer.byteLength(key) > pathBytesMax
  const problem = keyProblem(key) ?? (tooLong ? `its path is too long (over ${pathBytesMax} bytes)` : null)
  if (problem !== null) {
    const shown = JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key)
    throw new Fault('invalid', `expected a key that can be a file below ${root}, got ${shown}: ${problem}`, { key })
  }
  return join(root, ...key.split('/'))
}

/**
 * The key under which `versions: true` keeps a version: `<key>@<versionId>`.
 * @throws Fault `invalid` for an id that would leave the key's folder
 */
export function versionKey(key: string, versionId: string): string {
  if (versionId === '' || versionId.includes('/')) {
    throw new Fault('invalid', `expected a version id without "/", got ${JSON.stringify(versionId)} for key "${key}"`)
  }
  return `${key}@${versionId}`
}

/** The folder in which every key that begins with `prefix` lies, and what is left of the prefix within it. */
export function splitPrefix(prefix: string): { folder: string; rest: string } {
  const slash = prefix.lastIndexOf('/')
  return { folder: prefix.slice(0, slash + 1), rest: prefix.slice(slash + 1) }
}
