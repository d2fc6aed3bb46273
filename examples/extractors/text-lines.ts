/**
 * Lines and words of text files: an example of an extractor of your own. To use it, name it in the configuration:
 *
 *     objects: {
 *       extractors: [{ module: './examples/extractors/text-lines.ts' }],
 *       content: { columns: { lines: { type: 'INTEGER', jpath: '$.text_lines.lines' } } },
 *     }
 */

/** More than this of one object is not read. */
const BYTES_MAX = 1024 * 1024

interface Subject {
  key: string
  sizeBytes: number
  sniffed: string | null
}

interface Bytes {
  sizeBytes: number
  read(start: number, end: number): Promise<Uint8Array>
}

/** Text has no signature that could be found in its bytes (but for tables, which are told by their form): its name must do. */
export function appliesTo({ key, sniffed }: Subject): boolean {
  return (sniffed === null || sniffed === 'text/csv') && /\.(?:txt|md|csv|log)$/i.test(key)
}

export async function extract(_subject: Subject, bytes: Bytes): Promise<object> {
  const end = Math.min(bytes.sizeBytes, BYTES_MAX)
  const text = new TextDecoder().decode(await bytes.read(0, end))
  const lines = text.split(/\r?\n/)
  // A line feed at the end ends the last line; it begins no new one.
  if (lines.at(-1) === '') lines.pop()
  return {
    text_lines: {
      lines: lines.length,
      words: text.split(/\s+/).filter((word) => word !== '').length,
      longest_line: Math.max(0, ...lines.map((line) => line.length)),
      whole: end === bytes.sizeBytes,
    },
  }
}
