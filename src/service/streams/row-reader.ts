/**
 * A record → the text of its row, for one table and one stream's rules. Made once per schema. Pure.
 *
 * Most records are in wire form already. They are read once, as bytes, and their own text becomes the row, with the few values
 * that are not replaced in it (`row-plan.ts`). Every other record goes the exact way: parsed, converted, written anew. The exact
 * way decides alone what is refused, and with which words; both give the same values in the table.
 *
 * A member without a column never stands in the row with a value: a column of that name could be added before the commit.
 */
import { isUtf8 } from 'node:buffer'
import { stringifyJson } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { StructType } from '../../iceberg/spec/table-metadata.ts'
import { type ConvertOptions, convertRecord, type Row } from './convert.ts'
import { neededColumns, type StreamSettings } from './definition.ts'
import type { PipelineRecord } from './pipeline.ts'
import { type RecordProblem, readRecord } from './record.ts'
import { OPERATIONS, type Operation } from './request.ts'
import { planMembers } from './row-plan.ts'
import { gap, NO, RowScan } from './row-scan.ts'
import { scalarRules } from './scalar-settings.ts'

export type RowReaderOptions = Pick<
  StreamSettings,
  | 'uniqueKeys'
  | 'orderingField'
  | 'operationField'
  | 'epochUnit'
  | 'unknownFields'
  | 'strictness'
  | 'dateFormats'
  | 'conflict'
>

export type ReadRow =
  /** `rowText` is the row as JSON on one line, in the wire form of `change/table-change.ts`. */
  | { ok: true; rowText: string; op: 'upsert' | 'delete' }
  /** `all` are the problems one by one, when they are of the conversion. */
  | { ok: false; problem: RecordProblem; all?: readonly RecordProblem[] }

/** A row as a part of bytes that do not change while it is held. */
export interface RowBytes {
  bytes: Buffer
  from: number
  end: number
}

export interface RowReader {
  /** Either way. Sets `record.value` when the record had to be parsed. */
  read(record: RowSource): ReadRow
  /** The exact way alone, likewise. */
  readExact(record: RowSource): ReadRow
  /**
   * The fast way alone, for the record in `bytes` from `from` to `end`; it is an upsert if it is for this way.
   * @param isText the record is known to be UTF-8
   * @returns its row, to be copied out before the next call: mostly the record's own bytes; null: it is for the exact way
   */
  scan(bytes: Buffer, from: number, end: number, operation: Operation | undefined, isText: boolean): RowBytes | null
}

/** What is read of a record. */
export type RowSource = Pick<PipelineRecord, 'data' | 'value' | 'changed' | 'operation'>

/** @param schema the columns, required where the stream requires them */
export function compileRowReader(schema: StructType, options: RowReaderOptions): RowReader {
  return new CompiledReader(schema, options)
}

class CompiledReader implements RowReader {
  readonly #schema: StructType
  readonly #options: RowReaderOptions
  readonly #convert: ConvertOptions
  readonly #keys: ReadonlySet<string>
  readonly #scan = new RowScan()
  readonly #spill = new Spill()
  /** What `scan` gives: one for all records. */
  readonly #row: RowBytes = { bytes: Buffer.alloc(0), from: 0, end: 0 }
  readonly #members: ReturnType<typeof planMembers>

  constructor(schema: StructType, options: RowReaderOptions) {
    this.#schema = schema
    this.#options = options
    this.#keys = new Set(neededColumns(options))
    const rules = scalarRules(options)
    const unknown = options.unknownFields === 'drop' ? 'drop' : 'refuse'
    this.#convert = { ...rules, unknown, siblings: options.conflict === 'sibling' }
    this.#members = planMembers(
      schema.fields,
      { ...rules, unknown, depthMax: limits.streamDepthMax },
      1,
      options.operationField,
    )
  }

  read(record: RowSource): ReadRow {
    if (!record.changed) {
      const bytes = bufferOf(record.data)
      const row = this.scan(bytes, 0, bytes.length, record.operation, false)
      if (row !== null) return { ok: true, op: 'upsert', rowText: row.bytes.toString('utf8', row.from, row.end) }
    }
    return this.readExact(record)
  }

  scan(
    bytes: Buffer,
    begin: number,
    recordEnd: number,
    operation: Operation | undefined,
    isText: boolean,
  ): RowBytes | null {
    if (recordEnd - begin > limits.streamRecordBytesMax) return null
    const scan = this.#scan
    scan.begin(bytes, recordEnd)
    const from = gap(scan, begin)
    scan.breaks = false
    const end = this.#members(scan, from)
    if (end === NO || end > recordEnd) return null
    const { breaks } = scan
    if (end < recordEnd && gap(scan, end) < recordEnd) return null
    if (!isText && !isUtf8(bytes.subarray(begin, recordEnd))) return null
    const said = operation ?? scan.operation ?? 'insert'
    if (said !== 'insert' && (said === 'delete' || !this.#allows(said))) return null
    const row = this.#row
    row.bytes = bytes
    row.from = from
    row.end = end
    if (breaks || scan.patches.length > 0) this.#rewrite(row, breaks)
    return row
  }

  /** Puts the row with its patches, and on one line, into bytes of its own. */
  #rewrite(row: RowBytes, breaks: boolean): void {
    const { bytes, from, end } = row
    const { patches } = this.#scan
    const into = this.#spill.take(patches.reduce((sum, { text }) => sum + text.length * 3, end - from))
    const start = this.#spill.used
    let to = start
    let at = from
    for (const patch of patches) {
      to += bytes.copy(into, to, at, patch.from)
      to += into.write(patch.text, to)
      at = patch.end
    }
    to += bytes.copy(into, to, at, end)
    row.bytes = into
    row.from = start
    row.end = breaks ? oneLine(into, start, to) : to
    this.#spill.used = row.end
  }

  readExact(record: RowSource): ReadRow {
    if (record.value === null) {
      const parsed = readRecord(record.data)
      if (!parsed.ok) return parsed
      record.value = parsed.value
    }
    const { operationField } = this.#options
    let operation: unknown = record.operation ?? 'insert'
    let columns = record.value
    if (operationField !== undefined && Object.hasOwn(columns, operationField)) {
      const { [operationField]: said, ...rest } = columns
      operation = record.operation ?? said ?? 'insert'
      columns = rest
    }
    if (!this.#allows(operation)) {
      const expected = this.#keys.size === 0 ? 'insert (the stream has no unique keys)' : OPERATIONS.join(', ')
      const message = `expected the operation ${expected}, got ${String(operation)}`
      return { ok: false, problem: { code: 'InvalidOperation', message } }
    }
    const op = operation === 'delete' ? 'delete' : 'upsert'
    const converted = convertRecord(columns, this.#schema, this.#convert, op === 'delete' ? this.#keys : undefined)
    return converted.ok ? { ok: true, rowText: wireText(converted.row), op } : converted
  }

  #allows(operation: unknown): boolean {
    return OPERATIONS.includes(operation as Operation) && (operation === 'insert' || this.#keys.size > 0)
  }
}

/** The same bytes, not a copy. */
export function bufferOf(data: Uint8Array): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.length)
}

/** Rows that are not their records' own bytes, side by side: what was given out stays as it is. */
class Spill {
  #bytes: Buffer = Buffer.alloc(0)
  used = 0

  /** Bytes of which at least so many, from `used` on, are free. */
  take(bytes: number): Buffer {
    if (this.#bytes.length - this.used < bytes) {
      this.#bytes = Buffer.allocUnsafe(Math.max(bytes, SPILL_BYTES))
      this.used = 0
    }
    return this.#bytes
  }
}

const SPILL_BYTES = 64 * 1024

/** A space for each run of line breaks, which stand between tokens only. @returns the place behind what is left */
function oneLine(bytes: Buffer, from: number, end: number): number {
  let to = from
  let inRun = false
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!
    const isBreak = byte === 0x0a || byte === 0x0d
    if (!isBreak) bytes[to++] = byte
    else if (!inRun) bytes[to++] = 0x20
    inRun = isBreak
  }
  return to
}

/** Compact JSON of a row in wire form. The built-in function is much the fastest, and throws at the first bigint. */
export function wireText(row: Row): string {
  try {
    return JSON.stringify(row)
  } catch {
    return stringifyJson(row)
  }
}
