/** What the log of a removed stream is to be committed by: the tables that were remembered for it, or that its entries name. */
import { isFault } from '../../base/fault.ts'
import { limits } from '../../base/limits.ts'
import { type Catalog, parseIdent } from '../../iceberg/catalog/catalog.ts'
import { currentSchema } from '../../iceberg/spec/schema.ts'
import type { Log } from '../../log/log.ts'
import { tableOfEntry } from '../../table/shares.ts'
import { committedOffset } from '../../table/writer.ts'
import { parseStream, STREAM_NAME, type StreamDefinition } from './definition.ts'
import { streamLogName } from './destination.ts'
import type { MemoryFile, StoredDestination } from './memory.ts'

export interface LeftoverParts {
  catalog: Catalog
  memory: MemoryFile
  openLog: (name: string) => Promise<Log>
}

/** Null when the log holds nothing that its tables do not hold. @throws Fault of the log or the catalog */
export async function leftoverDefinition(
  name: string,
  { catalog, memory, openLog }: LeftoverParts,
): Promise<StreamDefinition | null> {
  if (!STREAM_NAME.test(name)) return null
  const log = await openLog(streamLogName(name))
  try {
    if (log.start === log.end) {
      await memory.forgetDestinations(name)
      return null
    }
    const tables = new Map(memory.destinations(name).map((stored) => [stored.table, stored]))
    for (const table of await tablesIn(log)) if (!tables.has(table)) tables.set(table, await keyedAs(catalog, table))
    const waits = await Promise.all([...tables.keys()].map((table) => heldBy(catalog, table, log)))
    const [first] = tables.keys()
    if (first === undefined || waits.every((held) => held >= log.end)) return null
    return parseStream(name, {
      table: first,
      tables: Object.fromEntries(
        [...tables].map(([table, { uniqueKeys, orderingField }]) => [table, { uniqueKeys, orderingField }]),
      ),
    })
  } finally {
    await log.close()
  }
}

async function tablesIn(log: Log): Promise<Set<string>> {
  const tables = new Set<string>()
  for (let from = log.start; from < log.end; ) {
    const entries = await log.read(from, limits.logBatchEntriesMax)
    if (entries.length === 0) break
    for (const { text } of entries) {
      const table = tableOfEntry(text, undefined)
      if (table !== undefined) tables.add(table)
    }
    from += entries.length
  }
  return tables
}

/** Nothing is remembered of the table: its rows are identified as it says itself. */
async function keyedAs(catalog: Catalog, table: string): Promise<StoredDestination> {
  const schema = currentSchema((await catalog.load(parseIdent(table))).metadata)
  const ids = schema['identifier-field-ids'] ?? []
  return { table, uniqueKeys: schema.fields.flatMap((field) => (ids.includes(field.id) ? [field.name] : [])) }
}

async function heldBy(catalog: Catalog, table: string, log: Log): Promise<number> {
  try {
    return committedOffset((await catalog.load(parseIdent(table))).metadata, log.name)
  } catch (error) {
    if (isFault(error, 'not-found')) return 0
    throw error
  }
}
