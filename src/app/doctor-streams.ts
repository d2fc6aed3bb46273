/** The doctor's look at streams: their logs, the tables that these are for, row indexes, and `streams.db`. Changes nothing. */
import { access } from 'node:fs/promises'
import path from 'node:path'
import { isFault, messageOf } from '../base/fault.ts'
import type { DuckSession } from '../duck/duck.ts'
import type { LoadedTable } from '../iceberg/catalog/catalog.ts'
import type { Log } from '../log/log.ts'
import { openSegmentLog } from '../log/segments.ts'
import type { StreamDefinition } from '../service/streams/definition.ts'
import type { StoredDestination } from '../service/streams/memory.ts'
import { streamIndexName, streamLogName } from '../service/streams/streams.ts'
import { examineIndex } from '../table/index-upkeep.ts'
import { committedOffset } from '../table/writer.ts'
import type { Config } from './config.ts'
import type { Finding } from './doctor.ts'
import { type Home, heldBy } from './home.ts'
import type { Reader } from './reader.ts'
import { damageOf } from './state-trouble.ts'
import { definitionOf, destinationsOf, entriesByTable, readStreams, streamsOf } from './stream-state.ts'

type Add = (subject: string, level: Finding['level'], message: string) => void

export interface StreamsToExamine {
  home: Home
  config: Config
  reader: Reader
  session: DuckSession
  tables: ReadonlyMap<string, LoadedTable>
  /** What to do about anything that `repair.ts` mends. */
  remedy: string
}

export async function examineStreams(examined: StreamsToExamine, add: Add): Promise<void> {
  const { home, config, reader, remedy } = examined
  const stored = await readStreams(home)
  if (typeof stored === 'string') {
    add('streams', 'problem', `${stored}; ${remedy} sets it aside: streams made through the API have to be made again`)
  } else if (stored === null && (await streamsOf(home, config, null)).some(({ hasLog }) => hasLog)) {
    add(
      'streams',
      'note',
      `${home.statePath('streams.db')} is not there: the next start makes it, and repetitions of what is committed are taken again`,
    )
  }
  const known = typeof stored === 'string' ? null : stored
  for (const [name, definition] of known?.definitions ?? [])
    if (typeof definition === 'string') add(`stream ${name}`, 'problem', definition)
  for (const { name, hasLog } of await streamsOf(home, config, known)) {
    const definition = definitionOf(name, config, known)
    const remembered = known?.destinations.get(name) ?? []
    if (!hasLog) {
      await examineLost(name, typeof definition === 'string' ? undefined : definition, remembered)
      continue
    }
    const log = await openLog(home, name, remedy, add)
    if (log === 'held') return
    if (log === null) continue
    try {
      await examineStream(examined, { name, log, definition, remembered }, add)
    } catch (error) {
      add(`stream ${name}`, 'problem', messageOf(error))
    } finally {
      await log.close()
    }
  }

  /** A log that is not there: nobody minds, unless a table holds some of it. */
  async function examineLost(
    name: string,
    definition: StreamDefinition | undefined,
    remembered: readonly StoredDestination[],
  ): Promise<void> {
    for (const { table } of await destinationsOf(definition, remembered, [], reader.catalog)) {
      const loaded = examined.tables.get(table)
      const held = loaded === undefined ? 0 : committedOffset(loaded.metadata, streamLogName(name))
      if (held > 0)
        add(
          `log ${streamLogName(name)}`,
          'problem',
          `is not there, but ${table} holds it up to ${held}: it was lost; ${remedy} lets it go on there`,
        )
    }
  }

  async function examineStream(
    { tables }: StreamsToExamine,
    stream: {
      name: string
      log: Log
      definition: StreamDefinition | string | undefined
      remembered: readonly StoredDestination[]
    },
    tell: Add,
  ): Promise<void> {
    const { name, log, remembered } = stream
    const subject = `log ${log.name}`
    const damage = await damageOf(log)
    if (damage !== null)
      return tell(subject, 'problem', `${damage} ${remedy} sets it aside and goes on behind what the tables hold.`)
    const definition = typeof stream.definition === 'string' ? undefined : stream.definition
    const entries = await entriesByTable(log, definition?.table)
    const destinations = await destinationsOf(definition, remembered, entries.keys(), reader.catalog)
    let waiting = 0
    let told = false
    for (const destination of destinations) {
      const table = tables.get(destination.table)
      const offsets = entries.get(destination.table) ?? []
      if (table === undefined) {
        if (offsets.length > 0) {
          tell(
            subject,
            'problem',
            `${offsets.length} entries are for ${destination.table}, which is not there; make it, and the next start commits them`,
          )
          told = true
        }
        continue
      }
      const held = committedOffset(table.metadata, log.name)
      if (held > log.end) {
        tell(
          subject,
          'problem',
          `ends at offset ${log.end}, but ${destination.table} holds it up to ${held}: the log was lost or replaced; ${remedy} lets it go on there`,
        )
        told = true
        continue
      }
      waiting += offsets.filter((offset) => offset >= held).length
      await examineTableIndex(name, destination, table, tell)
    }
    if (waiting > 0) {
      const gone = stream.definition === undefined ? ', though the stream is no more' : ''
      tell(subject, 'note', `${waiting} entries wait to be committed by the next run${gone}`)
    } else if (!told) tell(subject, 'ok', `committed up to offset ${log.end}`)
  }

  async function examineTableIndex(
    stream: string,
    { table: name, uniqueKeys, orderingField }: StoredDestination,
    table: LoadedTable,
    tell: Add,
  ): Promise<void> {
    const file = home.indexPath(streamIndexName(stream, name))
    if (uniqueKeys.length === 0 || !(await isThere(file))) return
    const { session } = examined
    const subject = `index ${path.basename(file, '.duckdb')}`
    const state = await examineIndex(
      { session, io: reader.io },
      table,
      { key: uniqueKeys, ordering: orderingField },
      file,
    )
    switch (state.kind) {
      case 'agrees':
        return tell(subject, 'ok', `agrees with ${name}`)
      case 'behind':
        return tell(subject, 'note', `describes another snapshot of ${name}; the next start catches up`)
      case 'unusable':
        return tell(subject, 'problem', `${file} ${state.why}; ${remedy} builds it anew`)
    }
  }
}

/** Null when it cannot be opened, which is told; `held` by another process. */
async function openLog(home: Home, stream: string, remedy: string, add: Add): Promise<Log | null | 'held'> {
  const name = streamLogName(stream)
  try {
    return await openSegmentLog({ dir: home.logsDir, name })
  } catch (error) {
    if (isFault(error, 'conflict')) {
      add('streams', 'note', `${heldBy(error)} The streams were not looked at`)
      return 'held'
    }
    const what = isFault(error, 'corrupt') ? `; ${remedy} sets it aside and goes on behind what the tables hold` : ''
    add(`log ${name}`, 'problem', `${messageOf(error)}${what}`)
    return null
  }
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
