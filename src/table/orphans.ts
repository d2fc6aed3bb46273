/**
 * Files under a table's location that nothing reaches: what a crash, a lost race or a commit given up has left behind.
 *
 * Invariant: a file goes only when it is certain that no reader can want it. It is older than the longest commit may take
 * (`limits.orphanGraceMs`), not older than the table itself, has a name as files of tables have, and nothing that the table
 * reaches has the same name: names are unique, and another spelling of the folder (`s3a:`, `file:/`) is no reason to delete.
 * The table is loaded after its files were listed, so what was committed meanwhile is seen; if anything cannot be read,
 * nothing is removed.
 */
import { limits } from '../base/limits.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import { reachableFiles, statisticsFiles } from './reachable.ts'

export interface OrphanOptions {
  io: FileIO
  /** The table as it is now; called after the listing. */
  load: () => Promise<LoadedTable>
  nowMs: number
  /** Default `limits.orphanGraceMs`. */
  graceMs?: number
  /** Removes nothing: tells what would go. */
  dryRun?: boolean
}

/**
 * Removes files that nothing reaches, at most `limits.orphansAtOnce` of them, and returns their locations.
 * @throws Fault `not-found`, `corrupt` when what the table reaches cannot be learnt: then nothing was removed
 */
export async function removeOrphans({ io, load, nowMs, graceMs, dryRun }: OrphanOptions): Promise<string[]> {
  const before = await load()
  if (before.metadata.properties['gc.enabled']?.toLowerCase() === 'false') return []
  const olderThanMs = nowMs - (graceMs ?? limits.orphanGraceMs)
  const candidates = await oldFiles(io, before.metadata, olderThanMs)
  if (candidates.length === 0) return []
  const reached = await reachedNames(io, await load())
  const orphans = candidates.filter((location) => !reached.has(nameOf(location))).slice(0, limits.orphansAtOnce)
  if (dryRun !== true) await io.delete(orphans)
  return orphans
}

async function oldFiles(io: FileIO, metadata: TableMetadata, olderThanMs: number): Promise<string[]> {
  const location = metadata.location.replace(/\/+$/, '')
  const madeMs = creationMs(metadata['table-uuid'])
  const files: string[] = []
  // Only these two: other tables may live in folders beside them.
  for (const folder of ['data', 'metadata']) {
    for await (const file of io.list(`${location}/${folder}`)) {
      const age = file.lastModifiedMs < olderThanMs && file.lastModifiedMs >= madeMs - limits.clockStepMaxMs
      if (age && isTableFile(file.location)) files.push(file.location)
    }
  }
  return files
}

/** By its extension: a file of any other kind is not the format's, and not ours to remove. */
function isTableFile(location: string): boolean {
  return /\.(parquet|orc|avro|puffin|stats|metadata\.json|gz\.metadata\.json|metadata\.json\.gz)$/.test(location)
}

/** When the table was made, if its uuid tells (version 7); files before that are of a dropped table of the same name. */
function creationMs(uuid: string): number {
  const hex = uuid.replaceAll('-', '')
  return hex[12] === '7' ? Number.parseInt(hex.slice(0, 12), 16) : 0
}

async function reachedNames(io: FileIO, { metadata, metadataLocation }: LoadedTable): Promise<Set<string>> {
  const locations = await reachableFiles(io, metadata, metadata.snapshots)
  locations.add(metadataLocation)
  for (const entry of metadata['metadata-log']) locations.add(entry['metadata-file'])
  for (const location of statisticsFiles(metadata)) locations.add(location)
  return new Set([...locations].map(nameOf))
}

function nameOf(location: string): string {
  return location.slice(location.lastIndexOf('/') + 1)
}
