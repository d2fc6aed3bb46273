/**
 * What all position-delete files have (Iceberg spec, "Position Delete Files").
 */
import type { DataFile } from '../spec/manifest.ts'

/** Field ids of the two columns. */
export const DELETE_FILE_PATH = 2147483546
export const DELETE_POS = 2147483545

/** The one data file that a delete file is about: field 143, or bounds of `file_path` that are equal; else undefined. */
export function pathOfDeletes(file: DataFile): string | undefined {
  if (file.content !== 'position-deletes') return undefined
  if (file.referencedDataFile !== undefined) return file.referencedDataFile
  const lower = file.lowerBounds?.get(DELETE_FILE_PATH)
  const upper = file.upperBounds?.get(DELETE_FILE_PATH)
  if (lower === undefined || upper === undefined || Buffer.compare(lower, upper) !== 0) return undefined
  return Buffer.from(lower).toString('utf8')
}
