/** A record → the text of its row, for one table and one stream's rules. Made anew when the table's columns change. Pure. */
import { stringifyJson } from '../../base/json.ts'
import type { StructType } from '../../iceberg/spec/table-metadata.ts'
import { convertRecord } from './convert.ts'
import type { StreamSettings } from './definition.ts'
import type { PipelineRecord } from './pipeline.ts'
import { type RecordProblem, readRecord } from './record.ts'
import { OPERATIONS, type Operation } from './request.ts'

export type RowReaderOptions = Pick<StreamSettings, 'uniqueKeys' | 'operationField' | 'epochUnit' | 'unknownFields'>

export type ReadRow =
  /** `rowText` is the row as JSON, in the wire form of `change/table-change.ts`. */
  { ok: true; rowText: string; op: 'upsert' | 'delete' } | { ok: false; problem: RecordProblem }

export interface RowReader {
  read(record: PipelineRecord): ReadRow
}

/** @param schema the columns, required where the stream requires them */
export function compileRowReader(schema: StructType, options: RowReaderOptions): RowReader {
  const { uniqueKeys, operationField, epochUnit, unknownFields } = options
  const keyOnly = new Set(uniqueKeys)
  const convertOptions = { epochUnit, unknown: unknownFields === 'drop' ? ('drop' as const) : ('refuse' as const) }

  const read = (record: PipelineRecord): ReadRow => {
    if (record.value === null) {
      const parsed = readRecord(record.data)
      if (!parsed.ok) return parsed
      record.value = parsed.value
    }
    const { value } = record
    let operation: unknown = record.operation ?? 'insert'
    let columns = value
    if (operationField !== undefined && Object.hasOwn(value, operationField)) {
      const { [operationField]: said, ...rest } = value
      operation = record.operation ?? said ?? 'insert'
      columns = rest
    }
    if (!OPERATIONS.includes(operation as Operation) || (operation !== 'insert' && uniqueKeys.length === 0)) {
      const expected = uniqueKeys.length === 0 ? 'insert (the stream has no unique keys)' : OPERATIONS.join(', ')
      const message = `expected the operation ${expected}, got ${String(operation)}`
      return { ok: false, problem: { code: 'InvalidOperation', message } }
    }
    const op = operation === 'delete' ? 'delete' : 'upsert'
    const converted = convertRecord(columns, schema, convertOptions, op === 'delete' ? keyOnly : undefined)
    return converted.ok ? { ok: true, rowText: stringifyJson(converted.row), op } : converted
  }
  return { read }
}
