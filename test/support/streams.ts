/** Records for tests of streams. */
import type { IncomingRecord } from '../../src/service/streams/streams.ts'

export function recordOf(value: unknown): IncomingRecord {
  return { data: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)) }
}

export function recordsOf(...values: unknown[]): IncomingRecord[] {
  return values.map(recordOf)
}
