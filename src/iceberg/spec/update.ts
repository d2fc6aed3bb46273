/**
 * Applying a change to table metadata (REST catalog OpenAPI, `TableUpdate`): requirements first, then the updates in their
 * order, all or nothing. Pure: the result is a new value, the input stays as it is. Where the OpenAPI document is silent,
 * Java's `TableMetadata.Builder` decides, since every engine goes through it.
 *
 * Invariants of the result
 * 1. last-updated-ms is not before any timestamp in it, whatever the clock says: engines refuse such metadata.
 * 2. The snapshot log tells which snapshot was current when, without gaps: an entry whose snapshot is gone takes all
 *    entries before it along, and snapshots that were current only within this change are not in it.
 * 3. `current-snapshot-id` is that of branch `main`, and every reference points to a snapshot that is there.
 */
import { Fault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { UNSORTED, withoutTrailingSlash } from './metadata-json.ts'
import { checkSpec, UNPARTITIONED } from './partition.ts'
import { checkRequirements } from './requirement.ts'
import { currentSchema, currentSpec } from './schema.ts'
import { checkSchema } from './schema-rules.ts'
import { checkOrder } from './sort.ts'
import type { TableChange, TableMetadata, TableUpdate } from './table-metadata.ts'
import {
  addOrder,
  addSchema,
  addSpec,
  removeSchemas,
  removeSpecs,
  setCurrentSchema,
  setDefaultOrder,
  setDefaultSpec,
} from './update-definitions.ts'
import {
  addSnapshot,
  removeRef,
  removeSnapshots,
  removeStatistics,
  setRef,
  setStatistics,
  settleSnapshotLog,
} from './update-snapshots.ts'

export interface ApplyOptions {
  /** Location of the file that `metadata` was read from: it is entered into the metadata log. */
  metadataLocation?: string
  /** Now, milliseconds since 1970. */
  nowMs: number
  /** Entries of the metadata log kept when the table has no property `write.metadata.previous-versions-max`. */
  metadataVersionsMax?: number
}

/** Metadata being changed, and what the updates so far have done. */
export interface Draft {
  metadata: TableMetadata
  /** Ids given by the latest `add-schema`, `add-spec`, `add-sort-order` of this change: what -1 stands for. */
  lastSchemaId?: number
  lastSpecId?: number
  lastOrderId?: number
  addedSnapshots: Set<bigint>
  /** Snapshots added by this change that were made current by it, in order. */
  madeCurrent: bigint[]
  removedSnapshots: boolean
  changed: boolean
}

/**
 * Applies `change` to `metadata`, null for a table that does not exist yet. Without any effect the same value comes back.
 * @throws Fault `conflict` (a requirement does not hold, or a snapshot is behind the table's sequence number: load and plan
 * again), `invalid` (an update is not legal), `unsupported` (a format version after 3)
 */
export function applyChange(metadata: TableMetadata | null, change: TableChange, options: ApplyOptions): TableMetadata {
  checkRequirements(metadata, change.requirements)
  const draft: Draft = {
    metadata: metadata === null ? emptyMetadata() : shallowCopy(metadata),
    addedSnapshots: new Set(),
    madeCurrent: [],
    removedSnapshots: false,
    changed: metadata === null,
  }
  draft.metadata['last-updated-ms'] = timeOfChange(metadata, change, options.nowMs)
  for (const update of change.updates) applyUpdate(draft, update)
  if (metadata !== null && !draft.changed) return metadata
  settleSnapshotLog(draft)
  if (metadata === null) checkComplete(draft.metadata)
  else logPreviousFile(draft.metadata, metadata, options)
  checkSpec(currentSpec(draft.metadata), currentSchema(draft.metadata))
  checkDefaultOrder(draft.metadata)
  return draft.metadata
}

/** Never before what the metadata already says, nor before a snapshot that the change brings. */
function timeOfChange(metadata: TableMetadata | null, change: TableChange, nowMs: number): number {
  const added = change.updates.map((update) => (update.action === 'add-snapshot' ? update.snapshot['timestamp-ms'] : 0))
  const logged = metadata?.['snapshot-log'].at(-1)?.['timestamp-ms'] ?? 0
  const filed = metadata?.['metadata-log'].at(-1)?.['timestamp-ms'] ?? 0
  return [nowMs, metadata?.['last-updated-ms'] ?? 0, logged, filed, ...added].reduce((a, b) => Math.max(a, b), 0)
}

function emptyMetadata(): TableMetadata {
  return {
    'format-version': 2,
    'table-uuid': '',
    location: '',
    'last-sequence-number': 0,
    'last-updated-ms': 0,
    'last-column-id': 0,
    schemas: [],
    'current-schema-id': -1,
    'partition-specs': [],
    'default-spec-id': -1,
    'last-partition-id': 999,
    'sort-orders': [],
    'default-sort-order-id': -1,
    properties: {},
    snapshots: [],
    'snapshot-log': [],
    'metadata-log': [],
    refs: {},
    statistics: [],
    'partition-statistics': [],
  }
}

/** Updates replace members and push to lists; what the lists hold they leave alone. */
function shallowCopy(metadata: TableMetadata): TableMetadata {
  return {
    ...metadata,
    schemas: [...metadata.schemas],
    'partition-specs': [...metadata['partition-specs']],
    'sort-orders': [...metadata['sort-orders']],
    snapshots: [...metadata.snapshots],
    'snapshot-log': [...metadata['snapshot-log']],
    refs: { ...metadata.refs },
  }
}

/** A new table must have been given everything; spec and order default to none. */
function checkComplete(metadata: TableMetadata): void {
  const missing: string[] = []
  if (metadata['table-uuid'] === '') missing.push('assign-uuid')
  if (metadata.location === '') missing.push('set-location')
  if (metadata['current-schema-id'] === -1) missing.push('add-schema and set-current-schema')
  if (missing.length > 0) {
    throw new Fault('invalid', `expected the updates that make a new table, got none of ${missing.join(', ')}`)
  }
  if (metadata['partition-specs'].length === 0) metadata['partition-specs'] = [UNPARTITIONED]
  if (metadata['default-spec-id'] === -1) metadata['default-spec-id'] = metadata['partition-specs'][0]!['spec-id']
  if (!metadata['sort-orders'].some((order) => order['order-id'] === 0) && metadata['default-sort-order-id'] === -1) {
    metadata['sort-orders'].unshift(UNSORTED)
  }
  if (metadata['default-sort-order-id'] === -1) metadata['default-sort-order-id'] = 0
  checkSchema(currentSchema(metadata), metadata['format-version'])
}

function checkDefaultOrder(metadata: TableMetadata): void {
  const order = metadata['sort-orders'].find((known) => known['order-id'] === metadata['default-sort-order-id'])
  if (order !== undefined) checkOrder(order, currentSchema(metadata))
}

/** The file just replaced joins the metadata log; the oldest entries leave it. */
function logPreviousFile(next: TableMetadata, base: TableMetadata, options: ApplyOptions): void {
  if (options.metadataLocation === undefined) return
  const entry = { 'metadata-file': options.metadataLocation, 'timestamp-ms': base['last-updated-ms'] }
  const property = Number.parseInt(next.properties['write.metadata.previous-versions-max'] ?? '', 10)
  const fallback = options.metadataVersionsMax ?? limits.metadataVersionsKept
  const kept = Math.max(1, Number.isSafeInteger(property) ? property : fallback)
  next['metadata-log'] = [...base['metadata-log'], entry].slice(-kept)
}

type Handlers = {
  [A in TableUpdate['action']]: (draft: Draft, update: Extract<TableUpdate, { action: A }>) => void
}

/** What each update does; a new variant becomes a compile error here. */
const HANDLERS: Handlers = {
  'assign-uuid': (draft, update) => assignUuid(draft, update.uuid),
  'upgrade-format-version': (draft, update) => upgradeFormat(draft, update['format-version']),
  'set-location': (draft, update) => set(draft, 'location', withoutTrailingSlash(update.location)),
  'set-properties': (draft, update) => set(draft, 'properties', { ...draft.metadata.properties, ...update.updates }),
  'remove-properties': (draft, update) => {
    const removed = new Set(update.removals)
    const kept = Object.entries(draft.metadata.properties).filter(([name]) => !removed.has(name))
    set(draft, 'properties', Object.fromEntries(kept))
  },
  'add-schema': (draft, update) => addSchema(draft, update.schema),
  'set-current-schema': (draft, update) => setCurrentSchema(draft, update['schema-id']),
  'add-spec': (draft, update) => addSpec(draft, update.spec),
  'set-default-spec': (draft, update) => setDefaultSpec(draft, update['spec-id']),
  'add-sort-order': (draft, update) => addOrder(draft, update['sort-order']),
  'set-default-sort-order': (draft, update) => setDefaultOrder(draft, update['sort-order-id']),
  'remove-schemas': (draft, update) => removeSchemas(draft, update['schema-ids']),
  'remove-partition-specs': (draft, update) => removeSpecs(draft, update['spec-ids']),
  'add-snapshot': (draft, update) => addSnapshot(draft, update.snapshot),
  'set-snapshot-ref': (draft, { action: _action, 'ref-name': name, ...ref }) => setRef(draft, name, ref),
  'remove-snapshot-ref': (draft, update) => removeRef(draft, update['ref-name']),
  'remove-snapshots': (draft, update) => removeSnapshots(draft, update['snapshot-ids']),
  'set-statistics': (draft, update) => setStatistics(draft, 'statistics', update.statistics),
  'remove-statistics': (draft, update) => removeStatistics(draft, 'statistics', update['snapshot-id']),
  'set-partition-statistics': (draft, update) =>
    setStatistics(draft, 'partition-statistics', update['partition-statistics']),
  'remove-partition-statistics': (draft, update) =>
    removeStatistics(draft, 'partition-statistics', update['snapshot-id']),
  'add-encryption-key': refuseKeys,
  'remove-encryption-key': refuseKeys,
}

function applyUpdate(draft: Draft, update: TableUpdate): void {
  const handler = HANDLERS[update.action] as ((draft: Draft, update: TableUpdate) => void) | undefined
  if (handler === undefined) throw new Fault('unsupported', `the update "${update.action}" is not known here`)
  handler(draft, update)
}

function refuseKeys(): void {
  throw new Fault('unsupported', 'encryption keys of a table are carried along but not changed here')
}

function set<K extends 'location' | 'properties'>(draft: Draft, key: K, value: TableMetadata[K]): void {
  if (JSON.stringify(draft.metadata[key]) === JSON.stringify(value)) return
  draft.metadata[key] = value
  draft.changed = true
}

/** Only a new table is given its uuid: readers that know the old one would take it for another table. */
function assignUuid(draft: Draft, uuid: string): void {
  const got = draft.metadata['table-uuid']
  if (got === uuid) return
  if (got !== '') throw new Fault('invalid', `expected the table to keep its uuid ${got}, got an update to ${uuid}`)
  draft.metadata['table-uuid'] = uuid
  draft.changed = true
}

function upgradeFormat(draft: Draft, version: number): void {
  const { metadata } = draft
  if (version === metadata['format-version']) return
  if (version !== 1 && version !== 2 && version !== 3) {
    throw new Fault('unsupported', `expected format version 1, 2 or 3, got ${version}`)
  }
  // While a new table is being put together its version may still go down from the default.
  const isNew = metadata.schemas.length === 0
  if (version < metadata['format-version'] && !isNew) {
    throw new Fault(
      'invalid',
      `expected format version ${metadata['format-version']} or higher, got ${version}: no way back`,
    )
  }
  metadata['format-version'] = version
  if (version >= 3) metadata['next-row-id'] ??= 0
  draft.changed = true
}
