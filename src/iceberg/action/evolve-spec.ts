/**
 * Changing how new files are partitioned and sorted (Iceberg spec, "Partition Evolution"). Files that are there keep
 * their spec. A field keeps its id through every spec; a removed one comes back under its old id.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import { checkSpec, partitionName, sameSpec, sameTerm } from '../spec/partition.ts'
import { currentSchema, currentSpec } from '../spec/schema.ts'
import { sameOrder } from '../spec/sort.ts'
import type { PartitionField, PartitionSpec, SortOrder, TableChange, TableMetadata } from '../spec/table-metadata.ts'
import { parseOrderText, parseTerms, type Term } from '../spec/term-text.ts'
import { formatTransform } from '../spec/transform.ts'
import { LAST_ADDED } from '../spec/update-definitions.ts'

/** One step. Fields are named by their partition name (`ts_day`) or their term (`day(ts)`). */
export type SpecEdit =
  | { edit: 'add'; term: string; name?: string }
  | { edit: 'drop'; field: string }
  | { edit: 'rename'; field: string; to: string }
  /** All terms that there shall be, as in `day(ts), bucket(16, key)`; empty: none. */
  | { edit: 'replace'; terms: string }

/**
 * The change that makes the edits, in order. No updates when they come to nothing. v1 tables cannot lose a field: there it
 * becomes `void`.
 * @throws Fault `not-found` (no such field or column), `conflict` (the name or the term is there), `invalid`
 */
export function evolveSpec(metadata: TableMetadata, edits: readonly SpecEdit[]): TableChange {
  const before = currentSpec(metadata)
  const planner: Planner = { metadata, lastId: metadata['last-partition-id'] }
  let fields = before.fields
  for (const edit of edits) fields = applyEdit(planner, fields, edit)
  const spec: PartitionSpec = { 'spec-id': before['spec-id'], fields }
  checkSpec(spec, currentSchema(metadata))
  return changeTo(metadata, spec)
}

interface Planner {
  metadata: TableMetadata
  lastId: number
}

function changeTo(metadata: TableMetadata, spec: PartitionSpec): TableChange {
  const requirements: TableChange['requirements'] = [
    { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
    { type: 'assert-default-spec-id', 'default-spec-id': metadata['default-spec-id'] },
  ]
  const known = metadata['partition-specs'].find((other) => sameSpec(other, spec))
  if (known !== undefined) {
    const isDefault = known['spec-id'] === metadata['default-spec-id']
    return { requirements, updates: isDefault ? [] : [{ action: 'set-default-spec', 'spec-id': known['spec-id'] }] }
  }
  const specId = metadata['partition-specs'].reduce((highest, other) => Math.max(highest, other['spec-id']), -1) + 1
  return {
    requirements: [
      ...requirements,
      { type: 'assert-current-schema-id', 'current-schema-id': metadata['current-schema-id'] },
      { type: 'assert-last-assigned-partition-id', 'last-assigned-partition-id': metadata['last-partition-id'] },
    ],
    updates: [
      { action: 'add-spec', spec: { ...spec, 'spec-id': specId } },
      { action: 'set-default-spec', 'spec-id': LAST_ADDED },
    ],
  }
}

function applyEdit(planner: Planner, fields: PartitionField[], edit: SpecEdit): PartitionField[] {
  switch (edit.edit) {
    case 'add':
      return [...fields, addField(planner, fields, edit.term, edit.name)]
    case 'drop': {
      const field = findField(planner.metadata, fields, edit.field)
      return dropField(planner, fields, field)
    }
    case 'rename': {
      const field = findField(planner.metadata, fields, edit.field)
      return fields.map((other) => (other === field ? { ...other, name: edit.to } : other))
    }
    case 'replace':
      return replaceFields(planner, fields, edit.terms)
    default:
      return unreachable(edit)
  }
}

function addField(planner: Planner, fields: readonly PartitionField[], text: string, name?: string): PartitionField {
  const [term, ...more] = parseTerms(text, currentSchema(planner.metadata))
  if (term === undefined || more.length > 0)
    throw new Fault('invalid', `expected one term such as day(ts), got "${text}"`)
  const field = fieldOf(planner, name === undefined ? term : { ...term, alias: name })
  const same = fields.find((other) => sameTerm(other, field))
  if (same !== undefined)
    throw new Fault('conflict', `expected a new partition field, got ${text}, which "${same.name}" is already`)
  return field
}

/** The field with the id that this term had in any spec of the table, or the next. */
function fieldOf(planner: Planner, term: Term): PartitionField {
  const field: PartitionField = {
    'source-id': term.column.id,
    'field-id': -1,
    name: term.alias ?? partitionName(term.column.name, term.transform),
    transform: formatTransform(term.transform),
  }
  const specs = planner.metadata['format-version'] === 1 ? [] : planner.metadata['partition-specs']
  const old = specs.flatMap((spec) => spec.fields).find((other) => sameTerm(other, field))
  return { ...field, 'field-id': old?.['field-id'] ?? ++planner.lastId }
}

/** v1 numbers fields by position, so a dropped one leaves a `void` one in its place. */
function dropField(planner: Planner, fields: PartitionField[], field: PartitionField): PartitionField[] {
  if (planner.metadata['format-version'] > 1) return fields.filter((other) => other !== field)
  return fields.map((other) =>
    other === field ? { ...field, name: `${field.name}_${field['field-id']}`, transform: 'void' } : other,
  )
}

function replaceFields(planner: Planner, fields: PartitionField[], terms: string): PartitionField[] {
  const wanted = parseTerms(terms, currentSchema(planner.metadata)).map((term) => {
    const held = fields.find(
      (field) => field['source-id'] === term.column.id && field.transform === formatTransform(term.transform),
    )
    return held === undefined ? fieldOf(planner, term) : { ...held, name: term.alias ?? held.name }
  })
  if (planner.metadata['format-version'] > 1) return wanted
  const kept = fields.reduce(
    (all, field) =>
      wanted.some((other) => other['field-id'] === field['field-id']) ? all : dropField(planner, all, field),
    fields,
  )
  return [...kept, ...wanted.filter((field) => !fields.some((other) => other['field-id'] === field['field-id']))]
}

function findField(metadata: TableMetadata, fields: readonly PartitionField[], name: string): PartitionField {
  const byName = fields.find((field) => field.name === name)
  if (byName !== undefined) return byName
  const term = name.includes('(') ? parseTerms(name, currentSchema(metadata))[0] : undefined
  const byTerm =
    term === undefined
      ? undefined
      : fields.find(
          (field) => field['source-id'] === term.column.id && field.transform === formatTransform(term.transform),
        )
  if (byTerm === undefined) {
    throw new Fault(
      'not-found',
      `expected a partition field of the table, got "${name}"; there are ${fields.map((field) => field.name).join(', ') || 'none'}`,
    )
  }
  return byTerm
}

/**
 * Another order for new files, as text (`bucket, key desc nulls last`; empty: none). No updates when it is so already.
 * @throws Fault `invalid`, `not-found` (no such column)
 */
export function setSortOrder(metadata: TableMetadata, text: string): TableChange {
  const order: SortOrder = parseOrderText(text, currentSchema(metadata))
  const requirements: TableChange['requirements'] = [
    { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
    { type: 'assert-current-schema-id', 'current-schema-id': metadata['current-schema-id'] },
    { type: 'assert-default-sort-order-id', 'default-sort-order-id': metadata['default-sort-order-id'] },
  ]
  const known = metadata['sort-orders'].find((other) => sameOrder(other, order))
  if (known !== undefined) {
    const isDefault = known['order-id'] === metadata['default-sort-order-id']
    return {
      requirements,
      updates: isDefault ? [] : [{ action: 'set-default-sort-order', 'sort-order-id': known['order-id'] }],
    }
  }
  const orderId = metadata['sort-orders'].reduce((highest, other) => Math.max(highest, other['order-id']), 0) + 1
  return {
    requirements,
    updates: [
      {
        action: 'add-sort-order',
        'sort-order': { ...order, 'order-id': order.fields.length === 0 ? 0 : orderId },
      },
      { action: 'set-default-sort-order', 'sort-order-id': LAST_ADDED },
    ],
  }
}
