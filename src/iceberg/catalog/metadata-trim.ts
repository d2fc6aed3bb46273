/**
 * Old metadata files: which may go after a commit, and when.
 *
 * A file that left the table's metadata log is named by nothing any more. But whoever looked up the table a moment ago may
 * be about to open it: another engine takes a second and more between the two, and a busy table passes through its whole
 * log in less. So a file goes only when it was replaced long enough ago; younger ones wait for a later commit.
 *
 * Crash story: what waits is lost with the process. The files stay behind as orphans, which upkeep removes.
 */
import { limits } from '../../base/limits.ts'
import { plainLocation } from '../file/file.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'

export interface DroppedFile {
  location: string
  /** When the next file took its place. */
  replacedMs: number
}

const folderOf = (location: string) => plainLocation(location.slice(0, location.lastIndexOf('/') + 1))

/** Files that `base` lists and `next` no longer does, in the folder of `next` itself: others are not this table's to delete. */
export function droppedFromLog(base: TableMetadata, next: TableMetadata, nextLocation: string): DroppedFile[] {
  const kept = new Set(next['metadata-log'].map((entry) => plainLocation(entry['metadata-file'])))
  const log = base['metadata-log']
  return log
    .map((entry, i) => ({
      location: entry['metadata-file'],
      replacedMs: log[i + 1]?.['timestamp-ms'] ?? base['last-updated-ms'],
    }))
    .filter(({ location }) => !kept.has(plainLocation(location)) && folderOf(location) === folderOf(nextLocation))
}

/** Files that wait until nobody can be about to open them. */
export class MetadataTrim {
  readonly #graceMs: number
  #waiting: DroppedFile[] = []

  constructor(graceMs: number = limits.metadataGraceMs) {
    this.#graceMs = graceMs
  }

  /** Takes files in, and gives those whose time has come. Beyond the bound the oldest are let go, as orphans. */
  due(dropped: readonly DroppedFile[], nowMs: number): string[] {
    const all = [...this.#waiting, ...dropped]
    const isDue = ({ replacedMs }: DroppedFile) => replacedMs + this.#graceMs <= nowMs
    this.#waiting = all.filter((file) => !isDue(file)).slice(-limits.metadataTrimWaitingMax)
    return all.filter(isDue).map((file) => file.location)
  }
}
