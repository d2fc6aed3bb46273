/** SQL over the tables of a home, with the ready views. */
import { openQuerySession, type QuerySession } from '../query/query.ts'
import { COALESCED_VIEW, coalescedViewSql } from '../service/objects/view.ts'
import type { Reader } from './reader.ts'

export function openSql(reader: Pick<Reader, 'catalog' | 'io' | 'clock'>): Promise<QuerySession> {
  const { catalog, io, clock } = reader
  return openQuerySession({ catalog, io, clock, views: { [COALESCED_VIEW]: coalescedViewSql } })
}
