/** What upkeep needs of a table. */
import { isFault } from '../base/fault.ts'
import { formatIdent, type LoadedTable, type TableIdent } from '../iceberg/catalog/catalog.ts'
import { isMissingFile } from '../iceberg/scan/missing-file.ts'
import { TABLE_BOUNDS, type TableBounds } from './bounds.ts'
import type { IndexContext } from './index-upkeep.ts'
import type { WriterParts } from './writer.ts'

/** A table as upkeep sees it. A `TableWriter` is one; a table without a writer needs no index, and nobody to wait for. */
export interface KeptTable {
  readonly name: string
  readonly bounds: TableBounds
  readonly parts: Omit<WriterParts, 'session'>
  /** The row index to keep true; null: none. Used only within `exclusively`. */
  readonly indexContext: IndexContext | null
  /** The log that the table follows; null: none. */
  readonly logName: string | null
  load(): Promise<LoadedTable>
  /** Runs `work` while nothing else in this process commits to the table. */
  exclusively<T>(work: () => Promise<T>): Promise<T>
  /** Whether `error` comes of others having changed the table after it was loaded. */
  wasOvertaken(table: LoadedTable, error: unknown): Promise<boolean>
}

/** Others have committed to the table after it was loaded, or files are gone that only expired snapshots had. */
export async function wasOvertaken(
  load: () => Promise<LoadedTable>,
  table: LoadedTable,
  error: unknown,
): Promise<boolean> {
  if (isFault(error, 'conflict')) return true
  return isMissingFile(error) && (await load()).metadataLocation !== table.metadataLocation
}

/** A table that nothing in this process writes. An index that somebody keeps of it catches up when it is opened. */
export function unwrittenTable({ catalog, io, clock }: KeptTable['parts'], ident: TableIdent): KeptTable {
  const parts = { catalog, io, clock }
  const load = () => catalog.load(ident)
  return {
    name: formatIdent(ident),
    bounds: TABLE_BOUNDS,
    parts,
    indexContext: null,
    logName: null,
    load,
    exclusively: (work) => work(),
    wasOvertaken: (table, error) => wasOvertaken(load, table, error),
  }
}
