/**
 * Which position-delete files apply to a data file (Iceberg spec, "Scan Planning"): those of the same partition, not
 * older than the file, that are about it or may be.
 */
import { partitionId } from '../file/partition-id.ts'
import { DELETE_FILE_PATH, pathOfDeletes } from '../file/position-deletes.ts'
import type { DataFile } from '../spec/manifest.ts'

interface Delete {
  file: DataFile
  sequenceNumber: number
}

export class DeleteIndex {
  /** Partition → delete files that may be about any of its files. */
  readonly #byPartition = new Map<string, Delete[]>()
  /** Partition and path → delete files that are about one data file. */
  readonly #byPath = new Map<string, Delete[]>()
  #empty = true

  add(file: DataFile, sequenceNumber: number): void {
    this.#empty = false
    const path = pathOfDeletes(file)
    const partition = partitionId(file)
    const [map, key] = path === undefined ? [this.#byPartition, partition] : [this.#byPath, pathKey(partition, path)]
    const list = map.get(key)
    if (list === undefined) map.set(key, [{ file, sequenceNumber }])
    else list.push({ file, sequenceNumber })
  }

  deletesFor(file: DataFile, sequenceNumber: number): DataFile[] {
    if (this.#empty) return []
    const partition = partitionId(file)
    const about = this.#byPath.get(pathKey(partition, file.filePath)) ?? []
    const maybe = (this.#byPartition.get(partition) ?? []).filter((each) => mayHold(each.file, file.filePath))
    return [...about, ...maybe].filter((each) => each.sequenceNumber >= sequenceNumber).map((each) => each.file)
  }
}

function pathKey(partition: string, path: string): string {
  return `${partition} ${path}`
}

/** By the bounds of the delete file's paths. */
function mayHold(deletes: DataFile, path: string): boolean {
  const bytes = Buffer.from(path)
  const lower = deletes.lowerBounds?.get(DELETE_FILE_PATH)
  const upper = deletes.upperBounds?.get(DELETE_FILE_PATH)
  if (lower !== undefined && Buffer.compare(bytes, lower) < 0) return false
  return upper === undefined || Buffer.compare(bytes, upper) <= 0
}
