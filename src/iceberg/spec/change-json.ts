/**
 * Changes as JSON: the body of the REST catalog's commit (OpenAPI, `CommitTableRequest`), both ways.
 */
import { Fault } from '../../base/fault.ts'
import type { Json } from '../../base/json.ts'
import {
  asId,
  asObject,
  asText,
  asTextMap,
  asWhole,
  inside,
  type JsonObject,
  listOf,
  optional,
  type Place,
  required,
} from './json-reader.ts'
import {
  readRef,
  readSchema,
  readSnapshot,
  readSortOrder,
  readSpec,
  writeSnapshot,
  writeSortOrder,
  writeSpec,
} from './parts-json.ts'
import type { TableChange, TableRequirement, TableUpdate } from './table-metadata.ts'

/**
 * JSON (by `parseJson`, so that ids are exact) → change. Other members of the body, such as the identifier, are left alone.
 * @throws Fault `invalid` naming the place, `unsupported` for requirements and updates that are not known
 */
export function readChange(json: Json): TableChange {
  const top: Place = { path: '', kind: 'invalid' }
  const object = asObject(json, top)
  return {
    requirements: optional(object, 'requirements', top, (value, at) => listOf(value, at, readRequirement)) ?? [],
    updates: optional(object, 'updates', top, (value, at) => listOf(value, at, readUpdate)) ?? [],
  }
}

function readRequirement(json: Json, place: Place): TableRequirement {
  const object = asObject(json, place)
  const type = required(object, 'type', place, asText) as TableRequirement['type']
  const whole = (key: string): number => required(object, key, place, asWhole)
  switch (type) {
    case 'assert-create':
      return { type }
    case 'assert-table-uuid':
      return { type, uuid: required(object, 'uuid', place, asText) }
    case 'assert-ref-snapshot-id':
      return {
        type,
        ref: required(object, 'ref', place, asText),
        'snapshot-id': optional(object, 'snapshot-id', place, asId) ?? null,
      }
    case 'assert-last-assigned-field-id':
      return { type, 'last-assigned-field-id': whole('last-assigned-field-id') }
    case 'assert-current-schema-id':
      return { type, 'current-schema-id': whole('current-schema-id') }
    case 'assert-last-assigned-partition-id':
      return { type, 'last-assigned-partition-id': whole('last-assigned-partition-id') }
    case 'assert-default-spec-id':
      return { type, 'default-spec-id': whole('default-spec-id') }
    case 'assert-default-sort-order-id':
      return { type, 'default-sort-order-id': whole('default-sort-order-id') }
    default:
      return unknown('requirement', type)
  }
}

function readUpdate(json: Json, place: Place): TableUpdate {
  const object = asObject(json, place)
  const action = required(object, 'action', place, asText) as TableUpdate['action']
  const whole = (key: string): number => required(object, key, place, asWhole)
  const wholes = (key: string): number[] => required(object, key, place, (value, at) => listOf(value, at, asWhole))
  const text = (key: string): string => required(object, key, place, asText)
  switch (action) {
    case 'assign-uuid':
      return { action, uuid: text('uuid') }
    case 'upgrade-format-version':
      return { action, 'format-version': whole('format-version') }
    case 'add-schema':
      return { action, schema: required(object, 'schema', place, readSchema) }
    case 'set-current-schema':
      return { action, 'schema-id': whole('schema-id') }
    case 'add-spec':
      return { action, spec: required(object, 'spec', place, readSpec) }
    case 'set-default-spec':
      return { action, 'spec-id': whole('spec-id') }
    case 'add-sort-order':
      return { action, 'sort-order': required(object, 'sort-order', place, readSortOrder) }
    case 'set-default-sort-order':
      return { action, 'sort-order-id': whole('sort-order-id') }
    case 'add-snapshot':
      return { action, snapshot: required(object, 'snapshot', place, readSnapshot) }
    case 'set-snapshot-ref':
      return { action, 'ref-name': text('ref-name'), ...readRef(object, place) }
    case 'remove-snapshots':
      return { action, 'snapshot-ids': required(object, 'snapshot-ids', place, (value, at) => listOf(value, at, asId)) }
    case 'remove-snapshot-ref':
      return { action, 'ref-name': text('ref-name') }
    case 'set-location':
      return { action, location: text('location') }
    case 'set-properties':
      return { action, updates: required(object, 'updates', place, asTextMap) }
    case 'remove-properties':
      return { action, removals: required(object, 'removals', place, (value, at) => listOf(value, at, asText)) }
    case 'set-statistics':
      return { action, statistics: readStatistics(object, 'statistics', place) }
    case 'set-partition-statistics':
      return { action, 'partition-statistics': readStatistics(object, 'partition-statistics', place) }
    case 'remove-statistics':
    case 'remove-partition-statistics':
      return { action, 'snapshot-id': required(object, 'snapshot-id', place, asId) }
    case 'remove-partition-specs':
      return { action, 'spec-ids': wholes('spec-ids') }
    case 'remove-schemas':
      return { action, 'schema-ids': wholes('schema-ids') }
    case 'add-encryption-key':
      return { action, 'encryption-key': required(object, 'encryption-key', place, asObject) }
    case 'remove-encryption-key':
      return { action, 'key-id': text('key-id') }
    default:
      return unknown('update', action)
  }
}

/** Only the snapshot they belong to is looked at; the rest is carried along. */
function readStatistics(object: JsonObject, key: string, place: Place): JsonObject {
  const statistics = required(object, key, place, asObject)
  required(statistics, 'snapshot-id', inside(place, key), asId)
  return statistics
}

function unknown(what: string, name: never): never {
  throw new Fault('unsupported', `the ${what} "${String(name)}" is not known here`)
}

/** Change → JSON. Write it with `stringifyJson`. */
export function writeChange(change: TableChange): JsonObject {
  return {
    requirements: change.requirements.map((requirement): Json => ({ ...requirement })),
    updates: change.updates.map(writeUpdate),
  }
}

function writeUpdate(update: TableUpdate): Json {
  switch (update.action) {
    case 'add-spec':
      return { action: update.action, spec: writeSpec(update.spec) }
    case 'add-sort-order':
      return { action: update.action, 'sort-order': writeSortOrder(update['sort-order']) }
    case 'add-snapshot':
      return { action: update.action, snapshot: writeSnapshot(update.snapshot) }
    case 'add-schema':
      return { action: update.action, schema: update.schema as unknown as Json }
    default:
      return { ...update } as unknown as Json
  }
}
