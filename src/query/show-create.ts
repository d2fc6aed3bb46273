/** SHOW CREATE TABLE: a table as a statement that makes it again (`tidewater sql --write`, Athena, Spark). */
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import { partitionName } from '../iceberg/spec/partition.ts'
import { currentSchema, currentSpec, findById } from '../iceberg/spec/schema.ts'
import type { NestedField, PartitionField, Schema } from '../iceberg/spec/table-metadata.ts'
import { parseTransform } from '../iceberg/spec/transform.ts'
import { formatTypeText } from '../iceberg/spec/type-text.ts'
import { LOCATION_PROPERTY } from './ddl-properties.ts'
import type { TextTable } from './describe.ts'

export function createTableStatement(table: LoadedTable): TextTable {
  return { columns: ['statement'], rows: [[createTableText(table)]] }
}

/** What a table was made with, its sort order and its history left out. */
export function createTableText({ ident, metadata }: LoadedTable): string {
  const schema = currentSchema(metadata)
  const { comment, [LOCATION_PROPERTY]: kept, ...rest } = metadata.properties
  const properties = Object.entries(rest).filter(([name]) => !name.startsWith('tidewater.'))
  const terms = currentSpec(metadata).fields.flatMap((field) => termText(field, schema))
  return [
    `CREATE TABLE ${[...ident.namespace, ident.name].map(quoted).join('.')} (`,
    columnTexts(schema).join(',\n'),
    ')',
    ...(comment === undefined ? [] : [`COMMENT ${literal(comment)}`]),
    ...(terms.length === 0 ? [] : [`PARTITIONED BY (${terms.join(', ')})`]),
    `LOCATION ${literal(kept ?? metadata.location)}`,
    'TBLPROPERTIES (',
    [['table_type', 'iceberg'] as const, ...properties]
      .map(([name, value]) => `  ${literal(name)} = ${literal(value)}`)
      .join(',\n'),
    ')',
  ].join('\n')
}

function columnTexts(schema: Schema): string[] {
  const key = (schema['identifier-field-ids'] ?? []).map((id) => schema.fields.find((field) => field.id === id)?.name)
  const columns = schema.fields.map((field) => `  ${columnText(field)}`)
  // Identifier fields inside structs cannot be said.
  if (key.length === 0 || key.includes(undefined)) return columns
  return [...columns, `  PRIMARY KEY (${key.map((name) => quoted(name!)).join(', ')}) NOT ENFORCED`]
}

function columnText({ name, type, required, doc }: NestedField): string {
  const comment = doc === undefined ? '' : ` COMMENT ${literal(doc)}`
  return `${quoted(name)} ${formatTypeText(type)}${required ? ' NOT NULL' : ''}${comment}`
}

function termText(field: PartitionField, schema: Schema): string[] {
  const source = findById(schema, field['source-id'])
  const transform = parseTransform(field.transform)
  if (source === undefined || transform === null || transform.kind === 'unknown') return []
  const column = source.path.map(quoted).join('.')
  const name = partitionName(source.name, transform)
  const alias = name === field.name ? '' : ` AS ${quoted(field.name)}`
  switch (transform.kind) {
    case 'identity':
      return [`${column}${alias}`]
    case 'bucket':
      return [`bucket(${transform.buckets}, ${column})${alias}`]
    case 'truncate':
      return [`truncate(${transform.width}, ${column})${alias}`]
    default:
      return [`${transform.kind}(${column})${alias}`]
  }
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
