/**
 * The beginning of a text as rows: which kind it is (JSON, lines of JSON, separated values) is told from its characters alone.
 * All of it works on the head of the object, which is read anyway.
 *
 * Strict on purpose: prose and programs must not be taken for tables. Separated values are taken for such when there are at least
 * two records and all have the same number of fields, two or more.
 */
import { type Json, parseJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'

export type TextTable =
  | { kind: 'json'; items: Json[]; isList: boolean; isWhole: boolean; encoding: string }
  | { kind: 'ndjson'; items: Json[]; isWhole: boolean; encoding: string }
  | { kind: 'csv'; records: string[][]; delimiter: string; isWhole: boolean; encoding: string }

/** @param isAll the bytes are the whole object, not its beginning */
export function textTable(bytes: Uint8Array, isAll: boolean): TextTable | null {
  const sample = bytes.subarray(0, limits.tableSampleBytesMax)
  const decoded = decodedText(sample)
  if (decoded === null) return null
  const { text, encoding } = decoded
  const isWhole = isAll && sample.length === bytes.length
  const start = /\S/.exec(text)?.[0]
  if (start === '{' || start === '[') {
    const found = jsonTable(text, isWhole)
    if (found !== null) return { ...found, encoding }
    if (start === '{') return null
  }
  const csv = csvTable(text, isWhole)
  return csv === null ? null : { kind: 'csv', ...csv, encoding }
}

/** Text when the bytes are no controls: UTF-8, UTF-16 with its mark, or a single-byte encoding of the West. */
function decodedText(bytes: Uint8Array): { text: string; encoding: string } | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe)
    return { text: new TextDecoder('utf-16le').decode(bytes), encoding: 'utf-16le' }
  if (bytes[0] === 0xfe && bytes[1] === 0xff)
    return { text: new TextDecoder('utf-16be').decode(bytes), encoding: 'utf-16be' }
  if (bytes.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) return null
  try {
    // As a stream, so that a character cut at the sample's end is no mistake.
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }), encoding: 'utf-8' }
  } catch {
    return { text: new TextDecoder('windows-1252').decode(bytes), encoding: 'windows-1252' }
  }
}

type JsonFound =
  | { kind: 'json'; items: Json[]; isList: boolean; isWhole: boolean }
  | { kind: 'ndjson'; items: Json[]; isWhole: boolean }

/** One value, values in lines, or a list of values. Null when a complete value is no JSON, or none is there. */
function jsonTable(text: string, isWhole: boolean): JsonFound | null {
  const begin = text.search(/\S/)
  const isList = text[begin] === '['
  const items: Json[] = []
  let at = isList ? begin + 1 : begin
  while (items.length < limits.tableSampleRecordsMax) {
    at = skip(text, at, isList ? /[\s,]*/y : /\s*/y)
    const end = valueEnd(text, at)
    if (end === null) break
    try {
      items.push(parseJson(text.slice(at, end)))
    } catch {
      return null
    }
    at = end
  }
  const rest = text.slice(at).trim()
  if (isList) {
    if (items.length === 0 && rest !== ']') return null
    return { kind: 'json', items, isList: true, isWhole: isWhole && rest === ']' }
  }
  if (items.length === 1 && (rest === '' || !rest.startsWith('{'))) {
    return rest === '' ? { kind: 'json', items, isList: false, isWhole } : null
  }
  if (items.length === 0)
    return isWhole || !LONG_OBJECT.test(text) ? null : { kind: 'json', items, isList: false, isWhole: false }
  return { kind: 'ndjson', items, isWhole: isWhole && rest === '' }
}

/** The beginning of an object that is longer than the sample. */
const LONG_OBJECT = /^\s*\{\s*"(?:[^"\\]|\\.){0,1000}"\s*:/

function skip(text: string, at: number, pattern: RegExp): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

/** Where the object or list that begins at `at` ends; null when it does not, or when something else begins there. */
function valueEnd(text: string, at: number): number | null {
  if (text[at] !== '{' && text[at] !== '[') return scalarEnd(text, at)
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const c = text[i]
    if (c === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++
    } else if (c === '{' || c === '[') depth++
    else if ((c === '}' || c === ']') && --depth === 0) return i + 1
  }
  return null
}

/** A number, word or text in a list, with what must follow it. */
function scalarEnd(text: string, at: number): number | null {
  const scalar = /(?:"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)(?=\s*[,\]])/y
  scalar.lastIndex = at
  return scalar.test(text) ? scalar.lastIndex : null
}

const DELIMITERS = [',', '\t', ';', '|']

function csvTable(text: string, isWhole: boolean): { records: string[][]; delimiter: string; isWhole: boolean } | null {
  let best: { records: string[][]; delimiter: string; isWhole: boolean } | null = null
  for (const delimiter of DELIMITERS) {
    if (!text.includes(delimiter)) continue
    const found = csvRecords(text, delimiter, isWhole)
    const width = found?.records[0]?.length ?? 0
    if (found === null || found.records.length < 2 || width < 2 || isProse(found.records)) continue
    if (found.records.some((record) => record.length !== width)) continue
    if (best === null || width > best.records[0]!.length) best = { ...found, delimiter }
  }
  return best
}

/** A blank and words after most delimiters, as between the parts of a sentence. */
function isProse(records: readonly string[][]): boolean {
  const fields = records.flatMap((record) => record.slice(1))
  return fields.filter((field) => /^ [^\d\s"]\S* \S/.test(field)).length * 2 > fields.length
}

/** Records by RFC 4180, blank lines left out; null when a quote breaks the rules. The last is left out where it may be cut. */
function csvRecords(text: string, delimiter: string, isAll: boolean): { records: string[][]; isWhole: boolean } | null {
  const records: string[][] = []
  const mark = delimiter === '|' ? '\\|' : delimiter
  const field = new RegExp(`"((?:[^"]|"")*)"|([^"${mark}\\r\\n][^${mark}\\r\\n]*)?`, 'y')
  let record: string[] = []
  let at = 0
  // The first may name the columns.
  while (at < text.length && records.length < limits.tableSampleRecordsMax + 1) {
    field.lastIndex = at
    const found = field.exec(text)
    if (found === null) return null
    record.push(found[1] === undefined ? (found[2] ?? '') : found[1].replaceAll('""', '"'))
    at = field.lastIndex
    const next = text[at]
    if (next === delimiter) {
      at++
      if (at === text.length) record.push('')
      continue
    }
    if (next === undefined) break
    // An open quote reaches to the end of the sample; a closed one is followed by neither delimiter nor line end.
    if (next !== '\r' && next !== '\n')
      return next === '"' && !isAll && records.length > 1 ? { records, isWhole: false } : null
    at += text.startsWith('\r\n', at) ? 2 : 1
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  const isEnd = at >= text.length
  if (isEnd && isAll && record.length > 0) records.push(record)
  return { records, isWhole: isAll && isEnd }
}
