/**
 * The tables of the objects service: names, columns, keys. Column names and order are those that users of S3 Metadata
 * and of the content table know; defaults may be changed by configuration.
 */
import type { NestedField, Schema, Type } from '../../iceberg/spec/table-metadata.ts'
import type { TableDefinition } from '../../table/table.ts'
import type { ContentMapping } from './mapping.ts'

const TAGS: Type = { type: 'map', 'key-id': 0, key: 'string', 'value-id': 0, 'value-required': false, value: 'string' }

type Column = [name: string, type: Type, required?: 'required']

/** A schema with provisional ids; the catalog assigns its own when the table is created. */
function schemaOf(columns: readonly Column[], key: readonly string[]): Schema {
  let nextId = 1
  const numbered = (type: Type): Type => {
    if (typeof type === 'string') return type
    switch (type.type) {
      case 'list':
        return { ...type, 'element-id': nextId++, element: numbered(type.element) }
      case 'map':
        return { ...type, 'key-id': nextId++, 'value-id': nextId++, value: numbered(type.value) }
      case 'struct':
        return { ...type, fields: type.fields.map((field) => ({ ...field, id: nextId++, type: numbered(field.type) })) }
    }
  }
  const top = columns.map(
    ([name, type, required]): NestedField => ({ id: nextId++, name, required: required !== undefined, type }),
  )
  const fields = top.map((field) => ({ ...field, type: numbered(field.type) }))
  const identifier = fields.filter((field) => key.includes(field.name)).map((field) => field.id)
  return {
    type: 'struct',
    'schema-id': 0,
    fields,
    ...(identifier.length > 0 ? { 'identifier-field-ids': identifier } : {}),
  }
}

const OBJECT_COLUMNS: Column[] = [
  ['is_delete_marker', 'boolean'],
  ['size', 'long'],
  ['last_modified_date', 'timestamp'],
  ['e_tag', 'string'],
  ['storage_class', 'string'],
  ['is_multipart', 'boolean'],
  ['encryption_status', 'string'],
  ['is_bucket_key_enabled', 'boolean'],
  ['kms_key_arn', 'string'],
  ['checksum_algorithm', 'string'],
  ['object_tags', TAGS],
  ['user_metadata', TAGS],
]

const JOURNAL_KEY = ['bucket', 'key', 'version_id', 'sequence_number', 'record_type']

/** Every change of every object version, once, for good. */
export const journalTable: TableDefinition = {
  ident: { namespace: ['aws_s3_metadata'], name: 'mdblogs3metadata' },
  mode: 'insert-once',
  key: JOURNAL_KEY,
  schema: schemaOf(
    [
      ['bucket', 'string', 'required'],
      ['key', 'string', 'required'],
      ['sequence_number', 'string', 'required'],
      ['record_type', 'string', 'required'],
      ['record_timestamp', 'timestamp', 'required'],
      ['version_id', 'string', 'required'],
      ...OBJECT_COLUMNS,
      ['requester', 'string'],
      ['source_ip_address', 'string'],
      ['request_id', 'string'],
      ['content_type', 'string'],
    ],
    JOURNAL_KEY,
  ),
}

const INVENTORY_KEY = ['bucket', 'key', 'version_id']

/** Every object version and delete marker that is there now. */
export const inventoryTable: TableDefinition = {
  ident: { namespace: ['aws_s3_metadata'], name: 'inventory' },
  mode: 'upsert',
  key: INVENTORY_KEY,
  schema: schemaOf(
    [
      ['bucket', 'string', 'required'],
      ['key', 'string', 'required'],
      ['sequence_number', 'string', 'required'],
      ['version_id', 'string', 'required'],
      ...OBJECT_COLUMNS,
      ['content_type', 'string'],
    ],
    INVENTORY_KEY,
  ),
}

const CONTENT_KEY = ['bucket', 'key', 'versionId']

/** A row for every object version that is there, with what its bytes tell. */
export function contentTable(mapping: ContentMapping): TableDefinition {
  return {
    ident: { namespace: ['default'], name: 's3_content_metadata' },
    mode: 'upsert',
    key: CONTENT_KEY,
    schema: schemaOf(
      [
        ['bucket', 'string', 'required'],
        ['key', 'string', 'required'],
        ['versionId', 'string', 'required'],
        ['sequencer', 'string'],
        ['etag', 'string'],
        ...(mapping.includeRawMetadata ? [['metadata', 'string'] as Column] : []),
        ['lastModified', 'timestamp'],
        ...mapping.columns.map((column): Column => [column.name, column.type]),
      ],
      CONTENT_KEY,
    ),
  }
}
