/** Clears away what unfinished writes left behind: files with the reserved name, old enough that nobody writes them. */
import { lstat, opendir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../base/fault.ts'
import { reservedPrefix } from './key-path.ts'
import { storeFault } from './locate.ts'

/** Removes reserved files below `root` that were last written before `beforeMs`. Returns how many. */
export async function sweepFolder(root: string, beforeMs: number): Promise<number> {
  let removed = 0
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for await (const entry of await opendir(folder)) {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) folders.push(path)
        if (!entry.isFile() || !entry.name.startsWith(reservedPrefix)) continue
        if ((await lstat(path)).mtimeMs >= beforeMs) continue
        await unlink(path)
        removed++
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw storeFault(error, 'sweep', folder)
    }
  }
  return removed
}
