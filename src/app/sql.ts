/** SQL over the tables of a home, with the ready views; and what changing tables by SQL must know of those who write them. */
import { formatIdent, parseIdent } from '../iceberg/catalog/catalog.ts'
import type { TableMetadata } from '../iceberg/spec/table-metadata.ts'
import {
  openQuerySession,
  type QueryBounds,
  type QuerySession,
  type SqlWrites,
  type TableOwner,
} from '../query/query.ts'
import { COALESCED_VIEW, coalescedViewSql } from '../service/objects/view.ts'
import { storedStreams } from '../service/streams/stored-streams.ts'
import { parseStream, type StreamDefinition, streamLogName } from '../service/streams/streams.ts'
import { offsetProperty, SUMMARY } from '../table/table.ts'
import { transportType } from '../table/transport.ts'
import { checkProperties } from '../table/write-settings.ts'
import { tablesByLog } from './object-tables.ts'
import type { Reader } from './reader.ts'
import { warehouseUri } from './warehouse.ts'

export function openSql(
  reader: Pick<Reader, 'catalog' | 'io' | 'clock'>,
  writes?: SqlWrites,
  bounds?: Partial<QueryBounds>,
): Promise<QuerySession> {
  const { catalog, io, clock } = reader
  return openQuerySession({
    catalog,
    io,
    clock,
    views: { [COALESCED_VIEW]: coalescedViewSql },
    ...(writes === undefined ? {} : { writes }),
    ...(bounds === undefined ? {} : { bounds }),
  })
}

/** For sessions that change tables of a home, whoever holds it. */
export function sqlWrites({ home, config }: Pick<Reader, 'home' | 'config'>): SqlWrites {
  const services = new Set([...tablesByLog(config).values()].map(({ ident }) => formatIdent(ident)))
  return {
    warehouse: warehouseUri(home, config),
    checkType: (type) => {
      transportType(type)
    },
    checkProperties,
    writerOf: async ({ ident, metadata }) => {
      const table = formatIdent(ident)
      if (services.has(table)) {
        return { name: 'tidewater itself', remedy: 'its columns are those of the configuration', columns: 'all' }
      }
      // Asked each time: a server may have made a stream since.
      const streams = [
        ...Object.entries(config.streams).map(([name, settings]) => parseStream(name, settings)),
        ...storedStreams(home.statePath('streams.db')),
      ]
      const own = streams.find((each) => formatIdent(parseIdent(each.table)) === table)
      if (own !== undefined) return ownerOf(own)
      // A stream may write more tables than its own: they say whose log they follow.
      const logs = logsOf(metadata)
      const other = streams.find(({ name }) => logs.has(streamLogName(name)))
      return other === undefined ? null : { ...ownerOf(other), columns: 'all' }
    },
  }
}

/** Names of the logs whose offsets the table tells. */
function logsOf({ snapshots, properties }: TableMetadata): Set<string> {
  const prefix = offsetProperty('')
  return new Set([
    ...snapshots.flatMap(({ summary }) => summary[SUMMARY.log] ?? []),
    ...Object.keys(properties).flatMap((name) => (name.startsWith(prefix) ? name.slice(prefix.length) : [])),
  ])
}

/** Rows on their way to the table name its columns; those in the stream's settings are wanted as they are at every start. */
function ownerOf({ name, columns = {}, uniqueKeys }: StreamDefinition): TableOwner {
  return {
    name: `stream ${name}`,
    remedy: `tidewater stream delete ${name} commits what it has taken and lets go of the table; make it again afterwards`,
    columns: [...Object.keys(columns), ...uniqueKeys],
  }
}
