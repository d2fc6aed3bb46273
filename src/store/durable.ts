/**
 * Durable, atomic files: what a reader sees is the old file or the new one, and what was acknowledged is still there
 * after the power fails.
 *
 * Crash story: bytes go to a reserved name beside the target, are fsynced, take the target's name by rename (or by link,
 * which refuses when the name is taken), and the folder is fsynced. A crash before the rename leaves a reserved name,
 * which `FileStore.sweep` clears away; a crash after it leaves the whole new file.
 */
import { randomBytes } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { dirname, join } from 'node:path'
import { systemCode } from '../base/fault.ts'
import { type DurableFile, type DurableFs, nodeDurableFs } from './durable-fs.ts'
import { reservedPrefix } from './key-path.ts'

/** What a new file is made of. `move` takes the local file away. */
export type Content = { bytes: Uint8Array } | { copyOf: string } | { move: string }

/** How often a write starts again because its folder was pruned beneath it. */
const foldersAttemptsMax = 5

/** Makes the names in a folder durable. */
export async function syncFolder(path: string, fs: DurableFs = nodeDurableFs): Promise<void> {
  const handle = await fs.open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Creates `path` and the folders above it, each name durable in its parent. */
export async function makeFolders(path: string, fs: DurableFs = nodeDurableFs): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true })
  if (first === undefined) return
  const top = dirname(first)
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    await syncFolder(folder, fs)
    if (folder === top || folder === dirname(folder)) return
  }
}

async function statOrNull(fs: DurableFs, path: string): Promise<BigIntStats | null> {
  try {
    return await fs.lstat(path, { bigint: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}

/**
 * Two writes within one tick of the file system's clock would have equal times; the second is moved on by one
 * or two milliseconds, so that time, size and inode together still tell them apart.
 */
async function separateTimes(handle: DurableFile, old: BigIntStats | null): Promise<void> {
  if (old === null) return
  const { mtimeNs } = await handle.stat({ bigint: true })
  const behindNs = old.mtimeNs - mtimeNs
  if (behindNs < 0n || behindNs > 1_000_000_000n) return
  // Node takes seconds as a double, which may come out some 100 ns off: one whole millisecond more is not enough.
  const next = Number(old.mtimeNs / 1_000_000n + 2n) / 1000
  await handle.utimes(next, next)
}

/** Brings `temporary` to its final, fsynced state. Returns what `stat` says of it. */
async function finish(fs: DurableFs, temporary: string, target: string, bytes?: Uint8Array): Promise<BigIntStats> {
  const handle = await fs.open(temporary, bytes === undefined ? 'r' : 'wx')
  try {
    if (bytes !== undefined) await handle.writeFile(bytes)
    await separateTimes(handle, await statOrNull(fs, target))
    await handle.sync()
    return await handle.stat({ bigint: true })
  } finally {
    await handle.close()
  }
}

async function withFolders<T>(fs: DurableFs, target: string, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || attempt === foldersAttemptsMax) throw error
      await makeFolders(dirname(target), fs)
    }
  }
}

async function removeQuietly(fs: DurableFs, path: string): Promise<void> {
  await fs.unlink(path).catch(() => undefined)
}

/**
 * Puts `content` at `target`, creating folders, in place of what was there.
 * Returns what `stat` says of the new file. System errors pass through.
 */
export async function replaceFile(
  target: string,
  content: Content,
  fs: DurableFs = nodeDurableFs,
): Promise<BigIntStats> {
  if ('move' in content) {
    // Asked first, so that ENOENT below can only mean the target's folder.
    await fs.lstat(content.move, { bigint: true })
    try {
      const stats = await withFolders(fs, target, async () => {
        const made = await finish(fs, content.move, target)
        await fs.rename(content.move, target)
        return made
      })
      await syncFolder(dirname(target), fs)
      return stats
    } catch (error) {
      if (systemCode(error) !== 'EXDEV') throw error
    }
    const stats = await replaceFile(target, { copyOf: content.move }, fs)
    await fs.unlink(content.move)
    return stats
  }
  const temporary = temporaryPath(target)
  try {
    const stats = await writeTemporary(fs, temporary, target, content)
    await fs.rename(temporary, target)
    await syncFolder(dirname(target), fs)
    return stats
  } catch (error) {
    await removeQuietly(fs, temporary)
    throw error
  }
}

/** Puts `bytes` at `target` if nothing is there. False when something is. System errors pass through. */
export async function createFile(target: string, bytes: Uint8Array, fs: DurableFs = nodeDurableFs): Promise<boolean> {
  // Cheap refusal; the link below decides.
  if ((await statOrNull(fs, target)) !== null) return false
  const temporary = temporaryPath(target)
  try {
    await writeTemporary(fs, temporary, target, { bytes })
    await fs.link(temporary, target)
    await fs.unlink(temporary)
    await syncFolder(dirname(target), fs)
    return true
  } catch (error) {
    await removeQuietly(fs, temporary)
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

async function writeTemporary(
  fs: DurableFs,
  temporary: string,
  target: string,
  content: Exclude<Content, { move: string }>,
) {
  // Asked first, so that ENOENT below can only mean the target's folder.
  if ('copyOf' in content) await fs.lstat(content.copyOf, { bigint: true })
  return withFolders(fs, target, async () => {
    if ('bytes' in content) return finish(fs, temporary, target, content.bytes)
    await fs.copyFile(content.copyOf, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    return finish(fs, temporary, target)
  })
}

/** Beside the target: the same file system, whatever is mounted below the root. */
function temporaryPath(target: string): string {
  return join(dirname(target), `${reservedPrefix}${randomBytes(12).toString('hex')}`)
}
