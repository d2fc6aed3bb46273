/** Small tables for tests of metadata and changes. */
import { readFileSync } from 'node:fs'
import { append } from '../../src/iceberg/action/append.ts'
import { newTableMetadata } from '../../src/iceberg/spec/create.ts'
import { parseMetadata } from '../../src/iceberg/spec/metadata-json.ts'
import type { NestedField, Schema, TableMetadata, Type } from '../../src/iceberg/spec/table-metadata.ts'
import { parseSpecText } from '../../src/iceberg/spec/term-text.ts'
import { parseTypeText } from '../../src/iceberg/spec/type-text.ts'
import { applyChange } from '../../src/iceberg/spec/update.ts'

export const SAMPLE_UUID = '9c12d441-03fe-4693-9a96-a0705ddf69c1'
export const DAY_MS = 24 * 3600 * 1000

/** A schema from `{ id: 'LONG NOT NULL', tags: 'ARRAY<STRING>' }`: top-level columns get ids first, as Java gives them. */
export function schemaOf(columns: Record<string, string>): Schema {
  let lastId = Object.keys(columns).length
  const fields = Object.entries(columns).map(([name, text], at): NestedField => {
    const required = / NOT NULL$/.test(text)
    const type: Type = parseTypeText(text.replace(/ NOT NULL$/, ''), () => ++lastId)
    return { id: at + 1, name, required, type }
  })
  return { type: 'struct', 'schema-id': 0, fields }
}

export interface SampleTable {
  columns?: Record<string, string>
  partitioning?: string
  properties?: Record<string, string>
  formatVersion?: 1 | 2 | 3
  nowMs?: number
}

export const SAMPLE_COLUMNS = { key: 'STRING NOT NULL', size: 'LONG', region: 'STRING', at: 'TIMESTAMPTZ' }

export function sampleTable(options: SampleTable = {}): TableMetadata {
  const schema = schemaOf(options.columns ?? SAMPLE_COLUMNS)
  return newTableMetadata({
    schema,
    spec: parseSpecText(options.partitioning ?? '', schema),
    location: 'file:///w/db/t',
    properties: options.properties ?? {},
    formatVersion: options.formatVersion ?? 2,
    uuid: SAMPLE_UUID,
    nowMs: options.nowMs ?? 1_000,
  })
}

/** The table after an append of one file of ten rows. */
export function withAppend(
  metadata: TableMetadata,
  snapshotId: bigint,
  timestampMs: number,
  branch = 'main',
): TableMetadata {
  const change = append(metadata, {
    snapshotId,
    manifestList: `file:///w/db/t/metadata/snap-${snapshotId}.avro`,
    timestampMs,
    counts: { addedDataFiles: 1, addedRecords: 10, addedFilesSizeBytes: 100, changedPartitionCount: 1 },
    branch,
  })
  return applyChange(metadata, change, { nowMs: timestampMs })
}

/** A metadata file written by an engine (`test/golden/metadata`). */
export function goldenText(name: string): string {
  return readFileSync(new URL(`../golden/metadata/${name}.json`, import.meta.url), 'utf8')
}

export function goldenTable(name: string): TableMetadata {
  return parseMetadata(goldenText(name), name)
}
