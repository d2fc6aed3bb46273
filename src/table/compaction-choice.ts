/**
 * Which files to rewrite: pure.
 *
 * Data files of one partition are grouped by size in steps of eight; eight files of a step become one of the next, so a row is
 * rewritten about once per step and the number of files stays near eight per step, however many commits made them. Files
 * with many dead rows are rewritten before that: scans read them in vain. One with no live row is just taken out. A table may say
 * besides how many delete files may apply to a data file before its dead rows are taken out.
 */
import { partitionId } from '../iceberg/file/partition-id.ts'
import type { ScanTask } from '../iceberg/scan/scan.ts'
import type { DataFile } from '../iceberg/spec/manifest.ts'

export interface CompactionBounds {
  /** Files of a step before they are merged. */
  filesPerStep: number
  /** A file of this size is full: merged no further. */
  targetBytes: number
  /** Bytes rewritten in one turn. */
  turnBytesMax: number
  /** Rows rewritten in one turn. */
  turnRowsMax: number
  /** Share of dead rows from which a file is rewritten. */
  deadShare: number
  /** Delete files that apply to a data file with dead rows from which it is rewritten; absent: their number does not count. */
  deleteFilesPerFile?: number
}

/** The table property for `deleteFilesPerFile`, under the name that Athena's users know. */
const DELETE_FILES_PROPERTY = 'optimize_rewrite_delete_file_threshold'

/** The bounds as a table's properties want them. A value that is no whole number from 1 counts as absent. */
export function boundsFor<B extends CompactionBounds>(properties: Readonly<Record<string, string>>, bounds: B): B {
  const value = properties[DELETE_FILES_PROPERTY] ?? ''
  return /^[1-9]\d{0,5}$/.test(value) ? { ...bounds, deleteFilesPerFile: Number(value) } : bounds
}

export interface CompactionChoice {
  rewrite: ScanTask[]
  /** Files without a live row. */
  drop: ScanTask[]
  why: string
}

const STEP = 8
const SMALLEST_BYTES = 64 * 1024
/** Marks about rows that are gone are not worth a rewrite below this. */
const STALE_MARKS_MIN = 10_000

/** @param liveRows rows not deleted, per data file; of a file that it does not name, and without it, no row is known to be dead */
export function chooseData(
  tasks: readonly ScanTask[],
  liveRows: ReadonlyMap<string, number> | null,
  bounds: CompactionBounds,
): CompactionChoice | null {
  const live = (task: ScanTask) => liveRows?.get(task.file.filePath) ?? task.file.recordCount
  const drop = tasks.filter((task) => live(task) === 0)
  if (drop.length > 0) return { rewrite: [], drop, why: `${drop.length} files without a live row` }

  const worn = tasks.filter(
    (task) =>
      1 - live(task) / task.file.recordCount >= bounds.deadShare &&
      task.file.fileSizeBytes <= bounds.turnBytesMax &&
      task.file.recordCount <= bounds.turnRowsMax,
  )
  // Those with the most dead rows first: what every scan reads in vain.
  const dead = (task: ScanTask) => task.file.recordCount - live(task)
  const rewrite = upTo(
    worn.toSorted((a, b) => dead(b) - dead(a)),
    bounds,
  )
  if (rewrite.length > 0) return { rewrite, drop: [], why: `${rewrite.length} files with many dead rows` }

  for (const group of groups(tasks, bounds)) {
    if (group.length < bounds.filesPerStep) continue
    const rewrite = upTo(group, bounds)
    if (rewrite.length > 1) return { rewrite, drop: [], why: `${rewrite.length} small files` }
  }
  const marked = tasks.filter(
    (task) =>
      task.deletes.length >= (bounds.deleteFilesPerFile ?? Number.POSITIVE_INFINITY) &&
      // A delete file is about many data files: of this one it may hold no row.
      (!liveRows?.has(task.file.filePath) || live(task) < task.file.recordCount),
  )
  const unmarked = upTo(bySizeAndPlace(marked, (task) => task.file)[0] ?? [], bounds)
  if (unmarked.length > 0)
    return { rewrite: unmarked, drop: [], why: `${unmarked.length} files with many delete files` }
  return null
}

/**
 * Delete files of one partition to merge into one: those of a step when there are enough, of the fullest such group; else all
 * of the partition with the most marks when many marks of the table are about rows that are gone, of files rewritten since.
 * @param deadRows rows that are deleted in the data files that there are, all together; null: unknown
 */
export function chooseDeletes(
  deletes: readonly DataFile[],
  deadRows: number | null,
  bounds: CompactionBounds,
): DataFile[] | null {
  const [largest] = bySizeAndPlace(deletes, (file) => file)
  if (largest !== undefined && largest.length >= bounds.filesPerStep) return largest
  if (deadRows === null || sumOf(deletes) - deadRows < Math.max(STALE_MARKS_MIN, deadRows / 2)) return null
  const places = [...Map.groupBy(deletes, partitionId).values()].toSorted((a, b) => sumOf(b) - sumOf(a))
  return places[0] ?? null
}

function sumOf(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + file.recordCount, 0)
}

function groups(tasks: readonly ScanTask[], bounds: CompactionBounds): ScanTask[][] {
  return bySizeAndPlace(
    tasks.filter((task) => task.file.fileSizeBytes < bounds.targetBytes),
    (task) => task.file,
  )
}

/** Groups of one partition spec, partition and size step, the largest group first. */
function bySizeAndPlace<T>(items: readonly T[], fileOf: (item: T) => DataFile): T[][] {
  const byPlace = Map.groupBy(items, (item) => {
    const file = fileOf(item)
    return `${stepOf(file.fileSizeBytes)} ${partitionId(file)}`
  })
  return [...byPlace.values()].toSorted((a, b) => b.length - a.length)
}

function stepOf(bytes: number): number {
  return bytes <= SMALLEST_BYTES ? 0 : 1 + Math.floor(Math.log(bytes / SMALLEST_BYTES) / Math.log(STEP))
}

function upTo(tasks: readonly ScanTask[], { turnBytesMax, turnRowsMax }: CompactionBounds): ScanTask[] {
  let bytes = 0
  let rows = 0
  return tasks.filter(({ file }) => {
    bytes += file.fileSizeBytes
    rows += file.recordCount
    return bytes <= turnBytesMax && rows <= turnRowsMax
  })
}
