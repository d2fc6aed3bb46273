/** Setting and removing table properties, and raising the format version. */
import { Fault } from '../../base/fault.ts'
import type { TableChange, TableMetadata, TableUpdate } from '../spec/table-metadata.ts'

/** Names that the format keeps for itself (they are facts of the metadata, not properties). */
export const RESERVED_PROPERTIES: ReadonlySet<string> = new Set([
  'format-version',
  'uuid',
  'snapshot-count',
  'current-snapshot-summary',
  'current-snapshot-id',
  'current-snapshot-timestamp-ms',
  'current-schema',
  'default-partition-spec',
  'default-sort-order',
])

export interface PropertyChanges {
  updates?: Record<string, string>
  removals?: readonly string[]
}

/**
 * The change that leaves out what is so already: its `updates` are empty when nothing is to be done.
 * @throws Fault `invalid` for reserved names, and for names both set and removed
 */
export function setProperties(metadata: TableMetadata, changes: PropertyChanges): TableChange {
  const { updates = {}, removals = [] } = changes
  for (const name of [...Object.keys(updates), ...removals]) {
    if (RESERVED_PROPERTIES.has(name))
      throw new Fault('invalid', `expected a property that may be set, got "${name}", which is reserved`)
  }
  const both = removals.filter((name) => Object.hasOwn(updates, name))
  if (both.length > 0)
    throw new Fault('invalid', `expected properties either set or removed, got both for ${both.join(', ')}`)
  const changed = Object.entries(updates).filter(([name, value]) => metadata.properties[name] !== value)
  const removed = removals.filter((name) => Object.hasOwn(metadata.properties, name))
  const planned: TableUpdate[] = []
  if (changed.length > 0) planned.push({ action: 'set-properties', updates: Object.fromEntries(changed) })
  if (removed.length > 0) planned.push({ action: 'remove-properties', removals: removed })
  return { requirements: [{ type: 'assert-table-uuid', uuid: metadata['table-uuid'] }], updates: planned }
}

/** Raises the format version; there is no way back. @throws Fault `invalid` for a lower one */
export function upgradeFormat(metadata: TableMetadata, version: 2 | 3): TableChange {
  if (version < metadata['format-version']) {
    throw new Fault(
      'invalid',
      `expected format version ${metadata['format-version']} or higher, got ${version}: no way back`,
    )
  }
  return {
    requirements: [{ type: 'assert-table-uuid', uuid: metadata['table-uuid'] }],
    updates:
      version === metadata['format-version'] ? [] : [{ action: 'upgrade-format-version', 'format-version': version }],
  }
}
