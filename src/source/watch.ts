/**
 * Watches a directory: says which keys to compare soon, and when to compare everything.
 *
 * The operating system's notices are hints only. They get lost when its queue overflows, they say nothing of what
 * happened before a new folder was watched, and some file systems send none. The truth is the full comparison that is
 * asked for at the start, every `limits.rescanIntervalMs` (less often where it takes long, see `limits.rescanShareMax`),
 * and whenever hints may be missing.
 *
 * On Linux each folder is watched by itself: what Node offers for whole trees there watches each file too, and runs out
 * of watches. Elsewhere the system watches the tree. When watches run out all the same, rescans go on alone.
 *
 * A root that is gone is waited for without a word to the caller; when it is back, in whatever form, all is compared.
 */
import { type FSWatcher, watch } from 'node:fs'
import { lstat, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { messageOf, systemCode } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { isExcluded } from './directory.ts'

export type DirectoryHint =
  /** These files may have changed, and hold still now. */
  | { kind: 'keys'; keys: string[] }
  /**
   * Compare everything: at the start, as the interval passed, because more changed than is worth listing (`overflow`),
   * because a folder came or went (`folder`), or because the root was made anew (`root`).
   */
  | { kind: 'rescan'; why: 'start' | 'interval' | 'overflow' | 'folder' | 'root' }

export interface WatchOptions {
  /** Ends the watching; the iteration then ends without an error. */
  signal: AbortSignal
  /** As for `scanDirectory`. */
  excluded?: readonly string[]
  rescanIntervalMs?: number
  /** Changed keys kept at once before everything is compared instead. */
  keysMax?: number
  /** Told once of each trouble that does not end the watching. */
  onWarning?: (message: string) => void
  /** One watch for the whole tree instead of one for each folder; the default depends on the system. */
  wholeTree?: boolean
  /** Folders watched at most. */
  foldersMax?: number
  /** Opens one watch; given by tests to see what happens when the system refuses. */
  openWatch?: (path: string, wholeTree: boolean) => FSWatcher
}

/** What is to be done, in order of yielding; ends when the signal is aborted. Hints wait while the caller works. */
export async function* watchDirectory(root: string, options: WatchOptions): AsyncGenerator<DirectoryHint> {
  const watcher = new DirectoryWatcher(resolve(root), options)
  try {
    while (!options.signal.aborted) {
      await watcher.tick()
      const hint = watcher.take()
      if (hint !== null) {
        const startMs = performance.now()
        yield hint
        if (hint.kind === 'rescan') watcher.rescanned(performance.now() - startMs)
      } else await watcher.wait()
    }
  } finally {
    watcher.close()
  }
}

/** A key that changed, and how its file looked when it was last asked (null: not yet). */
interface Pending {
  firstMs: number
  lastMs: number
  look: string | null
}

interface Folder {
  watcher: FSWatcher
  /** Device and inode: a folder of the same name may be another one. */
  identity: string
}

/** How a path looks: what kind it is, and what changes when it is written. */
type Look = { is: 'nothing' } | { is: 'folder'; identity: string } | { is: 'file'; stamp: string }

/** New folders are looked for with every so manyth rescan: a notice of one may have been lost with the system's queue. */
const FOLDERS_EVERY = 12

class DirectoryWatcher {
  readonly #root: string
  readonly #signal: AbortSignal
  readonly #excluded: readonly string[]
  readonly #rescanIntervalMs: number
  readonly #keysMax: number
  readonly #onWarning: (message: string) => void
  readonly #wholeTree: boolean
  readonly #foldersMax: number
  readonly #openWatch: (path: string, wholeTree: boolean) => FSWatcher

  /** Folders by key, '' for the root and with "/" behind the others; none while the root is gone. */
  readonly #folders = new Map<string, Folder>()
  readonly #pending = new Map<string, Pending>()
  readonly #ready = new Set<string>()
  readonly #warned = new Set<string>()
  #rootIdentity: string | null = null
  #rescan: (DirectoryHint & { kind: 'rescan' })['why'] | null = null
  #rescanAtMs: number
  #rootAtMs = 0
  #foldersAtMs: number
  #started = false
  /** False once watches ran out: rescans only. */
  #watching = true
  #closed = false
  #wake: () => void = () => undefined

  constructor(root: string, options: WatchOptions) {
    this.#root = root
    this.#signal = options.signal
    this.#excluded = options.excluded ?? []
    this.#rescanIntervalMs = options.rescanIntervalMs ?? limits.rescanIntervalMs
    this.#keysMax = options.keysMax ?? limits.scanPageFiles
    this.#onWarning = options.onWarning ?? (() => undefined)
    this.#wholeTree = options.wholeTree ?? process.platform !== 'linux'
    this.#foldersMax = options.foldersMax ?? limits.watchFoldersMax
    this.#openWatch = options.openWatch ?? ((path, recursive) => watch(path, { recursive }))
    this.#rescanAtMs = performance.now() + this.#rescanIntervalMs
    this.#foldersAtMs = performance.now() + FOLDERS_EVERY * this.#rescanIntervalMs
  }

  /** Does what is due: looks for the root and for new folders, asks for a rescan, sorts out which files hold still. */
  async tick(): Promise<void> {
    const nowMs = performance.now()
    if (nowMs >= this.#rootAtMs) await this.#lookForRoot()
    if (nowMs >= this.#foldersAtMs && this.#rootIdentity !== null) {
      this.#foldersAtMs = nowMs + FOLDERS_EVERY * this.#rescanIntervalMs
      await this.#watchFolders('', this.#rootIdentity, false)
    }
    if (nowMs >= this.#rescanAtMs) this.#rescan ??= 'interval'
    await this.#settle()
  }

  /** The next hint, if any. */
  take(): DirectoryHint | null {
    if (this.#rootIdentity === null) return null
    if (this.#rescan !== null) {
      const why = this.#rescan
      this.#rescan = null
      // A comparison of everything that begins now finds these too.
      this.#ready.clear()
      return { kind: 'rescan', why }
    }
    if (this.#ready.size === 0) return null
    const keys = [...this.#ready]
    this.#ready.clear()
    return { kind: 'keys', keys }
  }

  /** The caller is done with a rescan that took so long. */
  rescanned(tookMs: number): void {
    this.#rescanAtMs = performance.now() + Math.max(this.#rescanIntervalMs, tookMs / limits.rescanShareMax)
  }

  /** Resolves when there may be something to do. */
  async wait(): Promise<void> {
    if (this.#signal.aborted) return
    let dueMs = this.#rootIdentity === null ? this.#rootAtMs : Math.min(this.#rescanAtMs, this.#rootAtMs)
    for (const pending of this.#pending.values()) dueMs = Math.min(dueMs, dueAtMs(pending))
    await new Promise<void>((done) => {
      const timer = setTimeout(done, Math.max(1, dueMs - performance.now()))
      this.#wake = () => {
        clearTimeout(timer)
        done()
      }
      this.#signal.addEventListener('abort', this.#wake, { once: true })
    })
    this.#signal.removeEventListener('abort', this.#wake)
  }

  close(): void {
    this.#closed = true
    this.#unwatch('')
  }

  async #lookForRoot(): Promise<void> {
    const identity = await identityOfRoot(this.#root)
    this.#rootAtMs = performance.now() + (identity === null ? limits.watchRootPollMs : this.#rescanIntervalMs)
    if (identity !== null && identity === this.#rootIdentity) return
    this.#unwatch('')
    this.#rootIdentity = identity
    if (identity === null) {
      this.#warn('root', `${this.#root} is not there (or no folder); waiting for it, and nothing is taken for deleted`)
      return
    }
    this.#watching = true
    await this.#watchFolders('', identity, false)
    this.#warned.delete('root')
    this.#rescan = this.#started ? 'root' : 'start'
    this.#started = true
  }

  /** Watches a folder and those in it. With `tell`, the files in it are told: they may have come before the watch. */
  async #watchFolders(top: string, identity: string, tell: boolean): Promise<void> {
    const folders: { key: string; identity: string }[] = [{ key: top, identity }]
    for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
      if (!this.#watching || !this.#watch(next.key, next.identity)) return
      let entries: { name: string; isDirectory(): boolean }[]
      try {
        entries = await readdir(join(this.#root, next.key), { withFileTypes: true })
      } catch {
        // Gone or closed to us: a rescan says which.
        continue
      }
      for (const entry of entries) {
        const key = next.key + entry.name
        if (isExcluded(key, this.#excluded)) continue
        if (!entry.isDirectory()) {
          if (tell) this.#touch(key)
          continue
        }
        const look = await lookAt(join(this.#root, key))
        if (look.is === 'folder' && !this.#wholeTree) folders.push({ key: `${key}/`, identity: look.identity })
      }
    }
  }

  /** False when no more can be watched. */
  #watch(key: string, identity: string): boolean {
    const known = this.#folders.get(key)
    if (known !== undefined && known.identity === identity) return true
    if (known !== undefined) this.#unwatch(key)
    if (this.#closed) return false
    if (this.#folders.size >= this.#foldersMax) {
      return this.#giveUp(`there are more than ${this.#foldersMax} folders`)
    }
    try {
      const watcher = this.#openWatch(join(this.#root, key), this.#wholeTree)
      watcher.on('change', (_type, name) => this.#noticed(key, name === null ? null : String(name)))
      watcher.on('error', (error) => this.#failed(error))
      this.#folders.set(key, { watcher, identity })
      return true
    } catch (error) {
      return this.#failed(error)
    }
  }

  #failed(error: unknown): boolean {
    const code = systemCode(error)
    // A folder that went away is found by the rescan that its parent's notice asks for.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES' || code === 'EPERM') return true
    return this.#giveUp(messageOf(error))
  }

  #giveUp(reason: string): false {
    this.#watching = false
    this.#unwatch('')
    this.#pending.clear()
    this.#rescan ??= 'overflow'
    const everyMs = this.#rescanIntervalMs
    this.#warn('watch', `cannot watch ${this.#root} (${reason}); it is compared every ${everyMs} ms instead`)
    this.#wake()
    return false
  }

  #warn(subject: string, message: string): void {
    if (this.#warned.has(subject)) return
    this.#warned.add(subject)
    this.#onWarning(message)
  }

  /** Stops watching a folder and those in it. */
  #unwatch(top: string): void {
    for (const [key, folder] of this.#folders) {
      if (!key.startsWith(top)) continue
      this.#folders.delete(key)
      folder.watcher.close()
    }
  }

  #noticed(folder: string, name: string | null): void {
    if (this.#closed) return
    if (name === null) {
      this.#hintsLost()
      return
    }
    // The root tells of its own end as of a file of its name.
    if (folder === '') this.#rootAtMs = Math.min(this.#rootAtMs, performance.now() + limits.watchQuietMs)
    const key = folder + (process.platform === 'win32' ? name.replaceAll('\\', '/') : name)
    if (!isExcluded(key, this.#excluded)) this.#touch(key)
  }

  /** More happened than can be told: all is compared, and folders that came meanwhile are looked for. */
  #hintsLost(): void {
    this.#rescan ??= 'overflow'
    this.#foldersAtMs = 0
    this.#wake()
  }

  /** Something happened to the path of this key: it is looked at at once, and again when it is quiet. */
  #touch(key: string): void {
    const nowMs = performance.now()
    const pending = this.#pending.get(key)
    if (pending !== undefined) {
      pending.lastMs = nowMs
      return
    }
    if (this.#pending.size + this.#ready.size >= this.#keysMax) {
      this.#pending.clear()
      this.#hintsLost()
      return
    }
    const fresh: Pending = { firstMs: nowMs, lastMs: nowMs, look: null }
    this.#pending.set(key, fresh)
    void this.#look(key, fresh)
    this.#wake()
  }

  /** Folders are dealt with here; of files it is kept how they look. True when the path now holds no folder. */
  async #look(key: string, pending: Pending): Promise<boolean> {
    const look = await lookAt(join(this.#root, key))
    if (this.#closed) return false
    const known = this.#folders.get(`${key}/`)
    if (known !== undefined && (look.is !== 'folder' || look.identity !== known.identity)) {
      this.#unwatch(`${key}/`)
      this.#rescan ??= 'folder'
      this.#wake()
    }
    if (look.is === 'folder') {
      this.#pending.delete(key)
      if (known?.identity !== look.identity) await this.#watchFolders(`${key}/`, look.identity, true)
      return false
    }
    pending.look = look.is === 'file' ? look.stamp : ''
    return true
  }

  /** Moves the files that hold still from pending to ready. */
  async #settle(): Promise<void> {
    const nowMs = performance.now()
    const due = [...this.#pending].filter(([, pending]) => dueAtMs(pending) <= nowMs)
    for (let start = 0; start < due.length; start += limits.storeStatsAtOnce) {
      await Promise.all(due.slice(start, start + limits.storeStatsAtOnce).map((entry) => this.#settleOne(...entry)))
    }
  }

  async #settleOne(key: string, pending: Pending): Promise<void> {
    const before = pending.look
    if (!(await this.#look(key, pending)) || this.#pending.get(key) !== pending) return
    const nowMs = performance.now()
    if (pending.look !== before && nowMs - pending.firstMs < limits.settleMaxMs) {
      pending.lastMs = nowMs
      return
    }
    this.#pending.delete(key)
    this.#ready.add(key)
  }
}

/** When a changed file is looked at again: when it has been quiet, but not much later than that it first changed. */
function dueAtMs({ firstMs, lastMs }: Pending): number {
  return Math.min(lastMs + limits.watchQuietMs, firstMs + limits.settleMaxMs)
}

/** The root may be a symbolic link; what it leads to counts. Null when it is gone or no folder. */
async function identityOfRoot(root: string): Promise<string | null> {
  try {
    const stats = await stat(root, { bigint: true })
    return stats.isDirectory() ? `${stats.dev}-${stats.ino}` : null
  } catch {
    return null
  }
}

async function lookAt(path: string): Promise<Look> {
  try {
    const stats = await lstat(path, { bigint: true })
    if (stats.isDirectory()) return { is: 'folder', identity: `${stats.dev}-${stats.ino}` }
    return { is: 'file', stamp: `${stats.ino}-${stats.size}-${stats.mtimeNs}` }
  } catch {
    return { is: 'nothing' }
  }
}
