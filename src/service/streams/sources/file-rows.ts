/**
 * A file's rows as records, in pages, each with a number that is the same whenever the file is read: the line that it begins at, or of
 * Parquet the row. What is no row keeps its number and becomes a dead letter.
 */

import { isUtf8 } from 'node:buffer'
import type { FileHandle } from 'node:fs/promises'
import { limits } from '../../../base/limits.ts'
import type { Type } from '../../../iceberg/spec/table-metadata.ts'
import type { RecordProblem } from '../record.ts'
import type { IncomingRecord } from '../request.ts'
import { type CsvField, readCsvRecord } from './csv.ts'
import { BadFile, type Packing, unpackedBytes, Window } from './file-bytes.ts'

export interface FileRow {
  /** From 1 on, growing. */
  number: number
  record: Omit<IncomingRecord, 'producer'>
}

export interface CsvOptions {
  delimiter: string
  quote: string
  /** Text that stands for no value, where it is not quoted. */
  nullText: string
  /** Of the table's columns, by name. */
  types: ReadonlyMap<string, Type>
}

const LF = 0x0a

export function badRow(
  data: Uint8Array,
  message: string,
  code: RecordProblem['code'] = 'InvalidRow',
): FileRow['record'] {
  const problem = { code, message }
  return { data: data.subarray(0, limits.streamRecordBytesMax), outcome: { kind: 'failed', problem } }
}

/** Lines, one JSON document on each; empty ones are passed over. */
export async function* readLines(handle: FileHandle, packing: Packing): AsyncGenerator<FileRow[]> {
  const window = new Window()
  let number = 1
  /** Of a line that is too long: its beginning, and how long it is so far. */
  let long = null as { head: Buffer; bytes: number } | null
  const tooLong = ({ head, bytes }: NonNullable<typeof long>): FileRow => {
    const message = `line ${number}: expected at most ${limits.streamRecordBytesMax} bytes, got ${bytes}; the payload is their beginning`
    return { number, record: badRow(head, message, 'RecordTooLarge') }
  }
  for await (const piece of unpackedBytes(handle, packing)) {
    window.add(piece)
    const rows: FileRow[] = []
    let start = 0
    for (let end = window.buffer.indexOf(LF); end >= 0; end = window.buffer.indexOf(LF, start)) {
      const line = window.buffer.subarray(start, end)
      if (long !== null) rows.push(tooLong({ head: long.head, bytes: long.bytes + line.length }))
      else if (line.length > limits.streamRecordBytesMax) rows.push(tooLong({ head: line, bytes: line.length }))
      else if (!isBlank(line)) rows.push({ number, record: { data: line } })
      long = null
      number++
      start = end + 1
    }
    window.drop(start)
    if (window.buffer.length > limits.streamRecordBytesMax) {
      const { buffer } = window
      long = { head: long?.head ?? Buffer.from(buffer), bytes: (long?.bytes ?? 0) + buffer.length }
      window.drop(buffer.length)
    } else if (long !== null) {
      long.bytes += window.buffer.length
      window.drop(window.buffer.length)
    }
    if (rows.length > 0) yield rows
  }
  if (long !== null) yield [tooLong({ head: long.head, bytes: long.bytes + window.buffer.length })]
  else if (!isBlank(window.buffer)) yield [{ number, record: { data: window.buffer } }]
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}

/** Records of CSV, by the names of its first one. @throws BadFile when that cannot be read */
export async function* readCsv(handle: FileHandle, packing: Packing, options: CsvOptions): AsyncGenerator<FileRow[]> {
  const window = new Window()
  const dialect = { delimiter: options.delimiter.charCodeAt(0), quote: options.quote.charCodeAt(0) }
  const bytesMax = limits.streamRecordBytesMax
  let header: string[] | null = null
  let line = 1
  const take = (final: boolean): FileRow[] => {
    const rows: FileRow[] = []
    let start = 0
    while (start < window.buffer.length) {
      const record = readCsvRecord(window.buffer, start, final, dialect, bytesMax)
      if (record === null) break
      const bytes = window.buffer.subarray(start, start + record.length)
      const number = line
      for (const byte of bytes) if (byte === LF) line++
      start += record.length
      if (isBlank(bytes.subarray(0, bytes.at(-1) === LF ? -1 : undefined))) continue
      if (header === null) header = headerOf(record.fields, record.problem)
      else rows.push({ number, record: recordOf(header, record.fields, record.problem, number, bytes, options) })
    }
    window.drop(start)
    return rows
  }
  /** The rest of a line that is too long to be held is passed over. */
  let passing = false
  for await (const piece of unpackedBytes(handle, packing)) {
    window.add(piece)
    const rows: FileRow[] = []
    if (passing) {
      const end = window.buffer.indexOf(LF)
      window.drop(end < 0 ? window.buffer.length : end + 1)
      if (end < 0) continue
      passing = false
      line++
    }
    rows.push(...take(false))
    if (window.buffer.length > bytesMax && window.buffer.indexOf(LF) < 0) {
      const message = `line ${line}: expected a record of at most ${bytesMax} bytes; the payload is its beginning`
      rows.push({ number: line, record: badRow(Buffer.from(window.buffer), message, 'RecordTooLarge') })
      window.drop(window.buffer.length)
      passing = true
    }
    if (rows.length > 0) yield rows
  }
  if (!passing) yield take(true)
}

function headerOf(fields: readonly CsvField[], problem: string | null): string[] {
  if (problem !== null) throw new BadFile(`the first line should name the columns: ${problem}`)
  const names = fields.map(({ bytes }) => bytes.toString('utf8').trim())
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new BadFile(`the first line names the column ${JSON.stringify(twice)} twice`)
  if (names.includes('')) throw new BadFile('the first line names a column without a name')
  if (names.length > limits.streamColumnsMax)
    throw new BadFile(`expected at most ${limits.streamColumnsMax} columns, the first line names ${names.length}`)
  return names
}

function recordOf(
  header: readonly string[],
  fields: readonly CsvField[],
  problem: string | null,
  line: number,
  bytes: Buffer,
  options: CsvOptions,
): FileRow['record'] {
  if (problem !== null) return badRow(bytes, `line ${line}: ${problem}`)
  if (fields.length !== header.length)
    return badRow(bytes, `line ${line}: expected ${header.length} fields, got ${fields.length}`)
  if (!isUtf8(bytes)) return badRow(bytes, `line ${line}: expected text in UTF-8`, 'InvalidEncoding')
  const members: string[] = []
  for (const [at, { bytes: field, quoted }] of fields.entries()) {
    const text = field.toString('utf8')
    if (!quoted && text === options.nullText) continue
    const name = header[at]!
    members.push(`${JSON.stringify(name)}:${jsonOf(text, options.types.get(name))}`)
  }
  return { data: Buffer.from(`{${members.join()}}`) }
}

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** Text as a value of its column's type, where it says one; what does not stays text, and is judged as any other value. */
function jsonOf(text: string, type: Type | undefined): string {
  if (type === undefined) return JSON.stringify(text)
  if (typeof type !== 'string') {
    try {
      JSON.parse(text)
      return text
    } catch {
      return JSON.stringify(text)
    }
  }
  const bare = text.trim()
  if (/^(int|long|float|double|decimal)/.test(type)) return NUMBER.test(bare) ? bare : JSON.stringify(text)
  if (type === 'boolean') return /^(true|false)$/i.test(bare) ? bare.toLowerCase() : JSON.stringify(text)
  return JSON.stringify(text)
}
