/**
 * What a home remembers beside its logs and tables so that nothing is written or read twice: `state/error-output.db`, which letters
 * have a line in an object, and `state/files.db`, which dropped files were taken. The doctor looks at them, and the repair sets aside
 * what cannot be read and takes back a position that the log does not have.
 */
import { access } from 'node:fs/promises'
import { messageOf } from '../base/fault.ts'
import { DatabaseSync } from '../base/sqlite.ts'
import { openSegmentLog } from '../log/segments.ts'
import type { Finding } from './doctor.ts'
import type { Home } from './home.ts'
import type { Reader } from './reader.ts'
import { setAside, type Tell } from './repair-logs.ts'

interface SideFile {
  subject: string
  name: string
  /** What SQLite takes if it is such a file. */
  statements: readonly string[]
  /** What follows from making it anew. */
  lost: string
}

const ERROR_OUTPUT: SideFile = {
  subject: 'error output',
  name: 'error-output.db',
  statements: [
    'SELECT position, planned FROM state',
    'SELECT directory, key, offsets FROM objects',
    'SELECT n, id FROM lines',
  ],
  lost: 'refused records that are still in their log may get another line in an object',
}
const FILES: SideFile = {
  subject: 'dropped files',
  name: 'files.db',
  statements: ['SELECT stream, path, stamp, size, written_ns, hash, producer, done FROM files'],
  lost: 'files that are there are read again, and of their rows those are taken that their stream does not remember',
}

/** @param lettersEnd of the log of dead letters; null: it cannot be read */
export async function examineSideFiles(
  home: Home,
  lettersEnd: number | null,
  remedy: string,
  add: (subject: string, level: Finding['level'], message: string) => void,
): Promise<void> {
  for (const file of [ERROR_OUTPUT, FILES]) {
    const path = home.statePath(file.name)
    if (!(await isThere(path))) continue
    const damage = damageIn(path, file)
    if (damage !== null) {
      add(file.subject, 'problem', `${path} ${damage}; ${remedy} sets it aside: ${file.lost}`)
      continue
    }
    const ahead = file === ERROR_OUTPUT && lettersEnd !== null ? positionBeyond(path, lettersEnd) : null
    if (ahead === null) add(file.subject, 'ok', 'is readable')
    else
      add(
        file.subject,
        'problem',
        `${path} knows letters up to offset ${ahead}, but the log of dead letters ends at ${lettersEnd}: the log was lost or replaced; ${remedy} takes that back`,
      )
  }
}

/** After the logs were mended. */
export async function mendSideFiles({ home, clock }: Reader, tell: Tell): Promise<void> {
  for (const file of [ERROR_OUTPUT, FILES]) {
    const path = home.statePath(file.name)
    if (!(await isThere(path))) continue
    const damage = damageIn(path, file)
    if (damage !== null) {
      tell(file.subject, `${path} ${damage}. It was set aside as ${await setAside(path, clock)}: ${file.lost}`)
      continue
    }
    if (file !== ERROR_OUTPUT) continue
    const log = await openSegmentLog({ dir: home.logsDir, name: 'dead-letters' })
    const { end } = log
    await log.close()
    const ahead = positionBeyond(path, end)
    if (ahead === null) continue
    using database = opened(path)
    database.exec(
      `BEGIN IMMEDIATE; DELETE FROM objects; UPDATE state SET position = min(position, ${end}), planned = min(position, ${end}); COMMIT`,
    )
    tell(
      file.subject,
      `${path} knew letters up to offset ${ahead}; now up to ${end}, where the log of dead letters ends`,
    )
  }
}

/** What is wrong with the file, to follow its name; null: it is as it should be. */
function damageIn(path: string, { statements }: SideFile): string | null {
  try {
    using database = opened(path)
    const damage = String(database.prepare('PRAGMA quick_check').get()?.['quick_check'])
    if (damage !== 'ok') return `is damaged: ${damage}`
    for (const statement of statements) database.prepare(statement)
    return null
  } catch (error) {
    return `cannot be read: ${messageOf(error)}`
  }
}

/** The offset that the error output is at, where the log has no such; else null. */
function positionBeyond(path: string, end: number): number | null {
  using database = opened(path)
  const row = database.prepare('SELECT max(position, planned) AS ahead FROM state').get()
  const ahead = Number(row?.['ahead'] ?? 0)
  return ahead > end ? ahead : null
}

function opened(path: string): DatabaseSync & Disposable {
  const database = new DatabaseSync(path)
  return Object.assign(database, { [Symbol.dispose]: () => database.close() })
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
