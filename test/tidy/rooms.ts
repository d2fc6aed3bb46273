/**
 * Which room may import which: read from the table in ARCHITECTURE.md, checked against the imports of `src/`.
 *
 * Type imports count like any other, since they too tie a room to another's shape. Tests stand outside: they may reach
 * whatever they test.
 */
import { posix } from 'node:path'
import { codeOf } from './code.ts'
import { lineAt, type Problem, type SourceFile } from './tree.ts'

/** One room of the table. */
export interface Room {
  /** Its folder under `src/`; the last part is `*` where a row stands for several rooms. */
  readonly folder: string
  /** Room folders (as in `folder`) that it may import. */
  readonly mayImport: readonly string[]
  /** Are all its files doors? */
  readonly open: boolean
  /** Files under `src/` that are doors beside the room's own. */
  readonly furtherDoors: readonly string[]
}

/** The table as data. Throws when the page has no table, or when a row names what is no room. */
export function parseRooms(page: string): Room[] {
  const table = /^\| *room\b.*\n(?:\|.*(?:\n|$))+/m.exec(page)?.[0] ?? ''
  const rows = [...table.matchAll(/^\|\s*`([a-z/*-]+)`\s*\|[^|\n]*\|\s*([^|\n]+?)\s*\|\s*$/gm)].map(
    ([, folder = '', allowed = '']) => ({ folder: folder.replace(/\/$/, ''), allowed: allowed.replaceAll('`', '') }),
  )
  if (rows.length === 0) throw new Error('ARCHITECTURE.md has no table of rooms (| `room/` | sentence | may import |)')
  const folders = rows.map((row) => row.folder)
  const open = namesAfter(page, 'Open rooms').map((name) => name.replace(/\/$/, ''))
  const stray = open.find((folder) => !folders.includes(folder))
  if (stray !== undefined) throw new Error(`"Open rooms" names ${stray}, which is no room of the table`)
  const doors = namesAfter(page, 'Further doors')
  return rows.map(({ folder, allowed }, index) => ({
    folder,
    open: open.includes(folder),
    furtherDoors: doors.filter((door) => door.startsWith(`${folder}/`)).map((door) => `src/${door}`),
    mayImport: [...new Set(allowed.split(',').flatMap((word) => foldersOf(word.trim(), folders, index)))],
  }))
}

/** The names in backquotes on the line that begins with the title and a colon. */
function namesAfter(page: string, title: string): string[] {
  const line = new RegExp(`^${title}:(.*)$`, 'm').exec(page)?.[1] ?? ''
  return [...line.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

/** `nothing`, `all above`, `iceberg doors` (every room under it), or a room's own name. */
function foldersOf(word: string, folders: readonly string[], index: number): readonly string[] {
  if (word === 'nothing') return []
  if (word === 'all above') return folders.slice(0, index)
  const group = /^(.+) doors$/.exec(word)?.[1]
  const named = folders.filter((folder) => (group === undefined ? folder === word : folder.startsWith(`${group}/`)))
  if (named.length === 0)
    throw new Error(`the row of ${folders[index]} may import "${word}", which is no room of the table`)
  return named
}

/** One import of one file. */
export interface Import {
  readonly specifier: string
  /** Does it exist at run time? */
  readonly runtime: boolean
  readonly line: number
}

const statements = [
  // import x, { y } from '…'; import * as x from '…'; export { x } from '…'; export * from '…'
  /^(?:import|export)\s+(?<type>type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|[\w$]+(?:\s*,\s*\{[^}]*\})?|\{[^}]*\})\s*from\s*['"](?<to>[^'"]+)['"]/gm,
  /^import\s+['"](?<to>[^'"]+)['"]/gm,
  /\bimport\(\s*['"](?<to>[^'"]+)['"]/g,
  // A worker's file.
  /\bnew URL\(\s*['"](?<to>\.[^'"]+\.ts)['"]\s*,\s*import\.meta\.url/g,
]

/** What a file imports, in whatever way. */
export function importsOf(text: string): Import[] {
  const withLiterals = codeOf(text, 'comments')
  const code = codeOf(text, 'comments and literals')
  return statements.flatMap((statement) =>
    [...withLiterals.matchAll(statement)]
      .filter((match) => code.startsWith(match[0].slice(0, 6), match.index)) // not inside a template
      .map((match) => ({
        specifier: match.groups?.['to'] ?? '',
        runtime: match.groups?.['type'] === undefined,
        line: lineAt(text, match.index),
      })),
  )
}

/** Everything in `files` (paths under `src/`) that the rooms do not allow. */
export function roomProblems(rooms: readonly Room[], files: readonly SourceFile[]): Problem[] {
  return files.filter((file) => !file.path.endsWith('.test.ts')).flatMap((file) => fileProblems(rooms, file))
}

function fileProblems(rooms: readonly Room[], file: SourceFile): Problem[] {
  const from = roomOf(rooms, file.path)
  if (from === undefined)
    return [`${file.path}: stands in no room; add a row to the table in ARCHITECTURE.md, or move it`]
  return importsOf(file.text).flatMap(({ specifier, line }) => {
    if (!specifier.startsWith('.')) return []
    const target = posix.join(posix.dirname(file.path), specifier)
    const where = `${file.path}:${line}: imports ${target}`
    if (!target.startsWith('src/')) return [`${where}, which is outside src/`]
    if (target.endsWith('.test.ts')) return [`${where}, which is a test`]
    const to = roomOf(rooms, target)
    if (to === undefined) return [`${where}, which stands in no room`]
    if (to.folder === from.folder) return []
    if (!from.room.mayImport.includes(to.room.folder)) {
      return [`${where}, but ${from.folder}/ may import only: ${from.room.mayImport.join(', ') || 'nothing'}`]
    }
    const door = `src/${to.folder}/${posix.basename(to.folder)}.ts`
    if (to.room.open || target === door || to.room.furtherDoors.includes(target) || from.room.folder === 'app')
      return []
    return [`${where}, but from outside ${to.folder}/ only its door is importable: ${door}`]
  })
}

/** The room of a path, and the folder that it is there (for a row with `*`, the actual one). */
function roomOf(rooms: readonly Room[], path: string): { room: Room; folder: string } | undefined {
  let found: { room: Room; folder: string } | undefined
  for (const room of rooms) {
    const pattern = new RegExp(`^src/(${room.folder.replace('*', '[^/]+')})/`)
    const folder = pattern.exec(path)?.[1]
    if (folder !== undefined && folder.length > (found?.folder.length ?? 0)) found = { room, folder }
  }
  return found
}

/** Groups of files that import one another at run time, each as a path that comes back to its start. */
export function cycles(files: readonly SourceFile[]): string[][] {
  const known = new Set(files.map((file) => file.path))
  const edges = new Map(
    files.map((file) => [
      file.path,
      importsOf(file.text)
        .filter((each) => each.runtime && each.specifier.startsWith('.'))
        .map((each) => posix.join(posix.dirname(file.path), each.specifier))
        .filter((path) => known.has(path)),
    ]),
  )
  const done = new Set<string>()
  const found: string[][] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) {
      found.push([...trail.slice(start), path])
      return
    }
    if (done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}
