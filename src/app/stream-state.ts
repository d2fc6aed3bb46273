/** What a home holds of streams, as the doctor and the repair look at it: logs, the tables that their entries are for, `streams.db`. */
import { access, readdir } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import { type Catalog, parseIdent } from '../iceberg/catalog/catalog.ts'
import { currentSchema } from '../iceberg/spec/schema.ts'
import type { Log } from '../log/log.ts'
import { type StreamDefinition, settingsFor } from '../service/streams/definition.ts'
import { MemoryFile, type StoredDestination } from '../service/streams/memory.ts'
import { parseStream, streamLogName } from '../service/streams/streams.ts'
import { tableOfEntry } from '../table/shares.ts'
import type { Config } from './config.ts'
import type { Home } from './home.ts'

/** What `streams.db` says; null when it is not there, a sentence when it cannot be read. */
export interface StoredStreams {
  definitions: Map<string, StreamDefinition | string>
  destinations: Map<string, StoredDestination[]>
  applied: Map<string, number>
}

export async function readStreams(home: Home): Promise<StoredStreams | string | null> {
  const file = home.statePath('streams.db')
  const there = await access(file).then(
    () => true,
    () => false,
  )
  if (!there) return null
  try {
    const memory = new MemoryFile(file)
    try {
      const damage = String(memory.statement('PRAGMA quick_check').get()?.['quick_check'])
      if (damage !== 'ok') return `${file} is damaged: ${damage}`
      const names = memory.streamsWithDestinations()
      const applied = memory.statement('SELECT name, applied FROM streams').all()
      return {
        definitions: new Map(memory.definitions().map(({ name, definition }) => [name, parsed(name, definition)])),
        destinations: new Map(names.map((name) => [name, memory.destinations(name)])),
        applied: new Map(applied.map((row) => [String(row['name']), Number(row['applied'])])),
      }
    } finally {
      memory.close()
    }
  } catch (error) {
    return messageOf(error)
  }
}

function parsed(name: string, text: string): StreamDefinition | string {
  try {
    return parseStream(name, JSON.parse(text))
  } catch (error) {
    return messageOf(error)
  }
}

const PREFIX = streamLogName('')

/** Has a stream of this name ever taken records in this home? */
export function hasStreamLog(home: Home, stream: string): Promise<boolean> {
  return access(path.join(home.logsDir, streamLogName(stream))).then(
    () => true,
    () => false,
  )
}

/** Every stream that is configured, remembered, or has a log; and whether it has one. */
export async function streamsOf(
  home: Home,
  config: Config,
  stored: StoredStreams | null,
): Promise<{ name: string; hasLog: boolean }[]> {
  const entries = await readdir(home.logsDir, { withFileTypes: true }).catch(() => [])
  const logs = entries
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(PREFIX) && !entry.name.includes('.damaged-'))
    .map((entry) => entry.name.slice(PREFIX.length))
  const known = [...(stored?.definitions.keys() ?? []), ...(stored?.destinations.keys() ?? [])]
  const names = new Set([...logs, ...Object.keys(config.streams), ...known])
  return [...names].sort().map((name) => ({ name, hasLog: logs.includes(name) }))
}

/** The settings of a stream, as the configuration or the API gave them; undefined when there is no such stream. */
export function definitionOf(
  name: string,
  config: Config,
  stored: StoredStreams | null,
): StreamDefinition | string | undefined {
  const configured = Object.hasOwn(config.streams, name) ? config.streams[name] : undefined
  if (configured !== undefined) return parseStream(name, configured)
  return stored?.definitions.get(name)
}

/** Entries that wait in a stream's log, by table, from the offset that each table holds on. */
export async function entriesByTable(log: Log, untagged: string | undefined): Promise<Map<string, number[]>> {
  const offsets = new Map<string, number[]>()
  for (let from = log.start; from < log.end; ) {
    const entries = await log.read(from, limits.logBatchEntriesMax)
    if (entries.length === 0) break
    for (const { offset, text } of entries) {
      const table = tableOfEntry(text, untagged)
      if (table === undefined) continue
      const known = offsets.get(table)
      if (known === undefined) offsets.set(table, [offset])
      else known.push(offset)
    }
    from += entries.length
  }
  return offsets
}

/** The tables that a stream writes, as far as it is known: remembered, named by entries, and its own. */
export async function destinationsOf(
  definition: StreamDefinition | undefined,
  remembered: readonly StoredDestination[],
  named: Iterable<string>,
  catalog: Catalog,
): Promise<StoredDestination[]> {
  const found = new Map(remembered.map((stored) => [stored.table, stored]))
  for (const table of [...named, ...(definition === undefined ? [] : [definition.table])]) {
    if (found.has(table)) continue
    const uniqueKeys =
      definition === undefined ? await keyOf(catalog, table) : settingsFor(definition, table).uniqueKeys
    found.set(table, { table, uniqueKeys })
  }
  return [...found.values()]
}

/** The key that a table names itself; none when it is not there. */
async function keyOf(catalog: Catalog, table: string): Promise<string[]> {
  try {
    const schema = currentSchema((await catalog.load(parseIdent(table))).metadata)
    const ids = schema['identifier-field-ids'] ?? []
    return schema.fields.flatMap((field) => (ids.includes(field.id) ? [field.name] : []))
  } catch {
    return []
  }
}
