/**
 * A few entries of a log as a segment file of their own.
 *
 * DuckDB reads a segment from its first line, so that one entry that does not fit the table's types fails every range of
 * the segment, whichever entries were asked for. A range that was halved to find it is therefore read from a file of its own.
 */
import { open, rm } from 'node:fs/promises'
import { assert } from '../base/assert.ts'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../log/log.ts'
import type { Slice } from './segment-split.ts'

/**
 * Gives `work` a segment of exactly the entries [from, end), those that `owns` knows, at `path` while it works.
 * @throws Fault `unavailable`
 */
export async function withSlice<T>(
  log: Log,
  range: { from: number; end: number },
  path: string,
  work: (slice: Slice) => Promise<T>,
  owns: (text: string) => boolean = () => true,
): Promise<T> {
  try {
    const written = await writeSlice(log, range, path, owns)
    return await work({ path, first: range.from, end: range.end, ...written })
  } finally {
    await rm(path, { force: true })
  }
}

async function writeSlice(
  log: Log,
  { from, end }: { from: number; end: number },
  path: string,
  owns: (text: string) => boolean,
): Promise<{ bytes: number; entries: number }> {
  try {
    await using file = await open(path, 'w')
    let bytes = 0
    let count = 0
    for (let at = from; at < end; ) {
      const entries = await log.read(at, Math.min(end - at, limits.logBatchEntriesMax))
      assert(entries.length > 0, 'the entries of a slice are in the log')
      const owned = entries.filter((entry) => owns(entry.text))
      const text = owned.map((entry) => `${entry.text}\n`).join('')
      await file.writeFile(text)
      bytes += Buffer.byteLength(text)
      count += owned.length
      at += entries.length
    }
    return { bytes, entries: count }
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault('unavailable', `cannot write ${path}: ${messageOf(error)}`, { path }, error)
  }
}
