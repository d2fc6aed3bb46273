/**
 * The folder of a partition's files. It is for people: what counts is the tuple in the manifest.
 */
import { sha256Hex } from '../../base/hash.ts'
import type { Value } from '../spec/manifest.ts'
import { type PartitionColumn, partitionPath } from '../spec/partition.ts'

/** File systems take names of 255 bytes. A longer part is cut, and told apart by a hash of the whole. */
const PART_BYTES_MAX = 200

/** `region=eu/ts_day=2024-03-01/`, or `` for an unpartitioned tuple. */
export function partitionFolder(columns: readonly PartitionColumn[], partition: readonly Value[]): string {
  const path = partitionPath(columns, partition)
  if (path === '') return ''
  return `${path.split('/').map(cutPart).join('/')}/`
}

function cutPart(part: string): string {
  // Names are escaped to ASCII, so that characters are bytes.
  if (part.length <= PART_BYTES_MAX) return part
  return `${part.slice(0, PART_BYTES_MAX - 17).replace(/%.?$/, '')}-${sha256Hex(part).slice(0, 16)}`
}
