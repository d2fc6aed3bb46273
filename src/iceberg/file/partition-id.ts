/**
 * Partitions compared: equal text means equal spec and equal tuple (Iceberg spec, "Scan Planning", note 3).
 */
import { stringifyJson } from '../../base/json.ts'
import type { DataFile } from '../spec/manifest.ts'

/** Equal for files of one partition: spec and tuple. */
export function partitionId(file: Pick<DataFile, 'specId' | 'partition'>): string {
  const values = file.partition.map((value) => {
    if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
    // JSON has neither NaN, nor infinities, nor a sign of zero.
    if (typeof value === 'number') return Object.is(value, -0) ? { number: '-0' } : { number: String(value) }
    return value
  })
  return stringifyJson([file.specId, ...values])
}
