/** Table metadata and data files made up for tests of manifests and scans. */
import type { DataFile, Value } from '../../src/iceberg/spec/manifest.ts'
import type {
  NestedField,
  PartitionSpec,
  Schema,
  Snapshot,
  TableMetadata,
} from '../../src/iceberg/spec/table-metadata.ts'

export function schemaOf(fields: [name: string, type: NestedField['type'], required?: boolean][]): Schema {
  return {
    type: 'struct',
    'schema-id': 0,
    fields: fields.map(([name, type, required], at) => ({ id: at + 1, name, required: required ?? false, type })),
  }
}

/** Partition fields as `[source id, transform]`, named p0, p1, … */
export function specOf(specId: number, terms: [sourceId: number, transform: string][]): PartitionSpec {
  return {
    'spec-id': specId,
    fields: terms.map(([sourceId, transform], at) => ({
      'source-id': sourceId,
      'field-id': 1000 + specId * 10 + at,
      name: `p${at}`,
      transform,
    })),
  }
}

export function metadataOf(schema: Schema, specs: PartitionSpec[], location = 'file:///w/db/t'): TableMetadata {
  return {
    'format-version': 2,
    'table-uuid': 'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    location,
    'last-sequence-number': 0,
    'last-updated-ms': 0,
    'last-column-id': 100,
    schemas: [schema],
    'current-schema-id': schema['schema-id'],
    'partition-specs': specs,
    'default-spec-id': specs.at(-1)!['spec-id'],
    'last-partition-id': 1999,
    'sort-orders': [{ 'order-id': 0, fields: [] }],
    'default-sort-order-id': 0,
    properties: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    refs: {},
  }
}

/** The metadata after a snapshot that follows the current one. */
export function withSnapshot(metadata: TableMetadata, snapshotId: bigint, manifestList: string): TableMetadata {
  const sequenceNumber = metadata['last-sequence-number'] + 1
  const snapshot: Snapshot = {
    'snapshot-id': snapshotId,
    'sequence-number': sequenceNumber,
    'timestamp-ms': sequenceNumber,
    'manifest-list': manifestList,
    summary: { operation: 'append' },
    'schema-id': metadata['current-schema-id'],
  }
  return {
    ...metadata,
    'last-sequence-number': sequenceNumber,
    'current-snapshot-id': snapshotId,
    snapshots: [...metadata.snapshots, snapshot],
    'snapshot-log': [...metadata['snapshot-log'], { 'snapshot-id': snapshotId, 'timestamp-ms': sequenceNumber }],
  }
}

export function dataFile(
  filePath: string,
  partition: Value[] = [],
  specId = 0,
  more: Partial<DataFile> = {},
): DataFile {
  return {
    content: 'data',
    filePath,
    fileFormat: 'parquet',
    specId,
    partition,
    recordCount: 10,
    fileSizeBytes: 1000,
    ...more,
  }
}
