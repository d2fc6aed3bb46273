/** Reading one local file from a worker: synchronous, since the worker has nothing else to do, and checked against change. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { Fault, messageOf, systemCode } from '../base/fault.ts'
import { statEtag } from '../store/etag.ts'
import type { LocalFile, RangeReader } from './extract.ts'

export interface OpenFile {
  read: RangeReader
  /** @throws Fault `superseded` when the file is not as it was at the opening */
  check(): void
  close(): void
}

/** @throws Fault `not-found`, `superseded` (size or stamp differ from what was expected), `unavailable` */
export function openFile({ path, stamp }: LocalFile, sizeBytes: number): OpenFile {
  const fd = orFault(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
  try {
    const before = orFault(path, () => fstatSync(fd, { bigint: true }))
    if (!before.isFile()) throw new Fault('unavailable', `Expected ${path} to be a file; it is something else.`)
    const state = statEtag(before)
    if (Number(before.size) !== sizeBytes || (stamp !== undefined && stamp !== state)) {
      throw superseded(
        path,
        `${sizeBytes} bytes${stamp === undefined ? '' : ` (${stamp})`}`,
        `${before.size} bytes (${state})`,
      )
    }
    return {
      read: (start, end) => Promise.resolve(orFault(path, () => readFully(fd, start, end))),
      check() {
        const after = statEtag(fstatSync(fd, { bigint: true }))
        if (after !== state) throw superseded(path, state, after)
      },
      close: () => closeSync(fd),
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

function superseded(path: string, expected: string, got: string): Fault {
  return new Fault(
    'superseded',
    `Expected ${path} with ${expected}, got ${got}: it was written since. The newer write has its own event.`,
  )
}

function readFully(fd: number, start: number, end: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(end - start)
  let filled = 0
  while (filled < bytes.length) {
    const got = readSync(fd, bytes, filled, bytes.length - filled, start + filled)
    if (got === 0) break
    filled += got
  }
  return bytes.subarray(0, filled)
}

function orFault<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const code = systemCode(error)
    const kind = code === 'ENOENT' || code === 'ENOTDIR' ? 'not-found' : 'unavailable'
    throw new Fault(kind, `Could not read ${path}: ${messageOf(error)}`, {}, error)
  }
}
