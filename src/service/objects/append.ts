/** Appending to a log in as many batches as its bounds ask for, in order; each batch is durable as a whole. */
import { limits } from '../../base/limits.ts'
import { type TableChangeEntry, tableChangeText } from '../../change/table-change.ts'
import type { Log } from '../../log/log.ts'

export function appendChanges(log: Log, changes: readonly TableChangeEntry[]): Promise<void> {
  return appendTexts(log, changes.map(tableChangeText))
}

export async function appendTexts(log: Log, texts: readonly string[]): Promise<void> {
  let first = 0
  let bytes = 0
  for (const [at, text] of texts.entries()) {
    const size = Buffer.byteLength(text)
    const isFull = bytes + size > limits.logBatchBytesMax || at - first >= limits.logBatchEntriesMax
    if (isFull && at > first) {
      await log.append(texts.slice(first, at))
      first = at
      bytes = 0
    }
    bytes += size
  }
  if (first < texts.length) await log.append(texts.slice(first))
}
