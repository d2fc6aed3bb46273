/** Mending logs: one that is damaged is set aside, and what can be read of it goes into its successor. */
import { readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { isFault, messageOf } from '../base/fault.ts'
import type { Log } from '../log/log.ts'
import { openSegmentLog } from '../log/segments.ts'
import type { Home } from './home.ts'
import { damageOf } from './state-trouble.ts'

export type Tell = (subject: string, message: string) => void

/** Entries before `offset`. */
export function before(offset: number): (at: number) => boolean {
  return (at) => at < offset
}

export interface LogToMend {
  home: Home
  clock: Clock
  name: string
  /** The next offset must be at least this. */
  floor: number
  /** Whether an entry is not needed any more. */
  passedOn: (offset: number, text: string) => boolean
}

/** Opens a log, sets it aside if it is damaged, and lets it go on at `floor` if it ends before. */
export async function mendLog({ home, clock, name, floor, passedOn }: LogToMend, tell: Tell): Promise<Log> {
  const at = { dir: home.logsDir, name }
  let log: Log
  try {
    log = await openSegmentLog(at)
  } catch (error) {
    if (!isFault(error, 'corrupt')) throw error
    return replaceLog({ home, clock, name, floor, passedOn }, messageOf(error), tell)
  }
  const damage = await damageOf(log)
  const { end } = log
  if (damage === null && end >= floor) return log
  await log.close()
  if (damage !== null) return replaceLog({ home, clock, name, floor, passedOn }, damage, tell)
  tell(`log ${name}`, `ended at offset ${end}; it goes on at ${floor}, behind what was made of it`)
  return openSegmentLog({ ...at, endAtLeast: floor })
}

async function replaceLog({ home, clock, name, floor, passedOn }: LogToMend, damage: string, tell: Tell): Promise<Log> {
  const aside = await setAside(path.join(home.logsDir, name), clock)
  const log = await openSegmentLog({ dir: home.logsDir, name, endAtLeast: floor })
  let saved = 0
  let lost = 'what it held that no table has is lost'
  try {
    const old = await openSegmentLog({ dir: home.logsDir, name: path.basename(aside) })
    let unreadable = 0
    for (let at = old.start; at < old.end; at++) {
      const [entry] = await old.read(at, 1).catch(() => [])
      if (entry === undefined) {
        // Whose it was cannot be told; those that everybody has taken are not counted.
        if (!passedOn(at, '')) unreadable++
      } else if (!passedOn(at, entry.text)) {
        await log.append([entry.text.replace(/^\{"offset":\d+,?/, '{')])
        saved++
      }
    }
    lost = `${unreadable} that no table has cannot be read`
    await old.close()
  } catch {
    // Its frames are damaged: nothing can be found in it.
  }
  tell(`log ${name}`, `${damage} It was set aside as ${aside}: ${saved} entries went into a new log, ${lost}`)
  return log
}

/** Renames a file or folder that is damaged; nothing happens when it is not there. */
export async function setAside(file: string, clock: Clock): Promise<string> {
  const stamp = new Date(clock.nowMs()).toISOString().replaceAll(/[-:.]/g, '')
  const aside = `${file}.damaged-${stamp}`
  const names = await readdir(path.dirname(file))
  for (const name of names) {
    if (name === path.basename(file)) await rename(file, aside)
    // SQLite's log belongs to its file.
    else if (name === `${path.basename(file)}-wal` || name === `${path.basename(file)}-shm`) {
      await rename(path.join(path.dirname(file), name), `${aside}${name.slice(-4)}`)
    }
  }
  return aside
}
