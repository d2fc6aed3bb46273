/**
 * One owner per directory.
 *
 * The lock is the one that SQLite takes on the file `lock` (a POSIX record lock, and a registry inside the process). The
 * kernel gives it back when its owner dies, however it dies: there is no stale lock to recognise, no process id that was
 * given to somebody else, no race between two that take over. It also holds between containers that share a volume, where
 * process ids mean nothing. `lock.owner` only tells people who it is.
 *
 * Nothing may open `lock` by other means in the process that holds it: closing any handle of a file drops the record
 * locks of the whole process on it.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { Fault, messageOf, sqliteCode } from '../base/fault.ts'
import { DatabaseSync } from '../base/sqlite.ts'

const SQLITE_BUSY = 5

/** @returns how to give the directory back @throws Fault `conflict` naming the owner, `unavailable` */
export function lockDirectory(path: string): () => Promise<void> {
  const ownerPath = join(path, 'lock.owner')
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(join(path, 'lock'), { timeout: 0 })
    database.exec('PRAGMA journal_mode = OFF')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database?.close()
    if (sqliteCode(error) !== SQLITE_BUSY) {
      throw new Fault('unavailable', `Cannot lock ${path}: ${messageOf(error)}.`, { path }, error)
    }
    const owner = ownerOf(ownerPath)
    throw new Fault(
      'conflict',
      `${path} is in use by ${owner}. One process owns a log at a time: stop that one, or give this one another directory.`,
      { path, owner },
    )
  }
  const startedAt = new Date(Math.round(performance.timeOrigin)).toISOString()
  try {
    writeFileSync(ownerPath, `process ${process.pid} on ${hostname()}, started ${startedAt}\n`)
  } catch {
    // Only a courtesy to whoever is refused: a full disk must not keep the owner out.
  }
  const held = database
  return async () => {
    rmSync(ownerPath, { force: true })
    held.close()
  }
}

function ownerOf(ownerPath: string): string {
  try {
    return readFileSync(ownerPath, 'utf8').trim()
  } catch {
    return 'another process'
  }
}
