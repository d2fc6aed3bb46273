/**
 * Compiled relations → views in the instance that runs the statement, and the files that these may open.
 */
import { unreachable } from '../base/assert.ts'
import type { DuckSession } from '../duck/duck.ts'
import { formatIdent, type LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { FileIO } from '../iceberg/file/file.ts'
import { planScan, type ScanRequest } from '../iceberg/scan/plan.ts'
import { scanRelation } from '../iceberg/scan/relation.ts'
import type { Predicate } from '../iceberg/scan/scan.ts'
import type { Relation } from './compile.ts'
import type { LockedDuck } from './locked.ts'
import type { ScanFacts } from './query.ts'

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
): Promise<{ paths: string[]; scans: ScanFacts[] }> {
  const paths: string[] = []
  const scans: ScanFacts[] = []
  for (const relation of relations) {
    switch (relation.kind) {
      case 'view':
        await duck.defineView(relation.schema, relation.name, relation.columns, relation.sql)
        break
      case 'table': {
        const { table, choice } = relation
        const scan = await reader(duck.session, io, table, {
          ...(choice.snapshotId === null ? {} : { snapshotId: choice.snapshotId }),
          ...(choice.schema === undefined ? {} : { schema: choice.schema }),
          predicate: either(relation.predicates),
        })
        await duck.defineView(relation.schema, relation.name, [], scan.sql)
        paths.push(...scan.localPaths)
        scans.push({ table: formatIdent(table.ident), ...scan.facts })
        break
      }
      case 'metadata':
        break
      default:
        unreachable(relation)
    }
  }
  return { paths, scans }
}

/** Rows that any of the places wants. */
function either(predicates: readonly Predicate[]): Predicate {
  if (predicates.length === 0 || predicates.some((predicate) => predicate.op === 'true')) return { op: 'true' }
  return predicates.reduce((left, right) => ({ op: 'or', left, right }))
}
