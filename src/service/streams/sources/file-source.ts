/**
 * Files dropped in a directory into a stream, each once.
 *
 * A file is taken when it has held still; its rows are numbered by their places in it, under a name of its own. A kill in the middle
 * changes nothing: read again, it goes on behind the last row that is in the stream's log. What becomes of it afterwards (`after`)
 * is done when all of it is durable, and again at the next look if that failed.
 *
 * Invariants
 * 1. No row is taken of a file that was written to since it was looked into: what it is now is another file, and comes later.
 * 2. A file that cannot be read is one dead letter and stays where it is, whatever `after` says; the others are taken.
 * 3. In memory is a page of rows, and names of files that do not hold still yet.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, type FileHandle, lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import path from 'node:path'
import { backoffMs } from '../../../base/backoff.ts'
import type { Clock } from '../../../base/clock.ts'
import { isFault, messageOf, systemCode } from '../../../base/fault.ts'
import { limits } from '../../../base/limits.ts'
import type { Duck } from '../../../duck/duck.ts'
import { type DirectoryHint, watchDirectory } from '../../../source/source.ts'
import type { Store } from '../../../store/store.ts'
import type { Stream } from '../stream.ts'
import { BadFile, bytesOf } from './file-bytes.ts'
import type { FileLedger, KnownFile } from './file-ledger.ts'
import { type FileForm, formOf } from './file-name.ts'
import { readParquet } from './file-parquet.ts'
import { badRow, type FileRow, readCsv, readLines } from './file-rows.ts'
import type { FilesSettings } from './settings.ts'

export interface FileSourceOptions {
  settings: FilesSettings
  /** Absolute. */
  directory: string
  moveTo: string | null
  /** A directory as a store, for listing it. */
  openDirectory: (directory: string) => Promise<Pick<Store, 'list'>>
  stream: () => Stream
  ledger: FileLedger
  duck: Duck
  clock: Clock
  notice: (text: string) => void
}

/** Owner of the producers that are files. No sender over HTTP can have it. */
const OWNER = 'files'

/** Number of what is told of a file as a whole: behind that of every row, however often it is told. */
const LAST = Number.MAX_SAFE_INTEGER - 1

/** A file that changed, went, or cannot be opened at the moment: nothing to do but to look again. */
class LookAgain extends Error {}

export class FileSource {
  readonly #options: FileSourceOptions
  readonly #excluded: string[]
  /** Files that did not hold still when last looked at. */
  readonly #unsettled = new Map<string, { stamp: string; sinceMs: number }>()
  #trouble: string | null = null
  #taking = 0

  constructor(options: FileSourceOptions) {
    this.#options = options
    const { directory, moveTo } = options
    const inside = moveTo === null ? null : path.relative(directory, moveTo)
    this.#excluded = inside === null || inside === '' || inside.startsWith('..') ? [] : [inside]
  }

  status(): { trouble: string | null; waiting: number } {
    return { trouble: this.#trouble, waiting: this.#unsettled.size + this.#taking }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { directory } = this.#options
    const hints = watchDirectory(directory, {
      signal,
      excluded: this.#excluded,
      onWarning: (message) => this.#tell(message),
    })[Symbol.asyncIterator]()
    let next: Promise<IteratorResult<DirectoryHint>> | null = null
    while (!signal.aborted) {
      next ??= hints.next()
      const hint = await this.#hintOrDue(next, signal)
      if (hint === 'due') {
        await this.#lookAtUnsettled(signal)
        continue
      }
      if (hint.done) return
      await this.#follow(hint.value, signal)
      // The watcher measures how long a look at everything takes by when it is asked again.
      next = null
    }
  }

  async #hintOrDue(
    next: Promise<IteratorResult<DirectoryHint>>,
    signal: AbortSignal,
  ): Promise<IteratorResult<DirectoryHint> | 'due'> {
    if (this.#unsettled.size === 0) return next
    const quiet = new AbortController()
    const since = Math.min(...[...this.#unsettled.values()].map(({ sinceMs }) => sinceMs))
    const pauseMs = Math.max(10, since + this.#quietMs - performance.now())
    const due = this.#options.clock
      .sleep(pauseMs, AbortSignal.any([signal, quiet.signal]))
      .then(() => 'due' as const)
      .catch(() => next)
    try {
      return await Promise.race([next, due])
    } finally {
      quiet.abort()
    }
  }

  get #quietMs(): number {
    return this.#options.settings.quietSeconds * 1000
  }

  async #follow(hint: DirectoryHint, signal: AbortSignal): Promise<void> {
    const { directory, clock, ledger, stream, openDirectory } = this.#options
    for (let failures = 0; !signal.aborted; ) {
      if (failures === 0) this.#trouble = null
      try {
        if (hint.kind === 'keys') for (const key of [...hint.keys].sort()) await this.#consider(key, signal)
        else {
          const store = await openDirectory(directory)
          for await (const { key } of store.list()) {
            if (signal.aborted) return
            if (!this.#excluded.some((folder) => key.startsWith(`${folder}/`))) await this.#consider(key, signal)
          }
          await ledger.prune(stream().name, (key, stamp) => this.#isThere(key, stamp))
        }
        return
      } catch (error) {
        if (signal.aborted) return
        // The next look at everything finds what this one left out.
        if (hint.kind === 'keys' && failures >= 3) return
        this.#tell(messageOf(error))
        const pauseMs = backoffMs(++failures, limits.stageBackoffMs, limits.stageBackoffMaxMs)
        await clock.sleep(pauseMs, signal).catch(() => undefined)
      }
    }
  }

  async #lookAtUnsettled(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now()
    const due = [...this.#unsettled].filter(([, { sinceMs }]) => sinceMs + this.#quietMs <= nowMs)
    const keys = due.map(([key]) => key)
    if (keys.length > 0) await this.#follow({ kind: 'keys', keys }, signal)
  }

  /** Takes a file that holds still and is not taken yet. @throws Fault when nothing can be taken at the moment */
  async #consider(key: string, signal: AbortSignal): Promise<void> {
    const form = formOf(key, this.#options.settings)
    const look = form === null ? null : await this.#look(key)
    if (form === null || look === null) {
      this.#unsettled.delete(key)
      return
    }
    if (!this.#isSettled(key, look)) return
    try {
      this.#taking = 1
      await this.#take(key, look.stamp, form, signal)
    } catch (error) {
      if (isFault(error) || signal.aborted) throw error
      if (!(error instanceof LookAgain)) this.#tell(`${key}: ${messageOf(error)}; it is looked at again`)
    } finally {
      this.#taking = 0
    }
  }

  /** Null when there is no file. */
  async #look(key: string): Promise<{ stamp: string; writtenMs: number } | null> {
    try {
      const stats = await lstat(path.join(this.#options.directory, key), { bigint: true })
      return stats.isFile() ? { stamp: stampOf(stats), writtenMs: Number(stats.mtimeMs) } : null
    } catch (error) {
      if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) return null
      throw error
    }
  }

  /** A time of writing long ago says that it holds still; one that is near, or to come, does not, and is waited out. */
  #isSettled(key: string, { stamp, writtenMs }: { stamp: string; writtenMs: number }): boolean {
    const nowMs = performance.now()
    const before = this.#unsettled.get(key)
    const age = this.#options.clock.nowMs() - writtenMs
    const settled =
      before?.stamp === stamp ? nowMs - before.sinceMs >= this.#quietMs : before === undefined && age >= this.#quietMs
    if (settled) this.#unsettled.delete(key)
    else if (before?.stamp !== stamp) {
      // Beyond the bound, the next look at everything finds it again.
      if (before !== undefined || this.#unsettled.size < limits.scanPageFiles)
        this.#unsettled.set(key, { stamp, sinceMs: nowMs })
    }
    return settled
  }

  async #take(key: string, stamp: string, form: FileForm, signal: AbortSignal): Promise<void> {
    const { ledger, stream, directory } = this.#options
    const { name } = stream()
    const seen = ledger.glance(name, key, stamp)
    if (seen?.state === 'bad') return
    if (seen?.state === 'done') return this.#afterwards(key, stamp)
    const file = path.join(directory, key)
    const handle = await openFile(file)
    try {
      const still = async () => {
        if (stampOf(await handle.stat({ bigint: true })) !== stamp) throw new LookAgain()
      }
      const known = seen ?? (await this.#identify(key, stamp, handle, still, signal))
      let { state } = known
      if (state === 'begun') {
        state = await this.#takeRows(key, file, handle, form, known, still, signal)
        if (state === 'begun') return
        ledger.finish(name, known.producer, state)
      }
      if (state === 'done') await this.#afterwards(key, stamp)
    } finally {
      await handle.close()
    }
  }

  async #identify(
    key: string,
    stamp: string,
    handle: FileHandle,
    still: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<KnownFile> {
    const { ledger, stream } = this.#options
    const hash = createHash('sha256')
    let sizeBytes = 0
    for await (const piece of bytesOf(handle)) {
      signal.throwIfAborted()
      hash.update(piece)
      sizeBytes += piece.length
    }
    await still()
    const writtenNs = String((await handle.stat({ bigint: true })).mtimeNs)
    const identity = { path: key, sizeBytes, writtenNs, hash: hash.digest('hex') }
    return ledger.begin(stream().name, identity, stamp, (other, then) => this.#isThere(other, then))
  }

  async #isThere(key: string, stamp: string): Promise<boolean> {
    return (await this.#look(key))?.stamp === stamp
  }

  /** @returns what it has come to; `begun` when it was aborted */
  async #takeRows(
    key: string,
    file: string,
    handle: FileHandle,
    form: FileForm,
    { producer }: KnownFile,
    still: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<KnownFile['state']> {
    let last = 0
    let bytes = 0
    let rows: FileRow[] = []
    const flush = async () => {
      // What was read is of the file as it was looked into, or it is nothing.
      await still()
      if (rows.length > 0) await this.#accept(producer, rows, signal)
      rows = []
      bytes = 0
    }
    const from = this.#options.stream().nextOf(OWNER, producer)
    try {
      for await (const page of await this.#rowsOf(file, handle, form, from)) {
        for (const row of page) {
          last = row.number
          if (row.number < from) continue
          if (rows.length >= limits.filePageRows || bytes + row.record.data.length > limits.filePageBytes) await flush()
          if (signal.aborted) return 'begun'
          rows.push(row)
          bytes += row.record.data.length
        }
      }
      await flush()
      return signal.aborted ? 'begun' : 'done'
    } catch (error) {
      if (!(error instanceof BadFile)) throw error
      await flush()
      const message = `${key}: ${error.message}${last === 0 ? '' : `; its rows up to ${last} are taken`}`
      await this.#accept(producer, [{ number: LAST, record: badRow(Buffer.from(key), message, 'InvalidFile') }], signal)
      this.#options.notice(message)
      return signal.aborted ? 'begun' : 'bad'
    }
  }

  async #rowsOf(
    file: string,
    handle: FileHandle,
    { format, packing, delimiter }: FileForm,
    from: number,
  ): Promise<AsyncIterable<FileRow[]>> {
    const { duck, settings, stream } = this.#options
    switch (format) {
      case 'ndjson':
        return readLines(handle, packing)
      case 'parquet':
        return readParquet(duck, file, from)
      case 'csv': {
        const types = new Map((await stream().columns()).map(({ name, type }) => [name, type]))
        return readCsv(handle, packing, { ...settings.csv, delimiter, types })
      }
    }
  }

  /** Hands rows over, again and again until they are taken. */
  async #accept(producer: string, rows: readonly FileRow[], signal: AbortSignal): Promise<void> {
    const { stream, clock } = this.#options
    for (let failures = 0; !signal.aborted; ) {
      try {
        const records = rows.map(({ number, record }) => ({
          ...record,
          producer: { id: producer, epoch: 0, sequence: number },
        }))
        await stream().accept(records, { owner: OWNER, gaps: true })
        this.#trouble = null
        return
      } catch (error) {
        if (!isFault(error)) throw error
        this.#tell(error.message)
        const pauseMs = backoffMs(++failures, limits.stageBackoffMs, limits.kafkaTopicsMs)
        await clock.sleep(pauseMs, signal).catch(() => undefined)
      }
    }
  }

  /** What the settings want of a file that is taken. Not of one that was written to since. */
  async #afterwards(key: string, stamp: string): Promise<void> {
    const { settings, directory, moveTo } = this.#options
    if (settings.after === 'keep') return
    const file = path.join(directory, key)
    if (!(await this.#isThere(key, stamp))) return
    try {
      if (settings.after === 'delete') await unlink(file)
      else if (moveTo !== null) await moveFile(file, path.join(moveTo, key))
    } catch (error) {
      if (systemCode(error) !== 'ENOENT')
        this.#tell(`${key} is taken, but cannot be ${settings.after}d: ${messageOf(error)}`)
    }
  }

  #tell(text: string): void {
    if (this.#trouble !== text) this.#options.notice(text)
    this.#trouble = text
  }
}

interface Stats {
  ino: bigint
  size: bigint
  mtimeNs: bigint
  ctimeNs: bigint
}

/** What changes when a file is written, replaced or renamed. */
function stampOf({ ino, size, mtimeNs, ctimeNs }: Stats): string {
  return `${ino}-${size}-${mtimeNs}-${ctimeNs}`
}

/** @throws LookAgain when it is gone or is none; the system's error otherwise */
async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) throw new LookAgain()
    throw error
  }
}

const NAMES_TRIED = 1_000

/** Never over another file: a name that is taken gets a number. */
async function moveFile(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true })
  for (let tries = 0; tries < NAMES_TRIED; tries++) {
    const target = tries === 0 ? to : `${to}.${tries}`
    if (await isPath(target)) continue
    try {
      return await rename(from, target)
    } catch (error) {
      if (systemCode(error) !== 'EXDEV') throw error
      // Another disk: the copy is whole before the file goes.
      const part = `${target}.part`
      await copyFile(from, part)
      const copy = await open(part, 'r')
      await copy.sync()
      await copy.close()
      await rename(part, target)
      return await unlink(from)
    }
  }
  throw new Error(`${NAMES_TRIED} files of that name are there already`)
}

function isPath(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  )
}
