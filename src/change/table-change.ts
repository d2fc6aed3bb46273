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
  /** `delete` needs only the key columns in `row`. `none` changes nothing: it stands for what is remembered by it. */
  op: 'upsert' | 'delete' | 'none'
  row: { [column: string]: Json | undefined }
  /** `namespace.name` of the table that it is for; absent: the log's only table. */
  to?: string
  /** Streams: who sent it, and its number there; see `service/streams/memory.ts`. */
  producer?: ProducerNumber
  /** Streams: the request that ends with this entry. */
  request?: RememberedRequest
  /** Streams: dead letters that were taken again by the append that ends with this entry, by id. */
  replayed?: string[]
}

export type ProducerNumber = [id: string, epoch: number, sequence: number]

/** What is kept of a request so that its repetition gets the same answer and changes nothing. */
export interface RememberedRequest {
  key: string
  /** SHA-256 of its records. */
  digest: string
  /** Arrival, ms since 1970. */
  atMs: number
  /** Records. Each has an entry before this one, in their order, but for those that `letters` and `dropped` name. */
  count: number
  /** Records that became dead letters: index, id of the letter, code, reason. */
  letters: [index: number, id: string, code: string, message: string][]
  /** Records that were left out, by index; they have no entry either. */
  dropped?: number[]
}

/** Entry → the text that a log takes. */
export function tableChangeText(entry: TableChangeEntry): string {
  const { to, input, op, row, producer, request, replayed } = entry
  return stringifyJson({ to, input, op, row, producer, request, replayed })
}

/** The same for a row that is text already. */
export function rowChangeText(
  { to, input, op, producer }: Omit<TableChangeEntry, 'row' | 'request' | 'replayed'>,
  rowText: string,
): string {
  return `{${rowChangeHead({ to, input, op })}${rowText}${rowChangeTail(producer)}`
}

/**
 * What stands before the row, but for the opening brace. `to` comes first, where a reader of many lines finds it without parsing
 * them.
 */
export function rowChangeHead({
  to,
  input,
  op,
}: Pick<TableChangeEntry, 'input' | 'op'> & { to?: string | undefined }): string {
  const table = to === undefined ? '' : `"to":${JSON.stringify(to)},`
  return `${table}"input":${input},"op":"${op}","row":`
}

/** What stands behind the row. */
export function rowChangeTail(producer?: TableChangeEntry['producer']): string {
  return producer === undefined ? '}' : `,"producer":${JSON.stringify(producer)}}`
}

/** The text of a log entry → what stands in it. The writer never calls this: DuckDB reads segments by itself. */
export function readTableChange(text: string): TableChangeEntry & { offset: number } {
  return parseJson(text) as unknown as TableChangeEntry & { offset: number }
}
