import { limits } from '../../base/limits.ts'
import { type TableChangeEntry, tableChangeText } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'

/** Bytes that the log adds to an entry: its offset and the line feed. */
const FRAMING_BYTES = 32

/** Appends changes in order, in as many batches as the log's bounds ask for; each batch is durable as a whole. */
export async function appendChanges(log: Log, changes: Iterable<TableChangeEntry>): Promise<void> {
  let batch: string[] = []
  let bytes = 0
  for (const change of changes) {
    const text = tableChangeText(change)
    const size = Buffer.byteLength(text) + FRAMING_BYTES
    if (batch.length > 0 && (bytes + size > limits.logBatchBytesMax || batch.length >= limits.logBatchEntriesMax)) {
      await log.append(batch)
      batch = []
      bytes = 0
    }
    batch.push(text)
    bytes += size
  }
  if (batch.length > 0) await log.append(batch)
}
