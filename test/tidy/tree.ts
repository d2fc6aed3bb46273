/** The files of the project as git sees them: what is tracked, and what would be if it were added now. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The folder that holds package.json. */
export const projectFolder = join(import.meta.dirname, '..', '..')

/** A text file of the project. */
export interface SourceFile {
  /** Relative to the project, with slashes. */
  readonly path: string
  readonly text: string
}

/** Something that the project's rules do not allow: where, and what to do about it. */
export type Problem = string

/** Every path of the project, sorted. */
export function projectPaths(): string[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: projectFolder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  const paths = listed.split('\0').filter((path) => path !== '' && existsSync(join(projectFolder, path)))
  return [...new Set(paths)].sort()
}

/** The files whose path passes `wanted`, read as text. */
export function readFiles(wanted: (path: string) => boolean): SourceFile[] {
  return projectPaths()
    .filter(wanted)
    .map((path) => ({ path, text: readFileSync(join(projectFolder, path), 'utf8') }))
}

/** Test data that other programs made, or that stands for what they send: the rules of our own text do not apply. */
export function isGolden(path: string): boolean {
  return path.startsWith('test/golden/') || path.startsWith('examples/')
}

/** The line number (from 1) of an offset. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
