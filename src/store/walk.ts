/**
 * The files below a root in key order, in bounded memory.
 *
 * Key order is that of UTF-16 code units over whole keys. Within one folder that is the order of its names, a folder
 * counting as its name with "/" behind it: `a-b`, then `a.txt`, then what is in `a/`. A folder is read in pages of
 * `limits.storeNamesPage` names, each page the smallest names behind the last one, so a folder of millions of files
 * costs one more pass per page and never the memory of all its names.
 */
import { isUtf8 } from 'node:buffer'
import type { Dirent } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault, messageOf, systemCode } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { keyProblem, reservedPrefix } from './key-path.ts'

/** Told of each entry that is not an object and not a folder, with the reason in words. */
export type OnSkip = (path: string, reason: string) => void

export interface WalkedFile {
  key: string
  path: string
  /** A symbolic link: the caller decides where it may point. */
  link: boolean
}

interface Name {
  /** The name, with "/" behind it for a folder. */
  sortName: string
  link: boolean
}

interface Walk {
  root: string
  onSkip: OnSkip
  namesPage: number
}

/** Files whose key begins with `folder` + `rest`, in key order. `folder` is empty or ends with "/". */
export async function* walk(
  root: string,
  folder: string,
  rest: string,
  onSkip: OnSkip = () => undefined,
  namesPage: number = limits.storeNamesPage,
): AsyncGenerator<WalkedFile> {
  if (folder !== '' && keyProblem(folder.slice(0, -1)) !== null) return
  yield* walkFolder({ root, onSkip, namesPage }, folder, rest)
}

async function* walkFolder(walk: Walk, folder: string, rest: string): AsyncGenerator<WalkedFile> {
  let after = ''
  let pass = 0
  for (;;) {
    const page = await readPage(walk, folder, rest, after, pass++ === 0)
    for (const { sortName, link } of page.names) {
      const key = folder + sortName
      if (sortName.endsWith('/')) yield* walkFolder(walk, key, '')
      else yield { key, path: join(walk.root, key), link }
    }
    const last = page.names.at(-1)
    if (!page.more || last === undefined) return
    after = last.sortName
  }
}

/** The `namesPage` smallest names behind `after`. Skips are told on the first pass only. */
async function readPage(walk: Walk, folder: string, rest: string, after: string, first: boolean) {
  let names: Name[] = []
  let more = false
  const trim = () => {
    names.sort((a, b) => (a.sortName < b.sortName ? -1 : a.sortName > b.sortName ? 1 : 0))
    if (names.length <= walk.namesPage) return
    names = names.slice(0, walk.namesPage)
    more = true
  }
  let ceiling: string | null = null
  for await (const entry of entriesOf(walk.root, folder)) {
    const name = nameOf(walk, folder, entry, first)
    if (name === null || !name.sortName.startsWith(rest)) continue
    if (name.sortName <= after) continue
    if (ceiling !== null && name.sortName > ceiling) continue
    names.push(name)
    if (names.length < 2 * walk.namesPage) continue
    trim()
    ceiling = names.at(-1)!.sortName
  }
  trim()
  return { names, more }
}

async function* entriesOf(root: string, folder: string): AsyncGenerator<Dirent<Buffer>> {
  const path = join(root, folder)
  try {
    // Node gives names as buffers when asked to; its types know only text for opendir.
    const directory = await opendir(path, { encoding: 'buffer' as BufferEncoding, bufferSize: 1024 })
    for await (const entry of directory) yield entry as unknown as Dirent<Buffer>
  } catch (error) {
    const code = systemCode(error)
    // A folder below the root may go while it is listed; a root that is gone must not look like an empty one.
    if (folder !== '' && (code === 'ENOENT' || code === 'ENOTDIR')) return
    throw new Fault(
      'unavailable',
      `cannot list the folder ${path}: ${messageOf(error)}; a list without it would be wrong`,
      { path },
      error,
    )
  }
}

function nameOf(walk: Walk, folder: string, entry: Dirent<Buffer>, first: boolean): Name | null {
  const skip = (name: string, reason: string) => {
    if (first) walk.onSkip(join(walk.root, folder, name), reason)
    return null
  }
  if (!isUtf8(entry.name)) return skip(entry.name.toString('latin1'), 'its name is not UTF-8 (shown as Latin-1)')
  const name = entry.name.toString('utf8')
  if (name.startsWith(reservedPrefix)) return null
  const problem = keyProblem(name)
  if (problem !== null) return skip(name, problem)
  if (entry.isDirectory()) return { sortName: `${name}/`, link: false }
  if (entry.isFile()) return { sortName: name, link: false }
  if (entry.isSymbolicLink()) return { sortName: name, link: true }
  return skip(name, 'it is neither a file nor a folder (a device, pipe or socket)')
}
