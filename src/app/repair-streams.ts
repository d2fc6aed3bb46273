/**
 * Mends what streams keep: a log that is damaged, or that ends before what a table holds; `state/streams.db` when it cannot be read;
 * row indexes that do not agree with their tables, which the next start builds anew.
 */
import { access, rm } from 'node:fs/promises'
import { isFault, messageOf } from '../base/fault.ts'
import { type Catalog, type LoadedTable, parseIdent } from '../iceberg/catalog/catalog.ts'
import type { Log } from '../log/log.ts'
import { openSegmentLog } from '../log/segments.ts'
import { streamIndexName, streamLogName } from '../service/streams/streams.ts'
import { examineIndex, type IndexColumns } from '../table/index-upkeep.ts'
import { tableOfEntry } from '../table/shares.ts'
import { committedOffset } from '../table/writer.ts'
import type { Reader } from './reader.ts'
import { mendLog, setAside, type Tell } from './repair-logs.ts'
import { damageOf } from './state-trouble.ts'
import { definitionOf, destinationsOf, entriesByTable, readStreams, streamsOf } from './stream-state.ts'

export async function mendStreams(reader: Reader, tell: Tell): Promise<void> {
  const { home, config, clock, catalog } = reader
  // What was remembered helps to mend the logs, so it is read before it is set aside.
  const stored = await readStreams(home)
  if (typeof stored === 'string') {
    const aside = await setAside(home.statePath('streams.db'), clock)
    tell(
      'streams',
      `${stored}. It was set aside as ${aside}: streams made through the API have to be made again, and repetitions of what is committed are taken again`,
    )
  }
  const known = typeof stored === 'string' ? null : stored
  for (const { name, hasLog } of await streamsOf(home, config, known)) {
    const definition = definitionOf(name, config, known)
    const settings = typeof definition === 'string' ? undefined : definition
    const readable = hasLog ? await entriesOf(reader, name, settings?.table) : []
    const remembered = known?.destinations.get(name) ?? []
    const destinations = await destinationsOf(settings, remembered, readable, catalog)
    const tables = new Map<string, LoadedTable>()
    const held = new Map<string, number>()
    for (const { table } of destinations) {
      const loaded = await tableOrNull(catalog, table)
      if (loaded !== null) tables.set(table, loaded)
      held.set(table, loaded === null ? 0 : committedOffset(loaded.metadata, streamLogName(name)))
    }
    const positions = [...held.values()]
    if (!hasLog && positions.every((offset) => offset === 0)) continue
    const log = await mendLog(
      {
        home,
        clock,
        name: streamLogName(name),
        // What is remembered of the log must not be ahead of it: new entries would be taken for known.
        floor: Math.max(0, ...positions, known?.applied.get(name) ?? 0),
        passedOn: (offset, text) => {
          const table = text === '' ? undefined : tableOfEntry(text, settings?.table)
          const own = table === undefined ? undefined : held.get(table)
          if (own !== undefined) return offset < own
          return positions.length > 0 && offset < Math.min(...positions)
        },
      },
      tell,
    )
    await log.close()
    for (const { table, uniqueKeys, orderingField } of destinations) {
      const loaded = tables.get(table)
      if (loaded !== undefined && uniqueKeys.length > 0)
        await mendIndex(reader, name, { loaded, table, key: uniqueKeys, ordering: orderingField }, tell)
    }
  }
}

/** The tables that the entries of a log name, as far as it can be read. */
async function entriesOf({ home }: Reader, stream: string, own: string | undefined): Promise<Iterable<string>> {
  let log: Log
  try {
    log = await openSegmentLog({ dir: home.logsDir, name: streamLogName(stream) })
  } catch (error) {
    if (isFault(error, 'corrupt')) return []
    throw error
  }
  try {
    return (await damageOf(log)) === null ? (await entriesByTable(log, own)).keys() : []
  } finally {
    await log.close()
  }
}

async function mendIndex(
  { home, duck, io }: Reader,
  stream: string,
  { loaded, table, ...columns }: { loaded: LoadedTable; table: string } & IndexColumns,
  tell: Tell,
): Promise<void> {
  const name = streamIndexName(stream, table)
  const file = home.indexPath(name)
  const there = await access(file).then(
    () => true,
    () => false,
  )
  if (!there) return
  const session = await duck.connect()
  try {
    const state = await examineIndex({ session, io }, loaded, columns, file)
    if (state.kind !== 'unusable') return
    for (const end of ['', '.wal']) await rm(`${file}${end}`, { force: true })
    tell(`index ${name}`, `${file} ${state.why}; it is built anew`)
  } catch (error) {
    tell(`index ${name}`, `${file} could not be looked at: ${messageOf(error)}`)
  } finally {
    session.close()
  }
}

async function tableOrNull(catalog: Catalog, table: string): Promise<LoadedTable | null> {
  try {
    return await catalog.load(parseIdent(table))
  } catch (error) {
    if (isFault(error, 'not-found')) return null
    throw error
  }
}
