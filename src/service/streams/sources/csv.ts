/**
 * CSV as RFC 4180 has it, from bytes: one record at a time, so that a bad one is told with its bytes and the next one is read. Pure.
 *
 * Kind where nothing is lost by it: a quote inside an unquoted field is a quote, and lines may end in CR LF, LF or CR LF mixed. What is
 * not: text behind a closing quote, and a quote that never closes. Then the record ends at the end of its first line, and reading goes
 * on behind it.
 */
export interface CsvDialect {
  delimiter: number
  quote: number
}

export interface CsvField {
  bytes: Buffer
  /** It stood in quotes: empty, it is an empty text and no missing value. */
  quoted: boolean
}

export interface CsvRecord {
  /** Bytes of the record, with the end of its line. */
  length: number
  fields: CsvField[]
  /** Why it is none; `fields` mean nothing then. */
  problem: string | null
}

const LF = 0x0a
const CR = 0x0d

/**
 * The record that begins at `start`; null when its end is not in `buffer`.
 * @param final nothing comes behind `buffer`
 * @param bytesMax a record is no longer; one that has no line end so far is waited for no longer either
 */
export function readCsvRecord(
  buffer: Buffer,
  start: number,
  final: boolean,
  { delimiter, quote }: CsvDialect,
  bytesMax: number,
): CsvRecord | null {
  const fields: CsvField[] = []
  let at = start
  for (;;) {
    if (buffer[at] === quote) {
      const field = readQuoted(buffer, at + 1, quote)
      if (field === null) {
        if (!final && buffer.length - start <= bytesMax) return null
        return refuse(buffer, start, final, 'expected a quote that closes the field, found none')
      }
      at = field.end
      // What is behind the quote may not be there yet, or the quote may be the first of two.
      if (at >= buffer.length && !final) return null
      if (buffer[at] === CR && at + 1 >= buffer.length && !final) return null
      const ends = at >= buffer.length || buffer[at] === delimiter || lineEnd(buffer, at) > 0
      if (!ends) return refuse(buffer, start, final, 'expected a delimiter behind a closing quote')
      fields.push({ bytes: field.bytes, quoted: true })
    } else {
      const from = at
      while (at < buffer.length && buffer[at] !== delimiter && buffer[at] !== LF) at++
      if (at >= buffer.length && !final) {
        if (buffer.length - start <= bytesMax) return null
        return refuse(buffer, start, final, `expected a record of at most ${bytesMax} bytes`)
      }
      const cr = buffer[at] !== delimiter && at > from && buffer[at - 1] === CR
      fields.push({ bytes: buffer.subarray(from, cr ? at - 1 : at), quoted: false })
      if (cr) at--
    }
    if (buffer[at] === delimiter) {
      at++
      continue
    }
    const length = at + lineEnd(buffer, at) - start
    if (length > bytesMax) return refuse(buffer, start, final, `expected a record of at most ${bytesMax} bytes`)
    return { length, fields, problem: null }
  }
}

/** Bytes of the end of a line at a place; 0 when there is none. */
function lineEnd(buffer: Buffer, at: number): number {
  if (buffer[at] === LF) return 1
  if (buffer[at] !== CR) return 0
  return buffer[at + 1] === LF ? 2 : at + 1 === buffer.length ? 1 : 0
}

/** @param at behind the opening quote */
function readQuoted(buffer: Buffer, at: number, quote: number): { bytes: Buffer; end: number } | null {
  let close = buffer.indexOf(quote, at)
  const parts: Buffer[] = []
  let from = at
  while (close >= 0) {
    if (buffer[close + 1] !== quote) {
      parts.push(buffer.subarray(from, close))
      return { bytes: parts.length === 1 ? parts[0]! : Buffer.concat(parts), end: close + 1 }
    }
    parts.push(buffer.subarray(from, close + 1))
    from = close + 2
    close = buffer.indexOf(quote, from)
  }
  return null
}

/** The first line as a bad record; null when its end is not there yet. */
function refuse(buffer: Buffer, start: number, final: boolean, problem: string): CsvRecord | null {
  const end = buffer.indexOf(LF, start)
  if (end < 0 && !final) return null
  return { length: (end < 0 ? buffer.length : end + 1) - start, fields: [], problem }
}
