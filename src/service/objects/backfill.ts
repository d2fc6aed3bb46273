/**
 * Columns added to the content table are filled from the raw metadata that the table already holds: no object is read
 * again. Which mapping the rows were made with stands in a table property, so the work is done once; if the process dies
 * during it, it is done again from the start, with the same result. Columns that the mapping does not name keep their values.
 */
import { sha256Hex } from '../../base/hash.ts'
import { uuidv7 } from '../../base/ids.ts'
import { type Json, parseJson, stringifyJson } from '../../base/json.ts'
import type { TableChangeEntry } from '../../change/table-change.ts'
import { type Duck, ident } from '../../duck/duck.ts'
import { setProperties } from '../../iceberg/action/set-properties.ts'
import type { LoadedTable } from '../../iceberg/catalog/catalog.ts'
import { commitChange } from '../../iceberg/catalog/commit.ts'
import { planScan } from '../../iceberg/scan/plan.ts'
import { scanRelation } from '../../iceberg/scan/relation.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { NestedField } from '../../iceberg/spec/table-metadata.ts'
import type { Log } from '../../log/log.ts'
import type { TableFeed } from '../../table/feed.ts'
import type { TableWriter } from '../../table/writer.ts'
import { appendChanges } from './append.ts'
import { type ContentMapping, compileMapping } from './mapping.ts'

const MAPPING_PROPERTY = 'tidewater.content-mapping'

export interface BackfillParts {
  duck: Duck
  writer: TableWriter
  feed: TableFeed
  log: Log
  mapping: ContentMapping
}

/** What filling did: rows passed on, which are committed, and columns of them whose value did not fit. */
export interface Filled {
  rows: number
  castErrors: number
}

/** Fills columns whose mapping is new or changed. */
export async function fillAddedColumns(parts: BackfillParts): Promise<Filled> {
  const wanted = sha256Hex(stringifyJson(parts.mapping.columns)).slice(0, 16)
  const table = await parts.writer.load()
  if (table.metadata.properties[MAPPING_PROPERTY] === wanted) return { rows: 0, castErrors: 0 }
  let filled: Filled = { rows: 0, castErrors: 0 }
  // What was kept before raw metadata was switched off serves too.
  const hasRaw = currentSchema(table.metadata).fields.some((field) => field.name === 'metadata')
  if (hasRaw && table.metadata['current-snapshot-id'] !== undefined) {
    await parts.feed.drain()
    filled = await remap(parts, await parts.writer.load())
    await parts.feed.drain()
  }
  const { catalog, clock } = parts.writer.parts
  await commitChange(catalog, table.ident, {
    commitId: uuidv7(clock.nowMs()),
    clock,
    plan: async ({ metadata }) => setProperties(metadata, { updates: { [MAPPING_PROPERTY]: wanted } }),
  })
  return filled
}

async function remap({ duck, writer, log, mapping }: BackfillParts, table: LoadedTable): Promise<Filled> {
  const map = compileMapping(mapping)
  const session = await duck.connect()
  try {
    const mapped = new Set(mapping.columns.map((column) => column.name))
    const kept = currentSchema(table.metadata).fields.filter((field) => !mapped.has(field.name))
    const plan = await planScan(writer.parts.io, table.metadata)
    const scan = await scanRelation(session, writer.parts.io, plan, { columns: kept.map((field) => field.name) })
    const values = kept.map((field) => `${transportText(field)} AS ${ident(field.name)}`)
    const rows = session.pages(`SELECT ${values.join(', ')} FROM (${scan.sql}) WHERE metadata IS NOT NULL`)
    const filled: Filled = { rows: 0, castErrors: 0 }
    for await (const page of rows) {
      const changes = page.map((texts): TableChangeEntry => {
        const row: { [column: string]: Json } = {}
        for (const { name } of kept) row[name] = texts[name] === null ? null : parseJson(String(texts[name]))
        const { values: mappedValues, castErrors } = map(parseJson(String(row['metadata'])))
        filled.castErrors += castErrors.length
        return { input: 0, op: 'upsert', row: { ...row, ...mappedValues } }
      })
      await appendChanges(log, changes)
      filled.rows += changes.length
    }
    return filled
  } finally {
    session.close()
  }
}

/** The expression of a column as JSON text in the form that changes travel in (`change/table-change.ts`). */
function transportText({ name, type }: NestedField): string {
  const column = ident(name)
  if (type === 'binary') return `to_json(hex(${column}))::VARCHAR`
  // As a number, a decimal would lose digits.
  return typeof type === 'string' && type.startsWith('decimal')
    ? `to_json(${column}::VARCHAR)::VARCHAR`
    : `to_json(${column})::VARCHAR`
}
