/** Records as the steps of a stream see them, for tests. */
import type { PipelineRecord, RecordOrigin } from '../../src/service/streams/pipeline.ts'

export const origin: RecordOrigin = { receivedMs: 1_764_000_000_000, ip: '192.0.2.7', userAgent: 'test/1' }

export function pipelineRecords(...values: unknown[]): PipelineRecord[] {
  return values.map((value, index) => ({
    index,
    data: value instanceof Uint8Array ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    value: null,
    changed: false,
    destination: 'shop.events',
    operation: undefined,
    outcome: null,
  }))
}

/** What became of each record, in a line: `row shop.events {…}`, `dropped`, `failed Code`. */
export function outcomesOf(records: readonly PipelineRecord[]): string[] {
  return records.map(({ outcome, destination, operation, data }) => {
    const at = operation === undefined ? destination : `${destination} ${operation}`
    if (outcome === null) return `row ${at} ${Buffer.from(data).toString()}`
    return outcome.kind === 'dropped' ? 'dropped' : `failed ${outcome.problem.code}`
  })
}
