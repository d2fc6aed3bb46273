/**
 * `table`: columns of data files. Parquet says them in its footer; those of CSV, JSON and lines of JSON are inferred from the head of
 * the file, which is read anyway.
 */
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { TRUNCATED } from './canonical.ts'
import type { ByteSource, Extractor } from './extract.ts'
import { fact, facts, list, record, word } from './fact-schema.ts'
import { writtenText } from './fact-text.ts'
import { invalid } from './image-head.ts'
import { type Column, csvColumns, jsonColumns } from './inferred-type.ts'
import { pagesOf } from './pages.ts'
import { parquetFacts } from './parquet.ts'
import { textTable } from './text-sample.ts'

const PARQUET = 'application/vnd.apache.parquet'
const TEXTS: ReadonlySet<string> = new Set([
  'text/csv',
  'text/tab-separated-values',
  'application/json',
  'application/x-ndjson',
])

const column = record({
  name: fact('string', 'its name; `column0` … where there is no header'),
  type: fact(
    'string',
    'its type under Iceberg’s names, nested ones as `list<…>`, `map<…, …>`, `struct<name: …>`; `unknown` where only nulls were seen',
  ),
  nullable: fact('boolean', 'Parquet: it may be null; otherwise: a null or nothing was seen'),
})

const schema = facts('table', {
  table: record(
    {
      format: word(
        ['parquet', 'csv', 'json', 'ndjson'],
        'what it is; values separated by other characters are `csv` too',
      ),
      columns: list(column, `the first ${limits.tableColumnsMax} columns`),
      column_count: fact('integer', 'number of columns at the top; of text, of those in the sample'),
      rows: fact('integer | null', 'rows: from the footer, or counted where the sample is the whole file'),
    },
    {
      row_groups: fact('integer', 'Parquet: row groups'),
      codecs: list(fact('string', 'name of a codec'), 'Parquet: codecs of its pages, such as `SNAPPY`, `ZSTD`'),
      writer: fact('string | null', 'Parquet: program that wrote it'),
      sampled_rows: fact('integer', 'text: rows that the columns were inferred from'),
      encoding: fact('string', 'text: `utf-8`, `utf-16le`, `utf-16be` or `windows-1252`'),
      delimiter: fact('string', 'CSV: what separates values'),
      header: fact('boolean', 'CSV: the first record names the columns'),
    },
  ),
})

export const tableExtractor: Extractor = {
  name: 'table',
  version: 2,
  schema,
  appliesTo: ({ sniffed }) => sniffed !== null && (sniffed === PARQUET || TEXTS.has(sniffed)),
  async extract({ sniffed }, bytes) {
    const { columns, columnCount, facts } = sniffed === PARQUET ? await parquetTable(bytes) : await textFacts(bytes)
    const listed: Json[] = columns
      .slice(0, limits.tableColumnsMax)
      .map(({ name, type, nullable }) => ({ name, type, nullable }))
    const isCut = listed.length < columnCount
    return {
      table: { ...facts, columns: listed, column_count: columnCount },
      ...(isCut ? { [TRUNCATED]: ['table.columns'] } : {}),
    }
  },
}

interface Table {
  columns: readonly Column[]
  columnCount: number
  facts: { [key: string]: Json }
}

async function parquetTable(bytes: ByteSource): Promise<Table> {
  const { columns, columnCount, rows, rowGroups, codecs, writer } = await parquetFacts(pagesOf(bytes))
  const facts = { format: 'parquet', rows, row_groups: rowGroups, codecs, writer: writtenText(writer, 256) }
  return { columns, columnCount, facts }
}

async function textFacts(bytes: ByteSource): Promise<Table> {
  const head = await bytes.read(0, limits.tableSampleBytesMax)
  const table = textTable(head, head.length === bytes.sizeBytes)
  if (table === null) throw invalid('the text is no table after all')
  const { encoding, isWhole } = table
  if (table.kind === 'csv') {
    const { records, delimiter } = table
    const { header } = csvColumns(records)
    const count = records.length - (header ? 1 : 0)
    // One record more was read than counts, in case the first names the columns.
    const sample = records.slice(0, limits.tableSampleRecordsMax + (header ? 1 : 0))
    const { columns } = csvColumns(sample)
    const sampled = sample.length - (header ? 1 : 0)
    const facts = { format: 'csv', rows: isWhole ? count : null, sampled_rows: sampled, encoding, delimiter, header }
    return { columns, columnCount: columns.length, facts }
  }
  const columns = jsonColumns(table.items)
  const sampled = table.items.length
  const facts = { format: table.kind, rows: isWhole ? sampled : null, sampled_rows: sampled, encoding }
  return { columns, columnCount: columns.length, facts }
}
