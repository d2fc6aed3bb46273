/**
 * A store in a folder: keys are the paths of files below a root.
 *
 * Invariants: what a reader sees under a key is one whole write; what `put`, `putIfAbsent`, `copy` and `putFile`
 * acknowledged survives a power failure; nothing outside the root is read or written, whatever the key.
 * Other programs may write into the folder at the same time: a listing then shows each file as it was when looked at.
 * Crash story: see `durable.ts`; unfinished writes carry a reserved name, are never listed, and `sweep` removes them.
 */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, opendir, realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Clock, systemClock } from '../base/clock.ts'
import { Fault, isFault, systemCode } from '../base/fault.ts'
import { md5Hex } from '../base/hash.ts'
import { limits } from '../base/limits.ts'
import { type Content, createFile, makeFolders, replaceFile, syncFolder } from './durable.ts'
import { type DurableFs, nodeDurableFs } from './durable-fs.ts'
import { type EtagKind, Md5Cache, statEtag } from './etag.ts'
import { keyProblem, splitPrefix, versionKey } from './key-path.ts'
import { type Located, locate, locateFolder, locateForWrite, requireRoot, statFile, storeFault } from './locate.ts'
import { readRange } from './range.ts'
import type { GetOptions, ListOptions, ObjectInfo, Store } from './store.ts'
import { sweepFolder } from './sweep.ts'
import { type OnSkip, type WalkedFile, walk } from './walk.ts'

export interface FileStoreOptions {
  /** The folder. It must be there unless `create` is true. */
  root: string
  /** Create the folder if it is missing. Default false: a mistyped bucket must not look like an empty one. */
  create?: boolean
  /** `stat`: cheap, for folders of files. `md5`: the etags S3 gives to objects put in one part. Default `stat`. */
  etag?: EtagKind
  /** A version of key `k` lives in file `k@<versionId>`; without such a file, `k` itself stands for it. Default false. */
  versions?: boolean
  /** `delete` also removes the folders that it leaves empty. Default false. */
  pruneEmpty?: boolean
  /** For the age of what `sweep` removes. */
  clock?: Clock
  /** Told of each entry that a listing passes over, with the reason. */
  onSkip?: OnSkip
  /** By which files are written and removed. Default: the system's. */
  fs?: DurableFs
}

export interface FileStore extends Store {
  /** The folder, absolute, free of symbolic links. */
  readonly root: string
  /**
   * Removes what unfinished writes left behind if it is older than `ageMs`, which must be longer than any write takes.
   * Returns how many files went.
   */
  sweep(ageMs: number): Promise<number>
}

/** @throws Fault `not-found` when the root is missing, `invalid` when it is no folder */
export async function openFileStore(options: FileStoreOptions): Promise<FileStore> {
  try {
    if (options.create) await makeFolders(resolve(options.root), options.fs)
    const root = await realpath(options.root)
    await (await opendir(root)).close()
    return new FileStoreAdapter(root, options)
  } catch (error) {
    if (systemCode(error) === 'ENOTDIR' || systemCode(error) === 'EEXIST') {
      throw new Fault('invalid', `expected a folder, got the file ${options.root}`, { root: options.root }, error)
    }
    throw storeFault(error, 'open the store', options.root)
  }
}

class FileStoreAdapter implements FileStore {
  readonly root: string
  readonly name: string
  readonly #options: FileStoreOptions
  readonly #md5: Md5Cache | null
  readonly #fs: DurableFs

  constructor(root: string, options: FileStoreOptions) {
    this.root = root
    this.name = pathToFileURL(root).href
    this.#options = options
    this.#fs = options.fs ?? nodeDurableFs
    this.#md5 = options.etag === 'md5' ? new Md5Cache() : null
  }

  async head(key: string, options: { versionId?: string } = {}): Promise<ObjectInfo | null> {
    const found = await this.#find(key, options.versionId)
    return found && this.#describe(key, found, found.versionId)
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array> {
    const found = await this.#find(key, options.versionId)
    const handle = found && (await openFile(found.path))
    if (handle === null) throw this.#missing(key, options.versionId)
    try {
      if (options.ifMatch === undefined) return await readRange(handle, options.range)
      const before = await this.#stateOf(handle, found!.path)
      if (before.etag !== options.ifMatch) throw this.#superseded(key, options.ifMatch, before.etag)
      const bytes = await readRange(handle, options.range)
      // Another program may write into the open file; the same state before and after means the bytes are that etag's.
      const after = statEtag(await handle.stat({ bigint: true }))
      if (after !== statEtag(before.stats)) throw this.#superseded(key, options.ifMatch, after)
      return bytes
    } catch (error) {
      throw storeFault(error, 'read', found!.path)
    } finally {
      await handle.close()
    }
  }

  put(key: string, bytes: Uint8Array): Promise<ObjectInfo> {
    return this.#replace(key, { bytes })
  }

  async putIfAbsent(key: string, bytes: Uint8Array): Promise<boolean> {
    const path = await locateForWrite(this.root, key)
    try {
      return await createFile(path, bytes, this.#fs)
    } catch (error) {
      if (['EPERM', 'ENOTSUP', 'ENOSYS'].includes(systemCode(error) ?? '')) {
        throw new Fault(
          'unsupported',
          `cannot create ${path}: putIfAbsent needs a file system with hard links, which ${this.root} is not on`,
          { path },
          error,
        )
      }
      throw storeFault(error, 'create', path)
    }
  }

  async copy(from: string, to: string): Promise<ObjectInfo> {
    const found = await this.#find(from)
    if (found === null) throw this.#missing(from)
    return this.#replace(to, { copyOf: found.path })
  }

  putFile(key: string, localPath: string): Promise<ObjectInfo> {
    return this.#replace(key, { move: localPath })
  }

  async localFile(key: string): Promise<string> {
    const found = await this.#find(key)
    if (found === null) throw this.#missing(key)
    return found.path
  }

  async *list(prefix = '', { after = '' }: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { folder, rest } = splitPrefix(prefix)
    // No key begins so.
    if (folder !== '' && keyProblem(folder.slice(0, -1)) !== null) return
    if ((await locateFolder(this.root, folder)) === null) {
      await requireRoot(this.root)
      return
    }
    let batch: WalkedFile[] = []
    for await (const file of walk(this.root, folder, rest, this.#options.onSkip)) {
      if (file.key <= after) continue
      batch.push(file)
      if (batch.length < limits.storeStatsAtOnce) continue
      yield* await this.#describeAll(batch)
      batch = []
    }
    yield* await this.#describeAll(batch)
  }

  async delete(keys: readonly string[]): Promise<void> {
    // All keys are checked before the first file goes.
    const paths: string[] = []
    for (const key of keys) paths.push(await locateForWrite(this.root, key))
    const folders = new Set<string>()
    for (const path of paths) {
      try {
        await this.#fs.unlink(path)
        folders.add(dirname(path))
      } catch (error) {
        // EISDIR and EPERM: a folder, which is no object.
        if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '')) continue
        if (systemCode(error) === 'EPERM' && (await statFile(this.root, path)) === null) continue
        throw storeFault(error, 'delete', path)
      }
    }
    for (const folder of folders) await this.#settle(folder)
  }

  async sweep(ageMs: number): Promise<number> {
    return sweepFolder(this.root, (this.#options.clock ?? systemClock).nowMs() - ageMs)
  }

  /** Makes deletions in `folder` durable, and removes it and its parents while they are empty if so configured. */
  async #settle(folder: string): Promise<void> {
    let at = folder
    try {
      if (this.#options.pruneEmpty) {
        for (; at !== this.root; at = dirname(at)) await this.#fs.rmdir(at)
      }
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY'].includes(systemCode(error) ?? '')) {
        throw storeFault(error, 'remove the empty folder', at)
      }
    }
    try {
      await syncFolder(at, this.#fs)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw storeFault(error, 'sync the folder', at)
    }
  }

  /** The file that stands for the key, or for one version of it. */
  async #find(key: string, versionId?: string): Promise<(Located & { versionId?: string }) | null> {
    if (versionId === undefined) return locate(this.root, key)
    if (!this.#options.versions) {
      throw new Fault(
        'unsupported',
        `version ${versionId} of "${key}" was asked for, but ${this.name} keeps no versions; open it with versions: true`,
        { key, versionId },
      )
    }
    const version = await locate(this.root, versionKey(key, versionId))
    return version === null ? locate(this.root, key) : { ...version, versionId }
  }

  async #replace(key: string, content: Content): Promise<ObjectInfo> {
    const path = await locateForWrite(this.root, key)
    try {
      const stats = await replaceFile(path, content, this.#fs)
      if (this.#md5 === null) return infoOf(key, stats, statEtag(stats))
      // Renaming changes the change time, so the hash is remembered under the state that the file has now.
      const placed = await statFile(this.root, path)
      const ours = placed !== null && statEtag(placed.stats) === statEtag(stats)
      if ('bytes' in content) {
        const md5 = md5Hex(content.bytes)
        if (ours) this.#md5.remember(placed.stats, md5)
        return infoOf(key, stats, md5)
      }
      const info = placed && (await this.#describe(key, placed))
      if (info === null) throw new Fault('unavailable', `${path} was replaced or deleted right after it was written`)
      return info
    } catch (error) {
      if ('move' in content && systemCode(error) === 'ENOENT')
        throw storeFault(error, 'move into the store', content.move)
      throw storeFault(error, 'write', path)
    }
  }

  async #describeAll(files: readonly WalkedFile[]): Promise<ObjectInfo[]> {
    const found = await Promise.all(files.map((file) => this.#describeWalked(file)))
    return found.filter((info) => info !== null)
  }

  async #describeWalked(file: WalkedFile): Promise<ObjectInfo | null> {
    if (this.#options.versions && (await this.#isVersion(file))) return null
    try {
      const located = await statFile(this.root, file.path)
      if (located === null && file.link)
        this.#options.onSkip?.(file.path, 'it is a link to a folder, or to nothing; links are not followed')
      return located && (await this.#describe(file.key, located))
    } catch (error) {
      if (!file.link || !isFault(error, 'invalid')) throw error
      const { real } = error.facts
      this.#options.onSkip?.(
        file.path,
        typeof real === 'string' ? `it is a link that leads out of the folder, to ${real}` : error.message,
      )
      return null
    }
  }

  /** With versions, `<name>@<id>` beside a file `<name>` is no object of its own. */
  async #isVersion(file: WalkedFile): Promise<boolean> {
    const at = file.path.lastIndexOf('@')
    if (at <= file.path.lastIndexOf('/') + 1) return false
    return (await statFile(this.root, file.path.slice(0, at))) !== null
  }

  async #describe(key: string, at: Located, versionId?: string): Promise<ObjectInfo | null> {
    if (this.#md5 === null) return infoOf(key, at.stats, statEtag(at.stats), versionId)
    const known = this.#md5.known(at.stats)
    if (known !== undefined) return infoOf(key, at.stats, known, versionId)
    const handle = await openFile(at.path)
    if (handle === null) return null
    try {
      const { stats, etag } = await this.#stateOf(handle, at.path)
      return infoOf(key, stats, etag, versionId)
    } catch (error) {
      throw storeFault(error, 'hash', at.path)
    } finally {
      await handle.close()
    }
  }

  async #stateOf(handle: FileHandle, path: string): Promise<{ stats: BigIntStats; etag: string }> {
    if (this.#md5 !== null) {
      const { stats, md5 } = await this.#md5.of(handle, path)
      return { stats, etag: md5 }
    }
    const stats = await handle.stat({ bigint: true })
    return { stats, etag: statEtag(stats) }
  }

  #missing(key: string, versionId?: string): Fault {
    const version = versionId === undefined ? '' : ` (version ${versionId})`
    return new Fault('not-found', `there is no object "${key}"${version} in ${this.name}`, { key, versionId })
  }

  #superseded(key: string, expected: string, got: string): Fault {
    return new Fault(
      'superseded',
      `expected object "${key}" of ${this.name} with etag ${expected}, but it has ${got}: it was written again since`,
      { key, expected, got },
    )
  }
}

function infoOf(key: string, stats: BigIntStats, etag: string, versionId?: string): ObjectInfo {
  const info = { key, sizeBytes: Number(stats.size), etag, lastModifiedMs: Number(stats.mtimeNs / 1_000_000n) }
  return versionId === undefined ? info : { ...info, versionId }
}

/** Null when it has gone since. Never follows a link, never waits for the writer of a pipe. */
async function openFile(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) return null
    throw storeFault(error, 'open', path)
  }
}
