/**
 * Partition specs (Iceberg spec, "Partitioning"): the types of partition tuples, the rules of a spec, and paths.
 */
import { Fault } from '../../base/fault.ts'
import type { Value } from './manifest.ts'
import { PARTITION_ID_BEFORE_FIRST } from './metadata-json.ts'
import { findById, findByName } from './schema.ts'
import type {
  PartitionField,
  PartitionSpec,
  PrimitiveType,
  Schema,
  TableMetadata,
  Transform,
} from './table-metadata.ts'
import { canTransform, formatTransform, type ParsedTransform, parseTransform, resultType } from './transform.ts'
import { formatType, isPrimitive } from './type.ts'
import { humanValue } from './value-json.ts'

/** The spec of tables without partitions. */
export const UNPARTITIONED: PartitionSpec = { 'spec-id': 0, fields: [] }

/** One column of a partition tuple. */
export interface PartitionColumn {
  fieldId: number
  name: string
  transform: Transform
  /** Id and type of the column it is made from. */
  sourceId: number
  sourceType: PrimitiveType
  /** Type of the partition values. */
  type: PrimitiveType
}

/**
 * The columns of a spec's tuples, in order. Specs outlive columns: give all schemas of the table, and a source that the
 * first no longer has is looked up in the others. A source found nowhere (v1, dropped column) makes a column that is always
 * null, of type int, as in Java's library.
 */
export function partitionColumns(spec: PartitionSpec, ...schemas: readonly Schema[]): PartitionColumn[] {
  return spec.fields.map((field) => {
    const found = schemas.map((schema) => findById(schema, field['source-id'])).find((source) => source !== undefined)
    const sourceType = found !== undefined && isPrimitive(found.type) ? found.type : 'int'
    return {
      fieldId: field['field-id'],
      name: field.name,
      transform: found === undefined ? 'void' : field.transform,
      sourceId: field['source-id'],
      sourceType,
      type: resultType(field.transform, sourceType),
    }
  })
}

/** The columns of one of the table's specs, by all its schemas, the current one first. */
export function partitionColumnsOf(metadata: TableMetadata, spec: PartitionSpec): PartitionColumn[] {
  return partitionColumns(spec, ...currentFirst(metadata))
}

/** The table's schemas: the current one, then the newest. */
export function currentFirst(table: Pick<TableMetadata, 'schemas' | 'current-schema-id'>): Schema[] {
  const rank = (schema: Schema) => (schema['schema-id'] === table['current-schema-id'] ? Infinity : schema['schema-id'])
  return table.schemas.toSorted((a, b) => (rank(a) < rank(b) ? 1 : -1))
}

/** Every rule that the spec breaks against the schema, as sentences; empty when it is sound. */
export function specProblems(spec: PartitionSpec, schema: Schema): string[] {
  const problems: string[] = []
  const names = new Set<string>()
  const ids = new Set<number>()
  const terms = new Set<string>()
  for (const field of spec.fields) {
    problems.push(...sourceProblems(field, schema, `partition field "${field.name}"`))
    if (field.name === '') problems.push('a partition field has no name')
    if (names.has(field.name)) problems.push(`the partition name "${field.name}" is used twice`)
    names.add(field.name)
    const id = field['field-id']
    if (id !== -1 && ids.has(id)) problems.push(`the partition field id ${id} is used twice`)
    if (id !== -1 && id <= PARTITION_ID_BEFORE_FIRST)
      problems.push(`partition field "${field.name}" has the id ${id}, below 1000`)
    ids.add(id)
    const term = redundancyKey(field)
    if (term !== null && terms.has(term))
      problems.push(`partition field "${field.name}" repeats the partitioning of another`)
    if (term !== null) terms.add(term)
    problems.push(...nameConflict(field, schema))
  }
  return problems
}

/** @throws Fault `invalid` with every problem at once */
export function checkSpec(spec: PartitionSpec, schema: Schema): void {
  const problems = specProblems(spec, schema)
  if (problems.length > 0) {
    throw new Fault(
      'invalid',
      `expected a sound partition spec, got ${problems.length} problem(s): ${problems.join('; ')}`,
    )
  }
}

/** What is wrong with the source and transform of a partition or sort field. */
export function sourceProblems(
  field: { 'source-id': number; transform: Transform },
  schema: Schema,
  subject: string,
): string[] {
  const { kind } = parseTransform(field.transform)
  if (kind === 'unknown') return [`${subject} uses the transform "${field.transform}", which is not known here`]
  // A void field keeps its place after its column is gone.
  if (kind === 'void') return []
  const source = findById(schema, field['source-id'])
  if (source === undefined)
    return [`${subject} is made from the column id ${field['source-id']}, which the schema lacks`]
  if (!isPrimitive(source.type)) return [`${subject} is made from "${source.name}", a ${formatType(source.type)}`]
  if (source.repeated) return [`${subject} is made from "${source.name}", which is inside a list or map`]
  if (!canTransform(field.transform, source.type)) {
    return [`${subject} applies ${field.transform} to "${source.name}", a ${source.type}, for which it is not defined`]
  }
  return []
}

/** Two times of one column make partitions within partitions; other transforms are compared by their text. */
function redundancyKey(field: PartitionField): string | null {
  const { kind } = parseTransform(field.transform)
  if (kind === 'void') return null
  const isTime = kind === 'year' || kind === 'month' || kind === 'day' || kind === 'hour'
  return `${field['source-id']} ${isTime ? 'time' : field.transform}`
}

/** A partition name may repeat a column's only where it is that column, unchanged. */
function nameConflict(field: PartitionField, schema: Schema): string[] {
  const column = findByName(schema, field.name)
  if (column === undefined) return []
  const { kind } = parseTransform(field.transform)
  if (kind === 'identity' && column.id === field['source-id']) return []
  return kind === 'void' ? [] : [`the partition name "${field.name}" is also that of a column`]
}

/** The name that engines give a partition field: `ts_day`, `id_bucket`, `name_trunc`, and the column's own for identity. */
export function partitionName(column: string, transform: ParsedTransform): string {
  switch (transform.kind) {
    case 'identity':
      return column
    case 'truncate':
      return `${column}_trunc`
    case 'void':
      return `${column}_null`
    case 'unknown':
      return `${column}_${transform.text.replaceAll(/\W+/g, '_')}`
    default:
      return `${column}_${transform.kind}`
  }
}

/** Are the specs the same but for ids (spec, "Partitioning": compatible)? */
export function sameSpec(a: PartitionSpec, b: PartitionSpec): boolean {
  const terms = (spec: PartitionSpec): string =>
    JSON.stringify(spec.fields.map((field) => [sourcesOf(field), canonical(field.transform), field.name]))
  return terms(a) === terms(b)
}

function sourcesOf(field: PartitionField): number[] {
  return field['source-ids'] ?? [field['source-id']]
}

function canonical(transform: Transform): Transform {
  return formatTransform(parseTransform(transform))
}

/** Are the two fields the same partitioning, so that they must share their field id? */
export function sameTerm(a: PartitionField, b: PartitionField): boolean {
  return a['source-id'] === b['source-id'] && canonical(a.transform) === canonical(b.transform)
}

/** A tuple as a path under `data/`: `region=eu/ts_day=2024-03-01`, names and values escaped as in URLs. '' without fields. */
export function partitionPath(columns: readonly PartitionColumn[], values: readonly Value[]): string {
  return columns
    .map(
      (column, at) =>
        `${urlEscape(column.name)}=${urlEscape(humanValue(column.transform, column.sourceType, values[at] ?? null))}`,
    )
    .join('/')
}

function urlEscape(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}
