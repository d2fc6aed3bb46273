/**
 * One change of one table, as it stands in that table's log: the wire form between the stages that make rows and the
 * writer that commits them. The log puts `offset` first, so a segment is NDJSON that DuckDB reads without our help:
 *
 *     {"offset":17,"input":12,"op":"upsert","row":{"bucket":"b","key":"k",…}}
 *
 * Values travel as JSON that loses nothing: decimals, timestamps, dates, times and uuids as text, binary as hex,
 * structs and maps as objects, lists as arrays; longs as digits.
 */
import { type Json, parseJson, stringifyJson } from '../base/json.ts'

export interface TableChangeEntry {
  /** Offset, in the log that the stage read, of the entry that this change was made from. */
  input: number
  /** `delete` needs only the key columns in `row`. */
  op: 'upsert' | 'delete'
  row: { [column: string]: Json | undefined }
}

/** Entry → the text that a log takes. */
export function tableChangeText(entry: TableChangeEntry): string {
  return stringifyJson({ input: entry.input, op: entry.op, row: entry.row })
}

/** The text of a log entry → what stands in it. The writer never calls this: DuckDB reads segments by itself. */
export function readTableChange(text: string): TableChangeEntry & { offset: number } {
  return parseJson(text) as unknown as TableChangeEntry & { offset: number }
}
