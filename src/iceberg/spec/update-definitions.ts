/**
 * Updates of what a table is defined by: schemas, partition specs, sort orders. Each list only grows, and a definition
 * that is there already is used again under its id, so that ids stay few and equal definitions have one.
 */
import { Fault } from '../../base/fault.ts'
import { stringifyJson } from '../../base/json.ts'
import { UNSORTED } from './metadata-json.ts'
import { checkSpec, sameSpec, sameTerm } from './partition.ts'
import { currentSchema, highestFieldId } from './schema.ts'
import { checkSchema } from './schema-rules.ts'
import { checkOrder, sameOrder } from './sort.ts'
import type { PartitionField, PartitionSpec, Schema, SortOrder, TableMetadata } from './table-metadata.ts'
import type { Draft } from './update.ts'

/** Stands for "the one that this change added last" in `set-current-schema` and its like. */
export const LAST_ADDED = -1

/** Are the schemas the same but for their ids? Names, types, order, docs, defaults and identifier fields count. */
export function sameSchema(a: Schema, b: Schema): boolean {
  const comparable = (schema: Schema): string =>
    stringifyJson(sorted([schema.fields, (schema['identifier-field-ids'] ?? []).toSorted((x, y) => x - y)]))
  return comparable(a) === comparable(b)
}

/** The value with object members in one order, so that equal values have equal text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(entries.sort(([x], [y]) => (x < y ? -1 : 1)).map(([key, member]) => [key, sorted(member)]))
}

export function addSchema(draft: Draft, schema: Schema): void {
  const { metadata } = draft
  checkSchema(schema, metadata['format-version'])
  const lastColumnId = Math.max(metadata['last-column-id'], highestFieldId(schema))
  const known = metadata.schemas.find((other) => sameSchema(other, schema))
  if (lastColumnId !== metadata['last-column-id']) {
    metadata['last-column-id'] = lastColumnId
    draft.changed = true
  }
  const id =
    known?.['schema-id'] ??
    nextId(
      metadata.schemas.map((other) => other['schema-id']),
      0,
    )
  if (known === undefined) {
    metadata.schemas.push({ ...schema, 'schema-id': id })
    draft.changed = true
  }
  draft.lastSchemaId = id
}

export function setCurrentSchema(draft: Draft, schemaId: number): void {
  const id = resolve(schemaId, draft.lastSchemaId, 'schema')
  mustHave(
    draft.metadata.schemas.map((schema) => schema['schema-id']),
    id,
    'schema',
  )
  setId(draft, 'current-schema-id', id)
}

/**
 * Fields without id (-1), as REST clients send them, get that of an equal field in another spec, else the next. An id that
 * another partitioning has used is refused: manifests tell partition values apart by it.
 */
export function addSpec(draft: Draft, spec: PartitionSpec): void {
  const { metadata } = draft
  const known = metadata['partition-specs'].find((other) => sameSpec(other, spec))
  if (known !== undefined) {
    draft.lastSpecId = known['spec-id']
    return
  }
  checkSpec(spec, currentSchema(metadata))
  let lastId = metadata['last-partition-id']
  const existing = metadata['partition-specs'].flatMap((other) => other.fields)
  const fields = spec.fields.map((field): PartitionField => {
    if (field['field-id'] !== -1) {
      checkFieldId(metadata, existing, field)
      return field
    }
    const equal = existing.find((other) => sameTerm(other, field))
    return { ...field, 'field-id': equal?.['field-id'] ?? ++lastId }
  })
  const id = nextId(
    metadata['partition-specs'].map((other) => other['spec-id']),
    0,
  )
  const added = { 'spec-id': id, fields }
  checkSpec(added, currentSchema(metadata))
  metadata['partition-specs'].push(added)
  metadata['last-partition-id'] = Math.max(lastId, ...fields.map((field) => field['field-id']))
  draft.lastSpecId = id
  draft.changed = true
}

function checkFieldId(metadata: TableMetadata, existing: readonly PartitionField[], field: PartitionField): void {
  // v1 numbers the fields of every spec from 1000, and v1 fields are replaced by void ones of the same id.
  if (metadata['format-version'] === 1) return
  const users = existing.filter((other) => other['field-id'] === field['field-id'])
  if (users.length === 0 || users.some((user) => user['source-id'] === field['source-id'])) return
  throw new Fault(
    'invalid',
    `expected a new id for partition field "${field.name}", got ${field['field-id']}, which "${users[0]!.name}" has`,
  )
}

export function setDefaultSpec(draft: Draft, specId: number): void {
  const id = resolve(specId, draft.lastSpecId, 'partition spec')
  mustHave(
    draft.metadata['partition-specs'].map((spec) => spec['spec-id']),
    id,
    'partition spec',
  )
  setId(draft, 'default-spec-id', id)
}

export function addOrder(draft: Draft, order: SortOrder): void {
  const { metadata } = draft
  const known = metadata['sort-orders'].find((other) => sameOrder(other, order))
  if (known !== undefined) {
    draft.lastOrderId = known['order-id']
    return
  }
  const ids = metadata['sort-orders'].map((other) => other['order-id'])
  const added = order.fields.length === 0 ? UNSORTED : { ...order, 'order-id': nextId(ids, 1) }
  checkOrder(added, currentSchema(metadata))
  metadata['sort-orders'].push(added)
  draft.lastOrderId = added['order-id']
  draft.changed = true
}

export function setDefaultOrder(draft: Draft, orderId: number): void {
  const id = resolve(orderId, draft.lastOrderId, 'sort order')
  mustHave(
    draft.metadata['sort-orders'].map((order) => order['order-id']),
    id,
    'sort order',
  )
  setId(draft, 'default-sort-order-id', id)
}

export function removeSchemas(draft: Draft, ids: readonly number[]): void {
  const { metadata } = draft
  if (ids.includes(metadata['current-schema-id']))
    throw new Fault('invalid', 'expected old schemas to remove, got the current one')
  const kept = metadata.schemas.filter((schema) => !ids.includes(schema['schema-id']))
  draft.changed ||= kept.length !== metadata.schemas.length
  metadata.schemas = kept
}

export function removeSpecs(draft: Draft, ids: readonly number[]): void {
  const { metadata } = draft
  if (ids.includes(metadata['default-spec-id']))
    throw new Fault('invalid', 'expected old partition specs to remove, got the default one')
  const kept = metadata['partition-specs'].filter((spec) => !ids.includes(spec['spec-id']))
  draft.changed ||= kept.length !== metadata['partition-specs'].length
  metadata['partition-specs'] = kept
}

function nextId(ids: readonly number[], first: number): number {
  return ids.reduce((next, id) => Math.max(next, id + 1), first)
}

function resolve(id: number, lastAdded: number | undefined, what: string): number {
  if (id !== LAST_ADDED) return id
  if (lastAdded === undefined)
    throw new Fault('invalid', `expected a ${what} added before -1 refers to it, got none in this change`)
  return lastAdded
}

function mustHave(ids: readonly number[], id: number, what: string): void {
  if (!ids.includes(id))
    throw new Fault('invalid', `expected the id of a ${what} of the table (${ids.join(', ')}), got ${id}`)
}

function setId(draft: Draft, key: 'current-schema-id' | 'default-spec-id' | 'default-sort-order-id', id: number): void {
  if (draft.metadata[key] === id) return
  draft.metadata[key] = id
  draft.changed = true
}
