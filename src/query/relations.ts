/**
 * Compiled relations → views in the instance that runs the statement, and the files that these may open.
 */
import { unreachable } from '../base/assert.ts'
import { stringifyJson } from '../base/json.ts'
import { type DuckSession, ident, literal } from '../duck/duck.ts'
import { formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { planScan, type ScanRequest } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { Predicate } from '../iceberg/scan/scan.ts'
import type { Relation } from './compile.ts'
import type { LockedDuck } from './locked.ts'
import { type MetadataRow, metadataRows } from './metadata-rows.ts'
import { metadataColumns } from './metadata-tables.ts'
import type { ScanFacts } from './query.ts'
import { choiceSchema, choiceSnapshot } from './snapshot-schema.ts'

/** A planned table as SQL, and what planning took. */
export interface TableScan {
  sql: string
  localPaths: string[]
  facts: Omit<ScanFacts, 'table'>
}

/** Plans one table and gives the relation that reads it in `session`. */
export type TableReader = (
  session: DuckSession,
  io: FileIO,
  table: LoadedTable,
  request: ScanRequest,
) => Promise<TableScan>

export const scanOf: TableReader = async (session, io, table, request) => {
  const plan = await planScan(io, table.metadata, request)
  const relation = await scanRelation(session, io, plan)
  return {
    sql: relation.sql,
    localPaths: relation.localPaths,
    facts: {
      snapshotId: plan.snapshot?.['snapshot-id'] ?? null,
      filesRead: plan.tasks.length,
      filesSkipped: plan.filesSkipped,
      manifestsRead: plan.manifestsRead,
      manifestsSkipped: plan.manifestsSkipped,
    },
  }
}

/** Defines the relations' views in order; returns what may be opened and what was planned. */
export async function defineRelations(
  duck: LockedDuck,
  io: FileIO,
  relations: readonly Relation[],
  reader: TableReader,
  signal: AbortSignal,
): Promise<{ paths: string[]; scans: ScanFacts[] }> {
  const paths: string[] = []
  const scans: ScanFacts[] = []
  for (const relation of relations) {
    signal.throwIfAborted()
    switch (relation.kind) {
      case 'view':
        await duck.defineView(relation.schema, relation.name, relation.columns, relation.sql)
        break
      case 'table': {
        const { table, choice } = relation
        const scan = await reader(duck.session, io, table, {
          ...(choice.snapshotId === null ? {} : { snapshotId: choice.snapshotId }),
          schema: choiceSchema(table, choice),
          predicate: either(relation.predicates),
        })
        await duck.defineView(relation.schema, relation.name, [], scan.sql)
        paths.push(...scan.localPaths)
        scans.push({ table: formatIdent(table.ident), ...scan.facts })
        break
      }
      case 'metadata':
        scans.push(await defineMetadata(duck, io, relation))
        break
      default:
        unreachable(relation)
    }
  }
  return { paths, scans }
}

/** Rows of metadata that DuckDB takes at once. */
const METADATA_PAGE_ROWS = 500

/** A metadata table as a table of the instance, with a view over it that gives the columns their shape. */
async function defineMetadata(
  duck: LockedDuck,
  io: FileIO,
  relation: Extract<Relation, { kind: 'metadata' }>,
): Promise<ScanFacts> {
  const { table, choice, metadataTable, schema: place } = relation
  const snapshot = choiceSnapshot(table, choice)
  const schema = choiceSchema(table, choice)
  const columns = metadataColumns(table, metadataTable, schema)
  const read = columns.filter((column) => column.read !== '')
  const rowsTable = `${ident(place)}.${ident('rows of metadata')}`
  await duck.session.run(
    `CREATE SCHEMA ${ident(place)}; CREATE TABLE ${rowsTable} (${read.map((column) => `${ident(column.name)} ${column.read}`).join(', ')})`,
  )
  const shape = literal(JSON.stringify([Object.fromEntries(read.map((column) => [column.name, column.read]))]))
  let page: MetadataRow[] = []
  const flush = async (): Promise<void> => {
    await duck.session.run(
      `INSERT INTO ${rowsTable} SELECT unnest(from_json_strict($1::JSON, ${shape}), max_depth := 2)`,
      [stringifyJson(page)],
    )
    page = []
  }
  for await (const rows of metadataRows({ io, table, snapshot, schema }, metadataTable)) {
    for (const row of rows) {
      page.push(row)
      if (page.length === METADATA_PAGE_ROWS) await flush()
    }
  }
  if (page.length > 0) await flush()
  const shown = columns
    .filter((column) => column.show !== '')
    .map((column) => `${column.show ?? ident(column.name)} AS ${ident(column.name)}`)
  await duck.defineView(place, relation.name, [], `SELECT ${shown.join(', ')} FROM ${rowsTable}`)
  return {
    table: `${formatIdent(table.ident)}.${metadataTable}`,
    snapshotId: snapshot?.['snapshot-id'] ?? null,
    filesRead: 0,
    filesSkipped: 0,
    manifestsRead: 0,
    manifestsSkipped: 0,
  }
}

/** Rows that any of the places wants. */
function either(predicates: readonly Predicate[]): Predicate {
  if (predicates.length === 0 || predicates.some((predicate) => predicate.op === 'true')) return { op: 'true' }
  return predicates.reduce((left, right) => ({ op: 'or', left, right }))
}
