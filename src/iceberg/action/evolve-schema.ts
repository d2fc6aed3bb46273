/**
 * Changing a table's columns (Iceberg spec, "Schema Evolution"): add, rename, widen, drop, make optional, describe, move.
 * Ids decide what a column is: a renamed one keeps its id, a new one gets the next, and none is used again.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import { assignFreshIds, currentSchema, fieldNamed, findById, findByName } from '../spec/schema.ts'
import { checkSchema } from '../spec/schema-rules.ts'
import type { NestedField, Schema, TableChange, TableMetadata, Type } from '../spec/table-metadata.ts'
import { formatType, isPromotable } from '../spec/type.ts'
import { LAST_ADDED, sameSchema } from '../spec/update-definitions.ts'
import { changeField, fieldsOf, withFields } from './schema-edit.ts'

/** Where a column goes among those beside it. Default for new ones: last. */
export type ColumnPlace = 'first' | { before: string } | { after: string }

/** One step. Columns are named by dotted path: `address.city`, `items.element.price` or `items.price`, `tags.value.x`. */
export type SchemaEdit =
  | {
      edit: 'add'
      /** Path of the struct (or list or map of structs) to add to; left out at the top. */
      parent?: string
      name: string
      /** Ids in nested types may be any; they are assigned anew. */
      type: Type
      /** Only with a default (v3): files written before have no value. */
      required?: boolean
      doc?: string
      /** v3: value of rows written before, and of new ones that leave it out (JSON single value). */
      default?: Json
      place?: ColumnPlace
    }
  | { edit: 'rename'; column: string; to: string }
  | { edit: 'widen'; column: string; to: Type }
  | { edit: 'drop'; column: string }
  | { edit: 'make-optional'; column: string }
  | { edit: 'set-doc'; column: string; doc: string | null }
  | { edit: 'move'; column: string; place: ColumnPlace }
  /** Names of all identifier fields there shall be. */
  | { edit: 'set-identifier'; columns: readonly string[] }

/**
 * The change that makes the edits, in order; each sees those before it. No updates when they come to nothing. It holds only
 * while nobody else has given a field id or changed the current schema.
 * @throws Fault `not-found` (no such column), `invalid` (an edit that readers of old files could not follow), `conflict`
 * (the name is taken)
 */
export function evolveSchema(metadata: TableMetadata, edits: readonly SchemaEdit[]): TableChange {
  const before = currentSchema(metadata)
  const state: State = { metadata, schema: before, lastColumnId: metadata['last-column-id'] }
  for (const edit of edits) state.schema = applyEdit(state, edit)
  const schema: Schema = { ...state.schema, 'schema-id': before['schema-id'] }
  checkSchema(schema, metadata['format-version'])
  checkSources(metadata, schema)
  return changeTo(metadata, schema)
}

interface State {
  metadata: TableMetadata
  schema: Schema
  lastColumnId: number
}

function changeTo(metadata: TableMetadata, schema: Schema): TableChange {
  const requirements: TableChange['requirements'] = [
    { type: 'assert-table-uuid', uuid: metadata['table-uuid'] },
    { type: 'assert-current-schema-id', 'current-schema-id': metadata['current-schema-id'] },
  ]
  const known = metadata.schemas.find((other) => sameSchema(other, schema))
  if (known !== undefined) {
    // Java's REST catalogs refuse -1 after an add-schema that added nothing, so an old schema is named by its id.
    const isCurrent = known['schema-id'] === metadata['current-schema-id']
    return {
      requirements,
      updates: isCurrent ? [] : [{ action: 'set-current-schema', 'schema-id': known['schema-id'] }],
    }
  }
  const schemaId = metadata.schemas.reduce((highest, other) => Math.max(highest, other['schema-id']), -1) + 1
  return {
    requirements: [
      ...requirements,
      { type: 'assert-last-assigned-field-id', 'last-assigned-field-id': metadata['last-column-id'] },
    ],
    updates: [
      { action: 'add-schema', schema: { ...schema, 'schema-id': schemaId } },
      { action: 'set-current-schema', 'schema-id': LAST_ADDED },
    ],
  }
}

function applyEdit(state: State, edit: SchemaEdit): Schema {
  switch (edit.edit) {
    case 'add':
      return addColumn(state, edit)
    case 'rename':
      return renameColumn(state.schema, edit.column, edit.to)
    case 'widen':
      return widenColumn(state, edit.column, edit.to)
    case 'drop':
      return dropColumn(state.schema, edit.column)
    case 'make-optional':
      return change(state.schema, edit.column, (field) => ({ ...field, required: false }))
    case 'set-doc':
      return change(state.schema, edit.column, ({ doc: _old, ...field }) =>
        edit.doc === null ? field : { ...field, doc: edit.doc },
      )
    case 'move':
      return moveColumn(state.schema, edit.column, edit.place)
    case 'set-identifier':
      return withIdentifiers(state.schema, edit.columns)
    default:
      return unreachable(edit)
  }
}

function addColumn(state: State, edit: Extract<SchemaEdit, { edit: 'add' }>): Schema {
  const { schema } = state
  const hasDefault = edit.default !== undefined && edit.default !== null
  if (edit.required === true && !hasDefault) {
    throw new Fault(
      'invalid',
      `expected the new column "${edit.name}" to be optional or to have a default: rows written before have no value`,
    )
  }
  const holder = edit.parent === undefined ? null : fieldNamed(schema, edit.parent)
  const siblings = fieldsOf(schema, holder?.id ?? null)
  refuseTaken(siblings, edit.name, edit.parent)
  // The column first, then what is in it: the order of Java's library.
  const id = ++state.lastColumnId
  const field: NestedField = {
    id,
    name: edit.name,
    required: edit.required ?? false,
    type: assignFreshIds(edit.type, () => ++state.lastColumnId),
    ...(edit.doc === undefined ? {} : { doc: edit.doc }),
    ...(hasDefault ? { 'initial-default': edit.default!, 'write-default': edit.default! } : {}),
  }
  const added = withFields(schema, holder?.id ?? null, [...siblings, field])
  return edit.place === undefined ? added : placeField(added, holder?.id ?? null, id, edit.place)
}

function renameColumn(schema: Schema, column: string, to: string): Schema {
  const { field, parentId } = locate(schema, column)
  if (to === field.name) return schema
  if (to === '') throw new Fault('invalid', `expected a new name for "${column}", got none`)
  refuseTaken(fieldsOf(schema, parentId), to, column.slice(0, -field.name.length - 1) || undefined)
  return change(schema, column, (old) => ({ ...old, name: to }))
}

function widenColumn(state: State, column: string, to: Type): Schema {
  const { type } = fieldNamed(state.schema, column)
  if (!isPromotable(type, to, state.metadata['format-version'])) {
    throw new Fault(
      'invalid',
      `expected a wider type for "${column}" (int to long, float to double, decimal to more digits), got ${formatType(type)} to ${formatType(to)}`,
    )
  }
  const fresh = assignFreshIds(to, () => ++state.lastColumnId)
  return changeField(state.schema, fieldNamed(state.schema, column).id, (field) => ({ ...field, type: fresh }))
}

function dropColumn(schema: Schema, column: string): Schema {
  const { field, parentId } = locate(schema, column)
  for (const id of schema['identifier-field-ids'] ?? []) {
    for (let at: number | undefined = id; at !== undefined; at = findById(schema, at)?.parentId) {
      if (at === field.id) {
        throw new Fault(
          'invalid',
          `expected a column that may be dropped, got "${column}", which identifies rows; set the identifier first`,
        )
      }
    }
  }
  const rest = fieldsOf(schema, parentId).filter((other) => other.id !== field.id)
  if (rest.length === 0)
    throw new Fault('invalid', `expected a column that may be dropped, got "${column}", the last of its struct`)
  return withFields(schema, parentId, rest)
}

function moveColumn(schema: Schema, column: string, place: ColumnPlace): Schema {
  const { field, parentId } = locate(schema, column)
  return placeField(schema, parentId, field.id, place)
}

function placeField(schema: Schema, parentId: number | null, id: number, place: ColumnPlace): Schema {
  const siblings = fieldsOf(schema, parentId)
  const moving = siblings.find((field) => field.id === id)!
  const others = siblings.filter((field) => field.id !== id)
  if (place === 'first') return withFields(schema, parentId, [moving, ...others])
  const name = 'before' in place ? place.before : place.after
  const target =
    others.find((field) => field.name === name) ?? others.find((field) => field.id === findByName(schema, name)?.id)
  if (target === undefined) {
    throw new Fault(
      'not-found',
      `expected "${name}" beside "${moving.name}" to place it by, got another struct's or no column`,
    )
  }
  const at = others.indexOf(target) + ('after' in place ? 1 : 0)
  return withFields(schema, parentId, others.toSpliced(at, 0, moving))
}

function withIdentifiers(schema: Schema, columns: readonly string[]): Schema {
  const { 'identifier-field-ids': _old, ...rest } = schema
  const ids = columns.map((column) => fieldNamed(schema, column).id)
  return ids.length === 0 ? rest : { ...rest, 'identifier-field-ids': ids }
}

function change(schema: Schema, column: string, edit: (field: NestedField) => NestedField): Schema {
  return changeField(schema, locate(schema, column).field.id, edit)
}

/** A struct's field by path. List elements and map members have no name, place or doc of their own. */
function locate(schema: Schema, column: string): { field: NestedField; parentId: number | null } {
  const found = fieldNamed(schema, column)
  const parentId = found.parentId ?? null
  const field = fieldsOf(schema, parentId).find((member) => member.id === found.id)
  if (field === undefined)
    throw new Fault('invalid', `expected a column or a field of a struct, got "${column}" of a list or map`)
  return { field, parentId }
}

function refuseTaken(siblings: readonly NestedField[], name: string, parent: string | undefined): void {
  if (siblings.some((field) => field.name === name)) {
    throw new Fault(
      'conflict',
      `expected a new column name${parent === undefined ? '' : ` in "${parent}"`}, got "${name}", which is taken`,
    )
  }
}

/** What the default spec and order are made from must stay. */
function checkSources(metadata: TableMetadata, schema: Schema): void {
  const spec = metadata['partition-specs'].find((known) => known['spec-id'] === metadata['default-spec-id'])
  const order = metadata['sort-orders'].find((known) => known['order-id'] === metadata['default-sort-order-id'])
  const uses = [
    ...(spec?.fields ?? [])
      .filter((field) => field.transform !== 'void')
      .map((field) => ({ id: field['source-id'], use: 'partitioned' })),
    ...(order?.fields ?? []).map((field) => ({ id: field['source-id'], use: 'sorted' })),
  ]
  for (const { id, use } of uses) {
    if (findById(schema, id) === undefined) {
      const name = findById(currentSchema(metadata), id)?.name ?? `id ${id}`
      throw new Fault(
        'invalid',
        `expected a column that may be dropped, got "${name}", by which the table is ${use}; change that first`,
      )
    }
  }
}
