/**
 * Looks at the files that a table's current snapshot needs: is each there, as long as it was when it was committed, and does its Parquet
 * footer say what the manifest says (of files that lie here; a store that keeps objects keeps them whole)? Pages are not read: what is wrong in them is found by reading the table.
 */
import { eachAtOnce } from '../base/each-at-once.ts'
import { isFault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type DuckSession, listLiteral } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { planScan } from '../iceberg/scan/plan.ts'
import { ancestors } from '../iceberg/spec/history.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'

/** A file that a table needs and cannot be read with. */
export interface BadFile {
  location: string
  why: string
}

export interface FilesFound {
  /** Files of the current snapshot, data and deletes. */
  files: number
  bad: BadFile[]
}

interface Parts {
  session: DuckSession
  io: FileIO
}

/** @throws Fault when the metadata or the manifests cannot be read */
export async function examineFiles(parts: Parts, { metadata }: LoadedTable): Promise<FilesFound> {
  const { tasks } = await planScan(parts.io, metadata)
  const files = new Map(tasks.flatMap((task) => [task.file, ...task.deletes]).map((file) => [file.filePath, file]))
  const bad: BadFile[] = []
  const whole: (LocalFile & { local: string })[] = []
  await eachAtOnce(limits.filesAtOnce, [...files.values()], async (file) => {
    const found = await lengthOf(parts.io, file)
    if ('why' in found) bad.push(found)
    else if (found.local !== null) whole.push({ file: found.file, local: found.local })
  })
  for (let at = 0; at < whole.length; at += limits.footersAtOnce)
    bad.push(...(await badFooters(parts.session, whole.slice(at, at + limits.footersAtOnce))))
  bad.sort((a, b) => (a.location < b.location ? -1 : 1))
  return { files: files.size, bad }
}

interface LocalFile {
  file: DataFile
  /** Null: only a copy could be made, and for a footer none is. */
  local: string | null
}

async function lengthOf(io: FileIO, file: DataFile): Promise<LocalFile | BadFile> {
  const location = file.filePath
  try {
    const size = await io.sizeOf(location)
    if (size === null) return { location, why: 'is missing' }
    if (size === file.fileSizeBytes)
      return { file, local: io.localBytesMax === null ? await io.localFile(location) : null }
    return { location, why: `has ${size} bytes instead of ${file.fileSizeBytes}` }
  } catch (error) {
    return { location, why: isFault(error, 'not-found') ? 'is missing' : `cannot be read: ${messageOf(error)}` }
  }
}

/** A statement fails at the first file that is damaged: then the halves are asked. */
async function badFooters(session: DuckSession, files: readonly (LocalFile & { local: string })[]): Promise<BadFile[]> {
  if (files.length === 0) return []
  try {
    const paths = listLiteral(files.map(({ local }) => local))
    const rows = await session.rows(`SELECT file_name, num_rows FROM parquet_file_metadata(${paths})`)
    const counts = new Map(rows.map((row) => [String(row['file_name']), Number(row['num_rows'])]))
    return files.flatMap(({ file, local }) => {
      const count = counts.get(local)
      if (count === file.recordCount) return []
      return [{ location: file.filePath, why: `has ${count ?? 'no'} rows instead of ${file.recordCount}` }]
    })
  } catch (error) {
    const [first] = files
    if (files.length === 1 && first !== undefined)
      return [{ location: first.file.filePath, why: `has a damaged footer: ${firstLine(messageOf(error))}` }]
    const half = Math.ceil(files.length / 2)
    return [...(await badFooters(session, files.slice(0, half))), ...(await badFooters(session, files.slice(half)))]
  }
}

function firstLine(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('\n')) || text.length)
}

/** The newest snapshots of the history that are looked at for one without the bad files. */
const SNAPSHOTS_ASKED = 50

/** The newest snapshot of the current one's history that needs none of these files; null when none was found. */
export async function snapshotWithout(
  io: FileIO,
  { metadata }: LoadedTable,
  bad: readonly BadFile[],
): Promise<bigint | null> {
  const locations = new Set(bad.map(({ location }) => location))
  for (const snapshot of ancestors(metadata, metadata['current-snapshot-id']).slice(1, 1 + SNAPSHOTS_ASKED)) {
    const snapshotId = snapshot['snapshot-id']
    const plan = await planScan(io, metadata, { snapshotId }).catch(() => null)
    const needed = plan?.tasks.some((task) => [task.file, ...task.deletes].some((file) => locations.has(file.filePath)))
    if (needed === false) return snapshotId
  }
  return null
}
