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

export interface RowReader {
  /** Sets `record.value` when the record had to be parsed. */
  read(record: RowSource): ReadRow
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
    return (record.changed ? null : this.#readFast(record)) ?? this.#readExact(record)
  }

  /** Null: not for this way. */
  #readFast({ data, operation }: RowSource): ReadRow | null {
    if (data.length > limits.streamRecordBytesMax) return null
    const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.length)
    const scan = this.#scan
    scan.begin(bytes)
    const from = gap(scan, 0)
    scan.breaks = false
    const end = this.#members(scan, from)
    if (end === NO) return null
    const { breaks } = scan
    if (gap(scan, end) !== bytes.length) return null
    if (scan.seen > 0x7f && !isUtf8(bytes)) return null
    const said = operation ?? scan.operation ?? 'insert'
    if (!this.#allows(said) || said === 'delete') return null
    const text = scan.patches.length === 0 ? scan.text(from, end) : patched(scan, from, end)
    // Raw line breaks stand between tokens only.
    return { ok: true, op: 'upsert', rowText: breaks ? text.replace(/[\r\n]+/g, ' ') : text }
  }

  #readExact(record: RowSource): ReadRow {
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

function patched(scan: RowScan, from: number, end: number): string {
  let text = ''
  let at = from
  for (const patch of scan.patches) {
    text += scan.text(at, patch.from) + patch.text
    at = patch.end
  }
  return text + scan.text(at, end)
}

/** Compact JSON of a row in wire form. The built-in function is much the fastest, and throws at the first bigint. */
export function wireText(row: Row): string {
  try {
    return JSON.stringify(row)
  } catch {
    return stringifyJson(row)
  }
}
