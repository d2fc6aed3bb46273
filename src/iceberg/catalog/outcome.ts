/**
 * Whether a commit happened, told from the table as it is now. Pure.
 *
 * Each metadata file lists those before it (`metadata-log`, spec "Table Metadata"), so a table's history of files shows
 * what followed a given one. As each file is followed by exactly one other, that decides who won.
 */

import { plainLocation } from '../file/file.ts'
import type { TableMetadata } from '../spec/table-metadata.ts'

/** `lost`: somebody else's file follows the base. `undone`: the table is still at the base. */
export type Outcome = 'committed' | 'lost' | 'undone' | 'unknown'

/**
 * @param base location of the file that the commit was to follow
 * @param ours location of the file that it wrote
 * @param now the table as it is now, with its location
 */
export function outcomeOf(base: string, ours: string, now: { location: string; metadata: TableMetadata }): Outcome {
  const files = [...now.metadata['metadata-log'].map((entry) => entry['metadata-file']), now.location].map(
    plainLocation,
  )
  if (files.includes(plainLocation(ours))) return 'committed'
  if (plainLocation(now.location) === plainLocation(base)) return 'undone'
  // Another file follows the base: ours can no longer.
  if (files.includes(plainLocation(base))) return 'lost'
  // The log was cut after the base.
  return 'unknown'
}
